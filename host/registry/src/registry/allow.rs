//! `allow`: what the operator lets a plugin have, as typed grants. What it gets in the end is decided in `manifest`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::http::{self, HttpRule};
use super::secret::{self, SecretBinding};
use crate::diagnostic::Span;
use crate::names::Name;
use crate::reader::{Node, Shape, Table, string_text};

const ALLOW: Shape = Shape {
    known: &[
        "inference",
        "sql",
        "kv",
        "metrics",
        "http",
        "secrets",
        "models",
        "vectors",
    ],
    renamed: &[
        ("database", "`sql = [\"NAME\"]`"),
        ("databases", "`sql = [\"NAME\"]`"),
        ("network", "`http = [\"HOST:443\"]`"),
        ("hosts", "`http = [\"HOST:443\"]`"),
        ("net", "`http = [\"HOST:443\"]`"),
        ("env", "`secrets`; a plugin sees no environment"),
        ("model", "`inference` for local models, `models` for routed ones"),
        ("vector", "`vectors`"),
        ("log", "nothing: every plugin may log"),
        ("clock", "nothing: every plugin has the clock"),
        ("config", "nothing: every plugin sees its own `config`"),
        ("filesystem", "nothing: no plugin sees files"),
    ],
};

/// A grant that names things, or all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    /// Nothing.
    #[default]
    None,
    /// Everything that there is, now or later.
    All,
    /// These.
    Only(Vec<String>),
}

impl Scope {
    /// Whether nothing is granted.
    pub fn is_none(&self) -> bool {
        match self {
            Self::None => true,
            Self::All => false,
            Self::Only(names) => names.is_empty(),
        }
    }

    /// Whether a name is within it, itself or by the start of one and a `*`. A pattern is within it when all that it
    /// stands for is.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Only(names) => names.iter().any(|known| covers(known, name)),
        }
    }
}

/// As it is written, so that a plan shows it so; nothing is as if it were not there.
impl Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_none(),
            Self::All => serializer.serialize_bool(true),
            Self::Only(names) => names.serialize(serializer),
        }
    }
}

/// Whether a name or pattern takes in another.
pub(crate) fn covers(known: &str, name: &str) -> bool {
    known == name || known.strip_suffix('*').is_some_and(|prefix| name.starts_with(prefix))
}

/// What the operator allows a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Allow {
    /// Local models by name.
    pub inference: Vec<String>,
    /// Databases by name.
    pub sql: Vec<String>,
    /// A key-value store of its own.
    pub kv: bool,
    /// The metrics that its manifest declares.
    pub metrics: bool,
    /// Which requests it may send; one that any of the rules takes goes out.
    pub http: Vec<HttpRule>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, SecretBinding>,
    /// Routed models, through the host's own flow.
    pub models: Scope,
    /// Vector collections.
    pub vectors: Scope,
    #[serde(skip)]
    pub(crate) places: Places,
}

/// Where the parts of an `allow` stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// `allow` itself; `None` when it is not written.
    pub(crate) whole: Option<Span>,
    /// Each key.
    pub(crate) keys: BTreeMap<String, Span>,
    /// Each name of `inference`, `sql` and `models`, in that key's order.
    pub(crate) names: Vec<(&'static str, String, Span)>,
    /// Each name of `secrets`.
    pub(crate) secrets: BTreeMap<String, Span>,
}

impl Allow {
    pub(super) fn read(node: &Node<'_>) -> Self {
        let mut allow = Self::default();
        allow.places.whole = Some(node.key);
        let Some(table) = node.table(&ALLOW, "`allow = { kv = true }`") else {
            return allow;
        };
        for key in ALLOW.known {
            if let Some(node) = table.get(key) {
                allow.places.keys.insert((*key).to_owned(), node.key);
            }
        }
        allow.inference = allow.list(&table, "inference", Name::Model, "`inference = [\"MODEL\"]`");
        allow.sql = allow.list(&table, "sql", Name::Plain, "`sql = [\"DATABASE\"]`");
        allow.kv = table.get("kv").and_then(|node| node.boolean()).unwrap_or(false);
        allow.metrics = table.get("metrics").and_then(|node| node.boolean()).unwrap_or(false);
        allow.http = table.get("http").map(|node| http::rules(&node)).unwrap_or_default();
        for (name, binding, at) in table.get("secrets").iter().flat_map(secret::bindings) {
            allow.places.secrets.insert(name.clone(), at);
            allow.secrets.insert(name, binding);
        }
        allow.models = allow.scope(&table, "models", Name::Pattern);
        allow.vectors = allow.scope(&table, "vectors", Name::Plain);
        allow
    }

