//! Keywords and patterns together: where the next match is, in a whole text or in one that still grows. A match is the
//! leftmost one, of several at one place the longest; the search goes on behind it.
//!
//! In a growing text a pattern is asked about a block at a time, with `window` bytes of text behind the block. Where the
//! blocks lie follows from the text alone, so that its cuts change nothing; and no match of up to `window` bytes is missed
//! or cut. A longer one may be found in pieces.

use encaje_sdk::errors::Problem;
use regex_lite::{Regex, RegexBuilder};

use crate::keywords::{Keywords, Status};
use crate::limits::{
    MAX_KEYWORD_CHARACTERS, MAX_KEYWORDS, MAX_PATTERN_CHARACTERS, MAX_PATTERN_PROGRAM, MAX_PATTERNS, WINDOW,
};

/// What to look for.
#[derive(Debug)]
pub(crate) struct Rules {
    keywords: Keywords,
    patterns: Vec<Regex>,
    /// Bytes of the longest match that is found whole.
    window: usize,
}

/// A match. Rules count the keywords first, then the patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) rule: usize,
}

/// What is decided of a growing text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// No match begins before this byte.
    Clear(usize),
    /// The next match.
    Match(Found),
}

impl Rules {
    /// # Errors
    /// `misconfigured`, naming the key.
    pub(crate) fn new(
        keywords: &[String],
        whole_words: bool,
        patterns: &[String],
        window: usize,
    ) -> Result<Self, Problem> {
        let problem = |key: &str, why: String| Problem::misconfigured(format!("{key}: {why}")).with_param(key);
        let refuse = |key: &str, why: String| Err(problem(key, why));
        if keywords.is_empty() && patterns.is_empty() {
            let why = "there is nothing to look for; name a keyword here or a pattern in `patterns`";
            return refuse("config.keywords", why.to_owned());
        }
        if keywords.len() > MAX_KEYWORDS {
            return refuse("config.keywords", format!("more than {MAX_KEYWORDS} keywords"));
        }
        if patterns.len() > MAX_PATTERNS {
            return refuse("config.patterns", format!("more than {MAX_PATTERNS} patterns"));
        }
        if !WINDOW.contains(&window) {
            let why = format!("must lie between {} and {}", WINDOW.start(), WINDOW.end());
            return refuse("config.window", why);
        }
        for (place, keyword) in keywords.iter().enumerate() {
            if keyword.is_empty() || keyword.chars().count() > MAX_KEYWORD_CHARACTERS {
                let why = format!("a keyword has 1 to {MAX_KEYWORD_CHARACTERS} characters");
                return refuse(&format!("config.keywords[{place}]"), why);
            }
        }
        let compile = |(place, pattern): (usize, &String)| {
            compile(pattern).map_err(|why| problem(&format!("config.patterns[{place}]"), why))
        };
        let keywords = Keywords::new(keywords, whole_words);
        Ok(Self {
            // Where keywords wait for patterns, the window must hold them as well.
            window: window.max(keywords.reach()),
            patterns: patterns.iter().enumerate().map(compile).collect::<Result<_, _>>()?,
            keywords,
        })
    }

    /// The rule's place in the configuration.
    pub(crate) fn name(&self, rule: usize) -> String {
        match rule.checked_sub(self.keywords.len()) {
            None => format!("keywords[{rule}]"),
            Some(pattern) => format!("patterns[{pattern}]"),
        }
    }

    /// All matches of a whole text, in order.
    pub(crate) fn find_all(&self, text: &str) -> Vec<Found> {
        let mut found = Vec::new();
        let mut from = 0;
        // What each rule said last stays true until the search has passed it.
        let mut keyword = self.keyword(text, 0, text.len(), true);
        let mut patterns: Vec<Option<Found>> = self.patterns_from(text, 0).collect();
        while let Some(next) = keyword
            .iter()
            .chain(patterns.iter().flatten())
            .copied()
            .min_by_key(rank)
        {
            found.push(next);
            from = next.end.max(from);
            if keyword.is_some_and(|found| found.start < from) {
                keyword = self.keyword(text, from, text.len(), true);
            }
            for (place, cached) in patterns.iter_mut().enumerate() {
                if cached.is_some_and(|found| found.start < from) {
                    *cached = self.pattern(place, text, from);
                }
            }
        }
        found
    }

