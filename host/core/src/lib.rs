//! The domain of Encaje: its types, its ports and its flows.
//!
//! Everything that a request means is decided here, and nothing here touches the outside: no HTTP, no Wasm, no SQL, no
//! files. The edges (`encaje-http`, `encaje-runtime`, `encaje-capabilities`, `encaje-inference`) depend on this crate and
//! meet at its [`ports`]; the binary wires them together.
//!
//! The types mirror the WIT family (`wit/`) one to one, so that what a plugin sees is what a flow handles.
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

pub mod call;
pub mod chat;
pub mod documents;
pub mod embeddings;
pub mod evaluation;
pub mod flow;
pub mod generation;
pub mod health;
pub mod id;
pub mod ledger;
pub mod limits;
pub mod ports;
pub mod problem;
pub mod retrieval;
pub mod route;
pub mod schema;
pub mod server;
pub mod storage;
pub mod supervise;
pub mod telemetry;
pub mod time;
pub mod trace;
pub mod traces;
pub mod transcript;
pub mod value;

pub use call::{Call, Caller};
pub use problem::{Problem, ProblemKind};
