//! The helpers' own limits, each with its reason. The host's limits stand above them.

/// Bytes of the smallest passage: half of it must hold some characters of four bytes, so that every cut gets on.
pub(crate) const MIN_PASSAGE_BYTES: usize = 16;
/// Bytes of a prompt template: a hundred times the longest that people write by hand.
pub(crate) const MAX_TEMPLATE_BYTES: usize = 1 << 20;
/// Digits of a wait that are read: more of them are centuries.
pub(crate) const MAX_WAIT_DIGITS: usize = 12;
