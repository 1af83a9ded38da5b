//! Items from a web in memory and from the configuration.

use std::cell::RefCell;

use encaje_sdk::errors::{Problem, ProblemKind};
use encaje_sdk::source::Item;
use encaje_sdk::values::Value;
use serde_json::json;

use super::{begin, fetch};
use crate::config::Config;
use crate::web::{Answer, Question, Web};

/// One answer to every question, and the questions.
struct Fake {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    pieces: Vec<&'static [u8]>,
    asked: RefCell<Vec<Question>>,
}

struct FakeAnswer {
    status: u16,
    headers: Vec<(String, String)>,
    pieces: std::vec::IntoIter<&'static [u8]>,
}

impl Answer for FakeAnswer {
    fn status(&self) -> u16 {
        self.status
    }

    fn headers(&self) -> Vec<(String, String)> {
        self.headers.clone()
    }

    fn read(&mut self, max: u32) -> Result<Option<Vec<u8>>, Problem> {
        assert!(max > 0);
        Ok(self.pieces.next().map(<[u8]>::to_vec))
    }
}

impl Web for Fake {
    fn get(&self, question: Question) -> Result<Box<dyn Answer>, Problem> {
        self.asked.borrow_mut().push(question);
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Ok(Box::new(FakeAnswer {
            status: self.status,
            headers: self.headers.iter().map(own).collect(),
            pieces: self.pieces.clone().into_iter(),
        }))
    }

    fn now_us(&self) -> u64 {
        784_111_777_000_000
    }
}

