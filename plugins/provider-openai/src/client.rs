//! One request to the upstream and its answer, checked as far as HTTP goes: address, key, headers, status, content type,
//! size. What the JSON means is for the other modules. Nothing is tried twice; that is the host's to decide.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use encaje_sdk::errors::Problem;
use encaje_sdk::http::{self, Request, Success, Transport};
use encaje_sdk::sse::Events;
use serde::de::DeserializeOwned;

use crate::config::{Config, is_header_value};
use crate::error;
use crate::limits::{MAX_ANSWER_BYTES, MAX_EVENT_BYTES, MAX_REFUSAL_BYTES, MAX_REQUEST_BYTES, MAX_WORD_BYTES};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// What the upstream may know of the call.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// W3C `traceparent`.
    pub(crate) traceparent: Option<String>,
    /// What the caller sent to repeat the call safely.
    pub(crate) idempotency_key: Option<String>,
}

/// The upstream.
pub(crate) struct Client<'a, T> {
    pub(crate) transport: &'a T,
    pub(crate) config: &'a Config,
    pub(crate) origin: Origin,
}

impl<T: Transport> Client<'_, T> {
    /// Asks a path and reads the whole answer.
    pub(crate) fn get<B: DeserializeOwned>(&self, path: &str) -> Result<B, Problem> {
        whole(self.send(Request::get(self.config.url(path)), JSON)?)
    }

    /// Sends a body and reads the whole answer.
    pub(crate) fn post<B: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> Result<B, Problem> {
        whole(self.send(self.body(path, body)?, JSON)?)
    }

    /// Sends a body and returns the answer's events.
    pub(crate) fn stream(&self, path: &str, body: Vec<u8>) -> Result<Events<T::Answer>, Problem> {
        let mut answer = self.send(self.body(path, body)?, EVENTS)?;
        let kind = answer.headers.content_type();
        if kind.as_deref() == Some(EVENTS) {
            return Ok(answer.events(MAX_EVENT_BYTES));
        }
        // Some upstreams say what is wrong with a status of success.
        let told = answer
            .bytes(MAX_REFUSAL_BYTES)
            .ok()
            .and_then(|body| error::in_success(&body));
        Err(told.unwrap_or_else(|| error::wrong_content_type(kind.as_deref(), EVENTS)))
    }

    fn body(&self, path: &str, body: Vec<u8>) -> Result<Request, Problem> {
        if body.len() > MAX_REQUEST_BYTES {
            let message = format!("The request has {} bytes, more than {MAX_REQUEST_BYTES}.", body.len());
            return Err(Problem::too_large(message));
        }
        Ok(Request::post_json(self.config.url(path), body))
    }

    fn send(&self, request: Request, accept: &str) -> Result<Success<T::Answer>, Problem> {
        let mut request = request.with_header("accept", accept);
        // One call may ask twice, when a route's next target is another model of this upstream: that is another question.
        let mut body = DefaultHasher::new();
        request.body.hash(&mut body);
        let key = self
            .origin
            .idempotency_key
            .as_ref()
            .map(|key| format!("{key}-{:016x}", body.finish()));
        let told = [("traceparent", &self.origin.traceparent), ("idempotency-key", &key)];
        for (name, value) in told {
            // What no header can carry is the caller's, and no reason to fail: both only help.
            let fits = |value: &&str| value.len() <= MAX_WORD_BYTES && is_header_value(value);
            if let Some(value) = value.as_deref().filter(fits) {
                request = request.with_header(name, value);
            }
        }
        let request = self.config.dress(request);
        let answer = http::send(self.transport, &request, MAX_REFUSAL_BYTES).map_err(error::of_failure)?;
        match answer.headers.get("content-encoding") {
            None | Some("" | "identity") => Ok(answer),
            Some(_) => Err(error::malformed(
                "The upstream compressed its answer, which it was not asked to do.",
            )),
        }
    }
}

