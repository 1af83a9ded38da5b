//! A source of the texts in its own configuration: `text:NAME` is one of them, `text:` all. Put what fetches and reads yours
//! where `fetch` is; the host walks, queues, retries and remembers.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed expectation is a failed test"
    )
)]

use std::collections::BTreeMap;

use encaje_sdk::errors::Problem;
use encaje_sdk::source::{Beginning, Document, Item, Source};
use encaje_sdk::values::Value;
use serde::Deserialize;

/// Bytes of a location: as long as an address of the web may sensibly be.
const MAX_LOCATION_BYTES: usize = 2_048;

/// The plugin's `config` in the registry; `plugin.toml` has its schema and the defaults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    texts: BTreeMap<String, String>,
}

struct Plugin;

impl Source for Plugin {
    fn check() -> Result<Vec<String>, Problem> {
        encaje_sdk::config::<Config>()?;
        Ok(["begin", "fetch"].map(str::to_owned).to_vec())
    }

    fn begin(location: String) -> Result<Beginning, Problem> {
        begin(&encaje_sdk::config()?, &location)
    }

    fn fetch(location: String, state: Option<String>) -> Result<Item, Problem> {
        fetch(&encaje_sdk::config()?, &location, state.as_deref())
    }
}

/// Where to begin: at the text itself, or at every one where none is named.
fn begin(config: &Config, location: &str) -> Result<Beginning, Problem> {
    let locations = match name_of(location)? {
        "" => config.texts.keys().map(|name| format!("text:{name}")).collect(),
        name => {
            text_of(config, name)?;
            vec![location.to_owned()]
        }
    };
    if locations.is_empty() {
        return Err(Problem::not_found(
            "there are no texts; add some to `texts` in the plugin's `config`",
        ));
    }
    Ok(Beginning {
        locations,
        delay_ms: 0,
        extra: Vec::new(),
    })
}

/// One text; without a document where it is what `state` says it was.
fn fetch(config: &Config, location: &str, state: Option<&str>) -> Result<Item, Problem> {
    let name = name_of(location)?;
    let text = text_of(config, name)?;
    let now = format!("\"{:016x}\"", hash(text));
    let document = (state != Some(now.as_str())).then(|| Document {
        id: location.to_owned(),
        text: text.to_owned(),
        title: Some(name.to_owned()),
        url: None,
        metadata: vec![("media_type".to_owned(), Value::Text("text/plain".to_owned()))],
        extra: Vec::new(),
    });
    Ok(Item {
        document,
        canonical: location.to_owned(),
        links: Vec::new(),
        state: now,
        extra: Vec::new(),
    })
}

/// The NAME of `text:NAME`; empty for `text:`.
fn name_of(location: &str) -> Result<&str, Problem> {
    let refuse = |message: &str| Problem::invalid_request(message).with_param("location");
    if location.len() > MAX_LOCATION_BYTES {
        return Err(refuse("the location is too long"));
    }
    let name = location.strip_prefix("text:");
    name.ok_or_else(|| refuse("this source knows locations such as `text:welcome` alone"))
}

fn text_of<'a>(config: &'a Config, name: &str) -> Result<&'a str, Problem> {
    let text = config.texts.get(name).map(String::as_str);
    text.ok_or_else(|| {
        let message = format!("there is no text `{name}`; add it to `texts` in the plugin's `config`");
        Problem::not_found(message).with_param("location")
    })
}

/// FNV-1a: it tells chance changes apart, and nothing depends on it being hard to forge.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

encaje_sdk::export_source!(Plugin);

#[cfg(test)]
mod tests {
    use super::*;
    use encaje_sdk::errors::ProblemKind;

    fn config(json: &str) -> Config {
        encaje_sdk::parse_config(json).unwrap()
    }

    #[test]
    fn it_begins_at_one_text_or_at_all() {
        let config = config(r#"{"texts":{"b":"2","a":"1"}}"#);
        assert_eq!(begin(&config, "text:b").unwrap().locations, ["text:b"]);
        assert_eq!(begin(&config, "text:").unwrap().locations, ["text:a", "text:b"]);
    }

    #[test]
    fn a_text_comes_once_and_again_when_it_changed() {
        let old = config(r#"{"texts":{"a":"one"}}"#);
        let first = fetch(&old, "text:a", None).unwrap();
        let document = first.document.unwrap();
        assert_eq!((document.id.as_str(), document.text.as_str()), ("text:a", "one"));
        let again = fetch(&old, "text:a", Some(&first.state)).unwrap();
        assert!(again.document.is_none());
        let changed = fetch(&config(r#"{"texts":{"a":"two"}}"#), "text:a", Some(&first.state)).unwrap();
        assert_eq!(changed.document.unwrap().text, "two");
        assert_ne!(changed.state, first.state);
    }

    #[test]
    fn what_is_not_there_is_a_typed_error() {
        let config = config(r#"{"texts":{}}"#);
        for location in ["text:", "text:a"] {
            assert!(matches!(
                begin(&config, location).unwrap_err().kind,
                ProblemKind::NotFound
            ));
        }
        assert!(matches!(
            fetch(&config, "text:", None).unwrap_err().kind,
            ProblemKind::NotFound
        ));
        let long = format!("text:{}", "x".repeat(MAX_LOCATION_BYTES));
        for location in ["https://example.org/", "", long.as_str()] {
            let problem = fetch(&config, location, None).unwrap_err();
            assert!(matches!(problem.kind, ProblemKind::InvalidRequest), "{location}");
            assert_eq!(problem.param.as_deref(), Some("location"));
        }
    }
}
