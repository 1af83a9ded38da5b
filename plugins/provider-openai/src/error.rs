//! What an upstream's failure means: error objects and statuses to problems. A caller sees the upstream's own sentence where
//! it is fit to be seen, never a body, and nothing that may hold a key.

use std::time::SystemTime;

use encaje_sdk::errors::{Problem, ProblemKind};
use encaje_sdk::http::{Failure, Refused, kind_of};
use serde_json::Value;

use crate::limits::{MAX_MESSAGE_BYTES, MAX_RETRY_AFTER_MS, MAX_WORD_BYTES};

/// What an error object says.
#[derive(Debug, Default)]
struct Told {
    message: Option<String>,
    class: Option<String>,
    code: Option<String>,
    param: Option<String>,
    /// Some aggregators write the status of the upstream behind them where the code belongs.
    status: Option<u16>,
}

/// Reads an error object in any of the shapes that servers of this wire give it.
fn told(body: &Value) -> Option<Told> {
    // One large upstream puts its error into a list.
    let body = body.get(0).unwrap_or(body);
    let error = match body.get("error") {
        Some(Value::Null) | None => None,
        error => error,
    };
    let is_error = body.get("object").and_then(Value::as_str) == Some("error");
    let detail = body.get("detail").filter(|detail| detail.is_string());
    let error = error.or(is_error.then_some(body)).or(detail)?;
    if let Some(text) = error.as_str() {
        return Some(Told {
            message: Some(text.to_owned()),
            ..Told::default()
        });
    }
    let text = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
    let code = error.get("code").and_then(Value::as_u64);
    Some(Told {
        message: text("message"),
        class: text("type").filter(|word| is_word(word)),
        code: text("code").filter(|word| is_word(word)),
        param: text("param")
            .filter(|param| !param.is_empty())
            .map(|param| cut(&param, MAX_WORD_BYTES)),
        status: code
            .and_then(|code| u16::try_from(code).ok())
            .filter(|code| (400..600).contains(code)),
    })
}

fn is_word(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !word.is_empty() && word.len() <= MAX_WORD_BYTES && word.bytes().all(plain)
}

/// One line of at most so many bytes.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let kept = text.get(..text.floor_char_boundary(most)).unwrap_or_default();
    let mut line = kept.trim().replace(char::is_control, " ");
    if kept.len() < text.len() {
        line.push('…');
    }
    line
}

impl Told {
    /// What the words alone say, whatever the status.
    fn by_word(&self) -> Option<ProblemKind> {
        [&self.code, &self.class].into_iter().flatten().find_map(|word| {
            Some(match word.as_str() {
                "context_length_exceeded" | "context_window_exceeded" => ProblemKind::ContextExceeded,
                "content_filter" | "content_policy_violation" | "moderation_blocked" => ProblemKind::ContentBlocked,
                "insufficient_quota" | "billing_hard_limit_reached" | "billing_not_active" => {
                    ProblemKind::QuotaExceeded
                }
                "unsupported" | "unsupported_parameter" | "unsupported_value" => ProblemKind::Unsupported,
                "model_not_found" => ProblemKind::NotFound,
                _ => return None,
            })
        })
    }

    /// What the words say where there is no status: in the middle of a stream.
    fn without_status(&self) -> ProblemKind {
        let known = [&self.code, &self.class].into_iter().flatten().find_map(|word| {
            Some(match word.as_str() {
                "rate_limit_exceeded" | "rate_limit_error" | "requests" | "tokens" => ProblemKind::RateLimited,
                "overloaded" | "overloaded_error" | "engine_overloaded" => ProblemKind::Overloaded,
                "timeout" | "timeout_error" => ProblemKind::Timeout,
                "invalid_api_key" | "authentication_error" => ProblemKind::Misconfigured,
                "permission_error" | "permission_denied" => ProblemKind::Denied,
                "not_found" | "not_found_error" => ProblemKind::NotFound,
                "invalid_request_error" => ProblemKind::InvalidRequest,
                _ => return None,
            })
        });
        known.unwrap_or(ProblemKind::Unavailable)
    }

    fn problem(self, status: Option<u16>) -> Problem {
        let status = status.or(self.status);
        let kind = match status {
            // Whatever a server that fails says, it is the server that fails.
            Some(status @ 500..) => kind_of(status),
            Some(status) => self.by_word().unwrap_or_else(|| kind_of(status)),
            None => self.by_word().unwrap_or_else(|| self.without_status()),
        };
        let key_refused = matches!(kind, ProblemKind::Misconfigured) && status.is_none_or(|status| status == 401);
        let own_words = matches!(kind, ProblemKind::Misconfigured);
        let message = self.message.as_deref().filter(|_| !own_words).and_then(fit_to_be_seen);
        let mut problem = Problem::new(kind, message.unwrap_or_else(|| words(status, key_refused)));
        problem.upstream_status = status;
        problem.log_detail = self.class.map(|class| format!("the upstream calls it `{class}`"));
        if key_refused {
            // The upstream's own code would tell the caller that it is the caller's key that is wrong.
            return problem.with_code("upstream_key_refused");
        }
        problem.code = self.code;
        problem.param = self.param;
        problem
    }
}

