//! `kv`: a small durable map of the plugin's own, one a tenant.

use encaje_bindings::base::encaje::common::errors::Problem as GuestProblem;
use encaje_bindings::base::encaje::host::kv;
use encaje_capabilities::kv::Space;

use super::{answer, denied};
use crate::convert::problem;
use crate::state::State;

impl State {
    /// The plugin's map for the caller's tenant, bounded by what is left of the visit. A guest can name neither.
    fn space(&self) -> Result<Space, GuestProblem> {
        let Some(kv) = &self.shared.capabilities.kv else {
            return Err(problem::to_guest(denied(&self.shared.name, "kv", "kv = true")));
        };
        let space = kv
            .space(&self.shared.name, &self.call.caller().tenant)
            .map_err(problem::to_guest)?;
        Ok(space.within(self.remaining()))
    }
}

impl kv::Host for State {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<kv::Entry>, GuestProblem>> {
        let space = match self.space() {
            Ok(space) => space,
            Err(problem) => return Ok(Err(problem)),
        };
        let entry = space.get(&key).await;
        answer(entry.map(|entry| {
            entry.map(|entry| kv::Entry {
                key: entry.key,
                value: entry.value,
                version: entry.version,
            })
        }))
    }

    async fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        expires_ms: Option<u64>,
    ) -> wasmtime::Result<Result<u64, GuestProblem>> {
        match self.space() {
            Ok(space) => answer(space.set(&key, value, expires_ms).await),
            Err(problem) => Ok(Err(problem)),
        }
    }

    async fn compare_and_set(
        &mut self,
        key: String,
        expected: u64,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<u64, GuestProblem>> {
        match self.space() {
            Ok(space) => answer(space.compare_and_set(&key, expected, value).await),
            Err(problem) => Ok(Err(problem)),
        }
    }

    async fn remove(&mut self, key: String) -> wasmtime::Result<Result<bool, GuestProblem>> {
        match self.space() {
            Ok(space) => answer(space.remove(&key).await),
            Err(problem) => Ok(Err(problem)),
        }
    }

    async fn keys(
        &mut self,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<String>, GuestProblem>> {
        match self.space() {
            Ok(space) => answer(space.keys(&prefix, after.as_deref(), limit).await),
            Err(problem) => Ok(Err(problem)),
        }
    }
}
