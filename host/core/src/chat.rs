//! What is asked of a chat model and what it says, as `encaje:common/chat` has it.
//!
//! No wire format: `encaje-http` translates OpenAI's JSON to and from these types.

use crate::problem::{Extra, Json};

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Instructions of the application.
    System,
    /// Instructions of the application, in the newer name.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool.
    Tool,
    /// A role that this version does not know.
    Other(String),
}

impl Role {
    /// The role as chat templates and wires spell it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Other(word) => word,
        }
    }
}

/// Bytes of a picture, a sound or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// The media type, e.g. `image/png`.
    pub mime: String,
    /// The content, decoded.
    pub bytes: Vec<u8>,
    /// A file name, if it had one.
    pub name: Option<String>,
}

/// A model's wish to call a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// What the result's message refers to.
    pub id: String,
    /// The tool.
    pub name: String,
    /// A JSON object.
    pub arguments: Json,
}

/// One piece of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartBody {
    /// Plain text.
    Text(String),
    /// What the model thought before it spoke.
    Reasoning(String),
    /// The model's refusal.
    Refusal(String),
    /// A URL that the upstream is to fetch; `data:` URLs arrive decoded as `Media`.
    Link(String),
    /// Inline media.
    Media(Media),
    /// In an assistant's message, in the place where the model made it.
    ToolCall(ToolCall),
    /// A piece that this version does not know: its name and its JSON.
    Other(String, Json),
}

/// A piece of a message with what belongs to it alone (cache control, image detail, citations).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The piece.
    pub body: PartBody,
    /// What came with it.
    pub extra: Extra,
}

impl Part {
    /// A plain text piece.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            body: PartBody::Text(text.into()),
            extra: Extra::new(),
        }
    }
}

/// One turn of a conversation. A tool's result is a message of role `Tool` that names its `tool_call_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub content: Vec<Part>,
    /// The speaker's name, where several share a role.
    pub name: Option<String>,
    /// Which call this answers.
    pub tool_call_id: Option<String>,
    /// Whether the tool failed.
    pub is_error: bool,
    /// What came with it.
    pub extra: Extra,
}

impl Message {
    /// A message of one text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            content: vec![Part::text(text)],
            name: None,
            tool_call_id: None,
            is_error: false,
            extra: Extra::new(),
        }
    }

    /// All text of the message, joined.
    pub fn plain_text(&self) -> String {
        self.content
            .iter()
            .filter_map(|part| match &part.body {
                PartBody::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }
}

/// What the model is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A conversation; the model's chat template is applied.
    Messages(Vec<Message>),
    /// Raw text for a base model; no chat template is applied.
    Prompt(String),
    /// Token ids of the model's own vocabulary.
    Tokens(Vec<u32>),
}

/// A function that the model may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// A JSON Schema of its arguments.
    pub parameters: Json,
    /// Whether the arguments must match the schema exactly.
    pub strict: bool,
    /// What came with it.
    pub extra: Extra,
}

/// Whether and which tool must be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Automatic,
    /// None may be called.
    Forbidden,
    /// Some tool must be called.
    Required,
    /// This one must be called.
    Named(String),
}

/// What shape the answer has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ResponseFormat {
    /// Free text.
    #[default]
    Text,
    /// Any JSON object.
    Json,
    /// JSON that matches this schema (the wire's `json_schema` object).
    JsonSchema(Json),
    /// A format that this version does not know: its name and its JSON.
    Other(String, Json),
}

/// How the next token is chosen. Absent means the model's own default; `temperature` 0 is greedy.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: Option<f64>,
    /// Nucleus, in (0, 1].
    pub top_p: Option<f64>,
    /// The best k alone; 0 is all.
    pub top_k: Option<u32>,
    /// Tokens less likely than this share of the best are dropped; [0, 1].
    pub min_p: Option<f64>,
    /// Subtracted from a logit for each time the token was said.
    pub frequency_penalty: Option<f64>,
    /// Subtracted from a logit once the token was said.
    pub presence_penalty: Option<f64>,
    /// Divides the positive (multiplies the negative) logit of a token that was said; 1 is none.
    pub repetition_penalty: Option<f64>,
    /// Added to the logits of these tokens.
    pub logit_bias: Vec<(u32, f32)>,
    /// The same seed, request and model give the same answer.
    pub seed: Option<i64>,
    /// The answer ends before any of these.
    pub stop: Vec<String>,
    /// The answer has at most so many tokens.
    pub max_tokens: Option<u32>,
    /// How many answers; each chunk names its own. At least 1.
    pub choices: u32,
    /// How many alternatives a token; absent is none, 0 is the chosen token alone.
    pub logprobs: Option<u8>,
}

