//! What is asked of an embedding or ranking model and what it answers, as `encaje:common/embeddings` has it.

use crate::chat::Usage;
use crate::problem::Extra;

/// One text to embed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbedInput {
    /// UTF-8 text.
    Text(String),
    /// Token ids of the model's own vocabulary.
    Tokens(Vec<u32>),
}

/// What the vectors are for; some models embed a question otherwise than a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// The caller did not say.
    #[default]
    Unspecified,
    /// A question.
    Query,
    /// What is to be found.
    Document,
    /// Comparison of like with like.
    Similarity,
}

/// Texts to embed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedRequest {
    /// The model.
    pub model: String,
    /// At least one.
    pub inputs: Vec<EmbedInput>,
    /// What for.
    pub purpose: Purpose,
    /// Fewer dimensions than the model's own, where the model allows it.
    pub dimensions: Option<u32>,
    /// Parameters that only some providers know.
    pub extra: Extra,
}

/// `vectors` is row-major, one row of `dimensions` an input. `covered` is the number of tokens of each input that its
/// vector stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedResponse {
    /// Length of a row.
    pub dimensions: u32,
    /// All rows.
    pub vectors: Vec<f32>,
    /// Tokens of each input that the vector stands for; less than its length is truncation.
    pub covered: Vec<u32>,
    /// Tokens read.
    pub usage: Usage,
    /// What came with it.
    pub extra: Extra,
}

/// Documents to order by how well they answer a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RerankRequest {
    /// The model.
    pub model: String,
    /// The question.
    pub query: String,
    /// The candidates.
    pub documents: Vec<String>,
    /// At most so many; absent is all.
    pub top: Option<u32>,
    /// Parameters that only some providers know.
    pub extra: Extra,
}

/// One candidate's place; lists of these are best first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Its index in the request.
    pub index: u32,
    /// On the model's own scale.
    pub score: f32,
}
