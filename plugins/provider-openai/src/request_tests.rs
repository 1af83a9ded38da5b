//! Tests of `request.rs`: every parameter's place, and what is refused by its name.

use super::{ChatRequest, Input, Purpose, ResponseFormat, ToolChoice, write};
use crate::testing::{config, request, tool};
use encaje_sdk::errors::{Problem, ProblemKind};
use serde_json::{Value, json};

fn body(request: &ChatRequest, extra_config: &str) -> Result<Value, Problem> {
    let written = write(request, &config(extra_config), Purpose::Answer)?;
    Ok(serde_json::from_slice(&written.body).unwrap())
}

fn changed(change: impl FnOnce(&mut ChatRequest)) -> Result<Value, Problem> {
    let mut request = request("hi");
    change(&mut request);
    body(&request, "{}")
}

#[test]
fn a_plain_question_has_nothing_that_was_not_asked() {
    assert_eq!(
        changed(|_| {}).unwrap(),
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true,
               "stream_options": {"include_usage": true}})
    );
    let quiet = body(&request("hi"), r#"{"stream_usage":false}"#).unwrap();
    assert_eq!(quiet.get("stream_options"), None);
}

#[test]
fn every_parameter_has_its_place() {
    let body = changed(|request| {
        let sampling = &mut request.sampling;
        (sampling.temperature, sampling.top_p) = (Some(0.5), Some(0.9));
        (sampling.frequency_penalty, sampling.presence_penalty) = (Some(1.5), Some(-1.0));
        sampling.logit_bias = vec![(50_256, -100.0), (7, 0.1)];
        sampling.seed = Some(i64::MIN);
        sampling.stop = vec!["\n".to_owned(), "END".to_owned()];
        (sampling.max_tokens, sampling.choices, sampling.logprobs) = (Some(9), 3, Some(2));
        request.reasoning_effort = Some("low".to_owned());
        request.parallel_tool_calls = Some(false);
    });
    let expected = json!({
        "temperature": 0.5, "top_p": 0.9, "frequency_penalty": 1.5, "presence_penalty": -1.0,
        "logit_bias": {"50256": -100.0, "7": 0.1}, "seed": i64::MIN, "stop": ["\n", "END"],
        "max_completion_tokens": 9, "n": 3, "logprobs": true, "top_logprobs": 2, "reasoning_effort": "low",
        "parallel_tool_calls": false,
    });
    let body = body.unwrap();
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(body.get(name), Some(value), "{name}");
    }
    let chosen = changed(|request| request.sampling.logprobs = Some(0)).unwrap();
    assert_eq!((&chosen["logprobs"], chosen.get("top_logprobs")), (&json!(true), None));
}

