//! Cuts a text into passages for retrieval: each within a budget of bytes, ended where the text itself pauses, overlapping
//! the one before so that a sentence on a border is found from both sides. It knows no tokens, no headings and no markup.
//!
//! What holds for every text: passages are in order, none is empty or begins or ends with white space, no character is
//! split, and every character that is not white space is in at least one of them.

use std::ops::Range;

use crate::limits::MIN_PASSAGE_BYTES;

/// How to cut. Sizes are bytes of UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunker {
    passage_bytes: usize,
    overlap_bytes: usize,
}

/// Sizes that nothing can be cut with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkerError {
    /// Too small a passage.
    #[error("a passage must have at least {least} bytes")]
    PassageTooSmall {
        /// Bytes that it must have.
        least: usize,
    },
    /// Too large an overlap: passages would hardly get on.
    #[error("the overlap must be at most half a passage, {most} bytes")]
    OverlapTooLarge {
        /// Bytes that it may have.
        most: usize,
    },
}

/// How much of a pause a border is; the strongest in reach is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Border {
    Character,
    Word,
    Sentence,
    Paragraph,
}

impl Chunker {
    /// Passages of at most `passage_bytes`, which share at most `overlap_bytes` with the one before.
    ///
    /// # Errors
    /// [`ChunkerError`].
    pub fn new(passage_bytes: usize, overlap_bytes: usize) -> Result<Self, ChunkerError> {
        if passage_bytes < MIN_PASSAGE_BYTES {
            return Err(ChunkerError::PassageTooSmall {
                least: MIN_PASSAGE_BYTES,
            });
        }
        let most = passage_bytes / 2;
        if overlap_bytes > most {
            return Err(ChunkerError::OverlapTooLarge { most });
        }
        Ok(Self {
            passage_bytes,
            overlap_bytes,
        })
    }

    /// Where the passages of a text are, in bytes.
    ///
    /// ```
    /// let chunker = encaje_sdk::chunker::Chunker::new(30, 10).unwrap();
    /// let text = "It rained. It rained all day long. Then it stopped.";
    /// let passages: Vec<&str> = chunker.cut(text).into_iter().map(|range| &text[range]).collect();
    /// assert_eq!(passages, ["It rained. It rained all day", "all day long. Then it stopped."]);
    /// ```
    #[must_use]
    pub fn cut(&self, text: &str) -> Vec<Range<usize>> {
        let mut passages = Vec::new();
        let mut from = skip_space(text, 0);
        while from < text.len() {
            let cut = self.end(text, from);
            passages.push(from..from + slice(text, from, cut).trim_end().len());
            let next = skip_space(text, cut);
            if next >= text.len() {
                break;
            }
            from = self.start(text, from, cut, next);
        }
        passages
    }

    /// Where the passage from `from` ends: at the strongest border of its second half, the last of several.
    fn end(&self, text: &str, from: usize) -> usize {
        let budget = from + self.passage_bytes;
        if budget >= text.len() {
            return text.len();
        }
        let budget = text.floor_char_boundary(budget);
        let half = from + self.passage_bytes / 2;
        let borders = (half + 1..=budget).filter(|at| text.is_char_boundary(*at));
        borders.max_by_key(|at| border(text, *at)).unwrap_or(budget)
    }

    /// Where the passage after a cut begins: at the first sentence of the overlap, else at its first word. `next` is the
    /// first character that no passage has yet.
    fn start(&self, text: &str, from: usize, cut: usize, next: usize) -> usize {
        let earliest = text.ceil_char_boundary(next.saturating_sub(self.overlap_bytes).max(from + 1));
        let starts = (earliest..cut).filter(|at| text.is_char_boundary(*at) && starts_solid(text, *at));
        // The first of the strongest: `max_by_key` would take the last.
        let best = starts.rev().max_by_key(|at| border(text, *at).min(Border::Sentence));
        best.unwrap_or(next)
    }
}

fn slice(text: &str, from: usize, to: usize) -> &str {
    text.get(from..to).unwrap_or_default()
}

/// The first byte from here on that is not white space.
fn skip_space(text: &str, from: usize) -> usize {
    let rest = slice(text, from, text.len());
    text.len() - rest.trim_start().len()
}

