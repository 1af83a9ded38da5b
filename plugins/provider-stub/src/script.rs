//! What the stub is told to do, by the operator (`config.script`) and by the request (the `extra` entry `stub`), and how
//! the two are joined. It does nothing itself.

use std::time::Duration;

use encaje_sdk::errors::{Problem, ProblemKind};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::limits::{MAX_DELAY_MS, MAX_DIMENSIONS, MAX_PIECES, MAX_TOOL_CALLS};

/// The plugin's table of the registry; the manifest describes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) models: Vec<String>,
    pub(crate) context_tokens: u32,
    pub(crate) dimensions: u32,
    #[serde(default)]
    pub(crate) script: Script,
}

impl Config {
    /// Refuses what the manifest's schema would have refused, for hosts that do not validate.
    pub(crate) fn checked(self) -> Result<Self, Problem> {
        if self.dimensions == 0 || self.dimensions > MAX_DIMENSIONS {
            let message = format!("config.dimensions must lie between 1 and {MAX_DIMENSIONS}");
            return Err(Problem::misconfigured(message).with_param("config.dimensions"));
        }
        self.script.check().map_err(|(key, message)| {
            let key = format!("config.script.{key}");
            Problem::misconfigured(format!("{key} {message}")).with_param(key)
        })?;
        Ok(self)
    }
}

/// What an answer does. Absent entries leave the default, which is to echo.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Script {
    pub(crate) text: Option<String>,
    pub(crate) reasoning: Option<String>,
    pub(crate) tool_calls: Option<Vec<ScriptedCall>>,
    /// In how many pieces each text is said.
    pub(crate) deltas: Option<u32>,
    /// Chunks a `next`.
    pub(crate) batch: Option<u32>,
    /// Waited before each `next` that says something.
    pub(crate) delay_ms: Option<u64>,
    pub(crate) fail: Option<Failure>,
    /// Chunks that are still said before it fails; absent is to fail at once.
    pub(crate) fail_after: Option<u64>,
    pub(crate) retry_after_ms: Option<u64>,
    pub(crate) endless: Option<bool>,
}

/// A tool call to make.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScriptedCall {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) arguments: Map<String, Value>,
}

/// A class of problem that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Failure {
    InvalidRequest,
    Unauthenticated,
    Denied,
    NotFound,
    Conflict,
    TooLarge,
    ContextExceeded,
    ContentBlocked,
    Unsupported,
    RateLimited,
    QuotaExceeded,
    Overloaded,
    Unavailable,
    Timeout,
    Cancelled,
    Misconfigured,
    Internal,
}

impl Failure {
    fn kind(self) -> ProblemKind {
        match self {
            Self::InvalidRequest => ProblemKind::InvalidRequest,
            Self::Unauthenticated => ProblemKind::Unauthenticated,
            Self::Denied => ProblemKind::Denied,
            Self::NotFound => ProblemKind::NotFound,
            Self::Conflict => ProblemKind::Conflict,
            Self::TooLarge => ProblemKind::TooLarge,
            Self::ContextExceeded => ProblemKind::ContextExceeded,
            Self::ContentBlocked => ProblemKind::ContentBlocked,
            Self::Unsupported => ProblemKind::Unsupported,
            Self::RateLimited => ProblemKind::RateLimited,
            Self::QuotaExceeded => ProblemKind::QuotaExceeded,
            Self::Overloaded => ProblemKind::Overloaded,
            Self::Unavailable => ProblemKind::Unavailable,
            Self::Timeout => ProblemKind::Timeout,
            Self::Cancelled => ProblemKind::Cancelled,
            Self::Misconfigured => ProblemKind::Misconfigured,
            Self::Internal => ProblemKind::Internal,
        }
    }
}

impl Script {
    /// The script of one request: its own `stub` entry over the operator's, entry by entry.
    pub(crate) fn for_request(&self, extra: &[(String, String)]) -> Result<Self, Problem> {
        let Some(own) = encaje_sdk::parse_extra::<Self>(extra, "stub")? else {
            return Ok(self.clone());
        };
        own.check().map_err(|(key, message)| {
            let key = format!("stub.{key}");
            Problem::invalid_request(format!("{key} {message}")).with_param(key)
        })?;
        Ok(own.over(self))
    }

    fn over(self, base: &Self) -> Self {
        Self {
            text: self.text.or_else(|| base.text.clone()),
            reasoning: self.reasoning.or_else(|| base.reasoning.clone()),
            tool_calls: self.tool_calls.or_else(|| base.tool_calls.clone()),
            deltas: self.deltas.or(base.deltas),
            batch: self.batch.or(base.batch),
            delay_ms: self.delay_ms.or(base.delay_ms),
            fail: self.fail.or(base.fail),
            fail_after: self.fail_after.or(base.fail_after),
            retry_after_ms: self.retry_after_ms.or(base.retry_after_ms),
            endless: self.endless.or(base.endless),
        }
    }