fn web(status: u16, headers: &[(&'static str, &'static str)], pieces: &[&'static [u8]]) -> Fake {
    Fake {
        status,
        headers: headers.to_vec(),
        pieces: pieces.to_vec(),
        asked: RefCell::default(),
    }
}

fn config() -> Config {
    let json = json!({"texts": {"b": "two", "a": "one"}, "max_bytes": 16, "timeout_ms": 500});
    Config::parse(&json.to_string()).unwrap()
}

fn get(web: &Fake, state: Option<&str>) -> Result<Item, Problem> {
    fetch(web, &config(), "HTTP://Example.org/a#x", state)
}

#[test]
fn a_text_becomes_a_document() {
    let web = web(
        200,
        &[("content-type", "text/markdown; charset=UTF-8")],
        &["\u{feff}# Héy".as_bytes(), b" #\n\nb"],
    );
    let item = get(&web, None).unwrap();
    let document = item.document.unwrap();
    assert_eq!(
        (document.id.as_str(), document.url.as_deref()),
        ("http://example.org/a", Some("http://example.org/a"))
    );
    assert_eq!(
        (document.text.as_str(), document.title.as_deref()),
        ("# Héy #\n\nb", Some("Héy"))
    );
    assert!(matches!(&document.metadata[0].1, Value::Text(media_type) if media_type == "text/markdown"));
    assert_eq!(item.canonical, "http://example.org/a");
    let asked = web.asked.borrow();
    assert_eq!(
        (asked[0].url.as_str(), asked[0].timeout_ms, asked[0].headers.len()),
        ("http://example.org/a", 500, 1)
    );
}

#[test]
fn the_state_asks_only_for_what_is_new() {
    let first = web(
        200,
        &[("ETag", "\"1\""), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")],
        &[b"x"],
    );
    let state = get(&first, None).unwrap().state;
    let unchanged = web(304, &[("etag", "\"2\"")], &[]);
    let item = get(&unchanged, Some(&state)).unwrap();
    assert!(item.document.is_none());
    let asked = unchanged.asked.borrow();
    let sent: Vec<(&str, &str)> = asked[0]
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        sent[1..],
        [
            ("if-none-match", "\"1\""),
            ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")
        ]
    );
    let state: serde_json::Value = serde_json::from_str(&item.state).unwrap();
    assert_eq!(
        (&state["etag"], &state["last_modified"]),
        (&json!("\"2\""), &json!("Sun, 06 Nov 1994 08:49:37 GMT"))
    );
    assert!(state["hash"].is_string());
}

#[test]
fn the_same_text_again_is_no_news_even_where_the_server_does_not_say() {
    let server = web(200, &[], &[b"x"]);
    let first = get(&server, None).unwrap();
    assert!(first.document.is_some());
    let again = get(&server, Some(&first.state)).unwrap();
    assert!(again.document.is_none());
    assert_eq!(again.state, first.state);
    let changed = get(&web(200, &[], &[b"y"]), Some(&first.state)).unwrap();
    assert_eq!(changed.document.unwrap().text, "y");
}

#[test]
fn each_status_has_its_class() {
    for (status, kind) in [
        (204, ProblemKind::Unsupported),
        (302, ProblemKind::Unsupported),
        (400, ProblemKind::InvalidRequest),
        (401, ProblemKind::Denied),
        (403, ProblemKind::Denied),
        (404, ProblemKind::NotFound),
        (408, ProblemKind::Timeout),
        (410, ProblemKind::NotFound),
        (429, ProblemKind::RateLimited),
        (500, ProblemKind::Unavailable),
        (503, ProblemKind::Unavailable),
    ] {
        let problem = get(&web(status, &[("retry-after", "3")], &[b"secret body"]), None).unwrap_err();
        assert_eq!(format!("{:?}", problem.kind), format!("{kind:?}"), "{status}");
        assert_eq!(
            (problem.upstream_status, problem.retry_after_ms),
            (Some(status), Some(3_000))
        );
        assert!(!problem.message.contains("secret"));
    }
    let date = get(
        &web(429, &[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")], &[]),
        None,
    )
    .unwrap_err();
    assert_eq!(date.retry_after_ms, Some(10_000));
}

#[test]
fn what_is_no_plain_text_is_unsupported_in_words() {
    for (media_type, body, code) in [
        ("text/html; charset=utf-8", &b"<p>"[..], "html"),
        ("application/pdf", b"%PDF", "media_type"),
        ("text/plain; charset=latin-1", b"x", "charset"),
        ("text/plain", b"\xff", "charset"),
        ("text/plain", b"a\0", "charset"),
    ] {
        let problem = get(&web(200, &[("content-type", media_type)], &[body]), None).unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::Unsupported), "{media_type}");
        assert_eq!(problem.code.as_deref(), Some(code), "{media_type}");
    }
    assert!(
        get(
            &web(200, &[("content-type", "Text/Plain; Charset=\"utf-8\"")], &[b"x"]),
            None
        )
        .is_ok()
    );
}

#[test]
fn a_text_over_the_cap_is_refused_and_not_cut() {
    let whole = web(200, &[], &[b"12345678", b"12345678"]);
    assert_eq!(get(&whole, None).unwrap().document.unwrap().text.len(), 16);
    let over = get(&web(200, &[], &[b"12345678", b"12345678", b"1"]), None).unwrap_err();
    assert!(matches!(over.kind, ProblemKind::TooLarge));
    let announced = get(&web(200, &[("content-length", "17")], &[]), None).unwrap_err();
    assert!(matches!(announced.kind, ProblemKind::TooLarge));
}

#[test]
fn texts_of_the_configuration_need_no_web() {
    let nobody = web(500, &[], &[]);
    let locations = |location: &str| begin(&config(), location).unwrap().locations;
    assert_eq!(locations("text:"), ["text:a", "text:b"]);
    assert_eq!(locations("text:a"), ["text:a"]);
    assert_eq!(locations("http://example.org"), ["http://example.org/"]);
    let item = fetch(&nobody, &config(), "text:a", None).unwrap();
    let document = item.document.unwrap();
    assert_eq!(
        (document.id.as_str(), document.text.as_str(), document.url),
        ("text:a", "one", None)
    );
    assert!(
        fetch(&nobody, &config(), "text:a", Some(&item.state))
            .unwrap()
            .document
            .is_none()
    );
    for problem in [
        begin(&config(), "text:c").unwrap_err(),
        fetch(&nobody, &config(), "text:c", None).unwrap_err(),
        fetch(&nobody, &config(), "text:", None).unwrap_err(),
    ] {
        assert!(matches!(problem.kind, ProblemKind::NotFound));
    }
    assert!(nobody.asked.borrow().is_empty());
}

#[test]
fn a_state_of_somebody_else_is_refused() {
    for state in ["[", "7", r#"{"etag":7}"#] {
        let problem = get(&web(200, &[], &[b"x"]), Some(state)).unwrap_err();
        assert_eq!(problem.param.as_deref(), Some("state"));
    }
}

#[test]
fn a_validator_that_is_no_sane_header_is_not_kept() {
    let item = get(&web(200, &[("etag", "a\u{7}b"), ("last-modified", "é")], &[b"x"]), None).unwrap();
    let state: serde_json::Value = serde_json::from_str(&item.state).unwrap();
    assert_eq!(state.as_object().unwrap().keys().collect::<Vec<_>>(), ["hash"]);
}
