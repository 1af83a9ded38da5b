//! `registry.toml`, plugin manifests, the lock and the settings: from text to checked values, once.
//!
//! Everything the operator writes comes in here and leaves as types that cannot say a wrong thing: names that exist,
//! sizes within bounds, digests of the right length. All errors of a file are reported at once, each with its line, its
//! column and what to write instead ([`Diagnostic`]).
//!
//! This crate reads the files that it is given and writes `registry.lock`; it opens no socket, builds and downloads
//! nothing, and knows no WebAssembly. What a plugin is allowed ([`Grants`]) is decided here and enforced elsewhere.
//!
//! ```
//! let text = r#"
//!     [plugins.store]
//!     kind = "storage"
//!     source = { path = "plugins/store" }
//!     limts = { memory = "64MiB" }
//! "#;
//! let wrong = encaje_registry::Registry::parse(text, "registry.toml").unwrap_err();
//! assert_eq!(wrong[0].line, 5);
//! assert_eq!(wrong[0].fix.as_deref(), Some("did you mean `limits`?"));
//! ```
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

mod diagnostic;
mod digest;
pub mod limits;
mod lock;
mod manifest;
mod names;
mod plan;
mod reader;
mod registry;
mod secrets;
mod settings;
mod units;

pub use diagnostic::{Diagnostic, Severity, render};
pub use digest::{Digest, DigestError};
pub use lock::{Lock, LockError, Pin, Pins};
pub use manifest::{
    Build, Grants, Instance, Language, Manifest, MetricDeclaration, MetricKind, Need, PREVIOUS_WIT_VERSION, Requires,
    Resolved, WIT_VERSION,
};
pub use plan::{Action, Change, Detail, Plan, Subject};
pub use registry::{
    Allow, Breaker, CostMode, Database, HostPort, HttpRule, Limits, Model, ModelFile, ModelFormat, ModelSource,
    OnError, Plugin, PluginSource, Registry, Retry, Route, Scope, SecretBinding, Server, WhenStorageFails,
};
pub use secrets::{SecretError, Secrets};
pub use settings::{Environment, Flags, Listed, Origin, Setting, SettingError, Settings};
pub use units::{format_duration, format_size, parse_duration, parse_size};
