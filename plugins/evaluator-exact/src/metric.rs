//! The three metrics: their parameters, their value for one output, their entry in the list. Corpus scores are the run's.

use encaje_sdk::errors::Problem;
use encaje_sdk::evaluator::{MetricInfo, Need};
use serde::Deserialize;

use crate::normalise::{SQUAD, Step, normalise};

/// A metric with its parameters.
#[derive(Debug)]
pub(crate) enum Metric {
    ExactMatch(Vec<Step>),
    TokenF1(Vec<Step>),
    Length(Length),
}

/// The value for one sample, and which reference gave it.
#[derive(Debug, PartialEq)]
pub(crate) struct Value {
    pub(crate) value: f64,
    pub(crate) reference: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Normalising {
    #[serde(default = "all_steps")]
    normalise: Vec<Step>,
}

fn all_steps() -> Vec<Step> {
    SQUAD.to_vec()
}

/// The parameters of `length`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Length {
    #[serde(default)]
    unit: Unit,
    min: Option<u64>,
    max: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    #[default]
    Characters,
    Words,
    Bytes,
}

impl Metric {
    /// The metric of this name with these parameters, a JSON object; an empty text is one without entries.
    ///
    /// # Errors
    /// `not-found` for another name, `invalid-request` for parameters that do not fit.
    pub(crate) fn new(name: &str, params: &str) -> Result<Self, Problem> {
        let params = if params.trim().is_empty() { "{}" } else { params };
        match name {
            "exact_match" => Ok(Self::ExactMatch(parse::<Normalising>(params)?.normalise)),
            "token_f1" => Ok(Self::TokenF1(parse::<Normalising>(params)?.normalise)),
            "length" => {
                let length: Length = parse(params)?;
                if length.min.zip(length.max).is_some_and(|(min, max)| min > max) {
                    let message = "params.min is larger than params.max: no output could pass";
                    return Err(Problem::invalid_request(message).with_param("params.min"));
                }
                Ok(Self::Length(length))
            }
            _ => {
                let message = format!("there is no metric `{name}`; there are `exact_match`, `token_f1` and `length`");
                Err(Problem::not_found(message).with_param("metric"))
            }
        }
    }

