//! Every number that bounds the edge, with its reason. What an operator may change is in [`crate::EdgeConfig`], whose
//! defaults are here.

use std::time::Duration;

/// Bytes of one request's body: a long conversation with some pictures in base64; OpenAI's own limit on pictures is of
/// this order.
pub const BODY_BYTES: usize = 32 << 20;

/// Bytes of all bodies that are held at a time, so that many connections with large bodies cannot take the memory.
pub const BODY_BUDGET: usize = 512 << 20;

/// What is reserved of [`BODY_BUDGET`] at a time; smaller bodies, which are nearly all, reserve nothing.
pub const BODY_RESERVE_STEP: usize = 64 << 10;

/// Connections at a time. Each costs some 20 KiB when idle; a thousand clients is far more than one machine's models serve.
pub const CONNECTIONS: usize = 1_024;

/// Connections over [`CONNECTIONS`] that are told so at a time; those over both are dropped without a word.
pub const TURNED_AWAY: usize = 64;

/// From the first byte of a request's head to its last: heads are some hundred bytes, so this is for a slow attacker.
pub const HEAD_TIME: Duration = Duration::from_secs(10);

/// A connection without a request is closed after so long: longer than the 60 s after which common proxies close theirs,
/// so that it is never the server that closes while a request is under way.
pub const IDLE_TIME: Duration = Duration::from_secs(75);

/// Between two pieces of a body: longer than a mobile network's usual stall.
pub const BODY_STALL: Duration = Duration::from_secs(15);

/// For the whole body: the default limit at 1 Mbit/s takes about this long.
pub const BODY_TIME: Duration = Duration::from_secs(300);

/// A client that takes no byte of an answer for so long is gone; the flow's own limit has the same length.
pub const WRITE_STALL: Duration = Duration::from_secs(60);

/// How often a connection's clocks are read; every limit on time above is kept to within this.
pub const CLOCK_TICK: Duration = Duration::from_secs(1);

/// The clocks are not read more often, however short the limits are.
pub const SHORTEST_TICK: Duration = Duration::from_millis(10);

/// One call, from its head to its last byte: what OpenAI's own clients wait for by default.
pub const CALL_TIME: Duration = Duration::from_secs(600);

/// What may still run after a shutdown was asked for: longer than most answers, shorter than a supervisor's patience.
pub const DRAIN_TIME: Duration = Duration::from_secs(30);

/// A stream that says nothing for so long gets a comment: half the shortest idle limit of common proxies.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Bytes of a request's head, and of what hyper buffers in each direction. Eight times what browsers and proxies send.
pub const HEAD_BYTES: usize = 64 << 10;

/// Lines of a request's head: hyper's own default, twice what a chain of proxies adds.
pub const HEADERS: usize = 100;

/// After the answer to a request that was not read to its end: as long as a client may need to read that answer before
/// the connection is reset under it.
pub const LINGER_TIME: Duration = Duration::from_secs(2);

/// What is read and thrown away while lingering: four times the default limit on bodies.
pub const LINGER_BYTES: usize = 128 << 20;

/// Pause after the listener failed, e.g. for want of file descriptors, so that the loop does not spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Depth of JSON: what serde_json allows; real requests have ten to twenty levels (tool schemas).
pub const JSON_DEPTH: usize = 128;

/// Characters of a header's value that becomes an id (request, session): what a span attribute comfortably holds.
pub const ID_CHARS: usize = 128;

/// Characters of an `Idempotency-Key`: what payment interfaces made customary.
pub const IDEMPOTENCY_CHARS: usize = 255;

/// Characters of a model's name: longer than any registry path in use.
pub const MODEL_CHARS: usize = 256;

/// Answers to one request (`n`, times prompts of a completion): OpenAI's limit.
pub const CHOICES: u32 = 128;

/// Stop strings: OpenAI's limit.
pub const STOPS: usize = 4;

/// Completions of which the best are picked (`best_of`): OpenAI's limit.
pub const BEST_OF: i64 = 20;

/// Rivals of a token in a chat (`top_logprobs`): OpenAI's limit.
pub const TOP_LOGPROBS: u8 = 20;

/// Rivals of a token in a completion (`logprobs`): OpenAI's limit.
pub const COMPLETION_LOGPROBS: u8 = 5;

/// Tokens of a completion whose request does not say: OpenAI's default.
pub const COMPLETION_TOKENS: u32 = 16;

/// Tools of a request: OpenAI's limit.
pub const TOOLS: usize = 128;

/// Characters of a function's name: OpenAI's limit.
pub const TOOL_NAME_CHARS: usize = 64;

/// Pairs of `metadata`: OpenAI's limit; characters of a key and of a value.
pub const METADATA: (usize, usize, usize) = (16, 64, 512);

/// Entries of `logit_bias`: OpenAI's limit.
pub const LOGIT_BIASES: usize = 1_024;

/// Inputs of one embedding request: OpenAI's limit.
pub const EMBED_INPUTS: usize = 2_048;

/// Messages of a conversation: OpenAI's limit.
pub const MESSAGES: usize = 2_048;

/// Parts of a message: far more than the pictures and texts of any real one.
pub const PARTS: usize = 2_048;

/// Items of any array, in practice tokens of a prompt: enough for the longest context in use, little enough that a hostile
/// body of the largest size does not become many times its size in memory.
pub const ITEMS: usize = 1 << 20;

/// Members of one object that is read here: twice the longest that has a meaning (`logit_bias`).
pub const MEMBERS: usize = 2_048;

/// Characters of a client's own names that a message repeats: enough to recognise one.
pub const NAME_CHARS: usize = 64;

/// Parameters whose names are not known, in one object: a provider's own ones are a handful.
pub const UNKNOWN: usize = 64;

/// Numbers of an embedding answer above which it is written on a thread for blocking work: about a millisecond's worth.
pub const EMBED_INLINE: usize = 50_000;

/// Traces of one page, and of a page whose request does not say.
pub const TRACE_PAGE: (u32, u32) = (1_000, 50);

/// With `include_obfuscation`, a chunk's text and padding together are a multiple of so many bytes: most tokens are
/// shorter, so most chunks are of one length.
pub const OBFUSCATION_STEP: usize = 32;

/// What has been said at once goes out at once, up to so many bytes: a TLS record, about ten packets.
pub const SSE_BATCH_BYTES: usize = 16 << 10;
