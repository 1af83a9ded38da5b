//! Metrics, samples and scores, as `encaje:evaluator` has them.

use crate::chat::{Message, Usage};
use crate::documents::Passage;
use crate::problem::{Extra, Json, Problem};
use crate::telemetry::Score;

/// What a metric cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Right answers.
    References,
    /// What was asked.
    Question,
    /// What the model was given to answer from.
    Context,
    /// The whole conversation.
    Messages,
    /// Retrieved ids, and the relevant ones.
    Ranking,
    /// A model that judges.
    Judge,
    /// A model that embeds.
    Embeddings,
}

/// A metric as it is listed.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricInfo {
    /// What a run names.
    pub name: String,
    /// What it measures.
    pub description: String,
    /// The least value there is.
    pub lowest: Option<f64>,
    /// The largest value there is.
    pub highest: Option<f64>,
    /// Whether a larger value is a better one.
    pub higher_is_better: bool,
    /// What it cannot do without.
    pub needs: Vec<Need>,
    /// The same input gives the same score, always.
    pub deterministic: bool,
    /// JSON Schema of its parameters.
    pub params: Json,
}

/// One thing to judge. What the metric does not need may be empty or absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// The caller's own; comes back with the score.
    pub id: String,
    /// What the model said.
    pub output: String,
    /// Right answers; any of them will do.
    pub references: Vec<String>,
    /// What was asked.
    pub question: Option<String>,
    /// What the model was given to answer from.
    pub context: Vec<Passage>,
    /// The whole conversation, oldest first.
    pub messages: Vec<Message>,
    /// Retrieved ids, best first.
    pub ranking: Vec<String>,
    /// The relevant ids with their grades; 0 is not relevant.
    pub relevant: Vec<(String, u32)>,
    /// What else is known of the sample.
    pub extra: Extra,
}

/// The outcome for one sample.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleScore {
    /// The sample's.
    pub id: String,
    /// Its score, or why there is none.
    pub outcome: Result<Score, Problem>,
}

/// What is said of all samples together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CorpusScore {
    /// One or several.
    pub scores: Vec<Score>,
    /// Tokens that judging took.
    pub usage: Option<Usage>,
    /// What else is known.
    pub extra: Extra,
}