    fn list(&mut self, table: &Table<'_>, key: &'static str, rule: Name, example: &str) -> Vec<String> {
        let Some(node) = table.get(key) else { return Vec::new() };
        if node.is_boolean() {
            let message = format!("`{}` must name what it allows", node.path);
            node.error(message, format!("write {example}"));
            return Vec::new();
        }
        let names = node.names(rule, example).unwrap_or_default();
        self.places
            .names
            .extend(names.iter().map(|(name, at)| (key, name.clone(), *at)));
        names.into_iter().map(|(name, _)| name).collect()
    }

    fn scope(&mut self, table: &Table<'_>, key: &'static str, rule: Name) -> Scope {
        let Some(node) = table.get(key) else { return Scope::None };
        if node.is_boolean() {
            return if node.boolean() == Some(true) {
                Scope::All
            } else {
                Scope::None
            };
        }
        let example = format!("`{key} = true` or `{key} = [\"NAME\"]`");
        let names = node.names(rule, &example).unwrap_or_default();
        self.places
            .names
            .extend(names.iter().map(|(name, at)| (key, name.clone(), *at)));
        Scope::Only(names.into_iter().map(|(name, _)| name).collect())
    }

    /// As the registry writes it: `{ inference = ["a"], kv = true }`.
    pub fn to_toml(&self) -> String {
        let list = |names: Vec<String>| {
            format!(
                "[{}]",
                names
                    .iter()
                    .map(|name| string_text(name))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        };
        let mut parts: Vec<String> = Vec::new();
        let mut put = |key: &str, value: Option<String>| parts.extend(value.map(|value| format!("{key} = {value}")));
        put(
            "inference",
            (!self.inference.is_empty()).then(|| list(self.inference.clone())),
        );
        put("sql", (!self.sql.is_empty()).then(|| list(self.sql.clone())));
        put("kv", self.kv.then(|| "true".to_owned()));
        put("metrics", self.metrics.then(|| "true".to_owned()));
        let rules: Vec<String> = self.http.iter().map(HttpRule::to_toml).collect();
        put("http", (!rules.is_empty()).then(|| format!("[{}]", rules.join(", "))));
        let secrets: Vec<String> = self
            .secrets
            .iter()
            .map(|(name, binding)| binding.to_toml(name))
            .collect();
        put(
            "secrets",
            (!secrets.is_empty()).then(|| format!("{{ {} }}", secrets.join(", "))),
        );
        for (key, scope) in [("models", &self.models), ("vectors", &self.vectors)] {
            match scope {
                Scope::None => {}
                Scope::All => put(key, Some("true".to_owned())),
                Scope::Only(names) => put(key, Some(list(names.clone()))),
            }
        }
        if parts.is_empty() {
            "{}".to_owned()
        } else {
            format!("{{ {} }}", parts.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_shown_as_it_is_written() {
        assert_eq!(Allow::default().to_toml(), "{}");
        let allow = Allow {
            inference: vec!["a".into(), "b".into()],
            kv: true,
            models: Scope::All,
            ..Allow::default()
        };
        assert_eq!(
            allow.to_toml(),
            r#"{ inference = ["a", "b"], kv = true, models = true }"#
        );
    }

    #[test]
    fn a_pattern_stands_for_what_begins_so() {
        let scope = Scope::Only(vec!["gpt-*".into(), "small".into()]);
        for name in ["gpt-4o", "gpt-", "gpt-*", "gpt-4*", "small"] {
            assert!(scope.has(name), "{name}");
        }
        for name in ["gpt", "g*", "*", "smaller", "small*", ""] {
            assert!(!scope.has(name), "{name}");
        }
        assert!(Scope::Only(vec!["*".into()]).has("anything"));
        assert!(!Scope::Only(Vec::new()).has("anything") && !Scope::None.has("anything"));
    }
}
