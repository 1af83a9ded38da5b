//! `vectors`: linked, since every interface always is, and granted to nobody yet.
//!
//! The registry refuses a manifest that requires it, so that a guest that calls it all the same is told the truth: `denied`.
//! No handle can exist; a forged one traps in the resource table.

use encaje_bindings::base::encaje::common::values::Filter;
use encaje_bindings::base::encaje::host::vectors;
use encaje_core::{Problem, ProblemKind};
use wasmtime::component::Resource;

use super::Answer;
use crate::convert::problem::to_guest;
use crate::state::State;

impl State {
    fn unserved<T>(&self, capability: &str) -> Answer<T> {
        let message = format!(
            "The plugin `{}` was not granted `{capability}`, and this version of the host does not serve it.",
            self.shared.name
        );
        Ok(Err(to_guest(
            Problem::new(ProblemKind::Denied, message).with_code("not_served"),
        )))
    }
}

/// A handle that was never given out.
fn forged<T>() -> wasmtime::Result<T> {
    wasmtime::bail!("a handle of a capability that is not served")
}

impl vectors::Host for State {
    async fn open(&mut self, _: String, _: u32, _: vectors::Metric) -> Answer<Resource<vectors::Collection>> {
        self.unserved("vectors")
    }
}

impl vectors::HostCollection for State {
    async fn upsert(&mut self, _: Resource<vectors::Collection>, _: Vec<vectors::Point>, _: Vec<f32>) -> Answer<()> {
        forged()
    }

    async fn remove(&mut self, _: Resource<vectors::Collection>, _: Filter) -> Answer<u64> {
        forged()
    }

    async fn search(
        &mut self,
        _: Resource<vectors::Collection>,
        _: Vec<f32>,
        _: u32,
        _: Filter,
        _: Option<u32>,
    ) -> Answer<Vec<vectors::Neighbour>> {
        forged()
    }

    async fn count(&mut self, _: Resource<vectors::Collection>, _: Filter) -> Answer<u64> {
        forged()
    }

    async fn stats(&mut self, _: Resource<vectors::Collection>) -> Answer<vectors::IndexStats> {
        forged()
    }

    async fn drop(&mut self, _: Resource<vectors::Collection>) -> wasmtime::Result<()> {
        forged()
    }
}