#[test]
fn the_limit_of_tokens_has_the_name_that_the_upstream_knows() {
    let mut request = request("hi");
    request.sampling.max_tokens = Some(5);
    let older = body(&request, r#"{"max_tokens_field":"max_tokens"}"#).unwrap();
    assert_eq!(
        (&older["max_tokens"], older.get("max_completion_tokens")),
        (&json!(5), None)
    );
}

#[test]
fn sampling_that_the_wire_does_not_know_is_refused_unless_the_operator_says_otherwise() {
    type Change = fn(&mut ChatRequest);
    let cases: [(&str, Change, Value); 3] = [
        ("top_k", |request| request.sampling.top_k = Some(40), json!(40)),
        ("min_p", |request| request.sampling.min_p = Some(0.1), json!(0.1)),
        (
            "repetition_penalty",
            |request| request.sampling.repetition_penalty = Some(1.1),
            json!(1.1),
        ),
    ];
    for (name, change, value) in cases {
        let problem = changed(change).unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::Unsupported));
        assert_eq!(problem.param.as_deref(), Some(name));
        let mut request = request("hi");
        change(&mut request);
        assert_eq!(body(&request, r#"{"extended_sampling":true}"#).unwrap()[name], value);
    }
}

#[test]
fn tools_keep_their_schemas_word_for_word() {
    let mut request = request("hi");
    let mut strict = tool("f");
    strict.parameters = r#"{"type":"object", "b":1.0,"a":2}"#.to_owned();
    (strict.strict, strict.description) = (true, Some("does f".to_owned()));
    strict.extra.push(("cache_control".to_owned(), "{}".to_owned()));
    request.tools = vec![strict, tool("g")];
    request.tool_choice = Some(ToolChoice::Named("g".to_owned()));
    request.extra.push((
        "tools".to_owned(),
        r#"[{"type":"custom","custom":{"name":"h"}}]"#.to_owned(),
    ));
    let written = write(&request, &config("{}"), Purpose::Answer).unwrap();
    let text = String::from_utf8(written.body).unwrap();
    assert!(
        text.contains(r#""parameters":{"type":"object", "b":1.0,"a":2}"#),
        "{text}"
    );
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        body["tools"][0],
        json!({"type": "function", "cache_control": {},
               "function": {"name": "f", "description": "does f", "strict": true,
                            "parameters": {"type": "object", "b": 1.0, "a": 2}}})
    );
    assert_eq!(body["tools"][1]["function"].get("strict"), None);
    assert_eq!(body["tools"][2], json!({"type": "custom", "custom": {"name": "h"}}));
    assert_eq!(
        body["tool_choice"],
        json!({"type": "function", "function": {"name": "g"}})
    );
}

#[test]
fn every_choice_of_tools_has_its_word() {
    let chosen = |choice: Option<ToolChoice>, extra: Option<&str>| {
        let body = changed(|request| {
            request.tool_choice = choice;
            request
                .extra
                .extend(extra.map(|json| ("tool_choice".to_owned(), json.to_owned())));
        });
        body.unwrap().get("tool_choice").cloned()
    };
    assert_eq!(chosen(None, None), None);
    assert_eq!(chosen(Some(ToolChoice::Automatic), None), Some(json!("auto")));
    assert_eq!(chosen(Some(ToolChoice::Forbidden), None), Some(json!("none")));
    assert_eq!(chosen(Some(ToolChoice::Required), None), Some(json!("required")));
    let custom = r#"{"type":"allowed_tools"}"#;
    assert_eq!(chosen(None, Some(custom)), Some(json!({"type": "allowed_tools"})));
}

#[test]
fn every_format_has_its_form() {
    let format = |format: ResponseFormat| {
        changed(|request| request.response_format = format).map(|body| body.get("response_format").cloned())
    };
    assert_eq!(format(ResponseFormat::Text).unwrap(), None);
    assert_eq!(
        format(ResponseFormat::Json).unwrap(),
        Some(json!({"type": "json_object"}))
    );
    let schema = r#"{"name":"s","strict":true,"schema":{}}"#;
    assert_eq!(
        format(ResponseFormat::JsonSchema(schema.to_owned())).unwrap(),
        Some(json!({"type": "json_schema", "json_schema": {"name": "s", "strict": true, "schema": {}}}))
    );
    let grammar = ("grammar".to_owned(), r#"{"type":"grammar","x":1}"#.to_owned());
    assert_eq!(
        format(ResponseFormat::Other(grammar)).unwrap(),
        Some(json!({"type": "grammar", "x": 1}))
    );
    let broken = format(ResponseFormat::JsonSchema("{".to_owned())).unwrap_err();
    assert_eq!(broken.param.as_deref(), Some("response_format.json_schema"));
}

#[test]
fn what_the_contract_does_not_name_is_passed_on_as_it_came() {
    let extra = [
        ("user", "\"u\""),
        ("metadata", r#"{"a":"b"}"#),
        ("store", "true"),
        ("service_tier", "\"flex\""),
    ];
    let body = changed(|request| {
        request.extra = extra.map(|(name, json)| (name.to_owned(), json.to_owned())).to_vec();
    });
    let body = body.unwrap();
    for (name, json) in extra {
        assert_eq!(body[name], serde_json::from_str::<Value>(json).unwrap());
    }
    for (name, json, unsupported) in [
        ("stream", "false", true),
        ("functions", "[]", true),
        ("user", "u", false),
    ] {
        let problem = changed(|request| request.extra.push((name.to_owned(), json.to_owned()))).unwrap_err();
        assert_eq!(problem.param.as_deref(), Some(name));
        assert_eq!(matches!(problem.kind, ProblemKind::Unsupported), unsupported, "{name}");
    }
}

#[test]
fn a_prompt_goes_to_the_older_completions() {
    let mut request = request("");
    request.input = Input::Prompt("once".to_owned());
    request.sampling.max_tokens = Some(4);
    request.sampling.logprobs = Some(3);
    request.extra.push(("suffix".to_owned(), "\"end\"".to_owned()));
    let written = write(&request, &config("{}"), Purpose::Answer).unwrap();
    assert_eq!((written.path, written.is_completion), ("/completions", true));
    assert_eq!(
        serde_json::from_slice::<Value>(&written.body).unwrap(),
        json!({"model": "m", "prompt": "once", "max_tokens": 4, "logprobs": 3, "stream": true,
               "stream_options": {"include_usage": true}, "suffix": "end"})
    );
    request.input = Input::Tokens(vec![1, 2]);
    assert_eq!(body(&request, "{}").unwrap()["prompt"], json!([1, 2]));
    request.tools.push(tool("f"));
    assert_eq!(body(&request, "{}").unwrap_err().param.as_deref(), Some("tools"));
    request.tools.clear();
    request.response_format = ResponseFormat::Json;
    assert_eq!(
        body(&request, "{}").unwrap_err().param.as_deref(),
        Some("response_format")
    );
}

#[test]
fn counting_asks_for_one_token_and_nothing_of_the_answer() {
    let mut request = request("hi");
    request.tools.push(tool("f"));
    request.sampling.choices = 5;
    request.sampling.logprobs = Some(1);
    request.sampling.max_tokens = Some(100);
    let written = write(&request, &config("{}"), Purpose::Count).unwrap();
    let body: Value = serde_json::from_slice(&written.body).unwrap();
    assert_eq!(body["max_completion_tokens"], json!(1));
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
    for absent in ["n", "logprobs", "stream", "stream_options"] {
        assert_eq!(body.get(absent), None, "{absent}");
    }
}

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    assert_eq!(
        changed(|request| request.sampling.choices = 0)
            .unwrap_err()
            .param
            .as_deref(),
        Some("n")
    );
    assert_eq!(
        changed(|request| request.sampling.choices = 129)
            .unwrap_err()
            .param
            .as_deref(),
        Some("n")
    );
    let nan = changed(|request| request.sampling.temperature = Some(f64::NAN)).unwrap_err();
    assert_eq!(nan.param.as_deref(), Some("temperature"));
    let bias = changed(|request| request.sampling.logit_bias = vec![(1, f32::INFINITY)]).unwrap_err();
    assert_eq!(bias.param.as_deref(), Some("logit_bias"));
}
