//! Probabilities of tokens, in the two shapes that this wire has for them.

use std::collections::BTreeMap;

use encaje_sdk::chat::{Alternative, TokenLogprob};
use serde::Deserialize;

/// Those of a chat.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ChatLogprobs {
    pub(crate) content: Option<Vec<Token>>,
    pub(crate) refusal: Option<Vec<Token>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Token {
    token: String,
    /// Null where a server has no number for "impossible".
    logprob: Option<f64>,
    /// Null where the token is no text.
    bytes: Option<Vec<u8>>,
    top_logprobs: Option<Vec<Rival>>,
}

#[derive(Debug, Deserialize)]
struct Rival {
    token: String,
    logprob: Option<f64>,
    bytes: Option<Vec<u8>>,
}

impl From<Token> for TokenLogprob {
    fn from(token: Token) -> Self {
        Self {
            bytes: token.bytes.unwrap_or_else(|| token.token.clone().into_bytes()),
            token: token.token,
            logprob: token.logprob.unwrap_or(f64::NEG_INFINITY),
            top: token
                .top_logprobs
                .unwrap_or_default()
                .into_iter()
                .map(Alternative::from)
                .collect(),
        }
    }
}

impl From<Rival> for Alternative {
    fn from(rival: Rival) -> Self {
        Self {
            bytes: rival.bytes.unwrap_or_else(|| rival.token.clone().into_bytes()),
            token: rival.token,
            logprob: rival.logprob.unwrap_or(f64::NEG_INFINITY),
        }
    }
}

/// Rivals of a token by their text.
type Rivals = BTreeMap<String, Option<f64>>;

/// Those of a completion without a conversation: lists of one length.
#[derive(Debug, Deserialize)]
pub(crate) struct CompletionLogprobs {
    tokens: Option<Vec<String>>,
    token_logprobs: Option<Vec<Option<f64>>>,
    top_logprobs: Option<Vec<Option<Rivals>>>,
}

impl CompletionLogprobs {
    /// `None` where the lists do not have one length.
    pub(crate) fn tokens(self) -> Option<Vec<TokenLogprob>> {
        let tokens = self.tokens.unwrap_or_default();
        let logprobs = self.token_logprobs.unwrap_or_default();
        let mut top = self.top_logprobs.unwrap_or_default();
        if top.is_empty() {
            top.resize_with(tokens.len(), || None);
        }
        if logprobs.len() != tokens.len() || top.len() != tokens.len() {
            return None;
        }
        let all = tokens.into_iter().zip(logprobs).zip(top);
        Some(
            all.map(|((token, logprob), rivals)| with_rivals(token, logprob, rivals.unwrap_or_default()))
                .collect(),
        )
    }
}

fn with_rivals(token: String, logprob: Option<f64>, rivals: Rivals) -> TokenLogprob {
    let alternative = |(token, logprob): (String, Option<f64>)| Alternative {
        bytes: bytes_of(&token),
        token,
        logprob: logprob.unwrap_or(f64::NEG_INFINITY),
    };
    let mut top: Vec<Alternative> = rivals.into_iter().map(alternative).collect();
    top.sort_by(|left, right| right.logprob.total_cmp(&left.logprob));
    TokenLogprob {
        bytes: bytes_of(&token),
        token,
        logprob: logprob.unwrap_or(f64::NEG_INFINITY),
        top,
    }
}

/// A token that is no whole characters is written `bytes:\xe2\x80` here.
fn bytes_of(token: &str) -> Vec<u8> {
    let escaped = token.strip_prefix("bytes:").and_then(|escapes| {
        let pairs = escapes.strip_prefix("\\x")?.split("\\x");
        pairs
            .map(|pair| (pair.len() == 2).then(|| u8::from_str_radix(pair, 16).ok()).flatten())
            .collect::<Option<Vec<u8>>>()
    });
    escaped.unwrap_or_else(|| token.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::{CompletionLogprobs, Token, TokenLogprob};
    use serde_json::json;

    #[test]
    fn a_token_has_its_bytes_also_where_none_were_sent() {
        let token: Token = serde_json::from_value(json!({
            "token": "é", "logprob": -0.5, "bytes": null,
            "top_logprobs": [{"token": "e", "logprob": null, "bytes": [101]}],
        }))
        .unwrap();
        let token = TokenLogprob::from(token);
        assert_eq!((token.bytes.as_slice(), token.logprob), ("é".as_bytes(), -0.5));
        assert_eq!(
            (token.top[0].bytes.as_slice(), token.top[0].logprob),
            (b"e".as_slice(), f64::NEG_INFINITY)
        );
    }

    #[test]
    fn lists_become_tokens_and_rivals_are_ordered() {
        let lists: CompletionLogprobs = serde_json::from_value(json!({
            "tokens": ["a", "bytes:\\xe2\\x80"], "token_logprobs": [-1.0, null], "text_offset": [0, 1],
            "top_logprobs": [{"b": -2.0, "a": -1.0}, null],
        }))
        .unwrap();
        let tokens = lists.tokens().unwrap();
        let rivals: Vec<_> = tokens[0].top.iter().map(|rival| rival.token.as_str()).collect();
        assert_eq!(rivals, ["a", "b"]);
        assert_eq!(tokens[1].bytes, [0xe2, 0x80]);
        let odd: CompletionLogprobs = serde_json::from_value(json!({"tokens": ["a"], "token_logprobs": []})).unwrap();
        assert!(odd.tokens().is_none());
    }

    #[test]
    fn only_whole_escapes_are_bytes() {
        assert_eq!(super::bytes_of("bytes:\\xzz"), b"bytes:\\xzz");
        assert_eq!(super::bytes_of("bytes:"), b"bytes:");
        assert_eq!(super::bytes_of("x"), b"x");
    }
}
