//! Embeddings: inputs out, vectors back, in the order of the inputs whatever the order of the answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encaje_sdk::chat::Usage;
use encaje_sdk::embeddings::{EmbedInput, EmbedRequest, EmbedResponse, Purpose};
use encaje_sdk::errors::Problem;
use encaje_sdk::http::Transport;
use serde::Deserialize;
use serde_json::Value;

use crate::client::Client;
use crate::config::Config;
use crate::error::malformed;
use crate::json::{self, Object};
use crate::limits::{MAX_DIMENSIONS, MAX_INPUTS};
use crate::usage;

/// Members that the contract's fields decide, so that no extra may write them twice.
const OWN: [&str; 5] = ["model", "input", "encoding_format", "dimensions", "input_type"];

#[derive(Deserialize)]
struct Body {
    data: Vec<Row>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct Row {
    index: Option<usize>,
    embedding: Vector,
}

/// Base64 is asked for, as OpenAI's own clients do, since it is a third of the size; not every upstream heeds it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Vector {
    Base64(String),
    Numbers(Vec<f32>),
}

impl Vector {
    /// `None` for what is not base64 of little-endian numbers.
    fn numbers(self) -> Option<Vec<f32>> {
        match self {
            Self::Numbers(numbers) => Some(numbers),
            Self::Base64(text) => {
                let bytes = STANDARD.decode(text).ok()?;
                let (numbers, rest) = bytes.as_chunks::<4>();
                rest.is_empty()
                    .then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
            }
        }
    }
}

/// Asks the upstream.
pub(crate) fn embed<T: Transport>(client: &Client<'_, T>, request: &EmbedRequest) -> Result<EmbedResponse, Problem> {
    let body: Body = client.post("/embeddings", write(request, client.config)?)?;
    let (dimensions, vectors) = rows(body.data, request)?;
    let usage = body.usage.as_ref().and_then(usage::read).unwrap_or(Usage {
        input_tokens: 0,
        cached_input_tokens: 0,
        cache_write_tokens: 0,
        output_tokens: 0,
        reasoning_tokens: 0,
        extra: Vec::new(),
    });
    Ok(EmbedResponse {
        dimensions,
        vectors,
        covered: covered(&request.inputs, usage.input_tokens),
        usage,
        extra: Vec::new(),
    })
}

fn write(request: &EmbedRequest, config: &Config) -> Result<Vec<u8>, Problem> {
    if request.inputs.is_empty() || request.inputs.len() > MAX_INPUTS {
        let message = format!("`input` must have between 1 and {MAX_INPUTS} items.");
        return Err(Problem::invalid_request(message).with_param("input"));
    }
    let mut body = Vec::new();
    let mut object = Object::begin(&mut body);
    object.put("model", &request.model);
    let mut list = object.list("input");
    let is_text = |input: &EmbedInput| matches!(input, EmbedInput::Text(_));
    let all_texts = request.inputs.iter().all(is_text);
    if !all_texts && request.inputs.iter().any(is_text) {
        let message = "`input` must be texts alone or token ids alone: this upstream's wire cannot mix them.";
        return Err(Problem::unsupported(message).with_param("input"));
    }
    for input in &request.inputs {
        match input {
            EmbedInput::Text(text) => json::value(list.item(), text),
            EmbedInput::Tokens(tokens) => json::value(list.item(), tokens),
        }
    }
    list.end();
    object.put("encoding_format", "base64");
    object.put_some("dimensions", request.dimensions.as_ref());
    let purpose = match request.purpose {
        Purpose::Unspecified => None,
        Purpose::Query => Some("query"),
        Purpose::Document => Some("document"),
        Purpose::Similarity => Some("similarity"),
    };
    // A model that makes no difference ignores it, but OpenAI's own API refuses what it does not know.
    object.put_some("input_type", purpose.filter(|_| config.input_type));
    for (name, json) in &request.extra {
        if OWN.contains(&name.as_str()) {
            return Err(Problem::invalid_request(format!("`{name}` is given twice.")).with_param(name));
        }
        object.put_raw(name, json, name)?;
    }
    object.end();
    Ok(body)
}

