//! The plugin's table of the registry: raw, then checked. The manifest's schema has seen it before, but a plugin does not
//! trust its host to have looked.

use encaje_sdk::errors::Problem;
use serde::Deserialize;

use crate::limits::MAX_REPLACEMENT;
use crate::rules::Rules;

/// As the operator wrote it, defaults filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    keywords: Vec<String>,
    whole_words: bool,
    patterns: Vec<String>,
    window: usize,
    action: Action,
    #[serde(rename = "where")]
    places: Vec<Place>,
    replacement: String,
}

/// What happens to a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// The request is refused, the answer ends.
    Block,
    /// It is replaced.
    Redact,
    /// It is noted.
    Flag,
}

impl Action {
    /// As the operator writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Redact => "redact",
            Self::Flag => "flag",
        }
    }
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    Input,
    Output,
}

/// What to look for, where, and what then.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) rules: Rules,
    pub(crate) action: Action,
    pub(crate) input: bool,
    pub(crate) output: bool,
    pub(crate) replacement: String,
}

impl Guard {
    /// Reads and checks the table.
    ///
    /// # Errors
    /// `misconfigured`, naming the key.
    pub(crate) fn new(json: &str) -> Result<Self, Problem> {
        let raw: Raw = encaje_sdk::parse_config(json)?;
        if raw.places.is_empty() {
            let message = "config.where is empty: nothing would be guarded; name `input`, `output` or both";
            return Err(Problem::misconfigured(message).with_param("config.where"));
        }
        if raw.replacement.len() > MAX_REPLACEMENT {
            let message = format!("config.replacement has more than {MAX_REPLACEMENT} bytes");
            return Err(Problem::misconfigured(message).with_param("config.replacement"));
        }
        Ok(Self {
            rules: Rules::new(&raw.keywords, raw.whole_words, &raw.patterns, raw.window)?,
            action: raw.action,
            input: raw.places.contains(&Place::Input),
            output: raw.places.contains(&Place::Output),
            replacement: raw.replacement,
        })
    }

    /// The hooks that this table needs. What is only flagged in an answer is read when the answer is over.
    pub(crate) fn hooks(&self) -> Vec<String> {
        let filters = self.output && self.action != Action::Flag;
        [("before", self.input), ("filter", filters), ("after", true)]
            .into_iter()
            .filter(|(_, needed)| *needed)
            .map(|(hook, _)| hook.to_owned())
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Action, Guard};
    use encaje_sdk::errors::Problem;
    use serde_json::json;

    /// A guard with these settings, and defaults.
    pub(crate) fn guard(settings: serde_json::Value) -> Result<Guard, Problem> {
        let mut table = json!({
            "keywords": [], "whole_words": true, "patterns": [], "window": 16, "action": "redact",
            "where": ["input", "output"], "replacement": "#",
        });
        for (name, value) in settings.as_object().unwrap() {
            table[name] = value.clone();
        }
        Guard::new(&table.to_string())
    }

    #[test]
    fn the_hooks_follow_from_where_and_action() {
        let hooks = |settings| guard(settings).unwrap().hooks();
        assert_eq!(hooks(json!({"keywords": ["a"]})), ["before", "filter", "after"]);
        assert_eq!(
            hooks(json!({"keywords": ["a"], "where": ["input"]})),
            ["before", "after"]
        );
        assert_eq!(
            hooks(json!({"keywords": ["a"], "where": ["output"]})),
            ["filter", "after"]
        );
        assert_eq!(hooks(json!({"keywords": ["a"], "action": "flag"})), ["before", "after"]);
        assert_eq!(Action::Flag.name(), "flag");
    }

    #[test]
    fn each_mistake_names_its_key() {
        for (settings, key) in [
            (json!({}), "config.keywords"),
            (json!({"keywords": [""]}), "config.keywords[0]"),
            (json!({"keywords": ["a", "x".repeat(129)]}), "config.keywords[1]"),
            (json!({"keywords": vec!["a"; 1001]}), "config.keywords"),
            (json!({"patterns": ["a", "("]}), "config.patterns[1]"),
            (json!({"patterns": ["x*"]}), "config.patterns[0]"),
            (json!({"patterns": ["(a{100}){100}{100}"]}), "config.patterns[0]"),
            (json!({"patterns": vec!["a"; 33]}), "config.patterns"),
            (json!({"keywords": ["a"], "window": 15}), "config.window"),
            (json!({"keywords": ["a"], "where": []}), "config.where"),
            (
                json!({"keywords": ["a"], "replacement": "x".repeat(257)}),
                "config.replacement",
            ),
            (json!({"keywords": ["a"], "action": "shout"}), "config.action"),
        ] {
            let problem = guard(settings.clone()).unwrap_err();
            assert_eq!(problem.param.as_deref(), Some(key), "{settings}: {}", problem.message);
        }
    }
}
