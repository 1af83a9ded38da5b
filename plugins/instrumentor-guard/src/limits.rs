//! The guard's own limits, each with its reason. The host's limits stand above them.

/// Keywords: looked up by their first letter, so that a thousand cost little more than ten.
pub(crate) const MAX_KEYWORDS: usize = 1_000;
/// Characters of a keyword: a long phrase.
pub(crate) const MAX_KEYWORD_CHARACTERS: usize = 128;
/// Patterns: each of them reads the whole text.
pub(crate) const MAX_PATTERNS: usize = 32;
/// Characters of a pattern: longer ones are lists of keywords.
pub(crate) const MAX_PATTERN_CHARACTERS: usize = 1_024;
/// Bytes of a compiled pattern: counted repetitions multiply, and 32 of these still fit the guest's memory.
pub(crate) const MAX_PATTERN_PROGRAM: usize = 512 << 10;
/// Bytes of the window: less finds no telephone number, more holds back a page.
pub(crate) const WINDOW: std::ops::RangeInclusive<usize> = 16..=4_096;
/// Bytes of the replacement: a matched letter must not become a novel.
pub(crate) const MAX_REPLACEMENT: usize = 256;
/// Bytes of text in one request: what some patterns read within the CPU time of a call.
pub(crate) const MAX_INPUT_BYTES: usize = 4 << 20;
/// Answers to one request: what the public API allows.
pub(crate) const MAX_CHOICES: usize = 128;
/// Events of one answer that wait for the text before them to be judged: more than its tokens in the largest window.
pub(crate) const MAX_WAITING: usize = 8_192;
/// Depth of JSON in a tool's arguments: the parser's own.
pub(crate) const MAX_JSON_DEPTH: usize = 128;
