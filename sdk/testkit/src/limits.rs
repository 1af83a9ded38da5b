//! Every number that bounds the kit, with its reason.

use std::time::Duration;

/// A check that has not ended by then has failed: a property check makes some hundred calls, and the slowest guest of an
/// interpreted language that passes takes some tens of milliseconds a call.
pub const CHECK_TIME: Duration = Duration::from_secs(60);

/// Random cases of a property check, where nobody said: enough to meet each comparator and border some times.
pub const CASES: u32 = 24;

/// Tokens that an answer may have, where nobody said: long enough for several chunks, short enough for a model on a small
/// machine.
pub const ANSWER_TOKENS: u32 = 48;

/// Times that a failing case is made smaller; each is a run of the whole case.
pub(crate) const SHRINKS: u32 = 64;

/// Bytes of a value that a failure shows: a screen.
pub(crate) const SHOWN_BYTES: usize = 600;

/// Bytes of a problem's message: a few sentences.
pub(crate) const MESSAGE_BYTES: usize = 2 << 10;

/// Names that an implementation offers, and bytes of each, as `lifecycle.check` has them.
pub(crate) const OFFERS: usize = 64;

/// Chunks in one batch, as the provider's contract has it.
pub(crate) const BATCH: usize = 4_096;

/// Empty batches in a row: as many as the host's flow takes.
pub(crate) const EMPTY_BATCHES: u32 = 1_000;

/// Chunks of one answer that the kit reads: far more than [`ANSWER_TOKENS`] make, so that an endless stream is found.
pub(crate) const ANSWER_CHUNKS: usize = 20_000;

/// Calls at once: more than a small machine has cores, fewer than the default bound of a plugin.
pub(crate) const AT_ONCE: usize = 8;

/// Pages of one walk through a table: more than the rows that the kit writes.
pub(crate) const PAGES: usize = 400;

/// Bytes of a huge text: more than any buffer that a guest may have by habit, less than what a call may carry.
pub(crate) const HUGE_TEXT: usize = 256 << 10;
