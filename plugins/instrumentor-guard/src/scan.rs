//! One text as it grows: hands out what is decided, and holds back what might still become a match. Places are bytes of the
//! whole text.

use std::ops::Range;

use crate::rules::{Rules, Step};

/// A text under way.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// What is not decided yet, behind one character that is: anchors and borders look back at it.
    held: String,
    /// Where in `held` the undecided part begins.
    from: usize,
    /// Where `held` begins in the whole text.
    base: usize,
}

/// A decided piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where it is.
    pub(crate) range: Range<usize>,
    /// As it was.
    pub(crate) text: String,
    /// The rule that it matches; `None` for what may pass.
    pub(crate) rule: Option<usize>,
}

impl Scanner {
    /// More of the text; what is decided by it.
    pub(crate) fn push(&mut self, rules: &Rules, text: &str) -> Vec<Piece> {
        self.held.push_str(text);
        self.decide(rules, false)
    }

    /// The text is over; everything that was held back. Afterwards it is as new.
    pub(crate) fn finish(&mut self, rules: &Rules) -> Vec<Piece> {
        let pieces = self.decide(rules, true);
        *self = Self::default();
        pieces
    }

    /// Up to which byte of the whole text it is decided.
    pub(crate) fn decided(&self) -> usize {
        self.base + self.from
    }

    fn decide(&mut self, rules: &Rules, is_end: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while let Some(step) = rules.step(&self.held, self.from, is_end) {
            match step {
                Step::Clear(end) => self.take(end, None, &mut pieces),
                Step::Match(found) => {
                    self.take(found.start, None, &mut pieces);
                    self.take(found.end, Some(found.rule), &mut pieces);
                }
            }
        }
        let context = self.held.floor_char_boundary(self.from.saturating_sub(1));
        self.held.drain(..context);
        self.from -= context;
        self.base += context;
        pieces
    }

    fn take(&mut self, end: usize, rule: Option<usize>, pieces: &mut Vec<Piece>) {
        if end > self.from {
            pieces.push(Piece {
                range: self.base + self.from..self.base + end,
                text: self.held.get(self.from..end).unwrap_or_default().to_owned(),
                rule,
            });
            self.from = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Scanner;
    use crate::rules::{Rules, redact};
    use proptest::prelude::*;

    fn rules(keywords: &[&str], whole_words: bool, patterns: &[&str], window: usize) -> Rules {
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Rules::new(&own(keywords), whole_words, &own(patterns), window).unwrap()
    }

    /// What comes out after each chunk, and at the end.
    fn stream<'a>(rules: &Rules, chunks: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let mut scanner = Scanner::default();
        let shown = |pieces: Vec<super::Piece>| {
            let show = |piece: super::Piece| {
                if piece.rule.is_some() {
                    "#".to_owned()
                } else {
                    piece.text
                }
            };
            pieces.into_iter().map(show).collect::<String>()
        };
        let mut out: Vec<String> = chunks
            .into_iter()
            .map(|chunk| shown(scanner.push(rules, chunk)))
            .collect();
        out.push(shown(scanner.finish(rules)));
        out
    }

    #[test]
    fn keywords_hold_back_only_what_may_be_one() {
        let rules = rules(&["secret"], true, &[], 16);
        assert_eq!(
            stream(&rules, ["a sec", "ond, a secre", "t", "."]),
            ["a ", "second, a ", "", "#.", ""]
        );
        assert_eq!(stream(&rules, ["secret"]), ["", "#"]);
        assert_eq!(stream(&rules, ["asecret "]), ["asecret ", ""]);
    }

    #[test]
    fn patterns_hold_back_their_window_and_a_block() {
        let rules = rules(&[], false, &["[0-9]{4}"], 16);
        let text = "abcdefghijklmnopqrstuvwxyz";
        // 26 bytes, window 16, block 4: one block behind 20, another behind 24.
        assert_eq!(stream(&rules, [text]), ["abcdefgh", "ijklmnopqrstuvwxyz"]);
        assert_eq!(stream(&rules, ["12", "34"]).concat(), "#");
    }

    #[test]
    fn a_match_longer_than_the_window_is_replaced_in_pieces_and_never_shown() {
        let rules = rules(&[], false, &["[0-9]+"], 16);
        let digits = "7".repeat(100);
        let out = stream(&rules, [digits.as_str()]).concat();
        assert!(!out.is_empty() && out.chars().all(|letter| letter == '#'), "{out}");
    }

    /// Cuts a text wherever characters end.
    fn chunks<'a>(text: &'a str, cuts: &[usize]) -> Vec<&'a str> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary(*cut)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
    }

    proptest! {
        #[test]
        fn keywords_do_not_see_how_a_text_was_cut(
            text in "[abABé .]{0,60}",
            cuts in prop::collection::vec(0_usize..80, 0..12),
            whole_words: bool,
        ) {
            let rules = rules(&["ab", "abba", "éa", "b a", "."], whole_words, &[], 16);
            let whole = redact(&text, &rules.find_all(&text), "#");
            prop_assert_eq!(stream(&rules, chunks(&text, &cuts)).concat(), whole);
        }

        #[test]
        fn neither_do_patterns_whose_matches_fit_the_window(
            text in "[ab1é \n.]{0,160}",
            cuts in prop::collection::vec(0_usize..240, 0..12),
            whole_words: bool,
        ) {
            let patterns = ["a[^b]{0,6}b", "1{1,5}\\b", "^b", "(?m)^é+?a", "a$", "1é|1é1a"];
            let rules = rules(&["ab", "éa1"], whole_words, &patterns, 20);
            let whole = redact(&text, &rules.find_all(&text), "#");
            prop_assert_eq!(stream(&rules, chunks(&text, &cuts)).concat(), whole);
        }

        #[test]
        fn cuts_change_nothing_even_for_endless_patterns(
            text in "[ab1é ]{0,160}",
            cuts in prop::collection::vec(0_usize..240, 0..12),
        ) {
            let rules = rules(&["ab"], false, &["a.*b", "1+$"], 16);
            let together = stream(&rules, [text.as_str()]).concat();
            prop_assert_eq!(stream(&rules, chunks(&text, &cuts)).concat(), together);
        }
    }
}
