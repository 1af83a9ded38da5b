//! The port `Instrumentor` over a guest: one instance for all hooks of a request.

use async_trait::async_trait;
use encaje_bindings::instrumentor::exports::encaje::instrumentor::instrumentor::Decision as GuestDecision;
use encaje_bindings::instrumentor::{Plugin as Guest, PluginPre as GuestPre};
use encaje_core::chat::{ChatRequest, Chunk};
use encaje_core::ports::{Decision, Instrument, Instrumentor};
use encaje_core::telemetry::{Annotation, Span};
use encaje_core::trace::Exchange;
use encaje_core::{Call, Problem};
use wasmtime::component::ResourceAny;

use super::{adapter, answered, bindings};
use crate::convert::{chat, problem, telemetry};
use crate::limits;
use crate::visit::Visit;

bindings!(Guest, GuestPre);

adapter! {
    /// An instrumentor plugin.
    InstrumentorPlugin, "instrumentor", Guest
}

#[async_trait]
impl Instrumentor for InstrumentorPlugin {
    fn name(&self) -> &str {
        self.plugin.name()
    }

    fn offers(&self) -> &[String] {
        &self.offers
    }

    async fn attend(&self, call: &Call) -> Result<Box<dyn Instrument>, Problem> {
        Ok(Box::new(Attending {
            visit: self.visit(call, "attend").await?,
            call: call.clone(),
            filter: None,
        }))
    }

    async fn export_spans(&self, call: &Call, batch: &[Span]) -> Result<(), Problem> {
        let mut visit = self.visit(call, "export-spans").await?;
        let batch: Vec<_> = batch.iter().map(telemetry::span_to_guest).collect();
        let said = visit
            .call(async |store, guest| {
                let hooks = guest.encaje_instrumentor_instrumentor();
                hooks.call_export_spans(store, &batch).await
            })
            .await?;
        let done = answered!(visit, said);
        visit.done();
        done
    }

    async fn ingest(&self, call: &Call, format: &str, payload: &[u8]) -> Result<Vec<Span>, Problem> {
        let mut visit = self.visit(call, "ingest").await?;
        let said = visit
            .call(async |store, guest| {
                let hooks = guest.encaje_instrumentor_instrumentor();
                hooks.call_ingest(store, format, payload).await
            })
            .await?;
        let spans = answered!(visit, said);
        visit.done();
        Ok(spans?.into_iter().map(telemetry::span_to_core).collect())
    }
}

/// An instance while a request passes it. It waits for the provider most of the time, so that its wall clock counts each
/// hook alone.
struct Attending {
    visit: Visit<Guest>,
    call: Call,
    filter: Option<ResourceAny>,
}

#[async_trait]
impl Instrument for Attending {
    async fn before(&mut self, request: &ChatRequest) -> Result<Decision, Problem> {
        self.visit.rest(&self.call);
        let request = chat::request_to_guest(request.clone());
        let said = self
            .visit
            .call(async |store, guest| {
                let hooks = guest.encaje_instrumentor_instrumentor();
                hooks.call_before(store, &request).await
            })
            .await?;
        let decision = answered!(self.visit, said)?;
        self.visit.whole();
        Ok(match decision {
            GuestDecision::Pass => Decision::Pass,
            GuestDecision::Replace(request) => Decision::Replace(chat::request_to_core(request)),
            GuestDecision::Reject(refused) => Decision::Reject(problem::to_core(refused)),
            GuestDecision::Answer(chunks) => Decision::Answer(self.chunks(chunks)?),
        })
    }

    async fn open_filter(&mut self, request: &ChatRequest) -> Result<(), Problem> {
        self.visit.rest(&self.call);
        let request = chat::request_to_guest(request.clone());
        let said = self
            .visit
            .call(async |store, guest| {
                let hooks = guest.encaje_instrumentor_instrumentor();
                hooks.call_open_filter(store, &request).await
            })
            .await?;
        self.filter = Some(answered!(self.visit, said)?);
        Ok(())
    }

    async fn push(&mut self, chunks: Vec<Chunk>) -> Result<Vec<Chunk>, Problem> {
        let Some(filter) = self.filter else { return Ok(chunks) };
        self.visit.rest(&self.call);
        let chunks: Vec<_> = chunks.into_iter().map(chat::chunk_to_guest).collect();
        let said = self
            .visit
            .call(async |store, guest| {
                let hooks = guest.encaje_instrumentor_instrumentor();
                hooks.filter().call_push(store, filter, &chunks).await
            })
            .await?;
        let chunks = answered!(self.visit, said)?;
        self.chunks(chunks)
    }

    async fn finish(&mut self) -> Result<Vec<Chunk>, Problem> {
        let Some(filter) = self.filter.take() else {
            return Ok(Vec::new());
        };
        self.visit.rest(&self.call);
        let said = self
            .visit
            .call(async |store, guest| {
                let hooks = guest.encaje_instrumentor_instrumentor();
                hooks.filter().call_finish(store, filter).await
            })
            .await?;
        let held = answered!(self.visit, said)?;
        self.visit.drop_resource(filter).await?;
        self.visit.whole();
        self.chunks(held)
    }

    async fn after(&mut self, exchange: &Exchange) -> Result<Annotation, Problem> {
        let Some(exchange) = telemetry::exchange_to_guest(exchange) else {
            return Ok(Annotation::default());
        };
        self.visit.rest_for(encaje_core::limits::AFTER);
        if let Some(filter) = self.filter.take() {
            self.visit.drop_resource(filter).await?;
        }
        let said = self
            .visit
            .call(async |store, guest| {
                let hooks = guest.encaje_instrumentor_instrumentor();
                hooks.call_after(store, &exchange).await
            })
            .await?;
        let annotation = answered!(self.visit, said);
        self.visit.done();
        annotation.map(telemetry::annotation_to_core)
    }
}

impl Drop for Attending {
    fn drop(&mut self) {
        // Not every instrument has something to do afterwards. One that filters is still in the middle of the answer.
        if self.filter.is_none() && self.visit.is_whole() {
            self.visit.done();
        }
    }
}

impl Attending {
    /// A guest's chunks, within their bounds.
    fn chunks(
        &mut self,
        chunks: Vec<encaje_bindings::base::encaje::common::chat::Chunk>,
    ) -> Result<Vec<Chunk>, Problem> {
        if chunks.len() > limits::CHUNKS_PER_NEXT {
            let problem = Problem::internal("the plugin returned too many chunks at once");
            return Err(self.visit.returned(problem));
        }
        Ok(chunks.into_iter().map(chat::chunk_to_core).collect())
    }
}
