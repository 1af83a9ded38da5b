//! The plugin's table of the registry. The manifest's schema has seen it before, but a plugin does not trust its host to
//! have looked.

use std::collections::BTreeMap;

use encaje_sdk::errors::Problem;
use serde::Deserialize;

use crate::limits::{MAX_BYTES, MAX_NAME, MAX_TEXT, MAX_TEXTS, MAX_TIMEOUT_MS};

/// As the operator wrote it, defaults filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// By name.
    pub(crate) texts: BTreeMap<String, String>,
    /// Bytes of the largest file.
    pub(crate) max_bytes: u64,
    /// Until a file must have come.
    pub(crate) timeout_ms: u32,
}

impl Config {
    /// # Errors
    /// `misconfigured`, naming the key.
    pub(crate) fn parse(json: &str) -> Result<Self, Problem> {
        let config: Self = encaje_sdk::parse_config(json)?;
        let refuse = |key: String, why: String| Err(Problem::misconfigured(format!("{key}: {why}")).with_param(key));
        if !(1..=MAX_BYTES).contains(&config.max_bytes) {
            return refuse(
                "config.max_bytes".to_owned(),
                format!("must lie between 1 and {MAX_BYTES}"),
            );
        }
        if !(1..=MAX_TIMEOUT_MS).contains(&config.timeout_ms) {
            return refuse(
                "config.timeout_ms".to_owned(),
                format!("must lie between 1 and {MAX_TIMEOUT_MS}"),
            );
        }
        if config.texts.len() > MAX_TEXTS {
            return refuse("config.texts".to_owned(), format!("more than {MAX_TEXTS} texts"));
        }
        for (name, text) in &config.texts {
            let key = format!("config.texts.{name}");
            if name.is_empty() || name.len() > MAX_NAME || name.trim() != name {
                return refuse(
                    key,
                    format!("a name has 1 to {MAX_NAME} bytes and no space at its ends"),
                );
            }
            if text.len() > MAX_TEXT {
                return refuse(key, format!("more than {MAX_TEXT} bytes"));
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::Config;
    use serde_json::json;

    #[test]
    fn each_mistake_names_its_key() {
        let parse = |texts: serde_json::Value, max_bytes: u64, timeout_ms: u64| {
            Config::parse(&json!({"texts": texts, "max_bytes": max_bytes, "timeout_ms": timeout_ms}).to_string())
        };
        assert_eq!(parse(json!({"a": "x"}), 1, 1).unwrap().texts["a"], "x");
        for (texts, max_bytes, timeout_ms, key) in [
            (json!({}), 0, 1, "config.max_bytes"),
            (json!({}), (16 << 20) + 1, 1, "config.max_bytes"),
            (json!({}), 1, 0, "config.timeout_ms"),
            (json!({"": "x"}), 1, 1, "config.texts."),
            (json!({" a": "x"}), 1, 1, "config.texts. a"),
            (json!({"a": "x".repeat((1 << 20) + 1)}), 1, 1, "config.texts.a"),
            (json!({"a": 1}), 1, 1, "config.texts.a"),
        ] {
            assert_eq!(
                parse(texts, max_bytes, timeout_ms).unwrap_err().param.as_deref(),
                Some(key)
            );
        }
    }
}
