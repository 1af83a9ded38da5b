//! What the registry says about a model of this machine.

use std::path::PathBuf;

use crate::limits::{ACTIVE, WAITING};

/// How a model's files are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One GGUF file: a chat model of the llama family.
    Gguf,
    /// A sentence-transformers folder (`config.json`, `tokenizer.json`, `model.safetensors`): a BERT encoder.
    SentenceTransformer,
}

/// What a model may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ModelLimits {
    /// Tokens of prompt and answer together (or of one window), where fewer than the model's own are wanted.
    pub context_tokens: Option<usize>,
    /// Answers made at once; fewer where their caches would not fit.
    pub active: usize,
    /// Requests that wait beside them; later ones are `Overloaded`.
    pub waiting: usize,
}

impl Default for ModelLimits {
    fn default() -> Self {
        Self {
            context_tokens: None,
            active: ACTIVE,
            waiting: WAITING,
        }
    }
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelSpec {
    /// Its name in the registry.
    pub id: String,
    /// How its files are laid out.
    pub format: Format,
    /// The file, or the folder.
    pub path: PathBuf,
    /// What it may use.
    pub limits: ModelLimits,
}
