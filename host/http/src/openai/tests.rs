//! Properties of the request parsers: whatever comes, they answer, and what they refuse they blame on the caller in a
//! message of bounded length.

use encaje_core::{Problem, ProblemKind};
use proptest::prelude::*;

use crate::openai::{completion_request, embeddings, request};

/// Parameters that some parser knows.
const NAMES: &[&str] = &[
    "model",
    "messages",
    "prompt",
    "input",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "n",
    "stop",
    "max_tokens",
    "max_completion_tokens",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "seed",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "response_format",
    "metadata",
    "modalities",
    "audio",
    "verbosity",
    "service_tier",
    "user",
    "echo",
    "suffix",
    "best_of",
    "encoding_format",
    "dimensions",
];

/// Words that mean something somewhere in a request.
const WORDS: &[&str] = &[
    "role",
    "user",
    "assistant",
    "tool",
    "function",
    "content",
    "type",
    "text",
    "image_url",
    "url",
    "input_audio",
    "data",
    "format",
    "wav",
    "file",
    "file_data",
    "filename",
    "name",
    "arguments",
    "tool_calls",
    "id",
    "tool_call_id",
    "parameters",
    "json_schema",
    "schema",
    "auto",
    "required",
    "data:image/png;base64,AAE=",
    "data:,",
    "https://a",
    "include_usage",
    "50256",
    "\u{0}",
    "é",
    "",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(WORDS).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        (-3_i64..300).prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        word().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::vec((word(), inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn body() -> impl Strategy<Value = String> {
    let member = (prop::sample::select(NAMES), value());
    prop::collection::vec(member, 0..8).prop_map(|members| {
        let mut object: serde_json::Map<String, serde_json::Value> = members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        // Most bodies get past the members that must be there.
        object.entry("model").or_insert_with(|| "m".into());
        object.entry("prompt").or_insert_with(|| "p".into());
        object.entry("input").or_insert_with(|| "i".into());
        object
            .entry("messages")
            .or_insert_with(|| serde_json::json!([{"role": "user", "content": "Hi"}]));
        serde_json::Value::Object(object).to_string()
    })
}

fn check<T>(parsed: Result<T, Problem>) -> Result<(), TestCaseError> {
    if let Err(problem) = parsed {
        prop_assert_eq!(&problem.kind, &ProblemKind::InvalidRequest);
        prop_assert!(problem.message.len() < 1_024, "{}", problem.message);
        prop_assert!(problem.param.is_none_or(|param| param.len() < 1_024));
    }
    Ok(())
}

fn check_all(body: &[u8]) -> Result<(), TestCaseError> {
    check(request::chat(body))?;
    check(completion_request::completions(body))?;
    check(embeddings::embeddings(body))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_500) })]

    #[test]
    fn any_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..256)) {
        check_all(&body)?;
    }

    #[test]
    fn any_json_is_answered(body in body()) {
        check_all(body.as_bytes())?;
    }

    #[test]
    fn a_body_cut_anywhere_is_answered(body in body(), at in any::<prop::sample::Index>()) {
        let cut = at.index(body.len());
        check_all(&body.as_bytes()[..cut])?;
    }

    #[test]
    fn an_unknown_parameter_reaches_the_provider_as_it_came(value in value()) {
        let json = value.to_string();
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}}],"unheard_of":{json}}}"#);
        let (request, _) = request::chat(body.as_bytes()).unwrap();
        let expected = if value.is_null() { vec![] } else { vec![("unheard_of".to_owned(), json)] };
        prop_assert_eq!(request.extra, expected);
    }
}

#[test]
fn more_than_the_limits_allow_is_refused() {
    let code = |parsed: Result<(), Problem>| parsed.unwrap_err().code.unwrap();
    let tokens = format!(r#"{{"model":"m","prompt":[{}0]}}"#, "0,".repeat(1 << 20));
    assert_eq!(
        code(completion_request::completions(tokens.as_bytes()).map(drop)),
        "array_above_max_length"
    );
    let messages = format!(r#"{{"model":"m","messages":[{}0]}}"#, "0,".repeat(2_048));
    assert_eq!(
        code(request::chat(messages.as_bytes()).map(drop)),
        "array_above_max_length"
    );
    let ask = |members: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}}]{members}}}"#);
    let names = |count: usize| (0..count).map(|name| format!(r#","k{name}":0"#)).collect::<String>();
    assert_eq!(
        code(request::chat(ask(&names(65)).as_bytes()).map(drop)),
        "unknown_parameter"
    );
    assert_eq!(
        code(request::chat(ask(&names(3_000)).as_bytes()).map(drop)),
        "invalid_value"
    );
    assert!(request::chat(ask(&names(64)).as_bytes()).is_ok());
    let long = ask(&format!(r#","{0}":1,"{0}":2"#, "k".repeat(1 << 20)));
    let problem = request::chat(long.as_bytes()).unwrap_err();
    assert_eq!(
        (problem.code.as_deref(), problem.message.len() < 300),
        (Some("duplicate_key"), true)
    );
}
