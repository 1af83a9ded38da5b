//! The plugin's table of the registry, checked, and what follows from it alone: addresses and headers. It reaches nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use encaje_sdk::errors::Problem;
use encaje_sdk::http::Request;
use serde::Deserialize;

use crate::limits::MAX_HEADERS;

/// Headers that are the host's or this plugin's to set.
const OWN_HEADERS: [&str; 12] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "idempotency-key",
    "proxy-authorization",
    "traceparent",
    "transfer-encoding",
];

/// How the upstream calls the limit of an answer's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MaxTokensField {
    /// The newer name.
    #[default]
    MaxCompletionTokens,
    /// The older name, which many compatible servers know alone.
    MaxTokens,
}

impl MaxTokensField {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxTokens => "max_tokens",
        }
    }
}

/// The plugin's table of the registry; the manifest describes it and has the same defaults.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) base_url: String,
    #[serde(default = "default_secret")]
    pub(crate) secret: String,
    pub(crate) organization: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) models: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) max_tokens_field: MaxTokensField,
    #[serde(default = "yes")]
    pub(crate) stream_usage: bool,
    #[serde(default)]
    pub(crate) extended_sampling: bool,
    #[serde(default)]
    pub(crate) input_type: bool,
    #[serde(default = "default_connect")]
    pub(crate) connect_timeout_ms: u32,
    #[serde(default = "default_first_byte")]
    pub(crate) first_byte_timeout_ms: u32,
    #[serde(default = "default_total")]
    pub(crate) total_timeout_ms: u32,
}

fn default_secret() -> String {
    "OPENAI_API_KEY".to_owned()
}

fn yes() -> bool {
    true
}

fn default_connect() -> u32 {
    10_000
}

fn default_first_byte() -> u32 {
    120_000
}

fn default_total() -> u32 {
    600_000
}

fn misconfigured(key: &str, message: &str) -> Problem {
    Problem::misconfigured(format!("config.{key} {message}")).with_param(format!("config.{key}"))
}

impl Config {
    /// Refuses what would be sent wrong, in words of its own: the manifest's schema knows patterns, not reasons.
    pub(crate) fn checked(self) -> Result<Self, Problem> {
        let rest = ["https://", "http://"]
            .iter()
            .find_map(|scheme| self.base_url.strip_prefix(scheme));
        let rest = rest.ok_or_else(|| misconfigured("base_url", "must begin with `https://` or `http://`"))?;
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        if host.is_empty()
            || rest.contains(|letter: char| letter == '#' || letter.is_whitespace() || letter.is_control())
        {
            return Err(misconfigured(
                "base_url",
                "must name a host and have no `#` and no spaces",
            ));
        }
        if host.contains('@') {
            let message = "must hold no user and no password; a key is a secret, which `secret` names";
            return Err(misconfigured("base_url", message));
        }
        if self.headers.len() > MAX_HEADERS {
            return Err(misconfigured(
                "headers",
                &format!("has more than {MAX_HEADERS} headers"),
            ));
        }
        for (name, value) in &self.headers {
            check_header(name, value)?;
        }
        for (key, value) in [("organization", &self.organization), ("project", &self.project)] {
            if value.as_deref().is_some_and(|value| !is_header_value(value)) {
                return Err(misconfigured(key, "must be printable ASCII"));
            }
        }
        Ok(self)
    }

    /// Whether the secret, where one is named, is among those that have a value.
    pub(crate) fn check_secret(&self, available: &[String]) -> Result<(), Problem> {
        if self.secret.is_empty() || available.contains(&self.secret) {
            return Ok(());
        }
        let message = format!(
            "names `{}`, which is not granted or has no value: set it in the environment or in `.env` and allow it in the \
             registry, or write `secret = \"\"` for an upstream without a key",
            self.secret
        );
        Err(misconfigured("secret", &message))
    }

    /// The address of a path of the upstream, e.g. `/models`.
    pub(crate) fn url(&self, path: &str) -> String {
        match self.base_url.split_once('?') {
            Some((base, query)) => format!("{}{path}?{query}", base.trim_end_matches('/')),
            None => format!("{}{path}", self.base_url.trim_end_matches('/')),
        }
    }

    /// Adds what every request has: key, headers, timeouts.
    pub(crate) fn dress(&self, mut request: Request) -> Request {
        let millis = |millis: u32| Duration::from_millis(u64::from(millis));
        request = request.with_timeouts(
            millis(self.connect_timeout_ms),
            millis(self.first_byte_timeout_ms),
            millis(self.total_timeout_ms),
        );
        if !self.secret.is_empty() {
            request = request.with_secret(&self.secret);
        }
        let named = [
            ("openai-organization", &self.organization),
            ("openai-project", &self.project),
        ];
        for (name, value) in named
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
        {
            request = request.with_header(name, value);
        }
        for (name, value) in &self.headers {
            request = request.with_header(name.to_ascii_lowercase(), value);
        }
        request
    }
}

