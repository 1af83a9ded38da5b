//! Finds keywords, without regard to case in any script, and says when a text ends where a keyword may have begun. Letters
//! are compared one by one in lower case; accents count.

use std::collections::HashMap;
use std::ops::Range;

/// The keywords in the order of their letters, so that those that share a beginning stand together: however many there are,
/// a place costs about as many steps as it has letters of a keyword.
#[derive(Debug)]
pub(crate) struct Keywords {
    /// The letters, and the place in the configuration.
    sorted: Vec<(Vec<char>, usize)>,
    by_first: HashMap<char, Range<usize>>,
    whole_words: bool,
}

/// What is known of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// No keyword begins here.
    No,
    /// The longest keyword that begins here ends there.
    Match { end: usize, keyword: usize },
    /// That depends on what comes.
    Undecided,
}

impl Keywords {
    /// None of the keywords may be empty.
    pub(crate) fn new(keywords: &[String], whole_words: bool) -> Self {
        let letters = |keyword: &String| keyword.chars().flat_map(fold).collect();
        let mut sorted: Vec<(Vec<char>, usize)> = keywords.iter().map(letters).zip(0..).collect();
        sorted.sort_unstable();
        let mut by_first: HashMap<char, Range<usize>> = HashMap::new();
        for (place, (letters, _)) in sorted.iter().enumerate() {
            if let Some(first) = letters.first() {
                by_first.entry(*first).or_insert(place..place).end = place + 1;
            }
        }
        Self {
            sorted,
            by_first,
            whole_words,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Bytes of text that are enough to decide about any place: no letter has more than four, and one stands behind.
    pub(crate) fn reach(&self) -> usize {
        4 * (self.sorted.iter().map(|(letters, _)| letters.len()).max().unwrap_or(0) + 1)
    }

    /// Whether a keyword begins at this byte, which begins a character; `is_end` where no more text will come.
    pub(crate) fn at(&self, text: &str, at: usize, is_end: bool) -> Status {
        let (before, rest) = text.split_at_checked(at).unwrap_or((text, ""));
        let first = rest.chars().next().and_then(|letter| fold(letter).next());
        let Some((first, mut range)) = first.and_then(|first| Some((first, self.by_first.get(&first)?.clone()))) else {
            return Status::No;
        };
        if self.whole_words && in_word(first) && before.chars().next_back().is_some_and(in_word) {
            return Status::No;
        }
        let (mut status, mut depth) = (Status::No, 0);
        for (offset, character) in rest.char_indices() {
            for letter in fold(character) {
                range = self.narrowed(range, depth, letter);
                depth += 1;
            }
            let end = offset + character.len_utf8();
            // Those that end here stand before those that go on.
            let going_on = self.narrowed_to_longer(range.clone(), depth);
            if going_on > range.start {
                match self.is_border(character, rest.get(end..).unwrap_or_default(), is_end) {
                    Some(true) => {
                        let keyword = self.sorted.get(range.start).map_or(0, |(_, keyword)| *keyword);
                        status = Status::Match { end: at + end, keyword };
                    }
                    Some(false) => {}
                    None => return Status::Undecided,
                }
            }
            range.start = going_on;
            if range.is_empty() {
                return status;
            }
        }
        if is_end { status } else { Status::Undecided }
    }

    /// Of the keywords in this range, those with this letter at this depth.
    fn narrowed(&self, range: Range<usize>, depth: usize, letter: char) -> Range<usize> {
        let keywords = self.sorted.get(range.clone()).unwrap_or_default();
        let from = keywords.partition_point(|(letters, _)| letters.get(depth).is_none_or(|own| *own < letter));
        let until = keywords.partition_point(|(letters, _)| letters.get(depth).is_none_or(|own| *own <= letter));
        range.start + from..range.start + until
    }

    /// Where in this range the keywords begin that have more letters.
    fn narrowed_to_longer(&self, range: Range<usize>, depth: usize) -> usize {
        let keywords = self.sorted.get(range.clone()).unwrap_or_default();
        range.start + keywords.partition_point(|(letters, _)| letters.len() <= depth)
    }

    /// Whether a keyword may end between this character and what comes; `None` where that is not known yet.
    fn is_border(&self, last: char, after: &str, is_end: bool) -> Option<bool> {
        if !self.whole_words || !in_word(last) {
            return Some(true);
        }
        match after.chars().next() {
            Some(next) => Some(!in_word(next)),
            None => is_end.then_some(true),
        }
    }
}

/// The letters that a character is compared as.
fn fold(character: char) -> impl Iterator<Item = char> {
    // The two forms of the small sigma are one letter.
    character
        .to_lowercase()
        .map(|letter| if letter == 'ς' { 'σ' } else { letter })
}

fn in_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::{Keywords, Status};

    fn at(keywords: &[&str], whole_words: bool, text: &str, place: usize, is_end: bool) -> Status {
        let keywords: Vec<String> = keywords.iter().map(|word| (*word).to_owned()).collect();
        Keywords::new(&keywords, whole_words).at(text, place, is_end)
    }

    fn found(end: usize, keyword: usize) -> Status {
        Status::Match { end, keyword }
    }

    #[test]
    fn case_means_nothing_in_any_script() {
        assert_eq!(at(&["contraseña"], false, "CONTRASEÑA!", 0, false), found(11, 0));
        assert_eq!(at(&["ΟΔΟΣ"], false, "οδος", 0, false), found(8, 0));
        // A Kelvin sign is a k of three bytes.
        assert_eq!(at(&["kiss"], false, "\u{212a}iss", 0, false), found(6, 0));
    }

    #[test]
    fn whole_words_stand_alone() {
        assert_eq!(at(&["art"], true, "art.", 0, false), found(3, 0));
        assert_eq!(at(&["art"], true, "arts", 0, false), Status::No);
        assert_eq!(at(&["art"], true, "part", 1, true), Status::No);
        assert_eq!(at(&["art"], true, "art", 0, false), Status::Undecided);
        assert_eq!(at(&["art"], true, "art", 0, true), found(3, 0));
        assert_eq!(at(&["art"], false, "part", 1, false), found(4, 0));
        // A mark at the edge of a keyword needs no border.
        assert_eq!(at(&["$x$"], true, "a$x$b", 1, false), found(4, 0));
    }

    #[test]
    fn the_longest_keyword_wins_and_is_waited_for() {
        let both = ["top", "top secret"];
        assert_eq!(at(&both, true, "top secret!", 0, false), found(10, 1));
        assert_eq!(at(&both, true, "top sec", 0, false), Status::Undecided);
        assert_eq!(at(&both, true, "top sec", 0, true), found(3, 0));
        assert_eq!(at(&both, true, "top sex", 0, false), found(3, 0));
    }
}
