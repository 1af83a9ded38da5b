//! The HTTP edge: wire formats, keys and status codes.
//!
//! A request goes through [`connection`](serve) (sockets and clocks), `edge.rs` (routes, request ids), `admit.rs` (who
//! asks, and whether it may), `body.rs` (a bounded body), then a wire's folder, which turns it into what
//! [`encaje_core::server::Server`] takes and turns the answer back. Nothing here decides who answers or what is
//! remembered: that is the core's.
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

mod admit;
mod body;
mod config;
mod connection;
mod edge;
mod json;
pub mod limits;
mod metrics;
pub mod native;
mod openai;
mod probes;
mod unread;

pub use config::EdgeConfig;
pub use connection::serve;
pub use edge::router;
