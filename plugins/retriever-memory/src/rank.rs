//! Ranks passages: by the words that they share with the question (BM25, Robertson & Zaragoza 2009, k1 = 1.2, b = 0.75, with
//! the inverse document frequency that cannot be negative), and where no word is shared by the question as it is written.
//! Words are runs of letters and digits in lower case; nothing is stemmed, and no language is known.

use std::collections::HashMap;

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// Where a passage stands, and with which score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ranked {
    /// Its place in the list that was ranked.
    pub(crate) place: usize,
    pub(crate) score: f64,
}

/// The words of a text, in order.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// The passages that share a word with the question, best first; of equals the one that comes first.
pub(crate) fn by_words(question: &str, passages: &[&str]) -> Vec<Ranked> {
    let mut terms: HashMap<String, usize> = HashMap::new();
    for word in words(question) {
        let next = terms.len();
        terms.entry(word).or_insert(next);
    }
    let mut frequency = vec![0_u64; terms.len()];
    let mut total = 0;
    let mut candidates = Vec::new();
    for (place, passage) in passages.iter().enumerate() {
        let mut counts: HashMap<usize, u64> = HashMap::new();
        let mut length = 0;
        for word in words(passage) {
            length += 1;
            if let Some(term) = terms.get(&word) {
                *counts.entry(*term).or_default() += 1;
            }
        }
        total += length;
        for term in counts.keys() {
            if let Some(frequency) = frequency.get_mut(*term) {
                *frequency += 1;
            }
        }
        if !counts.is_empty() {
            // In one order whatever the map's is, so that sums of reals are the same each time.
            let mut counts: Vec<(usize, u64)> = counts.into_iter().collect();
            counts.sort_unstable();
            candidates.push((place, length, counts));
        }
    }
    let number = passages.len() as f64;
    let average = total as f64 / number.max(1.0);
    let inverse = |term: usize| {
        let with = frequency.get(term).copied().unwrap_or_default() as f64;
        (1.0 + (number - with + 0.5) / (with + 0.5)).ln()
    };
    let score = |length: u64, counts: &[(usize, u64)]| {
        let penalty = K1 * (1.0 - B + B * length as f64 / average);
        let term = |(term, count): &(usize, u64)| {
            let count = *count as f64;
            inverse(*term) * count * (K1 + 1.0) / (count + penalty)
        };
        counts.iter().map(term).sum()
    };
    let ranked = candidates.iter().map(|(place, length, counts)| Ranked {
        place: *place,
        score: score(*length, counts),
    });
    sorted(ranked.collect())
}

/// The passages that contain the question without regard to case, those that do so most often first.
pub(crate) fn by_substring(question: &str, passages: &[&str]) -> Vec<Ranked> {
    let wanted = question.trim().to_lowercase();
    if wanted.is_empty() {
        return Vec::new();
    }
    let count = |passage: &&str| passage.to_lowercase().matches(wanted.as_str()).count();
    let counted = passages.iter().map(count).enumerate();
    let found = counted.filter(|(_, count)| *count > 0).map(|(place, count)| Ranked {
        place,
        score: count as f64,
    });
    sorted(found.collect())
}

fn sorted(mut ranked: Vec<Ranked>) -> Vec<Ranked> {
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.place.cmp(&b.place)));
    ranked
}

#[cfg(test)]
mod tests {
    use super::{by_substring, by_words, words};

    fn places(ranked: &[super::Ranked]) -> Vec<usize> {
        ranked.iter().map(|ranked| ranked.place).collect()
    }

    #[test]
    fn words_are_letters_and_digits_in_lower_case() {
        assert_eq!(
            words("¿Qué? GPT-4's «Ärger»").collect::<Vec<_>>(),
            ["qué", "gpt", "4", "s", "ärger"]
        );
    }

    #[test]
    fn rare_words_count_more_and_long_passages_less() {
        let passages = [
            "the cat sat on the mat",
            "the dog sat on the log",
            "the the the the the",
            "a cat",
            "birds",
        ];
        assert_eq!(places(&by_words("the cat", &passages)), [0, 3, 2, 1]);
        assert_eq!(places(&by_words("cat", &passages)), [3, 0]);
        assert_eq!(places(&by_words("whale", &passages)), [0_usize; 0]);
    }

    #[test]
    fn the_score_is_the_formulas() {
        // Two passages of 2 and 1 words; `x` is in one of them: ln(1 + 1.5/1.5) * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2/1.5)).
        let ranked = by_words("x", &["x y", "z"]);
        let expected = 2_f64.ln() * 2.2 / (1.0 + 1.2 * (0.25 + 0.75 * 2.0 / 1.5));
        assert!((ranked[0].score - expected).abs() < 1e-12);
    }

    #[test]
    fn a_substring_needs_no_words() {
        let passages = ["日本語の文章", "C++ and c++", "c++"];
        assert_eq!(places(&by_substring(" C++ ", &passages)), [1, 2]);
        assert_eq!(places(&by_substring("語の", &passages)), [0]);
        assert!(by_substring("  ", &passages).is_empty());
    }
}
