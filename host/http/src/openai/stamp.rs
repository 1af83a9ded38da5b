//! What all answers of this wire have in common: the id, time and model of each object, usage, and pieces of JSON that
//! a provider sent along.

use encaje_core::Call;
use encaje_core::chat::Usage;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

/// What every object of one answer repeats.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    pub(crate) id: String,
    /// Seconds of UTC since 1970.
    pub(crate) created: u64,
    /// As the caller named it.
    pub(crate) model: String,
}

impl Stamp {
    /// An id that is unique for each call and holds the trace's, so that one finds the other.
    pub(crate) fn new(prefix: &str, call: &Call, model: &str) -> Self {
        Self {
            id: format!("{prefix}-{}{}", call.trace(), call.span()),
            created: encaje_core::time::now_us() / 1_000_000,
            model: model.to_owned(),
        }
    }
}

/// Tokens of an answer.
#[derive(Debug, Serialize)]
pub(crate) struct UsageBody {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Debug, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
    audio_tokens: u64,
}

#[derive(Debug, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

impl UsageBody {
    pub(crate) fn new(usage: &Usage) -> Self {
        let counted = |name: &str| {
            let found = usage.extra.iter().find(|(known, _)| known == name);
            found.and_then(|(_, json)| json.trim().parse().ok()).unwrap_or(0)
        };
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cached_input_tokens,
                cache_write_tokens: usage.cache_write_tokens,
                audio_tokens: counted("input_audio_tokens"),
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: usage.reasoning_tokens,
                audio_tokens: counted("output_audio_tokens"),
                accepted_prediction_tokens: counted("accepted_prediction_tokens"),
                rejected_prediction_tokens: counted("rejected_prediction_tokens"),
            },
        }
    }
}

/// Adds up the usage of several calls that one request made.
pub(crate) fn add(total: &mut Option<Usage>, more: &Usage) {
    let Some(total) = total else {
        *total = Some(more.clone());
        return;
    };
    total.input_tokens = total.input_tokens.saturating_add(more.input_tokens);
    total.cached_input_tokens = total.cached_input_tokens.saturating_add(more.cached_input_tokens);
    total.cache_write_tokens = total.cache_write_tokens.saturating_add(more.cache_write_tokens);
    total.output_tokens = total.output_tokens.saturating_add(more.output_tokens);
    total.reasoning_tokens = total.reasoning_tokens.saturating_add(more.reasoning_tokens);
}

/// JSON of a provider on one line; `None` where it is none.
pub(crate) fn one_line(json: &str) -> Option<Box<RawValue>> {
    // Inside JSON a raw line break can only be space between tokens, and server-sent events end a line there.
    let line = if json.contains(['\n', '\r']) {
        json.replace(['\n', '\r'], " ")
    } else {
        json.to_owned()
    };
    RawValue::from_string(line).ok()
}

/// Members that this version does not know, written beside those it does.
#[derive(Debug, Default)]
pub(crate) struct Others(Vec<(String, Box<RawValue>)>);

impl Others {
    /// Those of these events that are JSON and do not hide a member of the wire's own.
    pub(crate) fn of(events: &[(String, String)], own: &[&str]) -> Self {
        let mut others: Vec<(String, Box<RawValue>)> = Vec::new();
        for (name, json) in events {
            match one_line(json) {
                Some(json) if !own.contains(&name.as_str()) => {
                    // The last word counts: a name must not come twice.
                    others.retain(|(known, _)| known != name);
                    others.push((name.clone(), json));
                }
                _ => tracing::debug!(name, "an unknown event of a provider has no place in the answer"),
            }
        }
        Self(others)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Others {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, json) in &self.0 {
            map.serialize_entry(name, json)?;
        }
        map.end()
    }
}
