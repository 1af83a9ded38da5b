//! The ports: what a flow asks of the outside, and what an adapter must keep.
//!
//! The adapters are `encaje-runtime` (plugins), `encaje-inference` (native models) and `encaje-capabilities` (files).
//! Tests of the flows use fakes.

mod instrumentor;
mod knowledge;

use std::sync::Arc;

pub use instrumentor::{Decision, Instrument, Instrumentor};
pub use knowledge::{Collection, DocumentSource, Evaluation, Evaluator, Retriever};

use async_trait::async_trait;

use crate::call::Call;
use crate::chat::{ChatRequest, Chunk};
use crate::embeddings::{EmbedRequest, EmbedResponse, Ranked, RerankRequest};
use crate::problem::Problem;
use crate::storage::{Aggregation, Durability, Mutation, Page, Query, Table};

/// A model as a provider describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInfo {
    /// What requests name.
    pub id: String,
    /// Who offers it.
    pub owned_by: String,
    /// Seconds of UTC since 1970.
    pub created: Option<u64>,
    /// Tokens of prompt and answer together.
    pub context_tokens: Option<u32>,
    /// Tokens of an answer.
    pub max_output_tokens: Option<u32>,
    /// `chat`, `embed`, `rerank`, `tools`, …; readers ignore what they do not know.
    pub capabilities: Vec<String>,
}

/// A source of completions, embeddings or rankings. Dropping a future or a [`Completion`] cancels the work.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Its name in the registry.
    fn name(&self) -> &str;

    /// What it offers: `chat`, `embed`, `rerank`, `count-tokens`. The flow calls nothing else.
    fn offers(&self) -> &[String];

    /// The models that it knows by name; a provider may answer others too.
    async fn models(&self, call: &Call) -> Result<Vec<ModelInfo>, Problem>;

    /// Starts an answer.
    async fn complete(&self, call: &Call, request: ChatRequest) -> Result<Box<dyn Completion>, Problem>;

    /// Embeds texts.
    async fn embed(&self, call: &Call, request: EmbedRequest) -> Result<EmbedResponse, Problem>;

    /// Orders documents, best first.
    async fn rerank(&self, call: &Call, request: RerankRequest) -> Result<Vec<Ranked>, Problem>;

    /// The tokens that a request's input has.
    async fn count_tokens(&self, call: &Call, request: ChatRequest) -> Result<u32, Problem>;
}

/// An answer as it comes.
#[async_trait]
pub trait Completion: Send {
    /// Waits for something to say. Several chunks may come at once, none is "nothing yet"; `None` is the end, after which
    /// nothing is asked. Text is whole UTF-8 characters.
    async fn next(&mut self) -> Result<Option<Vec<Chunk>>, Problem>;
}

/// Where rows are kept.
#[async_trait]
pub trait Storage: Send + Sync {
    /// Its name in the registry.
    fn name(&self) -> &str;

    /// Brings the store to these tables; says in words what it changed. Idempotent.
    async fn migrate(&self, call: &Call, tables: &[Table]) -> Result<Vec<String>, Problem>;

    /// One transaction; rows touched by each mutation.
    async fn write(&self, call: &Call, batch: &[Mutation], durability: Durability) -> Result<Vec<u64>, Problem>;

    /// A page of rows.
    async fn read(&self, call: &Call, query: &Query) -> Result<Page, Problem>;

    /// One row a group.
    async fn aggregate(&self, call: &Call, aggregation: &Aggregation) -> Result<Page, Problem>;

    /// After deletes: afterwards no byte of what was deleted is left in any file of the store.
    async fn scrub(&self, call: &Call) -> Result<(), Problem>;
}

/// A native model of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalModel {
    /// Its name in the registry.
    pub id: String,
    /// E.g. `llama`, `bert`.
    pub architecture: String,
    /// Tokens of prompt and answer together; 0 while it has not been read yet.
    pub context_tokens: u32,
    /// `chat`, `embed`, …
    pub capabilities: Vec<String>,
    /// Whether it is in memory.
    pub loaded: bool,
}

/// The host's native models, behind the `inference` capability. Dropping a future or a [`Completion`] cancels the work
/// within one token.
#[async_trait]
pub trait Inference: Send + Sync {
    /// The models that the registry declares.
    fn models(&self) -> Vec<LocalModel>;

    /// Starts an answer; loads the model first where it is not in memory.
    async fn generate(&self, request: ChatRequest) -> Result<Box<dyn Completion>, Problem>;

    /// Embeds texts.
    async fn embed(&self, request: EmbedRequest) -> Result<EmbedResponse, Problem>;

    /// Orders documents, best first.
    async fn rerank(&self, request: RerankRequest) -> Result<Vec<Ranked>, Problem>;

    /// The tokens that a request's input has, with its chat template applied.
    async fn count_tokens(&self, request: ChatRequest) -> Result<u32, Problem>;
}

/// The models that routes answer, for a plugin that asks one in the middle of a call: the `models` capability. It belongs
/// to the generation that the call began with.
#[async_trait]
pub trait RoutedModels: Send + Sync {
    /// Starts an answer. `call` is the one at hand; what is asked here is a part of it.
    async fn complete(&self, call: &Call, request: ChatRequest) -> Result<Box<dyn Completion>, Problem>;

    /// Embeds texts.
    async fn embed(&self, call: &Call, request: EmbedRequest) -> Result<EmbedResponse, Problem>;

    /// Orders documents, best first.
    async fn rerank(&self, call: &Call, request: RerankRequest) -> Result<Vec<Ranked>, Problem>;
}

/// Where batches wait while the storage is down. Entries are kept in order and survive the death of the server.
pub trait Spool: Send + Sync {
    /// Appends one batch; it is in the operating system's hands when this returns.
    ///
    /// # Errors
    /// `TooLarge` when the spool is full, `Internal` when the disk refuses.
    fn append(&self, batch: &[Mutation]) -> Result<(), Problem>;

    /// The oldest batches that wait, at most `limit`, each with its position.
    ///
    /// # Errors
    /// `Internal` when the file cannot be read.
    fn oldest(&self, limit: usize) -> Result<Vec<(u64, Vec<Mutation>)>, Problem>;

    /// Forgets everything up to and including this position.
    ///
    /// # Errors
    /// `Internal` when the disk refuses.
    fn forget(&self, position: u64) -> Result<(), Problem>;

    /// Whether nothing waits.
    fn is_empty(&self) -> bool;
}

/// A shared provider.
pub type SharedProvider = Arc<dyn Provider>;
/// A shared storage.
pub type SharedStorage = Arc<dyn Storage>;
