//! Tests of `stream.rs` over an upstream made up in memory: how an answer begins, ends and fails.

use encaje_sdk::chat::{ChatEvent, Chunk, FinishReason};
use encaje_sdk::errors::{Problem, ProblemKind};
use encaje_sdk::provider::Completion as _;

use super::start;
use crate::testing::{Canned, Fake, config, request};

const HELLO: &str = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"}}]}"#;
const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":1}}"#;

/// What was said, and how it failed where it did.
type Outcome = Result<Vec<Chunk>, (Vec<Chunk>, Problem)>;

fn ask(canned: Canned) -> Outcome {
    ask_noting(canned).0
}

/// What is said up to the end or a problem, and how many answers were read to their ends and dropped.
fn ask_noting(canned: Canned) -> (Outcome, (usize, usize)) {
    let (fake, config) = (Fake::of(canned), config("{}"));
    let mut said = Vec::new();
    let mut stream = match start(&fake.client(&config), &request("hi")) {
        Ok(stream) => stream,
        Err(problem) => return (Err((said, problem)), *fake.ended.borrow()),
    };
    let outcome = loop {
        match stream.next() {
            Ok(Some(chunks)) => {
                assert!(!chunks.is_empty(), "it waits rather than say nothing");
                said.extend(chunks);
            }
            Ok(None) => break Ok(said),
            Err(problem) => break Err((said, problem)),
        }
    };
    assert!(matches!(stream.next(), Ok(None)), "nothing comes behind the end");
    let noted = *fake.ended.borrow();
    (outcome, noted)
}

fn raw(body: &str) -> Canned {
    Canned::new(200, "text/event-stream", body)
}

fn is_hello(said: &[Chunk]) -> bool {
    matches!(&said[0].event, ChatEvent::Text(text) if text == "Hello")
        && matches!(said[1].event, ChatEvent::Finish(FinishReason::Stop))
}

#[test]
fn an_answer_is_said_whole_and_its_connection_can_be_used_again() {
    let (said, noted) = ask_noting(Canned::stream(&[HELLO, STOP, USAGE]));
    let said = said.unwrap();
    assert!(is_hello(&said));
    assert!(matches!(&said[2].event, ChatEvent::Usage(usage) if usage.output_tokens == 1));
    assert_eq!(said.len(), 3);
    assert_eq!(noted, (1, 1), "read to its end, then dropped");
}

#[test]
fn comments_empty_choices_and_odd_line_ends_change_nothing() {
    let body = format!(
        ": keep-alive\r\n\r\ndata: {HELLO}\r\n\r\n:\n\ndata: {{\"choices\":[]}}\n\ndata: {STOP}\n\ndata: [DONE]\n\n"
    );
    assert!(is_hello(&ask(raw(&body)).unwrap()));
}

#[test]
fn a_stream_without_done_ends_well_if_it_said_why() {
    assert!(is_hello(
        &ask(raw(&format!("data: {HELLO}\n\ndata: {STOP}\n\n"))).unwrap()
    ));
    let (said, problem) = ask(raw(&format!("data: {HELLO}\n\n"))).unwrap_err();
    assert_eq!(said.len(), 1);
    assert_eq!(problem.code.as_deref(), Some("stream_cut"));
    assert!(matches!(problem.kind, ProblemKind::Unavailable));
    // Also where it says that it is done.
    assert_eq!(
        ask(Canned::stream(&[HELLO])).unwrap_err().1.code.as_deref(),
        Some("stream_cut")
    );
}

#[test]
fn a_connection_that_breaks_fails_the_answer_unless_all_was_said() {
    let broken = Problem::unavailable("the connection was reset");
    let body = format!("data: {HELLO}\n\n");
    let (said, problem) = ask(raw(&body).broken_by(broken.clone())).unwrap_err();
    assert_eq!((said.len(), problem.message.as_str()), (1, "the connection was reset"));
    let body = format!("data: {HELLO}\n\ndata: {STOP}\n\n");
    assert!(is_hello(&ask(raw(&body).broken_by(broken)).unwrap()));
}

#[test]
fn a_line_over_the_hosts_cap_is_the_upstreams_fault() {
    let (_, problem) = ask(raw("").broken_by(Problem::too_large("at most 1 MiB a line"))).unwrap_err();
    assert!(matches!(problem.kind, ProblemKind::Unavailable), "{problem:?}");
}

#[test]
fn errors_in_the_stream_end_it() {
    let error = r#"{"error":{"message":"Slow down.","type":"rate_limit_error"}}"#;
    let (said, problem) = ask(Canned::stream(&[HELLO, error, STOP])).unwrap_err();
    assert_eq!(said.len(), 1);
    assert!(matches!(problem.kind, ProblemKind::RateLimited));
    let (_, named) = ask(raw("event: error\ndata: oh no\n\n")).unwrap_err();
    assert_eq!(named.message, "The upstream ended its answer with an error.");
    let (_, malformed) = ask(Canned::stream(&[HELLO, "{\"choices\":[{"])).unwrap_err();
    assert!(
        malformed.message.starts_with("Event 2 of the upstream's stream"),
        "{}",
        malformed.message
    );
}

#[test]
fn what_keeps_an_answer_from_starting_is_told_at_the_start() {
    let refused = Canned::json(
        429,
        r#"{"error":{"message":"Slow down.","code":"rate_limit_exceeded"}}"#,
    );
    let ((said, problem), noted) = {
        let (outcome, noted) = ask_noting(refused.with_header("retry-after", "3"));
        (outcome.unwrap_err(), noted)
    };
    assert!(said.is_empty());
    assert_eq!(
        (problem.retry_after_ms, problem.code.as_deref()),
        (Some(3_000), Some("rate_limit_exceeded"))
    );
    assert_eq!(noted, (1, 1), "the error was read to its end");
    let (_, html) = ask(Canned::new(200, "text/html", "<html>")).unwrap_err();
    assert_eq!(
        html.message,
        "The upstream sent `text/html` where `text/event-stream` was asked for."
    );
}

#[test]
fn dropping_an_answer_drops_its_response() {
    let (fake, config) = (Fake::of(Canned::stream(&[HELLO, STOP])), config("{}"));
    let mut stream = start(&fake.client(&config), &request("hi")).unwrap();
    assert_eq!(stream.next().unwrap().map(|said| said.len()), Some(1));
    assert_eq!(*fake.ended.borrow(), (0, 0));
    drop(stream);
    assert_eq!(*fake.ended.borrow(), (0, 1));
}

#[test]
fn a_failed_answer_lets_go_of_its_response_at_once() {
    let (fake, config) = (Fake::of(Canned::stream(&["{"])), config("{}"));
    let mut stream = start(&fake.client(&config), &request("hi")).unwrap();
    assert!(stream.next().is_err());
    assert_eq!(fake.ended.borrow().1, 1);
}

#[test]
fn what_the_transport_says_is_passed_on() {
    let denied = Problem::new(ProblemKind::Denied, "add `u.example:443` to `http`");
    let (fake, config) = (Fake::default().then(Err(denied)), config("{}"));
    let Err(problem) = start(&fake.client(&config), &request("hi")) else {
        panic!("it was denied")
    };
    assert!(matches!(problem.kind, ProblemKind::Denied));
    assert_eq!(problem.message, "add `u.example:443` to `http`");
}