    /// As `metrics` lists it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::ExactMatch(_) => "exact_match",
            Self::TokenF1(_) => "token_f1",
            Self::Length(_) => "length",
        }
    }

    /// Whether a sample needs references.
    pub(crate) fn needs_references(&self) -> bool {
        !matches!(self, Self::Length(_))
    }

    /// Whether the spread is told beside the mean: of values that are more than yes or no.
    pub(crate) fn tells_spread(&self) -> bool {
        match self {
            Self::ExactMatch(_) => false,
            Self::TokenF1(_) => true,
            Self::Length(length) => !length.is_bounded(),
        }
    }

    /// The best value over the references, of which there is at least one where the metric needs them.
    pub(crate) fn value(&self, output: &str, references: &[String]) -> Value {
        match self {
            Self::ExactMatch(steps) => {
                let output = normalise(output, steps);
                best(references, |reference| {
                    if normalise(reference, steps) == output {
                        1.0
                    } else {
                        0.0
                    }
                })
            }
            Self::TokenF1(steps) => {
                let output = normalise(output, steps);
                best(references, |reference| token_f1(&output, &normalise(reference, steps)))
            }
            Self::Length(length) => Value {
                value: length.value(output),
                reference: None,
            },
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(params: &'a str) -> Result<T, Problem> {
    if !params.trim_start().starts_with('{') {
        return Err(Problem::invalid_request("params: not a JSON object").with_param("params"));
    }
    serde_json::from_str(params)
        .map_err(|error| Problem::invalid_request(format!("params: {error}")).with_param("params"))
}

/// The first of the references with the largest value.
fn best(references: &[String], value: impl Fn(&str) -> f64) -> Value {
    let mut best = Value {
        value: 0.0,
        reference: None,
    };
    for (place, reference) in references.iter().enumerate() {
        let value = value(reference);
        if value > best.value {
            best = Value {
                value,
                reference: Some(place),
            };
        }
    }
    best
}

/// The harmonic mean of precision and recall over bags of tokens. Where one of the bags is empty: 1 if both are, else 0, as
/// the script of SQuAD 2.0 has it.
fn token_f1(output: &str, reference: &str) -> f64 {
    let bag = |text: &'_ str| {
        let mut tokens: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        tokens.sort_unstable();
        tokens
    };
    let (output, reference) = (bag(output), bag(reference));
    if output.is_empty() || reference.is_empty() {
        return if output.len() == reference.len() { 1.0 } else { 0.0 };
    }
    let mut rest = reference.iter().peekable();
    let common = output.iter().filter(|token| {
        while rest.next_if(|other| *other < *token).is_some() {}
        rest.next_if(|other| other == token).is_some()
    });
    // The harmonic mean of c/o and c/r, without its division by zero.
    2.0 * common.count() as f64 / (output.len() + reference.len()) as f64
}

impl Length {
    fn is_bounded(&self) -> bool {
        self.min.is_some() || self.max.is_some()
    }

    fn value(&self, output: &str) -> f64 {
        let length = match self.unit {
            Unit::Characters => output.chars().count(),
            Unit::Words => output.split_whitespace().count(),
            Unit::Bytes => output.len(),
        };
        if !self.is_bounded() {
            return length as f64;
        }
        let length = length as u64;
        let within = self.min.is_none_or(|min| length >= min) && self.max.is_none_or(|max| length <= max);
        if within { 1.0 } else { 0.0 }
    }
}

/// JSON Schema of the parameters of `exact_match` and `token_f1`.
const NORMALISING: &str = r#"{"type":"object","additionalProperties":false,"properties":{"normalise":{"description":"What is evened out before texts are compared; absent is all of it","type":"array","uniqueItems":true,"items":{"enum":["case","punctuation","articles","whitespace"]}}}}"#;
/// JSON Schema of the parameters of `length`.
const LENGTH: &str = r#"{"type":"object","additionalProperties":false,"properties":{"unit":{"enum":["characters","words","bytes"],"default":"characters"},"min":{"description":"The score is 1 from here on, else 0","type":"integer","minimum":0},"max":{"description":"The score is 1 up to here, else 0","type":"integer","minimum":0}}}"#;

/// The list.
pub(crate) fn list() -> Vec<MetricInfo> {
    let info = |name: &str, description: &str, highest, needs, params: &str| MetricInfo {
        name: name.to_owned(),
        description: description.to_owned(),
        lowest: Some(0.0),
        highest,
        higher_is_better: true,
        needs,
        deterministic: true,
        params: params.to_owned(),
    };
    vec![
        info(
            "exact_match",
            "1 where the output equals one of the references after normalisation, else 0 (SQuAD; Rajpurkar et al. 2016)",
            Some(1.0),
            vec![Need::References],
            NORMALISING,
        ),
        info(
            "token_f1",
            "Harmonic mean of precision and recall over bags of normalised tokens, the best of the references (SQuAD; \
             Rajpurkar et al. 2016)",
            Some(1.0),
            vec![Need::References],
            NORMALISING,
        ),
        info(
            "length",
            "The output's length; with `min` or `max` 1 where it lies between them (both included), else 0",
            None,
            Vec::new(),
            LENGTH,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::{Metric, Value, list};
    use encaje_sdk::errors::ProblemKind;
    use proptest::prelude::*;

    fn value(name: &str, params: &str, output: &str, references: &[&str]) -> f64 {
        let references: Vec<String> = references.iter().map(|text| (*text).to_owned()).collect();
        Metric::new(name, params).unwrap().value(output, &references).value
    }

    #[test]
    fn exact_match_takes_any_reference() {
        assert_eq!(value("exact_match", "", "The cat.", &["dog", "cat"]), 1.0);
        assert_eq!(value("exact_match", "{}", "The cat", &["cats"]), 0.0);
        let strict = r#"{"normalise":[]}"#;
        assert_eq!(value("exact_match", strict, "Cat", &["cat"]), 0.0);
        assert_eq!(value("exact_match", r#"{"normalise":["case"]}"#, "Cat", &["cat"]), 1.0);
        let metric = Metric::new("exact_match", "").unwrap();
        let found = metric.value("b", &["a b c".to_owned(), "b".to_owned()]);
        assert_eq!(
            found,
            Value {
                value: 1.0,
                reference: Some(1)
            }
        );
    }

    #[test]
    fn token_f1_is_squads() {
        // Precision 2/3, recall 2/4.
        let f1 = value("token_f1", "", "the red big cat", &["big cat on mat"]);
        assert!((f1 - 4.0 / 7.0).abs() < 1e-12, "{f1}");
        assert_eq!(value("token_f1", "", "x x y", &["x y y"]), 2.0 * 2.0 / 6.0);
        assert_eq!(value("token_f1", "", "x", &["y", "x z", "x"]), 1.0);
        assert_eq!(value("token_f1", "", "the", &["a"]), 1.0);
        assert_eq!(value("token_f1", "", "", &["word"]), 0.0);
    }

    #[test]
    fn length_is_a_number_or_a_verdict() {
        assert_eq!(value("length", "", "né e", &[]), 4.0);
        assert_eq!(value("length", r#"{"unit":"bytes"}"#, "né e", &[]), 5.0);
        assert_eq!(value("length", r#"{"unit":"words"}"#, "né e", &[]), 2.0);
        let between = r#"{"unit":"words","min":2,"max":3}"#;
        for (output, verdict) in [("a", 0.0), ("a b", 1.0), ("a b c", 1.0), ("a b c d", 0.0)] {
            assert_eq!(value("length", between, output, &[]), verdict);
        }
    }

    #[test]
    fn wrong_names_and_parameters_are_told() {
        let unknown = Metric::new("bleu", "{}").unwrap_err();
        assert!(matches!(unknown.kind, ProblemKind::NotFound));
        for (name, params) in [
            ("exact_match", r#"{"normalise":["accents"]}"#),
            ("token_f1", r#"{"case":true}"#),
            ("length", r#"{"min":3,"max":2}"#),
            ("length", r#"{"unit":"tokens"}"#),
            ("length", r#"{"min":-1}"#),
            ("length", "[]x"),
            ("exact_match", "[]"),
        ] {
            let problem = Metric::new(name, params).unwrap_err();
            assert!(matches!(problem.kind, ProblemKind::InvalidRequest), "{params}");
            assert!(problem.param.unwrap().starts_with("params"), "{params}");
        }
    }

    #[test]
    fn the_list_names_what_can_be_started_and_its_schemas_are_json() {
        for info in list() {
            assert_eq!(Metric::new(&info.name, "{}").unwrap().name(), info.name);
            let schema: serde_json::Value = serde_json::from_str(&info.params).unwrap();
            assert_eq!(schema["type"], "object");
        }
    }

    proptest! {
        #[test]
        fn f1_is_symmetric_bounded_and_one_of_itself(a in "[abc ]{0,20}", b in "[abc ]{0,20}") {
            let forth = value("token_f1", r#"{"normalise":[]}"#, &a, &[&b]);
            prop_assert_eq!(forth, value("token_f1", r#"{"normalise":[]}"#, &b, &[&a]));
            prop_assert!((0.0..=1.0).contains(&forth));
            prop_assert_eq!(value("token_f1", "", &a, &[&a]), 1.0);
        }

        #[test]
        fn f1_agrees_with_counting(a in prop::collection::vec(0_u8..4, 1..9), b in prop::collection::vec(0_u8..4, 1..9)) {
            let text = |bag: &[u8]| bag.iter().map(|token| format!("w{token} ")).collect::<String>();
            let count = |bag: &[u8], token: u8| bag.iter().filter(|other| **other == token).count();
            let common: usize = (0..4).map(|token| count(&a, token).min(count(&b, token))).sum();
            let (precision, recall) = (common as f64 / a.len() as f64, common as f64 / b.len() as f64);
            let expected = if common == 0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) };
            prop_assert!((value("token_f1", "", &text(&a), &[&text(&b)]) - expected).abs() < 1e-12);
        }
    }
}
