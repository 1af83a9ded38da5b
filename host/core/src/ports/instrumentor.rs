//! The port of what stands in the path of every call, or hears of it.

use async_trait::async_trait;

use crate::call::Call;
use crate::chat::{ChatRequest, Chunk};
use crate::problem::Problem;
use crate::telemetry::{Annotation, Span};
use crate::trace::Exchange;

/// What an instrument decides before anybody is asked.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one a call, and it is moved once")]
pub enum Decision {
    /// The request goes on as it is.
    Pass,
    /// This request goes on instead.
    Replace(ChatRequest),
    /// The caller gets this problem; no provider is asked.
    Reject(Problem),
    /// The answer itself; no provider is asked.
    Answer(Vec<Chunk>),
}

/// A guard, a redactor, a cache of answers, an exporter.
#[async_trait]
pub trait Instrumentor: Send + Sync {
    /// Its name in the registry.
    fn name(&self) -> &str;

    /// Its hooks: `before`, `filter`, `after`, `export-spans`, `ingest`. The flow calls no other.
    fn offers(&self) -> &[String];

    /// Takes an instance for one request; it is given back when the instrument is dropped.
    async fn attend(&self, call: &Call) -> Result<Box<dyn Instrument>, Problem>;

    /// Sends finished spans elsewhere.
    async fn export_spans(&self, call: &Call, batch: &[Span]) -> Result<(), Problem>;

    /// A payload of a foreign shape, as the spans that it tells of.
    async fn ingest(&self, call: &Call, format: &str, payload: &[u8]) -> Result<Vec<Span>, Problem>;
}

/// An instrumentor's part in one request. The hooks come in this order, each of the first two once.
#[async_trait]
pub trait Instrument: Send {
    /// Before anybody is asked.
    async fn before(&mut self, request: &ChatRequest) -> Result<Decision, Problem>;

    /// Before the first chunk; from then on chunks may be pushed.
    async fn open_filter(&mut self, request: &ChatRequest) -> Result<(), Problem>;

    /// The provider's next chunks; returns what is to be sent now, which may be nothing.
    async fn push(&mut self, chunks: Vec<Chunk>) -> Result<Vec<Chunk>, Problem>;

    /// The answer is over; returns what was held back.
    async fn finish(&mut self) -> Result<Vec<Chunk>, Problem>;

    /// After the call has ended, however it did.
    async fn after(&mut self, exchange: &Exchange) -> Result<Annotation, Problem>;
}
