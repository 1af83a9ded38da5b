//! Every number that bounds the flows, with its reason.

use std::time::Duration;

/// Crossings that one call notes: a call of this version makes two to four, a chain of fallbacks some more.
pub const MAX_CROSSINGS: usize = 64;

/// Plugins that ask one another within one call: a guard that asks a judge that asks a model, and one more.
pub const MAX_DEPTH: u32 = 4;

/// Instruments have so long for what they add to a trace once the call has ended; its last byte waits for them.
pub const AFTER: Duration = Duration::from_secs(5);

/// Attributes, scores and tags that instruments add to one trace, each.
pub const MAX_ANNOTATIONS: usize = 64;

/// Bytes of one attribute, label or explanation that an instrument adds: a sentence or two.
pub const MAX_ATTRIBUTE_BYTES: usize = 4 << 10;

/// Batches of chunks that wait for a slow client before the provider is made to wait: enough to even out the network,
/// little enough that a stalled client holds no more than some kilobytes.
pub const ANSWER_BUFFER: usize = 32;

/// A client that takes nothing for so long is gone: the time that proxies commonly allow an idle connection.
pub const CLIENT_STALL: Duration = Duration::from_secs(60);

/// Readers who took less of an answer's time than this are no excuse for its end: upstreams that end slow streams do so
/// after seconds, and so do deadlines.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// A provider has so long to list its models: whoever asks for the list waits for the slowest, and a list that an upstream
/// does not have by then is better shown without it.
pub const LIST_MODELS: Duration = Duration::from_secs(3);

/// Empty batches in a row that a completion may return: a provider that has nothing to say must wait, not spin.
pub const MAX_EMPTY_BATCHES: u32 = 1_000;

/// Bytes of text, reasoning, tool arguments and logprobs that one answer may have, all choices together: some forty
/// times the longest answer that a current model gives.
pub const MAX_ANSWER_BYTES: usize = 16 << 20;

/// What an event of an answer counts for beside its text: an answer has half a million events at most.
pub const EVENT_BYTES: usize = 32;

/// What a token's or a rival's probability counts for beside its text: three or four words of pointers and two small
/// allocations.
pub const TOKEN_BYTES: usize = 128;

/// Bytes of all answers under way, until the ledger takes them: some thousands of the common length, or 64 of
/// the longest.
pub const ANSWERS_BYTES: usize = 1 << 30;

/// An answer takes room in steps of so many bytes.
pub const ANSWER_STEP: usize = 64 << 10;

/// Traces that wait for their commit: at 3,000 calls a second, more than a second of a stalled disk.
pub const LEDGER_QUEUE: usize = 4_096;

/// Bytes of the traces that wait for their commit; the calls of more wait before they hand them over.
pub const LEDGER_QUEUE_BYTES: usize = 256 << 20;

/// Traces in one group commit: larger groups save nothing more and make the first of them wait.
pub const LEDGER_GROUP: usize = 256;

/// A storage that takes longer for one group is taken to be down: the slowest healthy commit measured is some 50 ms.
pub const LEDGER_WRITE: Duration = Duration::from_secs(5);

/// Reads of traces at once: a search through all of them may take long, and must leave the storage to the ledger's writes.
pub const TRACE_READS: usize = 3;

/// Rows of one trace that are read at most; a call of this version writes fewer than a hundred.
pub const TRACE_ROWS: u32 = 10_000;

/// Group commits whose spans are read for one trace.
pub const TRACE_COMMITS: usize = 64;

/// Between two looks at the storage and the spool: a storage that is down is asked rarely, one that is back is found soon.
pub const REPLAY_EVERY: Duration = Duration::from_millis(500);

/// Batches that one replay reads from the spool at a time.
pub const REPLAY_BATCH: usize = 16;

/// A finished group's own span is written so much later: the spans of many groups share the pages of the server's tenant,
/// which each group would otherwise write anew.
pub const COMMIT_SPAN_DELAY: Duration = Duration::from_millis(50);

/// Bytes of one message that the ledger keeps; the rest is cut and marked.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Bytes of messages that the ledger keeps of one call: four of the largest.
pub const MAX_RECORD_BYTES: usize = 4 << 20;

/// Bytes of messages in one group commit: what one call across a plugin's boundary may carry, with room for the rows
/// around them.
pub const LEDGER_GROUP_BYTES: usize = 8 << 20;

/// Message rows that the ledger keeps of one call; a longer conversation is remembered by its last ones, and says so.
pub const MAX_RECORD_MESSAGES: usize = 1_000;

/// Rows in one group commit, well under what a storage plugin takes at once.
pub const LEDGER_GROUP_ROWS: usize = 2_048;
