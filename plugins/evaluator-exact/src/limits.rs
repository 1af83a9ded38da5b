//! The plugin's own limits, each with its reason. A run keeps sums alone, so that samples need no limit of their number;
//! the host bounds what one call carries.

/// Bytes of an output or a reference: forty times a long answer. Judging one takes milliseconds, not the call's time.
pub(crate) const MAX_TEXT_BYTES: usize = 1 << 20;
/// Right answers of one sample: published sets have ten at most.
pub(crate) const MAX_REFERENCES: usize = 256;
/// Bytes of the references of one sample: each is compared with the output.
pub(crate) const MAX_REFERENCE_BYTES: usize = 4 << 20;
