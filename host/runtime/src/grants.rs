//! What one plugin was granted, as handles: what is not here it does not have.
//!
//! The composition root resolves the registry's names to handles; a guest names a database or a model, and only those in
//! its own [`Capabilities`] are found.

use std::collections::BTreeMap;
use std::sync::Arc;

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

/// A plugin's authority, whole.
#[derive(Clone, Default)]
pub struct Capabilities {
    /// Databases by the name that the registry granted.
    pub sql: BTreeMap<String, Database>,
    /// The durable map.
    pub kv: Option<Kv>,
    /// The native models, and which of them it may use.
    pub inference: Option<(Arc<dyn Inference>, Vec<String>)>,
    /// Metrics by name; empty when none are declared or granted.
    pub metrics: BTreeMap<String, MetricSpec>,
}

impl std::fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capabilities")
            .field("sql", &self.sql.keys().collect::<Vec<_>>())
            .field("kv", &self.kv.is_some())
            .field("inference", &self.inference.as_ref().map(|(_, models)| models))
            .field("metrics", &self.metrics.keys().collect::<Vec<_>>())
            .finish()
    }
}