fn whole<B: DeserializeOwned>(mut answer: Success<impl http::Answer>) -> Result<B, Problem> {
    let kind = answer.headers.content_type();
    if !kind
        .as_deref()
        .is_some_and(|kind| kind == JSON || kind.ends_with("+json"))
    {
        return Err(error::wrong_content_type(kind.as_deref(), JSON));
    }
    let body = answer.bytes(MAX_ANSWER_BYTES)?;
    serde_json::from_slice(&body).map_err(|failure| {
        error::in_success(&body).unwrap_or_else(|| error::bad_json("The upstream's answer", &failure))
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Canned, Fake, config};
    use encaje_sdk::errors::{Problem, ProblemKind};
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Body {
        data: Vec<u8>,
    }

    fn get(canned: Canned) -> Result<Body, Problem> {
        let (fake, config) = (Fake::of(canned), config("{}"));
        fake.client(&config).get("/models")
    }

    #[test]
    fn a_request_carries_the_trace_the_key_and_what_it_accepts() {
        let (fake, config) = (Fake::of(Canned::json(200, r#"{"data":[1]}"#)), config("{}"));
        let body: Body = fake.client(&config).post("/x", b"{}".to_vec()).unwrap();
        assert_eq!(body.data, [1]);
        let asked = fake.asked.borrow();
        let header = |name: &str| {
            asked[0]
                .headers
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(
            (asked[0].method.as_str(), asked[0].url.as_str()),
            ("POST", "https://u.example/v1/x")
        );
        assert_eq!(asked[0].secret.as_deref(), Some("OPENAI_API_KEY"));
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(header("accept"), Some("application/json"));
        assert_eq!(header("traceparent"), Some("00-trace-span-01"));
        assert!(header("idempotency-key").unwrap().starts_with("once-"));
        assert_eq!(header("authorization"), None);
        assert_eq!(header("accept-encoding"), None);
        assert_eq!(
            *fake.ended.borrow(),
            (1, 1),
            "read to its end, so that the connection can be used again"
        );
    }

    #[test]
    fn an_idempotency_key_that_no_header_can_carry_is_left_out() {
        let (fake, config) = (Fake::of(Canned::json(200, r#"{"data":[]}"#)), config("{}"));
        let mut client = fake.client(&config);
        client.origin.idempotency_key = Some("a\nb".to_owned());
        client.get::<Body>("/models").unwrap();
        let asked = fake.asked.borrow();
        assert!(!asked[0].headers.iter().any(|(name, _)| name == "idempotency-key"));
    }

    #[test]
    fn what_is_not_json_is_told_by_what_it_is() {
        let problem = get(Canned::new(200, "text/html", "<html>")).unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::Unavailable));
        assert_eq!(
            problem.message,
            "The upstream sent `text/html` where `application/json` was asked for."
        );
        let problem = get(Canned::json(200, r#"{"data":[1"#)).unwrap_err();
        assert_eq!(
            problem.message,
            "The upstream's answer ends in the middle (line 1, column 10)."
        );
        let problem = get(Canned::json(200, r#"{"data":["hush"]}"#)).unwrap_err();
        assert!(
            problem.message.contains("has another shape") && !problem.message.contains("hush"),
            "{problem:?}"
        );
        let problem = get(Canned::json(200, "\0")).unwrap_err();
        assert!(problem.message.contains("is not valid JSON"), "{problem:?}");
    }

    #[test]
    fn an_error_with_a_status_of_success_is_an_error() {
        let problem = get(Canned::json(200, r#"{"error":{"message":"Slow down.","code":429}}"#)).unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::RateLimited));
        assert_eq!(problem.message, "Slow down.");
    }

    #[test]
    fn a_compressed_answer_is_refused() {
        let problem = get(Canned::json(200, "{}").with_header("content-encoding", "gzip")).unwrap_err();
        assert!(problem.message.contains("compressed"), "{problem:?}");
    }

    #[test]
    fn what_is_too_large_is_not_sent() {
        let (fake, config) = (Fake::default(), config("{}"));
        let problem = fake
            .client(&config)
            .post::<Body>("/x", vec![0; (30 << 20) + 1])
            .unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::TooLarge));
    }

    #[test]
    fn a_stream_that_is_none_is_told_by_what_it_is() {
        let stream = |canned: Canned| {
            let (fake, config) = (Fake::of(canned), config("{}"));
            fake.client(&config).stream("/x", Vec::new()).map(drop).unwrap_err()
        };
        let problem = stream(Canned::json(
            200,
            r#"{"error":{"message":"Full.","code":"overloaded"}}"#,
        ));
        assert!(matches!(problem.kind, ProblemKind::Overloaded));
        let problem = stream(Canned::json(200, r#"{"choices":[]}"#));
        assert_eq!(
            problem.message,
            "The upstream sent `application/json` where `text/event-stream` was asked for."
        );
        let problem = stream(Canned {
            headers: Vec::new(),
            ..Canned::json(200, "")
        });
        assert!(problem.message.contains("without a content type"), "{problem:?}");
    }
}
