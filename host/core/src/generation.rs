//! One set of plugins, routes and keys that belong together, and the atomic swap to the next.
//!
//! A request takes the current generation once, at its start, and keeps it to its end: old and new never mix within one
//! request. An old generation is dropped, and its plugins with it, when the last request that holds it ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::health::Observed;
use crate::ports::{Instrumentor, SharedProvider, SharedStorage};
use crate::problem::{BREAKER_OPEN, PLUGIN_BUSY, Problem, ProblemKind};
use crate::route::{Routes, Target};
use crate::supervise::Supervisor;

/// An API key, known by its hash alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its name in the registry; traces carry it as the user.
    pub name: String,
    /// Whose data it reaches.
    pub tenant: String,
    /// SHA-256 of the key.
    pub sha256: [u8; 32],
}

/// Who may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody, as [`crate::Caller::anonymous`]; only on a loopback address.
    Anonymous,
    /// Whoever shows one of these keys.
    Keys(Vec<ApiKey>),
}

/// A provider, and what watches over it.
#[derive(Clone)]
pub struct Provided {
    /// The plugin.
    pub port: SharedProvider,
    /// Its breaker and its tries.
    pub supervisor: Arc<Supervisor>,
}

/// An instrument in the path of calls.
#[derive(Clone)]
pub struct Instrumented {
    /// The plugin.
    pub port: Arc<dyn Instrumentor>,
    /// Its breaker.
    pub supervisor: Arc<Supervisor>,
    /// Whether a call fails with it, or goes on without it.
    pub required: bool,
}

/// A loaded plugin of any kind, for those who look on.
#[derive(Clone)]
pub struct PluginEntry {
    /// Its visits and its own metrics.
    pub observed: Arc<dyn Observed>,
    /// Its breaker.
    pub supervisor: Arc<Supervisor>,
    /// Of its manifest.
    pub version: String,
    /// SHA-256 of its component, in hexadecimal digits.
    pub digest: String,
    /// Whether its instances serve more than one visit.
    pub warm: bool,
}

/// Plugins, routes and keys that serve together.
pub struct Generation {
    /// Counts up from 1.
    pub number: u64,
    /// Providers by their name in the registry.
    pub providers: BTreeMap<String, Provided>,
    /// In the order in which they run.
    pub instruments: Vec<Instrumented>,
    /// Where the ledger writes.
    pub storage: SharedStorage,
    /// Every plugin, in the order of the registry.
    pub plugins: Vec<PluginEntry>,
    /// Which provider answers which model.
    pub routes: Routes,
    /// Who may call.
    pub access: Access,
}

impl PluginEntry {
    /// Calls that were turned away at its door, by the code that they were told: they are no visits, and in no count of
    /// those.
    pub fn refused(&self) -> [(&'static str, u64); 2] {
        [
            (PLUGIN_BUSY, self.observed.health().refused),
            (BREAKER_OPEN, self.supervisor.breaker.refused()),
        ]
    }
}

impl Generation {
    /// The targets of a model that are there to be asked, in order.
    ///
    /// # Errors
    /// `NotFound` (`model_not_found`) when no route answers the model; `Misconfigured` when a route names a provider
    /// that is not loaded.
    pub fn targets(&self, model: &str) -> Result<Vec<(&Target, &Provided)>, Problem> {
        let route = self.routes.find(model).ok_or_else(|| {
            Problem::new(
                ProblemKind::NotFound,
                format!("The model `{model}` does not exist: no route answers it."),
            )
            .with_code("model_not_found")
            .with_param("model")
        })?;
        route
            .to
            .iter()
            .map(|target| {
                let provider = self.providers.get(&target.plugin).ok_or_else(|| {
                    Problem::new(
                        ProblemKind::Misconfigured,
                        "The model's route names a provider that is not loaded.",
                    )
                    .with_detail(format!("route `{}` names `{}`", route.pattern, target.plugin))
                })?;
                Ok((target, provider))
            })
            .collect()
    }
}

/// The generation that new requests take.
pub struct Current(ArcSwap<Generation>);

impl Current {
    /// Starts with a first generation.
    pub fn new(first: Generation) -> Self {
        Self(ArcSwap::from_pointee(first))
    }

    /// The generation of now.
    pub fn get(&self) -> Arc<Generation> {
        self.0.load_full()
    }

    /// From now on, new requests take `next`; what runs on the old one goes on. Returns the old one.
    pub fn swap(&self, next: Generation) -> Arc<Generation> {
        self.0.swap(Arc::new(next))
    }
}
