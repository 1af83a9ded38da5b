//! Brings in what the server needs before it serves: the Rust guest target, plugins built from source, model files.
//!
//! Everything lands under [`EncajeHome`], is published by one rename, and is made once however many processes ask for it
//! at the same time (a file lock each). This crate does not read the registry, load a component, or hold an HTTP client:
//! downloads go through the [`models::Download`] port, which the composition root implements.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a test that meets the unexpected should stop there, with the place in its message"
    )
)]

pub mod build;
mod digest;
pub mod guest_target;
pub mod home;
pub mod limits;
mod lock;
pub mod models;
mod process;
pub mod progress;
pub mod scaffold;
mod staging;

pub use digest::{Sha256, Sha256Error};
pub use home::{EncajeHome, HomeError};
pub use progress::{Meter, Progress, Quiet, TerminalProgress, Work};
