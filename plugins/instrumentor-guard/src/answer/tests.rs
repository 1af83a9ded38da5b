//! Streams through the filter: order, borders between events, choices, endings.

use std::rc::Rc;

use super::Answer;
use crate::config::tests::guard;
use encaje_sdk::chat::{ChatEvent, Chunk, FinishReason, TokenLogprob, ToolCallDelta, Usage};
use encaje_sdk::errors::ProblemKind;
use proptest::prelude::*;
use serde_json::{Value, json};

fn answer(settings: Value) -> Answer {
    Answer::new(Rc::new(guard(settings).unwrap()))
}

fn chunk(choice: u32, event: ChatEvent) -> Chunk {
    Chunk { choice, event }
}

fn text(text: &str) -> ChatEvent {
    ChatEvent::Text(text.to_owned())
}

fn reasoning(text: &str) -> ChatEvent {
    ChatEvent::Reasoning(text.to_owned())
}

fn logprobs(token: &str) -> ChatEvent {
    ChatEvent::Logprobs(vec![TokenLogprob {
        token: token.to_owned(),
        bytes: token.as_bytes().to_vec(),
        logprob: -1.0,
        top: Vec::new(),
    }])
}

fn usage() -> ChatEvent {
    ChatEvent::Usage(Usage {
        input_tokens: 1,
        cached_input_tokens: 0,
        cache_write_tokens: 0,
        output_tokens: 1,
        reasoning_tokens: 0,
        extra: Vec::new(),
    })
}

fn tool_call() -> ChatEvent {
    ChatEvent::ToolCall(ToolCallDelta {
        index: 0,
        id: Some("1".to_owned()),
        name: Some("f".to_owned()),
        arguments: "{}".to_owned(),
    })
}

/// An event in short: what it is and what it says.
fn show(chunk: &Chunk) -> String {
    let said = match &chunk.event {
        ChatEvent::Text(text) => format!("t:{text}"),
        ChatEvent::Reasoning(text) => format!("r:{text}"),
        ChatEvent::Refusal(text) => format!("x:{text}"),
        ChatEvent::ToolCall(_) => "call".to_owned(),
        ChatEvent::Logprobs(tokens) => format!("p:{}", tokens[0].token),
        ChatEvent::Usage(_) => return "usage".to_owned(),
        ChatEvent::Finish(FinishReason::Stop) => "stop".to_owned(),
        ChatEvent::Finish(FinishReason::ContentFilter) => "filtered".to_owned(),
        ChatEvent::Other((name, _)) => name.clone(),
        other => format!("{other:?}"),
    };
    format!("{}{said}", chunk.choice)
}

/// Pushes each event alone; what is said by the end.
fn all(answer: &mut Answer, events: Vec<(u32, ChatEvent)>) -> Vec<String> {
    let mut out = Vec::new();
    for (choice, event) in events {
        out.extend(answer.push(vec![chunk(choice, event)]).unwrap());
    }
    out.extend(answer.finish());
    out.iter().map(show).collect()
}

#[test]
fn a_match_across_events_is_replaced() {
    let mut answer = answer(json!({"keywords": ["top secret"]}));
    let events = ["a to", "p sec", "ret b"].map(|piece| (0, text(piece)));
    let said = all(
        &mut answer,
        events
            .into_iter()
            .chain([(0, ChatEvent::Finish(FinishReason::Stop))])
            .collect(),
    );
    assert_eq!(said, ["0t:a ", "0t:# b", "0stop"]);
    assert_eq!((answer.tally.output, answer.tally.input), (1, 0));
}

#[test]
fn block_ends_its_choice_and_leaves_the_others() {
    let mut answer = answer(json!({"keywords": ["bad"], "action": "block"}));
    let said = all(
        &mut answer,
        vec![
            (0, text("so b")),
            (1, text("good b")),
            (0, text("ad it is")),
            (0, logprobs("x")),
            (1, text("y")),
            (0, tool_call()),
            (0, ChatEvent::Finish(FinishReason::Stop)),
            (1, ChatEvent::Finish(FinishReason::Stop)),
            (0, usage()),
        ],
    );
    assert_eq!(said, ["0t:so ", "1t:good ", "0filtered", "1t:by", "1stop", "usage"]);
}