fn starts_solid(text: &str, at: usize) -> bool {
    let next = slice(text, at, text.len()).chars().next();
    next.is_some_and(|character| !character.is_whitespace())
}

/// What kind of border this place is.
fn border(text: &str, at: usize) -> Border {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let Some(last) = before.chars().next_back() else {
        return Border::Paragraph;
    };
    // Writing without spaces has full stops of its own.
    if matches!(last, '。' | '！' | '？') {
        return Border::Sentence;
    }
    if !last.is_whitespace() || after.chars().next().is_some_and(char::is_whitespace) {
        return Border::Character;
    }
    let words = before.trim_end();
    let space = slice(before, words.len(), before.len());
    if space.matches('\n').count() > 1 {
        return Border::Paragraph;
    }
    let closed = words.trim_end_matches(['"', '\'', ')', ']', '”', '’', '»']);
    if closed.ends_with(['.', '!', '?', '…', '。', '！', '？']) {
        return Border::Sentence;
    }
    Border::Word
}

#[cfg(test)]
mod tests {
    use super::{Chunker, ChunkerError};
    use proptest::prelude::*;

    fn cut(text: &str, passage: usize, overlap: usize) -> Vec<&str> {
        let chunker = Chunker::new(passage, overlap).unwrap();
        chunker.cut(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn the_strongest_border_in_reach_ends_a_passage() {
        assert_eq!(
            cut("One two three.\n\nFour. Five six seven eight", 32, 0),
            ["One two three.\n\nFour.", "Five six seven eight"]
        );
        assert_eq!(
            cut("One two three four.\n\nFive. Six seven eight", 32, 0),
            ["One two three four.", "Five. Six seven eight"]
        );
        assert_eq!(
            cut("one two three four five six", 16, 0),
            ["one two three", "four five six"]
        );
        assert_eq!(
            cut("¿Qué? ¡Ya! Sí, «claro». Hoy no", 26, 0),
            ["¿Qué? ¡Ya!", "Sí, «claro». Hoy no"]
        );
    }

    #[test]
    fn a_text_without_spaces_is_cut_between_characters() {
        assert_eq!(
            cut("日本語の文章です。次の文です", 30, 0),
            ["日本語の文章です。", "次の文です"]
        );
        assert_eq!(
            cut(&"é".repeat(20), 17, 0),
            ["é".repeat(8), "é".repeat(8), "é".repeat(4)]
        );
    }

    #[test]
    fn an_overlap_begins_with_a_sentence_or_a_word() {
        assert_eq!(
            cut("alpha beta gamma delta epsilon zeta", 18, 9),
            ["alpha beta gamma", "gamma delta", "delta epsilon zeta"]
        );
    }

    #[test]
    fn nothing_but_space_is_no_passage() {
        assert_eq!(cut(" \n\n\t ", 16, 4), [""; 0]);
        assert_eq!(cut(&format!("a{}b", " ".repeat(99)), 16, 8), ["a", "b"]);
    }

    #[test]
    fn sizes_that_do_not_go_together_are_refused() {
        assert_eq!(Chunker::new(15, 0), Err(ChunkerError::PassageTooSmall { least: 16 }));
        assert_eq!(Chunker::new(33, 17), Err(ChunkerError::OverlapTooLarge { most: 16 }));
    }

    proptest! {
        #[test]
        fn what_is_promised_holds_for_every_text(
            text in "[ab.é語👍 \n]{0,200}",
            passage in 16_usize..80,
            share in 0_usize..=50,
        ) {
            let overlap = passage * share / 100;
            let ranges = Chunker::new(passage, overlap).unwrap().cut(&text);
            let mut covered = vec![false; text.len()];
            for range in &ranges {
                // Indexing panics where a character is split.
                let piece = &text[range.clone()];
                prop_assert!(!piece.is_empty() && piece.len() <= passage);
                prop_assert_eq!(piece.trim(), piece);
                covered[range.clone()].fill(true);
            }
            for (at, character) in text.char_indices() {
                prop_assert!(covered[at] || character.is_whitespace(), "byte {} is lost", at);
            }
            for pair in ranges.windows(2) {
                prop_assert!(pair[0].start < pair[1].start && pair[0].end < pair[1].end);
                prop_assert!(pair[0].end.saturating_sub(pair[1].start) <= overlap);
            }
        }
    }
}
