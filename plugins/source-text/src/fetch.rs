//! The two calls of a source: where to begin, and one item. What was fetched last is remembered by the host, as the state
//! that comes back: ETag and date for the server to compare, and a hash, since not every server does.

use encaje_sdk::errors::Problem;
use encaje_sdk::source::{Beginning, Document, Item};
use encaje_sdk::values::Value;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::limits::{MAX_STATE, MAX_TITLE, MAX_VALIDATOR};
use crate::location::Location;
use crate::web::{Outcome, Question, Response, Web, ask, header};

/// What is remembered of an item.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
    /// Of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

/// Where to begin: at the place itself, or with `text:` at every text of the configuration.
pub(crate) fn begin(config: &Config, location: &str) -> Result<Beginning, Problem> {
    let location = Location::parse(location)?;
    let locations = match &location {
        Location::Text(name) if name.is_empty() && !config.texts.is_empty() => {
            config.texts.keys().map(|name| format!("text:{name}")).collect()
        }
        Location::Text(name) => {
            text_named(config, name)?;
            vec![location.canonical()]
        }
        Location::Web(address) => vec![address.clone()],
    };
    Ok(Beginning {
        locations,
        delay_ms: 0,
        extra: Vec::new(),
    })
}

/// One item.
pub(crate) fn fetch(web: &impl Web, config: &Config, location: &str, state: Option<&str>) -> Result<Item, Problem> {
    let location = Location::parse(location)?;
    let before = state.map(parse_state).transpose()?.unwrap_or_default();
    match &location {
        Location::Text(name) => {
            let text = text_named(config, name)?.to_owned();
            let state = State {
                hash: Some(hash(&text)),
                ..State::default()
            };
            item(&location, &before, state, Some((text, "text/plain".to_owned())))
        }
        Location::Web(address) => {
            let response = ask(web, question(address, &before, config), config)?;
            let mut state = validators(&response);
            let text = match response.outcome {
                // The server may leave out in a 304 what it has not changed.
                Outcome::Unchanged => {
                    state.etag = state.etag.or_else(|| before.etag.clone());
                    state.last_modified = state.last_modified.or_else(|| before.last_modified.clone());
                    state.hash = before.hash.clone();
                    None
                }
                Outcome::Text { text, media_type } => {
                    state.hash = Some(hash(&text));
                    Some((text, media_type))
                }
            };
            item(&location, &before, state, text)
        }
    }
}

fn text_named<'a>(config: &'a Config, name: &str) -> Result<&'a str, Problem> {
    let found = config.texts.get(name).map(String::as_str);
    found.ok_or_else(|| {
        let message = format!("there is no text `{name}`; add it to `texts` in the plugin's `config`");
        Problem::not_found(message).with_param("location")
    })
}

fn parse_state(state: &str) -> Result<State, Problem> {
    let refuse = |message: String| Problem::invalid_request(message).with_param("state");
    if state.len() > MAX_STATE {
        return Err(refuse(format!("a state has at most {MAX_STATE} bytes")));
    }
    serde_json::from_str(state).map_err(|error| refuse(format!("the state is none of this source: {error}")))
}

fn question(address: &str, before: &State, config: &Config) -> Question {
    let mut headers = vec![("accept", "text/plain, text/markdown, text/*;q=0.8".to_owned())];
    if let Some(etag) = &before.etag {
        headers.push(("if-none-match", etag.clone()));
    }
    if let Some(date) = &before.last_modified {
        headers.push(("if-modified-since", date.clone()));
    }
    Question {
        url: address.to_owned(),
        headers: headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        timeout_ms: config.timeout_ms,
    }
}

/// What the server gave to ask it with the next time. A value that is no sane header is not kept: the hash stands in.
fn validators(response: &Response) -> State {
    let sane = |value: &&str| value.len() <= MAX_VALIDATOR && value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    let kept = |name: &str| header(&response.headers, name).filter(sane).map(str::to_owned);
    State {
        etag: kept("etag"),
        last_modified: kept("last-modified"),
        hash: None,
    }
}

fn item(location: &Location, before: &State, state: State, text: Option<(String, String)>) -> Result<Item, Problem> {
    let canonical = location.canonical();
    let is_new = before.hash.is_none() || before.hash != state.hash;
    let document = text.filter(|_| is_new).map(|(text, media_type)| Document {
        id: canonical.clone(),
        title: title(&text, &media_type),
        url: matches!(location, Location::Web(_)).then(|| canonical.clone()),
        metadata: vec![("media_type".to_owned(), Value::Text(media_type))],
        text,
        extra: Vec::new(),
    });
    let state = serde_json::to_string(&state)
        .map_err(|error| Problem::internal("the state cannot be written").with_log_detail(error.to_string()))?;
    Ok(Item {
        document,
        canonical,
        links: Vec::new(),
        state,
        extra: Vec::new(),
    })
}

/// The first heading of a Markdown text, where it stands before everything else.
fn title(text: &str, media_type: &str) -> Option<String> {
    if media_type != "text/markdown" && media_type != "text/x-markdown" {
        return None;
    }
    let first = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let heading = first.strip_prefix("# ")?.trim_end_matches('#').trim();
    (!heading.is_empty() && heading.len() <= MAX_TITLE).then(|| heading.to_owned())
}

/// FNV-1a of 128 bits: it tells chance changes apart, and nothing depends on it being hard to forge.
fn hash(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        });
    format!("{hash:032x}")
}

#[cfg(test)]
mod tests;
