//! `GET /api/v1/plugins`: the plugins that serve, how they fare, and why the last edit of the registry was refused, if it
//! was.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use encaje_core::generation::{Access, PluginEntry};
use serde::{Deserialize, Serialize};

use crate::admit::Admitted;
use crate::edge::Edge;

/// For a tenant: the reasons show paths and lines of the operator's file. Who calls without a key is on the operator's
/// machine.
const REFUSED: &str = "The last edit of the registry was not taken over; the server's log and `encaje plan` say why.";

/// The plugins of the generation that serves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PluginListBody {
    /// Counts up from 1.
    pub generation: u64,
    /// Why the last edit of the registry was not taken over; null when it was. Where callers show keys, only that it was
    /// not.
    pub refused: Option<String>,
    /// In the order of the registry.
    pub plugins: Vec<PluginBody>,
}

/// One plugin. Times are microseconds, sizes bytes; counts are since it was loaded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PluginBody {
    /// In the registry.
    pub name: String,
    /// E.g. `provider`.
    pub kind: String,
    /// Of its manifest.
    pub version: String,
    /// SHA-256 of its component.
    pub digest: String,
    /// `per-call` or `warm`.
    pub instance: String,
    /// `closed`, `half-open` or `open`.
    pub breaker: String,
    /// Visits that have ended.
    pub calls: u64,
    /// Visits that ended with a problem, by its class.
    pub errors: BTreeMap<String, u64>,
    /// Calls that were turned away before a visit began, by the code that they were told.
    #[serde(default)]
    pub turned_away: BTreeMap<String, u64>,
    /// Visits that run now.
    pub running: u64,
    /// Calls that wait for an instance.
    pub waiting: usize,
    /// Instances that it may have at once.
    pub instances: usize,
    /// An upper bound of the median of the visits' wall-clock time.
    pub p50_us: u64,
    /// An upper bound of its 99th percentile.
    pub p99_us: u64,
    /// CPU time of all visits.
    pub cpu_us: u64,
    /// The largest that an instance's memories were.
    pub peak_memory: u64,
    /// Bytes to and from other hosts.
    pub egress_bytes: u64,
}

/// `GET /api/v1/plugins`
pub(crate) async fn list(State(edge): State<Edge>, admitted: Admitted) -> Json<PluginListBody> {
    let generation = &admitted.generation;
    Json(PluginListBody {
        generation: generation.number,
        refused: edge.server().refused().map(|why| match generation.access {
            Access::Anonymous => why.to_string(),
            Access::Keys(_) => REFUSED.to_owned(),
        }),
        plugins: generation.plugins.iter().map(PluginBody::from).collect(),
    })
}

impl From<&PluginEntry> for PluginBody {
    fn from(entry: &PluginEntry) -> Self {
        let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let health = entry.observed.health();
        let errors = health.failures.iter();
        Self {
            name: entry.observed.name().to_owned(),
            kind: entry.observed.kind().as_str().to_owned(),
            version: entry.version.clone(),
            digest: entry.digest.clone(),
            instance: if entry.warm { "warm" } else { "per-call" }.to_owned(),
            breaker: entry.supervisor.breaker.state().as_str().to_owned(),
            calls: health.calls,
            errors: errors.map(|(class, count)| ((*class).to_owned(), *count)).collect(),
            turned_away: entry
                .refused()
                .into_iter()
                .map(|(code, count)| (code.to_owned(), count))
                .collect(),
            running: health.running,
            waiting: entry.observed.waiting(),
            instances: entry.observed.instances(),
            p50_us: micros(health.quantile(0.5)),
            p99_us: micros(health.quantile(0.99)),
            cpu_us: micros(health.cpu),
            peak_memory: health.peak_memory,
            egress_bytes: health.egress_bytes,
        }
    }
}
