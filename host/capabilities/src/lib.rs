//! What a guest can be granted, as plain Rust without Wasm: [`sql`], [`kv`], [`egress`] (`http` and `secrets`), and beside
//! them what the server itself keeps in files: the [`spool`] of batches that wait for a storage, and [`download()`]s of
//! models.
//!
//! This is the one crate that knows a database engine and an HTTP client. It knows no Wasm, no plugin and no grant:
//! `encaje-runtime` decides who may call what and converts the types.
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

pub mod download;
pub mod egress;
pub mod kv;
pub mod limits;
pub mod spool;
pub mod sql;

#[cfg(test)]
mod testing;

pub use download::download;
