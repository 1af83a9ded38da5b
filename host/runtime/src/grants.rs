//! What one plugin was granted, as handles: what is not here it does not have.
//!
//! The composition root resolves the registry's names to handles; a guest names a database or a model, and only those in
//! its own [`Capabilities`] are found.

use std::collections::BTreeMap;
use std::sync::Arc;

use encaje_capabilities::egress::Egress;
use encaje_capabilities::kv::Kv;
use encaje_capabilities::sql::Database;
use encaje_core::ports::Inference;

/// A metric that a manifest declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricSpec {
    /// `add` for a counter, `observe` for a histogram.
    pub histogram: bool,
    /// The labels that every sample must have, no more and no less.
    pub labels: Vec<String>,
}

/// Which routed models a plugin may ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ModelScope {
    /// None.
    #[default]
    None,
    /// Whatever a route answers.
    All,
    /// These; a `*` at the end of a name stands for any ending.
    Only(Vec<String>),
}

impl ModelScope {
    /// Whether it holds a model.
    pub(crate) fn covers(&self, model: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Only(names) => names.iter().any(|name| match name.strip_suffix('*') {
                Some(prefix) => model.starts_with(prefix),
                None => name == model,
            }),
        }
    }
}

/// A plugin's authority, whole.
#[derive(Clone, Default)]
pub struct Capabilities {
    /// Databases by the name that the registry granted.
    pub sql: BTreeMap<String, Database>,
    /// The durable map.
    pub kv: Option<Kv>,
    /// The native models, and which of them it may use.
    pub inference: Option<(Arc<dyn Inference>, Vec<String>)>,
    /// Requests to other hosts, and the secrets that go along.
    pub http: Option<Egress>,
    /// Which routed models it may ask.
    pub models: ModelScope,
    /// Metrics by name; empty when none are declared or granted.
    pub metrics: BTreeMap<String, MetricSpec>,
}

impl std::fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capabilities")
            .field("sql", &self.sql.keys().collect::<Vec<_>>())
            .field("kv", &self.kv.is_some())
            .field("inference", &self.inference.as_ref().map(|(_, models)| models))
            .field("http", &self.http.is_some())
            .field("models", &self.models)
            .field("metrics", &self.metrics.keys().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::ModelScope;

    #[test]
    fn a_scope_covers_names_and_beginnings() {
        let only = ModelScope::Only(vec!["small".to_owned(), "gpt-*".to_owned()]);
        for (model, covered) in [
            ("small", true),
            ("small-2", false),
            ("gpt-9", true),
            ("gp", false),
            ("", false),
        ] {
            assert_eq!(only.covers(model), covered, "{model}");
        }
        assert!(ModelScope::All.covers("any"));
        assert!(!ModelScope::None.covers("any"));
    }
}
