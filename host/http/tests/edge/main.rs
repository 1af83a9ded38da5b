//! The edge over fakes: every wire output, every refusal, and real sockets where sockets matter. No plugin, no network
//! beyond the loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should say where"
)]

mod access;
mod chat;
mod completions;
mod embeddings;
mod fake;
mod native;
mod parameters;
mod plugins;
mod refusals;
mod shutdown;
mod sockets;
mod store;
mod swap;