/// Words of this plugin's own, where the upstream's cannot be shown or say nothing.
fn words(status: Option<u16>, key_refused: bool) -> String {
    match status {
        _ if key_refused => "The upstream does not accept the operator's key.".to_owned(),
        None => "The upstream ended its answer with an error.".to_owned(),
        Some(status @ 300..400) => {
            format!("The upstream redirects (status {status}); the configured `base_url` must name the place itself.")
        }
        Some(status @ (405 | 406 | 415)) => {
            format!(
                "The upstream does not take such a request there (status {status}); is the configured `base_url` right?"
            )
        }
        Some(status) => format!("The upstream answered with the status {status}."),
    }
}

/// The upstream's sentence, unless it is empty or may hold a key: upstreams like to repeat the key that they refuse.
fn fit_to_be_seen(message: &str) -> Option<String> {
    const SUSPECT: [&str; 6] = ["bearer", "authorization", "api key", "api_key", "api-key", "apikey"];
    let lower = message.to_ascii_lowercase();
    if message.trim().is_empty() || SUSPECT.iter().any(|word| lower.contains(word)) {
        return None;
    }
    let words = message.split_inclusive(char::is_whitespace).map(|word| {
        let bare = word.trim_start_matches(|letter: char| !letter.is_ascii_alphanumeric());
        if looks_like_a_key(bare.trim_end()) {
            format!("{}… ", word.get(..word.len() - bare.len()).unwrap_or_default())
        } else {
            word.to_owned()
        }
    });
    Some(cut(&words.collect::<String>(), MAX_MESSAGE_BYTES))
}

/// What begins as keys and accounts of the known upstreams do.
fn looks_like_a_key(word: &str) -> bool {
    const BEGINNINGS: [&str; 11] = [
        "sk-", "sk_", "pk-", "rk-", "org-", "proj_", "xai-", "gsk_", "hf_", "nvapi-", "eyJ",
    ];
    word.len() > 8 && BEGINNINGS.iter().any(|beginning| word.starts_with(beginning))
}

/// An answer that is no success.
fn refused(refused: &Refused) -> Problem {
    let body = serde_json::from_slice::<Value>(&refused.body).ok();
    let mut problem = body
        .as_ref()
        .and_then(told)
        .unwrap_or_default()
        .problem(Some(refused.status));
    if let Some(wait) = refused.headers.retry_after(SystemTime::now()) {
        problem = problem.with_retry_after(wait);
        problem.retry_after_ms = problem.retry_after_ms.map(|wait| wait.min(MAX_RETRY_AFTER_MS));
    }
    // An error without an error object comes from something before the upstream, or from another server altogether.
    if body.as_ref().and_then(told).is_none() {
        let what = refused.headers.content_type().filter(|kind| is_media_type(kind));
        problem.log_detail = Some(format!(
            "the upstream sent no error object but {}; is `base_url` right?",
            what.as_deref().unwrap_or("something without a content type")
        ));
    }
    if let Some(id) = refused.headers.get("x-request-id").filter(|id| is_word(id)) {
        let detail = problem
            .log_detail
            .take()
            .map(|detail| format!("{detail}; "))
            .unwrap_or_default();
        problem.log_detail = Some(format!("{detail}the upstream's request id is {id}"));
    }
    problem
}

fn is_media_type(kind: &str) -> bool {
    kind.split('/').count() == 2 && kind.split('/').all(|part| is_word(&part.replace('+', "-")))
}

/// Why a request got no success.
pub(crate) fn of_failure(failure: Failure) -> Problem {
    match failure {
        Failure::NoAnswer(mut problem) => {
            // Address and headers are the configuration's; the caller has no part in them.
            if matches!(problem.kind, ProblemKind::InvalidRequest) {
                problem.kind = ProblemKind::Misconfigured;
                problem.message = format!("The upstream cannot be asked as it is configured. {}", problem.message);
            }
            problem
        }
        Failure::Refused(answer) => refused(&answer),
    }
}

/// An error object in an answer whose status was a success; `None` where it holds none.
pub(crate) fn in_success(body: &[u8]) -> Option<Problem> {
    let body = serde_json::from_slice::<Value>(body).ok()?;
    told(&body).map(|told| told.problem(None))
}