/// All rows in the order of the inputs, and their length.
fn rows(data: Vec<Row>, request: &EmbedRequest) -> Result<(u32, Vec<f32>), Problem> {
    let inputs = request.inputs.len();
    if data.len() != inputs {
        let message = format!("The upstream sent {} vectors for {inputs} inputs.", data.len());
        return Err(malformed(message));
    }
    let mut rows: Vec<Option<Vec<f32>>> = vec![None; inputs];
    for (place, row) in data.into_iter().enumerate() {
        let index = row.index.unwrap_or(place);
        let numbers = row
            .embedding
            .numbers()
            .filter(|row| row.iter().all(|number| number.is_finite()));
        let Some(numbers) = numbers.filter(|row| (1..=MAX_DIMENSIONS).contains(&row.len())) else {
            let message =
                format!("The upstream's vector {index} is not between 1 and {MAX_DIMENSIONS} finite numbers.");
            return Err(malformed(message));
        };
        match rows.get_mut(index) {
            Some(slot @ None) => *slot = Some(numbers),
            _ => {
                return Err(malformed(format!(
                    "The upstream sent a vector for input {index} twice or too many."
                )));
            }
        }
    }
    let length = rows.first().and_then(Option::as_ref).map_or(0, Vec::len);
    if let Some(other) = rows.iter().flatten().find(|row| row.len() != length) {
        let message = format!("The upstream sent vectors of {length} and of {} numbers.", other.len());
        return Err(malformed(message));
    }
    let dimensions = u32::try_from(length).unwrap_or(u32::MAX);
    if let Some(asked) = request.dimensions.filter(|asked| *asked != dimensions) {
        let message = format!("This model's vectors have {dimensions} numbers; {asked} cannot be had.");
        return Err(Problem::unsupported(message).with_param("dimensions"));
    }
    let mut vectors = Vec::with_capacity(length * inputs);
    rows.iter().flatten().for_each(|row| vectors.extend_from_slice(row));
    Ok((dimensions, vectors))
}