#[test]
fn a_block_at_the_very_end_replaces_the_finish() {
    let mut answer = answer(json!({"keywords": ["bad"], "action": "block"}));
    let said = all(
        &mut answer,
        vec![(0, text("bad")), (0, ChatEvent::Finish(FinishReason::Stop))],
    );
    assert_eq!(said, ["0filtered"]);
}

#[test]
fn another_kind_of_text_or_a_tool_call_ends_a_run() {
    let mut answer = answer(json!({"keywords": ["secret"]}));
    let said = all(
        &mut answer,
        vec![
            (0, reasoning("a secret, a sec")),
            (0, text("ret sec")),
            (0, tool_call()),
            (0, ChatEvent::Refusal("secret".to_owned())),
        ],
    );
    assert_eq!(said, ["0r:a #, a ", "0r:sec", "0t:ret ", "0t:sec", "0call", "0x:#"]);
}

#[test]
fn events_stay_behind_their_text_and_probabilities_tell_no_secret() {
    let mut answer = answer(json!({"keywords": ["secret"]}));
    let said = all(
        &mut answer,
        vec![
            (0, text("a ")),
            (0, logprobs("a ")),
            (0, text("sec")),
            (0, logprobs("sec")),
            (0, ChatEvent::Other(("mark".to_owned(), "1".to_owned()))),
            (0, text("ret ")),
            (0, logprobs("ret ")),
            (0, text("b")),
            (0, logprobs("b")),
            (0, usage()),
        ],
    );
    assert_eq!(
        said,
        ["0t:a ", "0p:a ", "0t:#", "0mark", "0t: ", "0t:b", "0p:b", "usage"]
    );
}

#[test]
fn too_many_choices_are_refused() {
    let mut answer = answer(json!({"keywords": ["a"]}));
    let chunks = (0..129).map(|choice| chunk(choice, text("x"))).collect();
    assert!(matches!(answer.push(chunks).unwrap_err().kind, ProblemKind::TooLarge));
}

#[test]
fn events_without_end_are_refused() {
    let mut answer = answer(json!({"keywords": ["aa"]}));
    let mut chunks = vec![chunk(0, text("a"))];
    chunks.extend((0..8_193).map(|_| chunk(0, ChatEvent::Other(("x".to_owned(), "1".to_owned())))));
    assert!(matches!(answer.push(chunks).unwrap_err().kind, ProblemKind::TooLarge));
}

proptest! {
    #[test]
    fn however_it_is_cut_and_mixed_the_text_is_the_redaction_of_the_whole(
        whole in "[ab1é ]{0,80}",
        cuts in prop::collection::vec((0_usize..120, 0_u8..3), 0..12),
        patterns: bool,
    ) {
        let settings = json!({"keywords": ["ab", "b é"], "patterns": if patterns { vec!["1[ab]{0,4}1"] } else { vec![] }});
        let mut answer = answer(settings);
        let mut cuts: Vec<(usize, u8)> =
            cuts.into_iter().map(|(cut, also)| (whole.floor_char_boundary(cut), also)).collect();
        cuts.push((whole.len(), 0));
        cuts.sort_unstable();
        let (mut events, mut from) = (Vec::new(), 0);
        for (cut, also) in cuts {
            events.push((0, text(&whole[from..cut])));
            from = cut;
            match also {
                1 => events.push((0, logprobs("x"))),
                2 => events.push((1, text("ab"))),
                _ => {}
            }
        }
        let said = all(&mut answer, events);
        let joined: String = said.iter().filter_map(|event| event.strip_prefix("0t:")).collect();
        let rules = &answer.guard.rules;
        prop_assert_eq!(joined, crate::rules::redact(&whole, &rules.find_all(&whole), "#"));
    }
}
