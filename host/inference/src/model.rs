//! The seam between a model's arithmetic and everything around it.
//!
//! A [`Model`] reads tokens and yields logits or vectors; it knows nothing of text, sampling, requests or threads. A faster
//! implementation replaces one `impl` and nothing else.

use crate::cache::Cache;
use crate::error::ModelError;

/// What a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// E.g. `llama`, `bert`.
    pub architecture: String,
    /// Tokens of prompt and answer together, or of one window.
    pub context: usize,
    /// Token ids are below this.
    pub vocabulary: usize,
    /// Bytes of key-value cache that one position takes; 0 where the model does not generate.
    pub cache_bytes: usize,
    /// Length of a sentence vector; 0 where the model does not embed.
    pub dimensions: usize,
}

/// Which positions of a prompt logits are wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// None: more of the prompt follows.
    Nothing,
    /// The last position alone.
    Last,
    /// Every position, e.g. to score a text.
    Every,
}

/// Scores of every token of the vocabulary, row-major, one row a position.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Logits {
    /// Length of a row.
    pub vocabulary: usize,
    /// All rows.
    pub values: Vec<f32>,
}

impl Logits {
    /// The rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.vocabulary.max(1))
    }
}

/// A sequence that goes on by one token.
#[derive(Debug)]
pub struct Next<'a> {
    /// What has been read so far; grows by one position.
    pub cache: &'a mut Cache,
    /// The token to read.
    pub token: u32,
}

/// A model in memory. Calls block; results do not depend on what else is in a batch.
pub trait Model: Send + Sync {
    /// What it is.
    fn facts(&self) -> &Facts;

    /// An empty cache for at most `capacity` positions.
    ///
    /// # Errors
    /// `Cannot` where the model does not generate.
    fn cache(&self, capacity: usize) -> Result<Cache, ModelError>;

    /// Reads tokens after those that the cache holds.
    ///
    /// # Errors
    /// `Cannot` where the model does not generate; `Failed` where the cache is full or a token is none of the vocabulary.
    fn prefill(&self, cache: &mut Cache, tokens: &[u32], wanted: Wanted) -> Result<Logits, ModelError>;

    /// Reads one token of each sequence; one row of logits each, in order.
    ///
    /// # Errors
    /// As [`Model::prefill`].
    fn decode(&self, batch: &mut [Next<'_>]) -> Result<Logits, ModelError>;

    /// One normalised vector of `facts().dimensions` for each window of token ids, row-major. One pass: who has many
    /// windows, or windows of very unlike length, makes several calls.
    ///
    /// # Errors
    /// `Cannot` where the model does not embed; `Failed` where a window is longer than the context or empty.
    fn embed(&self, windows: &[&[u32]]) -> Result<Vec<f32>, ModelError>;
}
