//! The plugin's own limits, each with its reason. The host's limits stand above them.

/// Bytes of a file: with its copy on the way to the host within the guest's memory.
pub(crate) const MAX_BYTES: u64 = 16 << 20;
/// Milliseconds of a fetch: beyond the deadline of any call.
pub(crate) const MAX_TIMEOUT_MS: u32 = 300_000;
/// Texts in the configuration: more of them belong into files.
pub(crate) const MAX_TEXTS: usize = 256;
/// Bytes of one of them: the whole configuration crosses the boundary at every call.
pub(crate) const MAX_TEXT: usize = 1 << 20;
/// Bytes of a name of theirs.
pub(crate) const MAX_NAME: usize = 128;
/// Bytes of a location: what web servers take.
pub(crate) const MAX_LOCATION: usize = 8_192;
/// Bytes of a state that comes back: two headers and a hash.
pub(crate) const MAX_STATE: usize = 16 << 10;
/// Bytes of an ETag or a date that is kept: real ones have some dozens.
pub(crate) const MAX_VALIDATOR: usize = 1_024;
/// Bytes that are read at once.
pub(crate) const READ_AT_ONCE: u32 = 64 << 10;
/// Bytes of a title; a longer first heading is none.
pub(crate) const MAX_TITLE: usize = 512;