/// An event that is an error, whatever it holds.
pub(crate) fn in_stream(data: &str) -> Problem {
    in_success(data.as_bytes()).unwrap_or_else(|| Told::default().problem(None))
}

/// An answer that is not what this wire has, in words that say what came.
pub(crate) fn malformed(what: impl Into<String>) -> Problem {
    Problem::unavailable(what).with_code("bad_upstream_answer")
}

/// JSON that does not parse: where, but not what, since it may hold anything.
pub(crate) fn bad_json(what: &str, error: &serde_json::Error) -> Problem {
    let why = match error.classify() {
        serde_json::error::Category::Data => "has another shape than this wire's",
        serde_json::error::Category::Eof => "ends in the middle",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "is not valid JSON",
    };
    let (line, column) = (error.line(), error.column());
    malformed(format!("{what} {why} (line {line}, column {column})."))
}

/// The content type that came, in words.
pub(crate) fn wrong_content_type(came: Option<&str>, expected: &str) -> Problem {
    let came = match came.filter(|kind| is_media_type(kind)) {
        Some(kind) => format!("`{kind}`"),
        None => "an answer without a content type".to_owned(),
    };
    malformed(format!("The upstream sent {came} where `{expected}` was asked for."))
}

#[cfg(test)]
mod tests {
    use super::{Failure, Problem, ProblemKind, Refused, in_success, of_failure};
    use encaje_sdk::http::Headers;

    fn problem(status: u16, headers: &[(&str, &str)], body: &str) -> Problem {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let headers = Headers(headers.collect());
        of_failure(Failure::Refused(Box::new(Refused {
            status,
            headers,
            body: body.as_bytes().to_vec(),
        })))
    }

    fn object(message: &str, class: &str, code: &str) -> String {
        serde_json::json!({"error": {"message": message, "type": class, "code": code, "param": null}}).to_string()
    }

    fn kind(problem: &Problem) -> String {
        format!("{:?}", problem.kind).replace("ProblemKind::", "")
    }

    #[test]
    fn every_class_of_error_has_its_kind() {
        let invalid = "invalid_request_error";
        for (status, class, code, expected) in [
            (400, invalid, "", "InvalidRequest"),
            (400, invalid, "context_length_exceeded", "ContextExceeded"),
            (400, invalid, "content_filter", "ContentBlocked"),
            (
                400,
                "image_generation_user_error",
                "content_policy_violation",
                "ContentBlocked",
            ),
            (400, invalid, "unsupported_parameter", "Unsupported"),
            (400, invalid, "unsupported_value", "Unsupported"),
            (401, invalid, "invalid_api_key", "Misconfigured"),
            (402, "", "", "QuotaExceeded"),
            (403, "permission_error", "", "Denied"),
            (404, invalid, "model_not_found", "NotFound"),
            (405, invalid, "", "Misconfigured"),
            (408, "", "", "Timeout"),
            (409, "conflict_error", "", "Conflict"),
            (413, invalid, "", "TooLarge"),
            (422, invalid, "", "InvalidRequest"),
            (429, "requests", "rate_limit_exceeded", "RateLimited"),
            (429, "insufficient_quota", "insufficient_quota", "QuotaExceeded"),
            (429, "insufficient_quota", "", "QuotaExceeded"),
            (499, "server_error", "", "Unavailable"),
            (500, "server_error", "", "Unavailable"),
            // What a failing server says of the request does not make it the caller's fault.
            (500, invalid, "context_length_exceeded", "Unavailable"),
            (502, "", "", "Unavailable"),
            (503, "server_error", "", "Overloaded"),
            (504, "", "", "Timeout"),
            (529, "overloaded_error", "", "Overloaded"),
            (302, "", "", "Misconfigured"),
        ] {
            let problem = problem(status, &[], &object("What is wrong.", class, code));
            assert_eq!(kind(&problem), expected, "{status} {code}");
            assert_eq!(problem.upstream_status, Some(status));
        }
    }

