//! Write a plugin for Encaje in Rust: one trait a kind, one macro that exports it, and the few helpers that every plugin
//! needs. The contracts are the WIT packages; this crate adds no meaning of its own to them and knows no upstream.
//!
//! A plugin is a `cdylib` for `wasm32-wasip2` that turns on the feature of its kind: `provider`, `storage`, `evaluator`,
//! `instrumentor`, `retriever` or `source`. A whole provider:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! encaje-sdk = { path = "../../sdk/rust", features = ["provider"] }
//! serde = { version = "1", features = ["derive"] }
//! ```
//!
//! ```
//! # #[cfg(feature = "provider")]
//! # mod example {
//! use encaje_sdk::chat::{ChatEvent, ChatRequest, Chunk, FinishReason};
//! use encaje_sdk::errors::Problem;
//! use encaje_sdk::provider::{Completion, ModelInfo, Provider};
//!
//! /// The plugin's table in the registry, as `[config]` of its `plugin.toml` describes it.
//! #[derive(serde::Deserialize)]
//! struct Config {
//!     greeting: String,
//! }
//!
//! struct Greeter;
//!
//! impl Provider for Greeter {
//!     fn check() -> Result<Vec<String>, Problem> {
//!         encaje_sdk::config::<Config>()?;
//!         Ok(vec!["chat".to_owned()])
//!     }
//!
//!     fn models() -> Result<Vec<ModelInfo>, Problem> {
//!         Ok(Vec::new())
//!     }
//!
//!     fn complete(request: ChatRequest) -> Result<Box<dyn Completion>, Problem> {
//!         if request.sampling.choices > 1 {
//!             return Err(Problem::unsupported("only one choice is offered").with_param("n"));
//!         }
//!         let config: Config = encaje_sdk::config()?;
//!         Ok(Box::new(Greeting(Some(config.greeting))))
//!     }
//! }
//!
//! /// What is still to be said.
//! struct Greeting(Option<String>);
//!
//! impl Completion for Greeting {
//!     fn next(&mut self) -> Result<Option<Vec<Chunk>>, Problem> {
//!         Ok(self.0.take().map(|text| {
//!             vec![
//!                 Chunk { choice: 0, event: ChatEvent::Text(text) },
//!                 Chunk { choice: 0, event: ChatEvent::Finish(FinishReason::Stop) },
//!             ]
//!         }))
//!     }
//! }
//!
//! encaje_sdk::export_provider!(Greeter);
//! # }
//! ```
//!
//! The host runs a guest on one thread and suspends it while it waits, so plain blocking calls are right. What the
//! registry did not grant returns [`errors::ProblemKind::Denied`]. A native unit test cannot call the imports in [`host`]
//! (there is no host, and they end the test): keep the plugin's logic in functions that are given what they need.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a failed expectation is a failed test"
    )
)]

#[doc(hidden)]
pub mod bindings;
pub mod chunker;
mod extra;
pub mod http;
mod json;
mod limits;
pub mod ndjson;
mod problem;
pub mod retry_after;
pub mod sse;
pub mod template;

#[cfg(feature = "evaluator")]
pub mod evaluator;
#[cfg(feature = "instrumentor")]
pub mod instrumentor;
#[cfg(feature = "provider")]
pub mod provider;
#[cfg(feature = "retriever")]
pub mod retriever;
#[cfg(feature = "source")]
pub mod source;
#[cfg(feature = "storage")]
pub mod storage;

#[cfg(any(feature = "evaluator", feature = "retriever", feature = "source"))]
pub use bindings::documents::encaje::common::documents;
pub use bindings::encaje::common::{chat, embeddings, errors, values};
pub use bindings::encaje::host;
#[cfg(any(feature = "evaluator", feature = "instrumentor"))]
pub use bindings::telemetry::encaje::common::telemetry;
pub use extra::{extra, parse_extra};

use errors::Problem;
use serde::de::DeserializeOwned;

/// The plugin's own table of the registry.
///
/// # Errors
/// `misconfigured`, naming the key, where the table does not fit `T`.
pub fn config<T: DeserializeOwned>() -> Result<T, Problem> {
    parse_config(&host::config::get())
}

/// The same for a JSON text at hand, so that it can be tested without a host.
///
/// # Errors
/// `misconfigured`, naming the key, where the text does not fit `T`.
pub fn parse_config<T: DeserializeOwned>(json: &str) -> Result<T, Problem> {
    json::parse("config", json).map_err(|mistake| Problem::misconfigured(mistake.message).with_param(mistake.key))
}

#[cfg(test)]
mod tests {
    use super::{errors::ProblemKind, parse_config};

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        limits: Limits,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Limits {
        tokens: u32,
    }

    #[test]
    fn a_config_that_fits_is_parsed() {
        let config: Config = parse_config(r#"{"limits":{"tokens":7}}"#).unwrap();
        assert_eq!(config.limits.tokens, 7);
    }

    #[test]
    fn an_error_names_the_key() {
        let problem = parse_config::<Config>(r#"{"limits":{"tokens":"many"}}"#).unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::Misconfigured));
        assert_eq!(problem.param.as_deref(), Some("config.limits.tokens"));
        assert_eq!(
            problem.message,
            r#"config.limits.tokens: invalid type: string "many", expected u32"#
        );
    }

    #[test]
    fn an_unknown_or_missing_key_is_named_too() {
        let unknown = parse_config::<Config>(r#"{"limits":{"token":1}}"#).unwrap_err();
        assert_eq!(
            unknown.message,
            "config.limits.token: unknown field `token`, expected `tokens`"
        );
        let missing = parse_config::<Config>("{}").unwrap_err();
        assert_eq!(missing.message, "config: missing field `limits`");
    }
}
