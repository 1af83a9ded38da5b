//! Tests of `answer.rs`: each kind of delta, what goes wrong, and the order of chunks for any answer.

use encaje_sdk::chat::{ChatEvent, Chunk, FinishReason};
use encaje_sdk::errors::{Problem, ProblemKind};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Answering;

fn answering(choices: u32, events: &[Value]) -> Result<Vec<Chunk>, Problem> {
    let mut answering = Answering::new(choices, false);
    let mut said = Vec::new();
    for event in events {
        said.extend(answering.event(&event.to_string())?);
    }
    said.extend(answering.end()?);
    Ok(said)
}

fn delta(delta: Value) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]})
}

fn finished(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// Each chunk in one word.
fn words(said: &[Chunk]) -> Vec<String> {
    let word = |chunk: &Chunk| {
        let event = match &chunk.event {
            ChatEvent::Text(text) => format!("text {text}"),
            ChatEvent::Reasoning(text) => format!("reasoning {text}"),
            ChatEvent::Refusal(text) => format!("refusal {text}"),
            ChatEvent::ToolCall(call) => {
                format!("call {} {:?} {:?} {}", call.index, call.id, call.name, call.arguments)
            }
            ChatEvent::Logprobs(tokens) => format!("logprobs {}", tokens.len()),
            ChatEvent::Usage(usage) => format!("usage {} {}", usage.input_tokens, usage.output_tokens),
            ChatEvent::Finish(reason) => format!("{reason:?}").replace("FinishReason::", ""),
            ChatEvent::Other((name, json)) => format!("other {name} {json}"),
        };
        format!("{} {event}", chunk.choice)
    };
    said.iter().map(word).collect()
}

#[test]
fn every_kind_of_delta_has_its_event() {
    let said = answering(
        1,
        &[
            delta(json!({"role": "assistant", "content": "", "refusal": null})),
            delta(json!({"reasoning_content": "hm"})),
            delta(json!({"reasoning": "so", "reasoning_details": [{"x": 1}]})),
            delta(json!({"content": "Hi"})),
            delta(json!({"refusal": "no"})),
            delta(json!({"tool_calls": [{"index": 0, "id": "c", "type": "function",
                                          "function": {"name": "f", "arguments": ""}}]})),
            delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})),
            delta(json!({"tool_calls": [{"index": 1, "id": "d", "type": "custom", "custom": {"name": "g"}}]})),
            delta(json!({"annotations": null, "audio": {"data": "aGk="}})),
            finished("stop"),
            json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
        ],
    );
    assert_eq!(
        words(&said.unwrap()),
        [
            "0 reasoning hm",
            "0 reasoning so",
            r#"0 other reasoning_details [{"x":1}]"#,
            "0 text Hi",
            "0 refusal no",
            r#"0 call 0 Some("c") Some("f") "#,
            "0 call 0 None None {}",
            r#"0 other tool_call {"custom":{"name":"g"},"id":"d","index":1,"type":"custom"}"#,
            r#"0 other audio {"data":"aGk="}"#,
            "0 Stop",
            "0 usage 3 2",
        ]
    );
}

