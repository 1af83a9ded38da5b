//! What guests import, thin over `encaje-capabilities`: each interface finds its handle, or answers `denied`.
//!
//! Every interface is always linked, so that imports never decide grants (invariant 5).

mod basics;
mod http;
mod inference;
mod kv;
pub mod metrics;
mod models;
mod secrets;
mod sql;
mod unserved;

use encaje_bindings::base::Base;
use encaje_bindings::base::encaje::common::errors::Problem as GuestProblem;
use encaje_core::{Problem, ProblemKind};
use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use crate::convert::problem;
use crate::previous;
use crate::state::State;

/// What a host function gives a guest: an outer error is a trap, an inner one the guest's to handle.
type Answer<T> = wasmtime::Result<Result<T, GuestProblem>>;

fn answer<T>(outcome: Result<T, Problem>) -> Answer<T> {
    Ok(outcome.map_err(problem::to_guest))
}

/// A linker with the whole world and an empty WASI.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Base::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    previous::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// What a guest hears that asks for what it was not granted: the line to add, and that the manifest must ask for it.
pub(crate) fn denied(plugin: &str, capability: &str, line: &str) -> Problem {
    Problem::new(
        ProblemKind::Denied,
        format!(
            "The plugin `{plugin}` was not granted `{capability}`. Grant it in registry.toml: [plugins.{plugin}] \
             allow = {{ {line} }} (the plugin's manifest must require it too)."
        ),
    )
    .with_code("not_granted")
}
