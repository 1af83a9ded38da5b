//! Makes texts comparable, as the evaluation script of SQuAD does (Rajpurkar et al. 2016): lower case, then no punctuation,
//! then no English articles, then single spaces. Each step can be left out; their order is fixed. No Unicode normal form.

use serde::Deserialize;

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Step {
    /// Lower case, of all scripts.
    Case,
    /// Without ASCII punctuation; other marks stay, as in the original.
    Punctuation,
    /// Without the words `a`, `an` and `the`.
    Articles,
    /// Runs of white space as one space, none at the ends.
    Whitespace,
}

/// All steps: SQuAD's.
pub(crate) const SQUAD: [Step; 4] = [Step::Case, Step::Punctuation, Step::Articles, Step::Whitespace];

/// The text after these steps.
pub(crate) fn normalise(text: &str, steps: &[Step]) -> String {
    let mut text = if steps.contains(&Step::Case) {
        text.to_lowercase()
    } else {
        text.to_owned()
    };
    if steps.contains(&Step::Punctuation) {
        text.retain(|character| !character.is_ascii_punctuation());
    }
    if steps.contains(&Step::Articles) {
        text = without_articles(&text);
    }
    if steps.contains(&Step::Whitespace) {
        text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    text
}

/// Each article becomes a space, wherever it is a word of its own.
fn without_articles(text: &str) -> String {
    let in_word = |character: char| character.is_alphanumeric() || character == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(|character| !in_word(character)).unwrap_or(rest.len()));
        let is_article = ["a", "an", "the"]
            .iter()
            .any(|article| word.eq_ignore_ascii_case(article));
        out.push_str(if is_article { " " } else { word });
        let (between, after) = after.split_at(after.find(in_word).unwrap_or(after.len()));
        out.push_str(between);
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{SQUAD, Step, normalise};
    use proptest::prelude::*;

    #[test]
    fn all_steps_are_squads() {
        for (text, normal) in [
            ("The  Eiffel-Tower, a tower!", "eiffeltower tower"),
            ("An\tapple\n", "apple"),
            ("«The» anthem", "« » anthem"),
            ("ÉCOLE the_end", "école theend"),
            ("a an the", ""),
            ("theatre of a.n", "theatre of"),
        ] {
            assert_eq!(normalise(text, &SQUAD), normal, "{text}");
        }
    }

    #[test]
    fn each_step_can_stand_alone() {
        let text = " The  cat, A. ";
        assert_eq!(normalise(text, &[]), text);
        assert_eq!(normalise(text, &[Step::Case]), " the  cat, a. ");
        assert_eq!(normalise(text, &[Step::Punctuation]), " The  cat A ");
        assert_eq!(normalise(text, &[Step::Articles]), "    cat,  . ");
        assert_eq!(normalise(text, &[Step::Whitespace]), "The cat, A.");
    }

    proptest! {
        #[test]
        fn the_order_of_the_list_means_nothing(text in "[aAtThHeE .,é]{0,30}") {
            let mut backwards = SQUAD;
            backwards.reverse();
            prop_assert_eq!(normalise(&text, &SQUAD), normalise(&text, &backwards));
        }
    }
}
