//! Every number that bounds the native models, with its reason.

use std::time::Duration;

/// Answers of one model that are decoded together: each holds a key-value cache of the whole context, and beyond some
/// eight the tokens of one answer come more slowly than people read.
pub const ACTIVE: usize = 8;

/// Requests of one model that wait for a place; later ones are told to come back. Eight full rounds: whoever waits longer
/// has left.
pub const WAITING: usize = 64;

/// What a request that found the queue full is told to wait.
pub const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Bytes of key-value cache that the answers of one model may hold together; `ACTIVE` is lowered until it fits.
pub const CACHE_BYTES: usize = 2 << 30;

/// Prompt tokens read between two looks at the other answers and at cancellation: long enough that weights are read once
/// for many tokens, short enough that a stream next to it stalls for a fraction of a second only.
pub const PREFILL_CHUNK: usize = 64;

/// Batches of chunks that wait for a slow reader before its answer pauses.
pub const OUTPUT_BUFFER: usize = 32;

/// How often an answer that pauses looks whether its reader has made room.
pub const STALL_POLL: Duration = Duration::from_millis(2);

/// Answers to one request: each has a key-value cache of its own.
pub const CHOICES: u32 = 8;

/// Stop strings of one request: OpenAI's wire allows 4, others 16.
pub const STOP_STRINGS: usize = 16;

/// Bytes of one stop string: all of it may be held back from the reader.
pub const STOP_BYTES: usize = 256;

/// Alternatives that are told for each token: OpenAI's wire allows 20.
pub const TOP_LOGPROBS: u8 = 20;

/// Tokens of `logit_bias`: OpenAI's wire allows 300, and each is read at every token.
pub const LOGIT_BIASES: usize = 1_024;

/// Candidates that are sorted first when the nucleus is sought; it is widened fourfold where they do not reach `top_p`.
pub const NUCLEUS: usize = 256;

/// Bytes of a chat template's output for each byte of its messages, beside `TEMPLATE_BASE`: a template adds marks and an
/// introduction, it does not multiply what it is given.
pub const TEMPLATE_GROWTH: usize = 4;

/// Bytes that a chat template may add however short the conversation is.
pub const TEMPLATE_BASE: usize = 64 << 10;

/// Inputs of one embedding request: OpenAI's wire allows 2,048.
pub const EMBED_INPUTS: usize = 2_048;

/// Bytes of one text to embed: a book. The edge's own cap on a body is lower.
pub const EMBED_BYTES: usize = 8 << 20;

/// Tokens, padding included, that are embedded in one pass: some tens of milliseconds of a small encoder, after which the
/// answers that are being written get their turn.
pub const EMBED_PASS_TOKENS: usize = 512;

/// Tokens of one window where a model's folder does not say: what sentence encoders were trained on.
pub const EMBED_WINDOW: usize = 256;

/// Bytes of a JSON file (configuration, tokenizer) of a model's folder: the largest vocabularies take some 20 MB.
pub const JSON_BYTES: u64 = 64 << 20;

/// Layers of a model; the largest published ones have some 130.
pub const LAYERS: usize = 512;

/// The largest number of heads, and the widest layer, that a file may claim: ten times the largest published.
pub const WIDEST: usize = 1 << 20;

/// Tokens of a vocabulary; the largest published ones have some 260,000.
pub const VOCABULARY: usize = 1 << 20;

/// Tokens of context that a file may claim.
pub const CONTEXT: usize = 1 << 20;

/// Weight rows that one thread computes at a time: a few microseconds of work, and their outputs fill cache lines.
pub const ROWS_A_TASK: usize = 64;

/// How much less urgent inference is than the edge where both share one core (the system's `nice` value).
pub const NICENESS: i32 = 10;