    #[test]
    fn the_upstreams_sentence_code_and_parameter_are_passed_on() {
        let body = r#"{"error":{"message":"Invalid value:\n'x'.","type":"invalid_request_error",
            "param":"messages[0].role","code":"invalid_value"}}"#;
        let problem = problem(400, &[("x-request-id", "req_1")], body);
        assert_eq!(problem.message, "Invalid value: 'x'.");
        assert_eq!(problem.code.as_deref(), Some("invalid_value"));
        assert_eq!(problem.param.as_deref(), Some("messages[0].role"));
        let detail = problem.log_detail.unwrap();
        assert!(
            detail.contains("invalid_request_error") && detail.contains("req_1"),
            "{detail}"
        );
    }

    #[test]
    fn a_wait_is_passed_on_up_to_a_day() {
        let wait = |value: &str| problem(429, &[("retry-after", value)], "{}").retry_after_ms;
        assert_eq!((wait("2"), wait("0.25"), wait("soon")), (Some(2_000), Some(250), None));
        assert_eq!(wait("99999999"), Some(86_400_000));
        assert_eq!(problem(429, &[("retry-after-ms", "30")], "").retry_after_ms, Some(30));
        assert_eq!(problem(503, &[("retry-after", "1")], "").retry_after_ms, Some(1_000));
    }

    #[test]
    fn what_the_host_refuses_to_send_is_the_operators_fault() {
        let problem = of_failure(Failure::NoAnswer(
            Problem::invalid_request("Bad port.").with_param("url"),
        ));
        assert_eq!(kind(&problem), "Misconfigured");
        assert_eq!(
            problem.message,
            "The upstream cannot be asked as it is configured. Bad port."
        );
        assert_eq!(
            kind(&of_failure(Failure::NoAnswer(Problem::unavailable("down")))),
            "Unavailable"
        );
    }

    #[test]
    fn no_key_is_ever_repeated() {
        let canary = "sk-canary-0123456789";
        for (status, message) in [
            (401, format!("Incorrect API key provided: {canary}.")),
            (401, format!("no such user {canary}")),
            (400, format!("bad header authorization: Bearer {canary}")),
            (400, format!("unexpected \"{canary}\" in request")),
            (403, format!("({canary}) may not do that")),
            (500, format!("panic at api_key={canary}")),
        ] {
            let problem = problem(status, &[("x-request-id", "a b")], &object(&message, canary, canary));
            let shown = format!("{} {:?}", problem.message, problem.param);
            assert!(!shown.contains("canary"), "{shown}");
        }
        let kept = problem(
            429,
            &[],
            &object("Limit reached for m in org-abcdef123 on tokens.", "tokens", "x"),
        );
        assert_eq!(kept.message, "Limit reached for m in … on tokens.");
    }

    #[test]
    fn a_refused_key_is_the_operators_and_not_the_callers() {
        let problem = problem(
            401,
            &[],
            &object("Incorrect API key provided", "invalid_request_error", "invalid_api_key"),
        );
        assert_eq!(problem.message, "The upstream does not accept the operator's key.");
        assert_eq!(problem.code.as_deref(), Some("upstream_key_refused"));
    }

    #[test]
    fn errors_of_every_shape_are_read() {
        for body in [
            r#"{"error":"It broke."}"#,
            r#"{"error":{"message":"It broke."}}"#,
            r#"[{"error":{"message":"It broke.","code":400}}]"#,
            r#"{"object":"error","message":"It broke.","type":"BadRequestError","code":400}"#,
            r#"{"detail":"It broke."}"#,
        ] {
            assert_eq!(problem(400, &[], body).message, "It broke.", "{body}");
        }
    }

    #[test]
    fn a_body_that_is_no_error_object_is_not_shown() {
        let html = problem(
            502,
            &[("content-type", "text/html; charset=x")],
            "<html>secret stack</html>",
        );
        assert_eq!(html.message, "The upstream answered with the status 502.");
        assert!(html.log_detail.unwrap().contains("text/html"));
        let nothing = problem(404, &[("content-type", "<script>")], "");
        assert!(nothing.log_detail.unwrap().contains("something without a content type"));
    }

    #[test]
    fn a_long_message_is_cut() {
        let problem = problem(400, &[], &object(&"é".repeat(5_000), "x", "x"));
        assert!(problem.message.len() <= 1_003 && problem.message.ends_with('…'));
    }

    #[test]
    fn an_error_without_a_status_is_classed_by_its_words() {
        let of = |class: &str, code: &str| kind(&in_success(object("m", class, code).as_bytes()).unwrap());
        assert_eq!(of("server_error", ""), "Unavailable");
        assert_eq!(of("rate_limit_error", ""), "RateLimited");
        assert_eq!(of("server_error", "overloaded"), "Overloaded");
        assert_eq!(of("server_error", "timeout"), "Timeout");
        assert_eq!(
            of("invalid_request_error", "context_length_exceeded"),
            "ContextExceeded"
        );
        assert_eq!(of("invalid_request_error", ""), "InvalidRequest");
        assert_eq!(of("authentication_error", ""), "Misconfigured");
        assert_eq!(of("permission_error", ""), "Denied");
        assert_eq!(of("not_found_error", ""), "NotFound");
        let numbered = in_success(br#"{"error":{"message":"m","code":429}}"#).unwrap();
        assert_eq!(
            (kind(&numbered).as_str(), numbered.upstream_status),
            ("RateLimited", Some(429))
        );
        assert!(in_success(br#"{"error":null,"choices":[]}"#).is_none());
        assert!(matches!(super::in_stream("?").kind, ProblemKind::Unavailable));
    }
}
