//! The plugin's own limits, each with its reason. The host's limits stand above them.

/// Bytes of one request: what the host lets cross at once by default, less room for its headers.
pub(crate) const MAX_REQUEST_BYTES: usize = 30 << 20;
/// Bytes of a whole answer: 2048 vectors of 1536 numbers in base64, or 1,000 as decimal numbers, within the guest's memory.
pub(crate) const MAX_ANSWER_BYTES: usize = 18 << 20;
/// Bytes of an error's body that are read: some thirty times the longest error object.
pub(crate) const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// Bytes of one event of a stream: a picture inline is the largest thing that one carries.
pub(crate) const MAX_EVENT_BYTES: usize = 8 << 20;
/// Lines behind `[DONE]` that are read so that the connection can be used again; one or two are usual.
pub(crate) const MAX_TRAILING_LINES: usize = 16;
/// Tool calls of one choice: as many as there may be tools.
pub(crate) const MAX_TOOL_CALLS: usize = 128;
/// Bytes of a tool call's arguments that are held back until the upstream has named the tool.
pub(crate) const MAX_UNNAMED_ARGUMENTS: usize = 64 << 10;
/// Members of a delta that this version does not know: upstreams send two or three.
pub(crate) const MAX_OTHERS: usize = 64;
/// Counts of tokens that have no field of their own: upstreams send some ten.
pub(crate) const MAX_COUNTS: usize = 64;
/// Bytes of an upstream's message that a caller sees: the longest explain a schema's mistake in two sentences.
pub(crate) const MAX_MESSAGE_BYTES: usize = 1_000;
/// Bytes of a code or the name of a parameter.
pub(crate) const MAX_WORD_BYTES: usize = 128;
/// The longest wait that is passed on: a day; who asks for more means "never", which is not for a header to say.
pub(crate) const MAX_RETRY_AFTER_MS: u64 = 24 * 60 * 60 * 1_000;
/// Inputs of one embedding request: what the public API allows.
pub(crate) const MAX_INPUTS: usize = 2048;
/// Length of a vector: ten times the longest in use.
pub(crate) const MAX_DIMENSIONS: usize = 1 << 16;
/// Models of an upstream: the largest aggregators list some hundreds.
pub(crate) const MAX_MODELS: usize = 10_000;
/// Headers in the configuration, as the manifest says.
pub(crate) const MAX_HEADERS: usize = 32;
/// Answers to one request: what the public API allows.
pub(crate) const MAX_CHOICES: u32 = 128;
