//! Texts as windows of tokens that the encoder can read, and the vector of a text from those of its windows.
//!
//! A text that is longer than one window is cut into as few as will do, of about equal length and without overlap, so that
//! every token counts once. The text's vector is the mean of its windows' vectors, weighted by their tokens and scaled to
//! length 1: for a text of one window it is that window's own vector. No token is left out. The truncation and padding
//! that `tokenizer.json` may ask for are switched off.

use std::str::FromStr;

use tokenizers::Tokenizer;

use super::bert::unit;
use crate::error::ModelError;

/// Cuts texts.
pub(crate) struct Windows {
    tokenizer: Tokenizer,
    begin: u32,
    end: u32,
    /// Tokens of text that fit between the two marks.
    room: usize,
    vocabulary: usize,
}

/// A text as windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// Token ids with the marks at both ends.
    pub(crate) windows: Vec<Vec<u32>>,
    /// Tokens of the text itself.
    pub(crate) tokens: usize,
}

impl Windows {
    /// From the bytes of a `tokenizer.json`, for windows of `window` tokens with their marks.
    ///
    /// # Errors
    /// `Malformed` where it is none, or does not mark both ends of a text with one token each.
    pub(crate) fn new(json: &[u8], window: usize, vocabulary: usize) -> Result<Self, ModelError> {
        let malformed = |reason: String| ModelError::Malformed(format!("tokenizer.json: {reason}"));
        let text = std::str::from_utf8(json).map_err(|error| malformed(error.to_string()))?;
        let mut tokenizer = Tokenizer::from_str(text).map_err(|error| malformed(error.to_string()))?;
        tokenizer
            .with_truncation(None)
            .map_err(|error| malformed(error.to_string()))?;
        tokenizer.with_padding(None);
        let marks = tokenizer
            .encode_fast("", true)
            .map_err(|error| malformed(error.to_string()))?;
        match *marks.get_ids() {
            [begin, end] => Ok(Self {
                tokenizer,
                begin,
                end,
                room: window.saturating_sub(2).max(1),
                vocabulary,
            }),
            ref other => Err(malformed(format!("{} marks around a text", other.len()))),
        }
    }

    /// The windows of a text.
    ///
    /// # Errors
    /// `Failed` where the tokenizer fails.
    pub(crate) fn text(&self, text: &str) -> Result<Text, ModelError> {
        let encoding = self.tokenizer.encode_fast(text, false);
        let encoding =
            encoding.map_err(|error| ModelError::Failed(format!("the text cannot be tokenized: {error}")))?;
        Ok(self.cut(encoding.get_ids()))
    }

    /// The windows of token ids, with or without the marks; nothing where one is none of the vocabulary.
    pub(crate) fn tokens(&self, tokens: &[u32]) -> Option<Text> {
        if tokens.iter().any(|token| *token as usize >= self.vocabulary) {
            return None;
        }
        let inner = tokens.strip_prefix(&[self.begin]).unwrap_or(tokens);
        let inner = inner.strip_suffix(&[self.end]).unwrap_or(inner);
        Some(Text {
            tokens: tokens.len(),
            ..self.cut(inner)
        })
    }

    fn cut(&self, ids: &[u32]) -> Text {
        let count = ids.len().div_ceil(self.room).max(1);
        let size = ids.len().div_ceil(count).max(1);
        let marked = |ids: &[u32]| [&[self.begin], ids, &[self.end]].concat();
        let windows = if ids.is_empty() {
            vec![marked(&[])]
        } else {
            ids.chunks(size).map(marked).collect()
        };
        Text {
            windows,
            tokens: ids.len(),
        }
    }
}

impl Text {
    /// The text's vector from those of its windows.
    pub(crate) fn combine(&self, vectors: &[f32], width: usize) -> Vec<f32> {
        if self.windows.len() == 1 {
            return vectors.to_vec();
        }
        let mut sum = vec![0.0f32; width];
        for (vector, window) in vectors.chunks_exact(width.max(1)).zip(&self.windows) {
            let weight = window.len().saturating_sub(2) as f32;
            for (sum, value) in sum.iter_mut().zip(vector) {
                *sum += weight * value;
            }
        }
        unit(&mut sum);
        sum
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::TOKENIZER;

    fn windows(window: usize) -> Windows {
        Windows::new(TOKENIZER.as_bytes(), window, 7).unwrap()
    }

    #[test]
    fn a_short_text_is_one_window_and_a_long_one_several_alike() {
        let windows = windows(6);
        let one = windows.text("a b c d").unwrap();
        assert_eq!((one.windows, one.tokens), (vec![vec![1, 4, 5, 6, 3, 2]], 4));
        let two = windows.text("a b c a b c").unwrap();
        assert_eq!(two.windows, [[1, 4, 5, 6, 2], [1, 4, 5, 6, 2]]);
        assert_eq!(windows.text("  ").unwrap().windows, [[1, 2]]);
    }

    #[test]
    fn token_ids_may_have_their_marks_and_must_be_known() {
        let windows = windows(6);
        assert_eq!(windows.tokens(&[1, 4, 5, 2]).unwrap().windows, [[1, 4, 5, 2]]);
        assert_eq!(windows.tokens(&[4, 5]).unwrap().windows, [[1, 4, 5, 2]]);
        assert_eq!(windows.tokens(&[4, 7]), None);
    }

    #[test]
    fn the_vector_of_a_text_weighs_its_windows() {
        let text = Text {
            windows: vec![vec![1, 4, 4, 4, 2], vec![1, 4, 2]],
            tokens: 4,
        };
        let vector = text.combine(&[1.0, 0.0, 0.0, 1.0], 2);
        assert!((vector[0] - 3.0 / 10f32.sqrt()).abs() < 1e-6 && (vector[1] - 1.0 / 10f32.sqrt()).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn no_token_is_lost_and_no_window_too_long(ids in proptest::collection::vec(3u32..7, 0..200), window in 3usize..40) {
            let text = windows(window).cut(&ids);
            let inner: Vec<u32> = text.windows.iter().flat_map(|w| w[1..w.len() - 1].to_vec()).collect();
            prop_assert_eq!(&inner, &ids);
            prop_assert!(text.windows.iter().all(|w| w.len() <= window.max(3)));
            prop_assert!(text.windows.len() <= ids.len().div_ceil(window - 2).max(1));
        }
    }
}
