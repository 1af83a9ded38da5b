//! The sandbox: loads components, bounds them, and adapts them to the ports of `encaje-core`.
//!
//! - [`engine`]: one wasmtime engine with its pool, its epoch ticker and its cache of compiled code.
//! - [`plugin`]: one loaded plugin: linked, bounded, checked; makes an instance for each visit.
//! - `visit`: one instance while it is used, with its deadline, its CPU account and its crossing.
//! - `adapt`: the ports over guests, one module a kind; `convert`: domain types to and from the WIT's.
//! - [`host`]: what guests import, thin over `encaje-capabilities`.
//! - `previous`: plugins that were built for the contracts' previous minor version, beside those of the current one.
//!
//! Nothing here knows what a plugin is for, or which ones exist.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a test that fails should say where"
    )
)]

mod adapt;
mod cache;
mod component;
mod convert;
pub mod engine;
pub mod fit;
pub mod grants;
pub mod host;
mod lane;
pub mod limits;
mod meter;
mod output;
mod places;
pub mod plugin;
mod previous;
mod state;
mod visit;

pub use adapt::instrumentor::InstrumentorPlugin;
pub use adapt::knowledge::{EvaluatorPlugin, RetrieverPlugin, SourcePlugin};
pub use adapt::provider::ProviderPlugin;
pub use adapt::storage::StoragePlugin;
pub use engine::Runtime;
pub use grants::{Capabilities, MetricSpec, ModelScope};
pub use limits::PluginLimits;
pub use plugin::{Plugin, PluginSpec};
