//! The plugin's own limits, each with its reason. The host's limits of `kv` stand behind them.

/// Bytes of a value of `kv`: what the host takes. The index is one value, and so is each document.
pub(crate) const MAX_VALUE: usize = 1 << 20;
/// Documents of a collection: every search reads all of them, one call of some 30 µs each.
pub(crate) const MAX_DOCUMENTS: usize = 4_096;
/// Bytes of text of a collection: every search reads all of them into a guest of 64 MiB.
pub(crate) const MAX_BYTES: u64 = 8 << 20;
/// Documents of one `upsert`: each is one write to disk, of some 5 ms.
pub(crate) const MAX_BATCH: usize = 1_024;
/// Bytes of a document's id: a long URL.
pub(crate) const MAX_ID: usize = 1_024;
/// Bytes of a collection's name: it is part of keys, which have 1,024 at most.
pub(crate) const MAX_NAME: usize = 256;
/// Bytes of a passage: below, hardly a sentence; above, no passage any more.
pub(crate) const PASSAGE_BYTES: std::ops::RangeInclusive<usize> = 64..=65_536;
/// Bytes of a passage where the spec does not say: some 200 words.
pub(crate) const DEFAULT_PASSAGE_BYTES: usize = 1_200;
/// Bytes of the overlap where the spec does not say: one or two sentences.
pub(crate) const DEFAULT_OVERLAP_BYTES: usize = 150;
/// Bytes of a question: some pages.
pub(crate) const MAX_QUERY: usize = 16 << 10;
/// Hits of one search: more than anybody reads or a model takes.
pub(crate) const MAX_HITS: u32 = 1_000;
/// Comparisons of one filter.
pub(crate) const MAX_COMPARISONS: usize = 256;
/// Values of one `one-of`.
pub(crate) const MAX_ALTERNATIVES: usize = 4_096;
/// How often a change is tried again because another instance was faster: each round one of them gets on, so that this is
/// how many may write one collection at once.
pub(crate) const MAX_TRIES: u32 = 64;
/// How long the loser of a round waits at most, in microseconds: twice a write to disk.
pub(crate) const MAX_PAUSE_US: u64 = 10_000;
/// Microseconds between two searches for what a crash left behind.
pub(crate) const SWEEP_EVERY_US: u64 = 3_600_000_000;
/// Microseconds after which an entry that no index names belongs to a call that died: far above any deadline.
pub(crate) const ORPHAN_US: u64 = 3_600_000_000;
/// Keys that are asked for at once: what the host gives.
pub(crate) const KEYS_AT_ONCE: u32 = 1_000;