/// One question to a chat or completion model.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// The model, by the name that the route or the plugin knows.
    pub model: String,
    /// What it is given.
    pub input: Input,
    /// How it chooses.
    pub sampling: Sampling,
    /// What it may ask for.
    pub tools: Vec<Tool>,
    /// Whether it must ask.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may ask for several at once.
    pub parallel_tool_calls: Option<bool>,
    /// The answer's shape.
    pub response_format: ResponseFormat,
    /// The wire's word for how long it thinks.
    pub reasoning_effort: Option<String>,
    /// Parameters that only some providers know; one that knows none of a name answers `unsupported`.
    pub extra: Extra,
}

impl ChatRequest {
    /// One message of a person, and nothing else said.
    pub fn question(model: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            input: Input::Messages(vec![Message::text(Role::User, text)]),
            sampling: Sampling {
                choices: 1,
                ..Sampling::default()
            },
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            response_format: ResponseFormat::Text,
            reasoning_effort: None,
            extra: Vec::new(),
        }
    }
}

/// A token that might have been said instead.
#[derive(Debug, Clone, PartialEq)]
pub struct Alternative {
    /// Its text; lossy where its bytes are no whole characters.
    pub token: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability.
    pub logprob: f64,
}

/// A token that was said, with its probability and its rivals.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// Its text; lossy where its bytes are no whole characters.
    pub token: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability.
    pub logprob: f64,
    /// Best first.
    pub top: Vec<Alternative>,
}

/// A piece of a tool call. `id` and `name` come once, with the first delta of an `index`; `arguments` are appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCallDelta {
    /// Which call of the answer.
    pub index: u32,
    /// Its id, once.
    pub id: Option<String>,
    /// Its tool, once.
    pub name: Option<String>,
    /// The next piece of the JSON.
    pub arguments: String,
}

/// Tokens. `input_tokens` includes the cached ones, `output_tokens` the reasoning ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens read.
    pub input_tokens: u64,
    /// Of these, tokens that a cache held.
    pub cached_input_tokens: u64,
    /// Tokens written to a cache.
    pub cache_write_tokens: u64,
    /// Tokens said.
    pub output_tokens: u64,
    /// Of these, tokens of reasoning.
    pub reasoning_tokens: u64,
    /// What else the provider counted.
    pub extra: Extra,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done, or a stop string came.
    Stop,
    /// `max_tokens` or the context was reached.
    Length,
    /// It waits for tools.
    ToolCalls,
    /// A filter cut it off.
    ContentFilter,
    /// The caller went away.
    Cancelled,
    /// A reason that this version does not know.
    Other(String),
}

impl FinishReason {
    /// The reason as one word, as OpenAI's wire spells it where it has one.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Cancelled => "cancelled",
            Self::Other(word) => word,
        }
    }
}

/// Something a model says.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// Whole characters of the answer.
    Text(String),
    /// Whole characters of the reasoning.
    Reasoning(String),
    /// Whole characters of a refusal.
    Refusal(String),
    /// A piece of a tool call.
    ToolCall(ToolCallDelta),
    /// The probabilities of the tokens of the text before it.
    Logprobs(Vec<TokenLogprob>),
    /// Once a stream, cumulative, after the last text.
    Usage(Usage),
    /// Once a choice.
    Finish(FinishReason),
    /// An event that this version does not know: its name and its JSON.
    Other(String, Json),
}

/// An event of one of the answers of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// Which answer, from 0.
    pub choice: u32,
    /// What it says.
    pub event: ChatEvent,
}
