//! The stub's own limits, each with its reason. The host's limits stand above them.

/// Answers to one request: what the public API allows.
pub(crate) const MAX_CHOICES: u32 = 128;
/// Pieces of one text, chunks of one `next`: more would only copy, and memory is bounded by the text anyway.
pub(crate) const MAX_PIECES: u32 = 100_000;
/// One wait: longer than any deadline that a test would set.
pub(crate) const MAX_DELAY_MS: u64 = 60_000;
/// Tool calls of one answer: more than any client sends tools for.
pub(crate) const MAX_TOOL_CALLS: usize = 64;
/// Alternatives a token: what the public API allows.
pub(crate) const MAX_ALTERNATIVES: u8 = 20;
/// Length of an embedding: the largest of the models in use.
pub(crate) const MAX_DIMENSIONS: u32 = 4096;
/// Inputs of one embedding request: what the public API allows.
pub(crate) const MAX_INPUTS: usize = 2048;
/// Depth of a JSON Schema: the parser's own limit is 128; deeper ones than this are recursive or hostile.
pub(crate) const MAX_SCHEMA_DEPTH: u32 = 32;
/// Values made for one JSON Schema, so that references cannot multiply without end.
pub(crate) const MAX_SCHEMA_VALUES: u32 = 10_000;
/// Copies of one item that `minItems` may ask for.
pub(crate) const MAX_ITEMS: u64 = 100;
