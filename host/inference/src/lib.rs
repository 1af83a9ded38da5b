//! Native models of this machine, behind `encaje_core::ports::Inference`: GGUF chat models of the llama family and
//! sentence embeddings.
//!
//! [`LocalModels`] is the adapter that the binary makes. Below it, [`Model`] is the seam to the arithmetic: prefill,
//! decode a batch, embed. This crate fetches no files (`encaje-supply` does), speaks no wire format and knows no plugin.
//!
//! A request's way: `local` (find the model, check, tokenize) → `scheduler` (one thread a model, one token of every answer
//! a round) → `answer` (sampling, text) → the caller's channel.
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

mod answer;
mod cache;
mod chat;
mod embed;
mod error;
mod gguf;
pub mod limits;
mod loaded;
mod local;
mod math;
mod model;
mod pool;
mod scheduler;
mod slot;
mod spec;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use cache::{Cache, CacheShape};
pub use error::ModelError;
pub use loaded::GgufModel;
pub use local::LocalModels;
pub use model::{Facts, Logits, Model, Next, Wanted};
pub use spec::{Format, ModelLimits, ModelSpec};