    /// The key that is out of its range, and what is wrong with it.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let pieces = |count: Option<u32>| count.is_none_or(|count| (1..=MAX_PIECES).contains(&count));
        if !pieces(self.deltas) {
            return Err(("deltas", format!("must lie between 1 and {MAX_PIECES}")));
        }
        if !pieces(self.batch) {
            return Err(("batch", format!("must lie between 1 and {MAX_PIECES}")));
        }
        if self.delay_ms.is_some_and(|delay| delay > MAX_DELAY_MS) {
            return Err(("delay_ms", format!("must be at most {MAX_DELAY_MS}")));
        }
        if self
            .tool_calls
            .as_ref()
            .is_some_and(|calls| calls.len() > MAX_TOOL_CALLS)
        {
            return Err(("tool_calls", format!("must be at most {MAX_TOOL_CALLS}")));
        }
        Ok(())
    }

    /// The problem that was asked for.
    pub(crate) fn failure(&self) -> Option<Problem> {
        let kind = self.fail?.kind();
        let message = format!("the stub was told to fail with {kind:?}");
        let problem = Problem::new(kind, message).with_code("stub_failure");
        Some(match self.retry_after_ms {
            Some(after) => problem.with_retry_after(Duration::from_millis(after)),
            None => problem,
        })
    }

    /// The wait before each `next`, if any.
    pub(crate) fn delay(&self) -> Option<Duration> {
        self.delay_ms.filter(|delay| *delay > 0).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, ProblemKind, Script};

    fn entries(json: &str) -> Vec<(String, String)> {
        vec![("stub".to_owned(), json.to_owned())]
    }

    #[test]
    fn a_request_overrides_the_operator_entry_by_entry() {
        let operator = Script {
            text: Some("a".to_owned()),
            delay_ms: Some(5),
            ..Script::default()
        };
        let script = operator
            .for_request(&entries(r#"{"text":"b","endless":true}"#))
            .unwrap();
        assert_eq!(script.text.as_deref(), Some("b"));
        assert_eq!((script.delay_ms, script.endless), (Some(5), Some(true)));
        assert_eq!(operator.for_request(&[]).unwrap(), operator);
    }

    #[test]
    fn unknown_entries_and_wrong_values_are_refused_by_name() {
        let script = Script::default();
        for (json, param) in [
            (r#"{"txt":"a"}"#, "stub.txt"),
            (r#"{"fail":"sometimes"}"#, "stub.fail"),
            (r#"{"deltas":0}"#, "stub.deltas"),
            (r#"{"batch":0}"#, "stub.batch"),
            (r#"{"delay_ms":60001}"#, "stub.delay_ms"),
            (
                r#"{"tool_calls":[{"name":"f","arguments":[]}]}"#,
                "stub.tool_calls[0].arguments",
            ),
        ] {
            let problem = script.for_request(&entries(json)).unwrap_err();
            assert!(matches!(problem.kind, ProblemKind::InvalidRequest), "{json}");
            assert_eq!(problem.param.as_deref(), Some(param), "{json}");
        }
    }

    #[test]
    fn every_class_of_failure_can_be_asked_for() {
        let manifest: serde_json::Value = {
            // The manifest lists the same words; both are read so that they cannot drift apart.
            let text = include_str!("../plugin.toml");
            let list = text.split("fail]\nenum = [").nth(1).unwrap().split(']').next().unwrap();
            serde_json::from_str(&format!("[{}]", list.trim().trim_end_matches(','))).unwrap()
        };
        let words = manifest.as_array().unwrap();
        assert_eq!(words.len(), 17);
        for word in words {
            let script = Script::default().for_request(&entries(&format!(r#"{{"fail":{word},"retry_after_ms":7}}"#)));
            let problem = script.unwrap().failure().unwrap();
            assert_eq!(problem.retry_after_ms, Some(7));
            let debug = format!("{:?}", problem.kind).to_lowercase();
            assert!(
                debug.ends_with(&word.as_str().unwrap().replace('-', "")),
                "{word}: {debug}"
            );
        }
    }

    #[test]
    fn the_operators_mistakes_are_misconfigured() {
        let config = |json: &str| encaje_sdk::parse_config::<Config>(json).and_then(Config::checked);
        assert!(config(r#"{"models":["m"],"context_tokens":9,"dimensions":3}"#).is_ok());
        for json in [
            r#"{"models":["m"],"context_tokens":9,"dimensions":0}"#,
            r#"{"models":["m"],"context_tokens":9,"dimensions":3,"script":{"deltas":0}}"#,
            r#"{"models":["m"],"context_tokens":9,"dimensions":3,"scripts":{}}"#,
        ] {
            assert!(
                matches!(config(json).unwrap_err().kind, ProblemKind::Misconfigured),
                "{json}"
            );
        }
    }
}
