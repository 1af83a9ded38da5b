//! What needs more than one crate: the plugins in their sandbox, the server as a process, the repository's own rules.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that fails should say where; and in one binary, `pub` reaches as far as it can"
)]

mod assembled;
mod authors;
mod commands;
mod guests;
mod guides;
mod hog;
mod hostile;
mod inference;
mod judged;
mod kinds;
mod languages;
mod loading;
mod local;
mod misbehaviour;
mod openai;
mod pressure;
mod provider;
mod reach;
mod reload;
mod sandbox;
mod serve;
mod storage;
mod support;
mod tidy;
mod tools;
mod upstream;
mod versions;
mod visits;
mod watch;
mod wit;