/// This wire counts the tokens of all inputs together, and its upstreams refuse what is too long rather than cut it. So each
/// input's share is by its length, and the shares add up to what was counted.
fn covered(inputs: &[EmbedInput], tokens: u64) -> Vec<u32> {
    let weight = |input: &EmbedInput| match input {
        EmbedInput::Text(text) => text.len() as u128,
        EmbedInput::Tokens(tokens) => tokens.len() as u128,
    };
    let all: u128 = inputs.iter().map(weight).sum::<u128>().max(1);
    let (mut weights, mut told) = (0, 0);
    let share = |input| {
        weights += weight(input);
        let until = u64::try_from(u128::from(tokens) * weights / all).unwrap_or(u64::MAX);
        let share = u32::try_from(until.saturating_sub(told)).unwrap_or(u32::MAX);
        told = until;
        share
    };
    inputs.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::{EmbedInput, EmbedRequest, EmbedResponse, Purpose, covered, embed};
    use crate::testing::{Canned, Fake, config};
    use encaje_sdk::errors::{Problem, ProblemKind};
    use proptest::prelude::*;
    use serde_json::json;

    fn request(inputs: &[&str]) -> EmbedRequest {
        EmbedRequest {
            model: "e".to_owned(),
            inputs: inputs.iter().map(|text| EmbedInput::Text((*text).to_owned())).collect(),
            purpose: Purpose::Unspecified,
            dimensions: None,
            extra: Vec::new(),
        }
    }

    fn ask(request: &EmbedRequest, answer: &serde_json::Value) -> Result<EmbedResponse, Problem> {
        let (fake, config) = (Fake::of(Canned::json(200, &answer.to_string())), config("{}"));
        embed(&fake.client(&config), request)
    }

    #[test]
    fn rows_are_ordered_by_index_and_read_in_both_encodings() {
        // 1.0 and -2.0 as little-endian numbers.
        let answer = json!({"data": [
            {"object": "embedding", "index": 1, "embedding": [0.5, 0.25]},
            {"object": "embedding", "index": 0, "embedding": "AACAPwAAAMA="},
        ], "usage": {"prompt_tokens": 5, "total_tokens": 5}});
        let response = ask(&request(&["aaaa", "b"]), &answer).unwrap();
        assert_eq!((response.dimensions, response.vectors), (2, vec![1.0, -2.0, 0.5, 0.25]));
        assert_eq!((response.covered, response.usage.input_tokens), (vec![4, 1], 5));
    }

    #[test]
    fn the_request_has_what_was_asked() {
        let answer = json!({"data": [{"index": 0, "embedding": [1.0]}]}).to_string();
        let (fake, quiet) = (Fake::of(Canned::json(200, &answer)), config("{}"));
        let mut asked = request(&[]);
        asked.inputs.push(EmbedInput::Tokens(vec![7, 8]));
        (asked.purpose, asked.dimensions) = (Purpose::Query, Some(1));
        asked.extra.push(("user".to_owned(), "\"u\"".to_owned()));
        let response = embed(&fake.client(&quiet), &asked).unwrap();
        assert_eq!((response.covered, response.usage.input_tokens), (vec![0], 0));
        assert_eq!(fake.asked.borrow()[0].url, "https://u.example/v1/embeddings");
        let body = json!({"model": "e", "input": [[7, 8]], "encoding_format": "base64", "dimensions": 1, "user": "u"});
        assert_eq!(fake.body(), body);
        let (fake, typed) = (Fake::of(Canned::json(200, &answer)), config(r#"{"input_type":true}"#));
        embed(&fake.client(&typed), &asked).unwrap();
        assert_eq!(fake.body()["input_type"], "query");
    }

    #[test]
    fn an_answer_that_does_not_fit_is_the_upstreams_fault() {
        for (data, words) in [
            (json!([{"index": 0, "embedding": [1.0]}]), "1 vectors for 2 inputs"),
            (
                json!([{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}]),
                "input 0 twice",
            ),
            (
                json!([{"index": 0, "embedding": [1.0]}, {"index": 2, "embedding": [1.0]}]),
                "input 2 twice or too many",
            ),
            (
                json!([{"embedding": [1.0]}, {"embedding": [1.0, 2.0]}]),
                "of 1 and of 2",
            ),
            (json!([{"embedding": []}, {"embedding": []}]), "vector 0 is not"),
            (json!([{"embedding": [1.0]}, {"embedding": "!"}]), "vector 1 is not"),
            (json!([{"embedding": [1.0]}, {"embedding": "AACA"}]), "vector 1 is not"),
            (
                json!([{"embedding": [1.0]}, {"embedding": "AADAfw=="}]),
                "vector 1 is not",
            ),
        ] {
            let problem = ask(&request(&["a", "b"]), &json!({"data": data})).unwrap_err();
            assert!(matches!(problem.kind, ProblemKind::Unavailable), "{words}");
            assert!(problem.message.contains(words), "{} {words}", problem.message);
        }
    }

    #[test]
    fn a_length_that_the_model_does_not_have_is_unsupported() {
        let mut request = request(&["a"]);
        request.dimensions = Some(8);
        let problem = ask(&request, &json!({"data": [{"embedding": [1.0, 2.0]}]})).unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::Unsupported));
        assert_eq!(problem.param.as_deref(), Some("dimensions"));
    }

    #[test]
    fn what_the_wire_cannot_hold_is_refused_by_name() {
        let mut mixed = request(&["a"]);
        mixed.inputs.push(EmbedInput::Tokens(vec![1]));
        let mut twice = request(&["a"]);
        twice.extra.push(("encoding_format".to_owned(), "\"float\"".to_owned()));
        for (request, param) in [(mixed, "input"), (twice, "encoding_format"), (request(&[]), "input")] {
            let problem = ask(&request, &json!({})).unwrap_err();
            assert_eq!(problem.param.as_deref(), Some(param));
        }
    }

    proptest! {
        #[test]
        fn shares_add_up_to_what_was_counted(texts in proptest::collection::vec(".{0,20}", 1..20), tokens in 0_u64..100_000) {
            let inputs: Vec<EmbedInput> = texts.iter().cloned().map(EmbedInput::Text).collect();
            let shares = covered(&inputs, tokens);
            let expected = if texts.iter().all(String::is_empty) { 0 } else { tokens };
            prop_assert_eq!(shares.iter().map(|share| u64::from(*share)).sum::<u64>(), expected);
            prop_assert_eq!(shares.len(), texts.len());
        }
    }
}
