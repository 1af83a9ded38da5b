//! What is remembered of a call: crossings into plugins, and the finished exchange.

use std::time::Duration;

use crate::chat::{ChatRequest, Usage};
use crate::embeddings::EmbedRequest;
use crate::id::SpanId;
use crate::problem::{Problem, ProblemKind};
use crate::telemetry::Annotation;
use crate::transcript::Transcript;

/// The kinds of plugin there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PluginKind {
    /// Answers chats, embeds, ranks.
    Provider,
    /// Keeps rows.
    Storage,
    /// Scores outputs.
    Evaluator,
    /// Stands in the path of calls.
    Instrumentor,
    /// Finds passages.
    Retriever,
    /// Brings documents in.
    Source,
}

impl PluginKind {
    /// All kinds, in the order of their documentation.
    pub const ALL: [Self; 6] = [
        Self::Provider,
        Self::Storage,
        Self::Evaluator,
        Self::Instrumentor,
        Self::Retriever,
        Self::Source,
    ];

    /// The kind as the registry and the WIT spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Storage => "storage",
            Self::Evaluator => "evaluator",
            Self::Instrumentor => "instrumentor",
            Self::Retriever => "retriever",
            Self::Source => "source",
        }
    }
}

/// One visit to one instance of a plugin, from its first call to its last resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Crossing {
    /// The span that the guest was told of, and its upstreams with it.
    pub span: SpanId,
    /// The crossing that asked for this one; `None` where the call itself did.
    pub within: Option<SpanId>,
    /// The plugin's name in the registry.
    pub plugin: String,
    /// Its kind.
    pub kind: PluginKind,
    /// What was called, e.g. `complete`.
    pub function: &'static str,
    /// Microseconds of UTC since 1970.
    pub start_us: u64,
    /// Microseconds of UTC since 1970.
    pub end_us: u64,
    /// Time spent in polls of the guest; waiting is not in it.
    pub cpu: Duration,
    /// The largest the guest's linear memories were, in bytes.
    pub peak_memory: u64,
    /// How long the instance had existed when it was called; 0 for a fresh one.
    pub instance_age: Duration,
    /// Calls across the boundary during the visit.
    pub calls: u32,
    /// Bytes that the guest sent to and received from other hosts.
    pub egress_bytes: u64,
    /// Which try of the same question it was, from 1.
    pub attempt: u32,
    /// `None` when it ended well.
    pub failure: Option<ProblemKind>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// As it should.
    Completed,
    /// The caller went away.
    Cancelled,
    /// With this problem.
    Failed(Problem),
}

/// What was asked.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one a call, and most are the large one")]
pub enum Asked {
    /// A chat or a completion.
    Chat(ChatRequest),
    /// Embeddings.
    Embed(EmbedRequest),
}

impl Asked {
    /// `gen_ai.operation.name`.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Chat(request) => match request.input {
                crate::chat::Input::Messages(_) => "chat",
                _ => "text_completion",
            },
            Self::Embed(_) => "embeddings",
        }
    }

    /// The model as the caller named it.
    pub fn model(&self) -> &str {
        match self {
            Self::Chat(request) => &request.model,
            Self::Embed(request) => &request.model,
        }
    }
}

/// One finished call: what was asked, what was said, how it ended.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// What was asked, by the caller's model name.
    pub asked: Asked,
    /// Who answered, when somebody was found.
    pub plugin: Option<String>,
    /// The model that the plugin was asked for, where the route renamed it.
    pub plugin_model: Option<String>,
    /// Whether a target marked as degraded answered.
    pub degraded: bool,
    /// What was said; its usage is in the next field.
    pub transcript: Transcript,
    /// Tokens.
    pub usage: Option<Usage>,
    /// What instruments added, each with its name.
    pub annotations: Vec<(String, Annotation)>,
    /// How it ended.
    pub outcome: Outcome,
    /// Microseconds of UTC since 1970.
    pub start_us: u64,
    /// Microseconds of UTC since 1970.
    pub end_us: u64,
    /// From the start to the first chunk, in microseconds.
    pub first_chunk_us: Option<u64>,
}
