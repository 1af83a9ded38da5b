//! The conformance kit: what any implementation of a port of `encaje-core` must keep to, whatever it is written in.
//!
//! One function a kind runs that kind's suite and returns a [`Report`]: [`provider`], [`storage`], [`evaluator`],
//! [`instrumentor`], [`retriever`], [`source`]. Each check is named by what must hold, stands alone, and ends in time. What
//! an implementation does not offer is skipped, with the reason; what it offers must hold.
//!
//! It knows ports alone: loading a plugin and adapting it is its caller's business, and so are files, flags and colours.
//! It asks what the contract (`wit/`) says and not more: an answer's quality, speed and cost are not judged.
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

mod evaluator;
mod generate;
mod instrumentor;
pub mod limits;
mod oracle;
mod provider;
mod report;
mod retriever;
mod run;
mod settings;
mod source;
mod storage;
#[cfg(test)]
mod tests;

pub use evaluator::evaluator;
pub use instrumentor::instrumentor;
pub use provider::provider;
pub use report::{Check, Outcome, Report};
pub use retriever::retriever;
pub use settings::Settings;
pub use source::source;
pub use storage::storage;