    /// What can be said of a growing text from this byte on; `None` where more of it is needed, or nothing is left.
    pub(crate) fn step(&self, text: &str, from: usize, is_end: bool) -> Option<Step> {
        if from >= text.len() {
            return None;
        }
        if self.patterns.is_empty() {
            return self.keyword_step(text, from, is_end);
        }
        let block = (self.window / 4).max(4);
        let reach = from + block + self.window;
        let (haystack, limit) = if text.len() >= reach {
            (text.floor_char_boundary(reach), text.floor_char_boundary(from + block))
        } else if is_end {
            (text.len(), text.len())
        } else {
            return None;
        };
        let haystack = text.get(..haystack).unwrap_or(text);
        let pattern = self
            .patterns_from(haystack, from)
            .flatten()
            .filter(|found| found.start < limit)
            .min_by_key(rank);
        let keywords_until = pattern.map_or(limit, |found| found.start + 1);
        let keyword = self.keyword(text, from, keywords_until, is_end);
        let next = keyword.into_iter().chain(pattern).min_by_key(rank);
        Some(next.map_or(Step::Clear(limit), Step::Match))
    }

    /// Keywords alone decide as soon as it can be known.
    fn keyword_step(&self, text: &str, from: usize, is_end: bool) -> Option<Step> {
        for at in places(text, from, text.len()) {
            match self.keywords.at(text, at, is_end) {
                Status::No => {}
                Status::Match { end, keyword } => {
                    let found = Found {
                        start: at,
                        end,
                        rule: keyword,
                    };
                    return Some(Step::Match(found));
                }
                Status::Undecided => return (at > from).then_some(Step::Clear(at)),
            }
        }
        Some(Step::Clear(text.len()))
    }

    /// The first keyword that begins in this range.
    fn keyword(&self, text: &str, from: usize, until: usize, is_end: bool) -> Option<Found> {
        places(text, from, until).find_map(|start| match self.keywords.at(text, start, is_end) {
            Status::Match { end, keyword } => Some(Found {
                start,
                end,
                rule: keyword,
            }),
            Status::No | Status::Undecided => None,
        })
    }

    fn patterns_from(&self, text: &str, from: usize) -> impl Iterator<Item = Option<Found>> {
        (0..self.patterns.len()).map(move |place| self.pattern(place, text, from))
    }

    /// The first match of a pattern from here on that is not empty.
    fn pattern(&self, place: usize, text: &str, from: usize) -> Option<Found> {
        let pattern = self.patterns.get(place)?;
        let mut from = from;
        while from < text.len() {
            let found = pattern.find_at(text, from)?;
            if !found.is_empty() {
                return Some(Found {
                    start: found.start(),
                    end: found.end(),
                    rule: self.keywords.len() + place,
                });
            }
            from = text.ceil_char_boundary(found.end() + 1);
        }
        None
    }
}

/// Leftmost first, then longest.
fn rank(found: &Found) -> (usize, std::cmp::Reverse<usize>) {
    (found.start, std::cmp::Reverse(found.end))
}

/// Where characters begin.
fn places(text: &str, from: usize, until: usize) -> impl Iterator<Item = usize> {
    (from..until).filter(move |at| text.is_char_boundary(*at))
}

fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.chars().count() > MAX_PATTERN_CHARACTERS {
        return Err(format!("a pattern has at most {MAX_PATTERN_CHARACTERS} characters"));
    }
    let compiled = RegexBuilder::new(pattern).size_limit(MAX_PATTERN_PROGRAM).build();
    let regex = compiled.map_err(|error| format!("is no regular expression: {error}"))?;
    if regex.is_match("") {
        return Err("matches the empty text, and so everywhere; write `+` for `*`".to_owned());
    }
    Ok(regex)
}

/// The text with each match replaced.
pub(crate) fn redact(text: &str, found: &[Found], replacement: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for found in found {
        out.push_str(text.get(from..found.start).unwrap_or_default());
        out.push_str(replacement);
        from = found.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::{Rules, redact};

    fn rules(keywords: &[&str], patterns: &[&str]) -> Rules {
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Rules::new(&own(keywords), false, &own(patterns), 16).unwrap()
    }

    fn redacted(rules: &Rules, text: &str) -> String {
        redact(text, &rules.find_all(text), "#")
    }

    #[test]
    fn the_leftmost_then_the_longest_wins() {
        let rules = rules(&["bc", "c", "x1"], &["[a-b]+", "x[0-9]+"]);
        assert_eq!(redacted(&rules, "c abc x12 x1y é"), "# ## # #y é");
        let names: Vec<String> = rules
            .find_all("bcd x1 x12")
            .iter()
            .map(|found| rules.name(found.rule))
            .collect();
        assert_eq!(names, ["keywords[0]", "keywords[2]", "patterns[1]"]);
    }

    #[test]
    fn anchors_and_borders_see_the_text_around() {
        let rules = rules(&[], &["^ab", "\\bcd\\b", "ef$"]);
        assert_eq!(redacted(&rules, "ab ab cd acd cde ef ef"), "# ab # acd cde ef #");
    }

    #[test]
    fn empty_matches_are_passed_over() {
        let rules = rules(&[], &["x|\\b"]);
        assert_eq!(redacted(&rules, "éx x"), "é# #");
    }
}
