//! The ports of what scores, finds and brings in: evaluators, retrievers, sources.

use async_trait::async_trait;

use crate::call::Call;
use crate::documents::Document;
use crate::evaluation::{CorpusScore, MetricInfo, Sample, SampleScore};
use crate::problem::Problem;
use crate::retrieval::{Beginning, CollectionStats, Found, Item, Search, Upserted};
use crate::value::Filter;

/// Scores what a model said.
#[async_trait]
pub trait Evaluator: Send + Sync {
    /// Its name in the registry.
    fn name(&self) -> &str;

    /// The metrics that it has.
    async fn metrics(&self, call: &Call) -> Result<Vec<MetricInfo>, Problem>;

    /// Begins an evaluation. `NotFound` for a metric that it does not have, `InvalidRequest` for `params`, a JSON text, that
    /// do not fit.
    async fn start(&self, call: &Call, metric: &str, params: &str) -> Result<Box<dyn Evaluation>, Problem>;
}

/// One evaluation of one metric over any number of samples. Dropping it gives the evaluation up.
#[async_trait]
pub trait Evaluation: Send {
    /// Judges these samples; one outcome for each, in order.
    async fn push(&mut self, samples: Vec<Sample>) -> Result<Vec<SampleScore>, Problem>;

    /// The score of everything that was pushed; nothing is asked after it.
    async fn finish(&mut self) -> Result<CorpusScore, Problem>;
}

/// Finds passages for a question.
#[async_trait]
pub trait Retriever: Send + Sync {
    /// Its name in the registry.
    fn name(&self) -> &str;

    /// Opens a collection of the caller's tenant, and makes it where there is none. `spec` is a JSON text.
    async fn open(&self, call: &Call, name: &str, spec: &str) -> Result<Box<dyn Collection>, Problem>;
}

/// An open collection. Dropping it closes it; what was written stays.
#[async_trait]
pub trait Collection: Send {
    /// Idempotent by content. What it reports is on disk when it returns.
    async fn upsert(&mut self, documents: Vec<Document>) -> Result<Upserted, Problem>;

    /// Removes the documents that match; the empty filter removes all. Returns how many.
    async fn remove(&mut self, filter: &Filter) -> Result<u64, Problem>;

    /// Searches.
    async fn retrieve(&mut self, search: Search) -> Result<Found, Problem>;

    /// Counts what there is.
    async fn stats(&mut self) -> Result<CollectionStats, Problem>;

    /// Ends it; nothing is asked afterwards. Without it a plugin that is kept warm has to begin anew.
    async fn close(&mut self) -> Result<(), Problem> {
        Ok(())
    }
}

/// Brings documents in.
#[async_trait]
pub trait DocumentSource: Send + Sync {
    /// Its name in the registry.
    fn name(&self) -> &str;

    /// Where to begin.
    async fn begin(&self, call: &Call, location: &str) -> Result<Beginning, Problem>;

    /// Fetches and reads one item; `state` is what the last fetch of it returned.
    async fn fetch(&self, call: &Call, location: &str, state: Option<&str>) -> Result<Item, Problem>;
}
