//! The plugin against a real SQLite, without a host: each file one call of the contract, and `oracle` all of them against a
//! model in plain Rust.

mod aggregate;
mod fixture;
mod migrate;
mod oracle;
mod read;
mod sqlite;
mod stability;
mod write;