#[test]
fn probabilities_come_right_behind_their_text() {
    let token = json!({"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []});
    let event =
        |delta: Value, logprobs: Value| json!({"choices": [{"index": 0, "delta": delta, "logprobs": logprobs}]});
    let said = answering(
        1,
        &[
            event(json!({"content": "a"}), json!({"content": [token], "refusal": null})),
            event(
                json!({"refusal": "b"}),
                json!({"content": null, "refusal": [token, token]}),
            ),
            event(json!({"content": "c"}), json!(null)),
            finished("length"),
        ],
    );
    let said = said.unwrap();
    assert_eq!(
        words(&said),
        [
            "0 text a",
            "0 logprobs 1",
            "0 refusal b",
            "0 logprobs 2",
            "0 text c",
            "0 Length"
        ]
    );
}

#[test]
fn reasons_are_told_once_and_last_however_often_and_early_they_come() {
    let both = json!({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]});
    let said = answering(
        1,
        &[
            both,
            delta(json!({"content": "b"})),
            finished("stop"),
            finished("length"),
        ],
    );
    assert_eq!(words(&said.unwrap()), ["0 text a", "0 text b", "0 Stop"]);
}

#[test]
fn every_reason_has_its_word() {
    let reason = |word: &str| match answering(1, &[finished(word)]).unwrap().remove(0).event {
        ChatEvent::Finish(reason) => reason,
        other => panic!("{other:?}"),
    };
    assert!(matches!(reason("stop"), FinishReason::Stop));
    assert!(matches!(reason("length"), FinishReason::Length));
    assert!(matches!(reason("tool_calls"), FinishReason::ToolCalls));
    assert!(matches!(reason("function_call"), FinishReason::ToolCalls));
    assert!(matches!(reason("content_filter"), FinishReason::ContentFilter));
    assert!(matches!(reason("recitation"), FinishReason::Other(word) if word == "recitation"));
}

#[test]
fn usage_that_comes_with_every_chunk_is_told_once() {
    let with = |tokens: u64, event: Value| {
        let mut event = event;
        event["usage"] = json!({"prompt_tokens": 1, "completion_tokens": tokens});
        event
    };
    let said = answering(1, &[with(1, delta(json!({"content": "a"}))), with(2, finished("stop"))]).unwrap();
    assert_eq!(words(&said), ["0 text a", "0 Stop", "0 usage 1 2"]);
    let none = answering(1, &[delta(json!({"content": "a"})), finished("stop")]).unwrap();
    assert_eq!(words(&none), ["0 text a", "0 Stop"]);
}

#[test]
fn an_answer_that_breaks_off_says_so() {
    let problem = answering(1, &[delta(json!({"content": "a"}))]).unwrap_err();
    assert!(matches!(problem.kind, ProblemKind::Unavailable));
    assert_eq!(problem.code.as_deref(), Some("stream_cut"));
    assert_eq!(
        problem.message,
        "The upstream's answer broke off after 1 events: choice 0 has no finish reason."
    );
    let second = answering(2, &[finished("stop")]).unwrap_err();
    assert!(second.message.contains("choice 1"), "{}", second.message);
    let nameless = delta(json!({"tool_calls": [{"index": 0, "id": "c"}]}));
    assert!(
        answering(1, &[nameless, finished("stop")])
            .unwrap_err()
            .message
            .contains("names no tool")
    );
}

#[test]
fn a_choice_that_nobody_asked_for_is_refused() {
    let event = json!({"choices": [{"index": 1, "delta": {"content": "a"}}]});
    let problem = answering(1, &[event]).unwrap_err();
    assert_eq!(
        problem.message,
        "The upstream answered choice 1, where 1 were asked for."
    );
}

#[test]
fn an_error_in_the_stream_is_a_typed_problem() {
    let error = json!({"error": {"message": "Too busy.", "type": "server_error", "code": "overloaded"}});
    let problem = answering(1, &[delta(json!({"content": "a"})), error]).unwrap_err();
    assert!(matches!(problem.kind, ProblemKind::Overloaded));
    assert_eq!(problem.message, "Too busy.");
    let bare = json!({"error": "Too busy."});
    assert_eq!(answering(1, &[bare]).unwrap_err().message, "Too busy.");
    assert!(answering(1, &[json!({"error": null}), finished("stop")]).is_ok());
}

#[test]
fn malformed_chunks_are_told_by_place_and_not_by_content() {
    for (data, words) in [
        (
            "{\"choices\":[{\"hush",
            "Event 1 of the upstream's stream ends in the middle",
        ),
        (
            "<html>hush</html>",
            "Event 1 of the upstream's stream is not valid JSON",
        ),
        (
            "{\"choices\":\"hush\"}",
            "Event 1 of the upstream's stream has another shape",
        ),
        (
            "{\"choices\":[{\"delta\":{\"content\":[\"hush\"]}}]}",
            "Choice 0 of event 1",
        ),
        (
            "{\"choices\":[{\"delta\":{\"tool_calls\":[\"hush\"]}}]}",
            "Choice 0 of event 1",
        ),
        (
            "{\"choices\":[{\"delta\":{},\"logprobs\":\"hush\"}]}",
            "Choice 0 of event 1",
        ),
    ] {
        let problem = Answering::new(1, false).event(data).unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::Unavailable), "{data}");
        assert!(problem.message.starts_with(words), "{}", problem.message);
        assert!(!problem.message.contains("hush"), "{}", problem.message);
    }
}

