//! The flows and the ledger over fakes of every port.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that fails should say where"
)]

mod fakes;
mod flow;
mod instruments;
mod ledger;
mod models;
mod supervision;
