//! Counts of tokens, from the upstream's words to the contract's. What was not counted is not made up.

use encaje_sdk::chat::Usage;
use serde_json::Value;

use crate::limits::{MAX_COUNTS, MAX_WORD_BYTES};

/// Details that the contract has fields for, or that are sums of others.
const OWN: [&str; 3] = ["prompt_tokens", "completion_tokens", "total_tokens"];

/// Reads a `usage` object; `None` for anything else.
pub(crate) fn read(usage: &Value) -> Option<Usage> {
    let object = usage.as_object()?;
    let count = |name: &str| object.get(name).and_then(Value::as_u64);
    let of_prompt = object.get("prompt_tokens_details");
    let of_answer = object.get("completion_tokens_details");
    let detail = |details: Option<&Value>, name: &str| details?.get(name)?.as_u64();
    let mut extra = Vec::new();
    for (name, value) in object.iter().filter(|(name, _)| !OWN.contains(&name.as_str())) {
        note(&mut extra, name.clone(), value);
    }
    let known = ["cached_tokens", "cache_write_tokens"];
    details(&mut extra, of_prompt, &known, |name| format!("input_{name}"));
    details(&mut extra, of_answer, &["reasoning_tokens"], |name| match name {
        "accepted_prediction_tokens" | "rejected_prediction_tokens" => name.to_owned(),
        _ => format!("output_{name}"),
    });
    Some(Usage {
        input_tokens: count("prompt_tokens").unwrap_or(0),
        cached_input_tokens: detail(of_prompt, "cached_tokens")
            .or_else(|| count("prompt_cache_hit_tokens"))
            .unwrap_or(0),
        cache_write_tokens: detail(of_prompt, "cache_write_tokens").unwrap_or(0),
        output_tokens: count("completion_tokens").unwrap_or(0),
        reasoning_tokens: detail(of_answer, "reasoning_tokens").unwrap_or(0),
        extra,
    })
}

fn details(
    extra: &mut Vec<(String, String)>,
    details: Option<&Value>,
    known: &[&str],
    name_of: impl Fn(&str) -> String,
) {
    let all = details.and_then(Value::as_object).into_iter().flatten();
    for (name, value) in all.filter(|(name, _)| !known.contains(&name.as_str())) {
        note(extra, name_of(name), value);
    }
}

/// Zeros say nothing that silence does not.
fn note(extra: &mut Vec<(String, String)>, name: String, value: &Value) {
    let counts = value.as_f64().is_some_and(|number| number != 0.0);
    if counts && extra.len() < MAX_COUNTS && name.len() <= MAX_WORD_BYTES {
        extra.push((name, value.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use serde_json::json;

    #[test]
    fn every_count_has_its_field_and_others_their_names() {
        let usage = read(&json!({
            "prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17, "cost": 0.25, "note": "x",
            "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2, "audio_tokens": 1, "image_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 2, "accepted_prediction_tokens": 5},
        }));
        let usage = usage.unwrap();
        assert_eq!(
            (usage.input_tokens, usage.cached_input_tokens, usage.cache_write_tokens),
            (10, 4, 2)
        );
        assert_eq!((usage.output_tokens, usage.reasoning_tokens), (7, 3));
        let extra: Vec<_> = usage
            .extra
            .iter()
            .map(|(name, json)| (name.as_str(), json.as_str()))
            .collect();
        assert_eq!(
            extra,
            [
                ("cost", "0.25"),
                ("input_audio_tokens", "1"),
                ("accepted_prediction_tokens", "5"),
                ("output_audio_tokens", "2")
            ]
        );
    }

    #[test]
    fn what_is_missing_or_odd_counts_nothing() {
        assert!(read(&json!(null)).is_none());
        let usage =
            read(&json!({"prompt_tokens": -1, "completion_tokens": "9", "prompt_tokens_details": null})).unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.extra.len()), (0, 0, 0));
        let cached = read(&json!({"prompt_tokens": 9, "prompt_cache_hit_tokens": 8})).unwrap();
        assert_eq!(cached.cached_input_tokens, 8);
    }
}