#[test]
fn chunks_that_say_nothing_are_passed_over() {
    let said = answering(
        1,
        &[
            json!({}),
            json!({"choices": null}),
            json!({"choices": []}),
            finished("stop"),
        ],
    )
    .unwrap();
    assert_eq!(words(&said), ["0 Stop"]);
}

#[test]
fn unknown_members_are_bounded() {
    let events: Vec<Value> = (0..100)
        .map(|at| delta(json!({"x": at})))
        .chain([finished("stop")])
        .collect();
    assert_eq!(answering(1, &events).unwrap().len(), 65);
}

#[test]
fn a_completion_says_text_and_lists_of_probabilities() {
    let mut answering = Answering::new(1, true);
    let event = json!({"choices": [{"text": "ab", "index": 0, "finish_reason": "length", "logprobs":
        {"tokens": ["a", "b"], "token_logprobs": [-1.0, -2.0], "top_logprobs": null, "text_offset": [0, 1]}}]});
    let mut said = answering.event(&event.to_string()).unwrap();
    said.extend(answering.end().unwrap());
    assert_eq!(words(&said), ["0 text ab", "0 logprobs 2", "0 Length"]);
    let uneven = json!({"choices": [{"text": "", "logprobs": {"tokens": ["a"], "token_logprobs": []}}]});
    let problem = Answering::new(1, true).event(&uneven.to_string()).unwrap_err();
    assert!(problem.message.contains("several lengths"), "{}", problem.message);
}

/// What one choice says, piece by piece.
#[derive(Debug, Clone)]
enum Piece {
    Text(String, bool),
    Reasoning(String),
    Call(u8, String),
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        ("[a-zé\n ]{1,4}", any::<bool>()).prop_map(|(text, logprobs)| Piece::Text(text, logprobs)),
        "[a-z]{1,3}".prop_map(Piece::Reasoning),
        (0_u8..3, "[0-9]{0,3}").prop_map(|(call, arguments)| Piece::Call(call, arguments)),
    ]
}

fn event(choice: usize, piece: &Piece, named: &mut Vec<(usize, u8)>) -> Value {
    let (delta, logprobs) = match piece {
        Piece::Text(text, logprobs) => {
            let token = json!({"token": text, "logprob": -1.0, "bytes": text.as_bytes(), "top_logprobs": []});
            (json!({"content": text}), logprobs.then(|| json!({"content": [token]})))
        }
        Piece::Reasoning(text) => (json!({"reasoning_content": text}), None),
        Piece::Call(call, arguments) => {
            let mut piece = json!({"index": call, "function": {"arguments": arguments}});
            if !named.contains(&(choice, *call)) {
                named.push((choice, *call));
                piece["id"] = json!(format!("{choice}-{call}"));
                piece["function"]["name"] = json!("f");
            }
            (json!({"tool_calls": [piece]}), None)
        }
    };
    json!({"choices": [{"index": choice, "delta": delta, "logprobs": logprobs}]})
}

