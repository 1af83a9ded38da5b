//! How many tokens a request's input is: there is no tokenizer here, so the upstream is asked for an answer of one token, and
//! what it says it read is the count. That costs what reading the input costs.

use encaje_sdk::chat::ChatRequest;
use encaje_sdk::errors::Problem;
use encaje_sdk::http::Transport;
use serde::Deserialize;
use serde_json::Value;

use crate::client::Client;
use crate::error::malformed;
use crate::request::{self, Purpose};

#[derive(Deserialize)]
struct Body {
    usage: Option<Value>,
}

/// Asks the upstream.
pub(crate) fn count<T: Transport>(client: &Client<'_, T>, request: &ChatRequest) -> Result<u32, Problem> {
    let written = request::write(request, client.config, Purpose::Count)?;
    let body: Body = client.post(written.path, written.body)?;
    let tokens = body
        .usage
        .as_ref()
        .and_then(|usage| usage.get("prompt_tokens"))
        .and_then(Value::as_u64);
    let uncounted = || malformed("The upstream did not say how many tokens it read, so they cannot be counted.");
    tokens
        .and_then(|tokens| u32::try_from(tokens).ok())
        .ok_or_else(uncounted)
}

#[cfg(test)]
mod tests {
    use super::count;
    use crate::testing::{Canned, Fake, config, request};

    #[test]
    fn the_count_is_what_the_upstream_read() {
        let answer = r#"{"choices":[{"index":0}],"usage":{"prompt_tokens":42,"completion_tokens":1}}"#;
        let (fake, config) = (Fake::of(Canned::json(200, answer)), config("{}"));
        assert_eq!(count(&fake.client(&config), &request("hi")).unwrap(), 42);
        assert_eq!(fake.body()["max_completion_tokens"], 1);
        assert_eq!(fake.body().get("stream"), None);
    }

    #[test]
    fn what_was_not_counted_is_not_made_up() {
        for answer in [r#"{"choices":[]}"#, r#"{"usage":{"completion_tokens":1}}"#] {
            let (fake, config) = (Fake::of(Canned::json(200, answer)), config("{}"));
            let problem = count(&fake.client(&config), &request("hi")).unwrap_err();
            assert!(problem.message.contains("cannot be counted"), "{problem:?}");
        }
    }
}