/// Whether a header can have this value.
pub(crate) fn is_header_value(value: &str) -> bool {
    value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

fn check_header(name: &str, value: &str) -> Result<(), Problem> {
    let key = format!("headers.{name}");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(misconfigured(
            "headers",
            "has a name that is not letters, digits, `-` and `_`",
        ));
    }
    if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(misconfigured(
            &key,
            "is not for the configuration to set; a key is a secret, which `secret` names",
        ));
    }
    if !is_header_value(value) {
        return Err(misconfigured(&key, "must be printable ASCII"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Config, MaxTokensField, Problem, Request};
    use encaje_sdk::errors::ProblemKind;

    fn config(json: &str) -> Result<Config, Problem> {
        encaje_sdk::parse_config::<Config>(json).and_then(Config::checked)
    }

    #[test]
    fn the_manifests_defaults_are_the_plugins() {
        let manifest: toml::Table = toml::from_str(include_str!("../plugin.toml")).unwrap();
        let properties = manifest["config"]["properties"].as_table().unwrap();
        let mut filled = serde_json::Map::new();
        filled.insert("base_url".to_owned(), "https://u.example/v1".into());
        for (name, schema) in properties {
            if let Some(default) = schema.get("default") {
                filled.insert(name.clone(), serde_json::to_value(default).unwrap());
            }
        }
        assert!(filled.len() >= 8, "{filled:?}");
        let filled = config(&serde_json::Value::from(filled).to_string()).unwrap();
        assert_eq!(filled, config(r#"{"base_url":"https://u.example/v1"}"#).unwrap());
        assert_eq!(filled.max_tokens_field, MaxTokensField::MaxCompletionTokens);
    }

    #[test]
    fn a_path_goes_behind_the_base_and_before_its_query() {
        let url = |base: &str| config(&format!(r#"{{"base_url":"{base}"}}"#)).unwrap().url("/models");
        assert_eq!(url("https://u.example/v1"), "https://u.example/v1/models");
        assert_eq!(url("http://127.0.0.1:8000/"), "http://127.0.0.1:8000/models");
        assert_eq!(
            url("https://u.example/x/?api-version=1"),
            "https://u.example/x/models?api-version=1"
        );
    }

    #[test]
    fn every_request_has_the_key_the_headers_and_the_timeouts() {
        let config = config(
            r#"{"base_url":"https://u.example","secret":"K","organization":"o","project":"p",
                "headers":{"X-Title":"t"},"total_timeout_ms":7}"#,
        );
        let request = config.unwrap().dress(Request::get("https://u.example"));
        assert_eq!(request.secret.as_deref(), Some("K"));
        assert_eq!(request.total_timeout_ms, Some(7));
        let pairs: Vec<_> = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [("openai-organization", "o"), ("openai-project", "p"), ("x-title", "t")]
        );
    }

    #[test]
    fn an_upstream_without_a_key_gets_none() {
        let config = config(r#"{"base_url":"http://u.example","secret":""}"#).unwrap();
        assert_eq!(config.dress(Request::get("x")).secret, None);
        assert!(config.check_secret(&[]).is_ok());
    }

    #[test]
    fn a_secret_without_a_value_is_named() {
        let config = config(r#"{"base_url":"http://u.example"}"#).unwrap();
        let problem = config.check_secret(&["OTHER".to_owned()]).unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::Misconfigured));
        assert!(problem.message.contains("`OPENAI_API_KEY`"), "{}", problem.message);
        assert!(config.check_secret(&["OPENAI_API_KEY".to_owned()]).is_ok());
    }

    #[test]
    fn the_operators_mistakes_are_named() {
        for (json, param) in [
            (r#"{"base_url":"u.example/v1"}"#, "config.base_url"),
            (r#"{"base_url":"https:///v1"}"#, "config.base_url"),
            (r#"{"base_url":"https://key@u.example/v1"}"#, "config.base_url"),
            (r#"{"base_url":"https://u.example/ v1"}"#, "config.base_url"),
            (
                r#"{"base_url":"http://u","headers":{"Authorization":"x"}}"#,
                "config.headers.Authorization",
            ),
            (r#"{"base_url":"http://u","headers":{"x":"a\nb"}}"#, "config.headers.x"),
            (r#"{"base_url":"http://u","headers":{"a b":""}}"#, "config.headers"),
            (r#"{"base_url":"http://u","project":"é"}"#, "config.project"),
            (
                r#"{"base_url":"http://u","max_tokens_field":"tokens"}"#,
                "config.max_tokens_field",
            ),
            (r#"{"base_url":"http://u","temperature":1}"#, "config.temperature"),
        ] {
            let problem = config(json).unwrap_err();
            assert!(matches!(problem.kind, ProblemKind::Misconfigured), "{json}");
            assert_eq!(problem.param.as_deref(), Some(param), "{json}");
        }
    }
}