proptest! {
    #[test]
    fn whatever_is_said_in_whatever_order_arrives_whole_and_in_the_contracts_order(
        said in proptest::collection::vec((0_usize..3, piece()), 0..40),
        early in any::<bool>(),
    ) {
        let mut named = Vec::new();
        let mut events: Vec<Value> = said.iter().map(|(choice, piece)| event(*choice, piece, &mut named)).collect();
        let ends = (0..3).map(|choice| json!({"choices": [{"index": choice, "delta": {}, "finish_reason": "stop"}]}));
        if early { events.splice(0..0, ends); } else { events.extend(ends); }
        events.push(json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}));
        let chunks = answering(3, &events).unwrap();

        for choice in 0..3_u32 {
            let of = |wanted: fn(&Piece) -> Option<&str>| -> String {
                let mine = said.iter().filter(|(other, _)| *other == choice as usize);
                mine.filter_map(|(_, piece)| wanted(piece)).collect()
            };
            let mine: Vec<&ChatEvent> = chunks
                .iter()
                .filter(|chunk| chunk.choice == choice && !matches!(chunk.event, ChatEvent::Usage(_)))
                .map(|chunk| &chunk.event)
                .collect();
            let text: String = mine.iter().filter_map(|event| match event { ChatEvent::Text(text) => Some(text.as_str()), _ => None }).collect();
            prop_assert_eq!(text, of(|piece| match piece { Piece::Text(text, _) => Some(text), _ => None }));
            let reasoning: String = mine.iter().filter_map(|event| match event { ChatEvent::Reasoning(text) => Some(text.as_str()), _ => None }).collect();
            prop_assert_eq!(reasoning, of(|piece| match piece { Piece::Reasoning(text) => Some(text), _ => None }));
            check_calls(&mine, &said, choice)?;
            let finishes = mine.iter().filter(|event| matches!(event, ChatEvent::Finish(_))).count();
            prop_assert_eq!(finishes, 1);
            prop_assert!(matches!(mine.last(), Some(ChatEvent::Finish(_))), "nothing behind the end");
            for pair in mine.windows(2) {
                if matches!(pair[1], ChatEvent::Logprobs(_)) {
                    prop_assert!(matches!(pair[0], ChatEvent::Text(_)), "probabilities behind {:?}", pair[0]);
                }
            }
        }
        let usages = chunks.iter().filter(|chunk| matches!(chunk.event, ChatEvent::Usage(_))).count();
        prop_assert_eq!(usages, 1);
    }

    #[test]
    fn no_text_breaks_it(data in "(\\{|\\}|\\[|\\]|\"|:|,|choices|delta|index|content|null|[0-9a-z ]){0,40}") {
        let mut answering = Answering::new(2, false);
        if let Ok(chunks) = answering.event(&data) {
            prop_assert!(chunks.iter().all(|chunk| chunk.choice < 2));
        }
    }
}

/// Indexes without gaps, id and name in the first piece alone, arguments whole.
fn check_calls(mine: &[&ChatEvent], said: &[(usize, Piece)], choice: u32) -> Result<(), TestCaseError> {
    let mut calls: Vec<(String, String)> = Vec::new();
    for event in mine {
        let ChatEvent::ToolCall(delta) = event else { continue };
        let index = delta.index as usize;
        prop_assert!(index <= calls.len(), "a gap before {index}");
        if index == calls.len() {
            prop_assert_eq!(delta.name.as_deref(), Some("f"));
            calls.push((delta.id.clone().unwrap(), String::new()));
        } else {
            prop_assert!(delta.id.is_none() && delta.name.is_none());
        }
        calls[index].1.push_str(&delta.arguments);
    }
    for (id, arguments) in calls {
        let expected: String = said
            .iter()
            .filter_map(|(other, piece)| match piece {
                Piece::Call(call, text) if *other == choice as usize && id == format!("{choice}-{call}") => {
                    Some(text.as_str())
                }
                _ => None,
            })
            .collect();
        prop_assert_eq!(arguments, expected);
    }
    Ok(())
}
