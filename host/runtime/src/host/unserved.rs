//! `http`, `secrets`, `models`, `vectors`: linked, since every interface always is, and granted to nobody yet.
//!
//! The registry refuses a manifest that requires one of them, so that a guest that calls one all the same is told the
//! truth: `denied`. No handle of theirs can exist; a forged one traps in the resource table.

use encaje_bindings::base::encaje::common::chat::{ChatRequest, Chunk};
use encaje_bindings::base::encaje::common::embeddings::{EmbedRequest, EmbedResponse, Ranked, RerankRequest};
use encaje_bindings::base::encaje::common::errors::Problem as GuestProblem;
use encaje_bindings::base::encaje::common::values::Filter;
use encaje_bindings::base::encaje::host::{http, models, secrets, vectors};
use encaje_core::{Problem, ProblemKind};
use wasmtime::component::Resource;

use crate::convert::problem::to_guest;
use crate::state::State;

type Answer<T> = wasmtime::Result<Result<T, GuestProblem>>;

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

impl http::Host for State {
    async fn send(&mut self, _: http::Request) -> Answer<Resource<http::Response>> {
        self.unserved("http")
    }
}

impl http::HostResponse for State {
    async fn status(&mut self, _: Resource<http::Response>) -> wasmtime::Result<u16> {
        forged()
    }

    async fn headers(&mut self, _: Resource<http::Response>) -> wasmtime::Result<Vec<(String, String)>> {
        forged()
    }

    async fn read(&mut self, _: Resource<http::Response>, _: u32) -> Answer<Option<Vec<u8>>> {
        forged()
    }

    async fn read_line(&mut self, _: Resource<http::Response>) -> Answer<Option<String>> {
        forged()
    }

    async fn drop(&mut self, _: Resource<http::Response>) -> wasmtime::Result<()> {
        forged()
    }
}

impl secrets::Host for State {
    fn available(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn reveal(&mut self, _: String) -> Answer<String> {
        self.unserved("secrets")
    }
}

impl models::Host for State {
    async fn complete(&mut self, _: ChatRequest) -> Answer<Resource<models::Completion>> {
        self.unserved("models")
    }

    async fn embed(&mut self, _: EmbedRequest) -> Answer<EmbedResponse> {
        self.unserved("models")
    }

    async fn rerank(&mut self, _: RerankRequest) -> Answer<Vec<Ranked>> {
        self.unserved("models")
    }
}

impl models::HostCompletion for State {
    async fn next(&mut self, _: Resource<models::Completion>) -> Answer<Option<Vec<Chunk>>> {
        forged()
    }

    async fn drop(&mut self, _: Resource<models::Completion>) -> wasmtime::Result<()> {
        forged()
    }
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
