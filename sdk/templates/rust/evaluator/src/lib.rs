//! An evaluator with one metric, `words_in_range`: whether an answer has as many words as it should. Put your metric where
//! `Range::score` is. It asks no model and needs no references.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed expectation is a failed test"
    )
)]

use encaje_sdk::errors::Problem;
use encaje_sdk::evaluator::{CorpusScore, Evaluator, MetricInfo, Run, Sample, SampleScore, Score};
use serde::Deserialize;

const METRIC: &str = "words_in_range";

/// Bytes of an answer that is judged: far more than a model says, little beside a guest's memory.
const MAX_OUTPUT_BYTES: usize = 1 << 20;

/// What `params` may say; people read it in the list of metrics.
const PARAMS: &str = r#"{"type":"object","additionalProperties":false,"properties":{
"min":{"type":"integer","minimum":0,"maximum":4294967295,"default":1},
"max":{"type":"integer","minimum":0,"maximum":4294967295}}}"#;

/// The plugin's `config` in the registry; `plugin.toml` has its schema and the defaults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    max: u32,
}

struct Plugin;

impl Evaluator for Plugin {
    fn check() -> Result<Vec<String>, Problem> {
        encaje_sdk::config::<Config>()?;
        Ok(vec!["evaluate".to_owned()])
    }

    fn metrics() -> Result<Vec<MetricInfo>, Problem> {
        Ok(vec![MetricInfo {
            name: METRIC.to_owned(),
            description: "1 where the answer has `min` to `max` words, else 0; words are what spaces part".to_owned(),
            lowest: Some(0.0),
            highest: Some(1.0),
            higher_is_better: true,
            needs: Vec::new(),
            deterministic: true,
            params: PARAMS.to_owned(),
        }])
    }

    fn start(metric: String, params: String) -> Result<Box<dyn Run>, Problem> {
        Ok(Box::new(Evaluation::new(&encaje_sdk::config()?, &metric, params)?))
    }
}

/// How many words an answer should have.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    #[serde(default = "one")]
    min: u32,
    max: Option<u32>,
}

fn one() -> u32 {
    1
}

/// One run: the range, and what was judged so far.
#[derive(Debug)]
struct Evaluation {
    min: usize,
    max: usize,
    judged: u64,
    passed: u64,
}

impl Evaluation {
    fn new(config: &Config, metric: &str, params: String) -> Result<Self, Problem> {
        if metric != METRIC {
            let message = format!("there is no metric `{metric}`; there is `{METRIC}`");
            return Err(Problem::not_found(message).with_param("metric"));
        }
        let params = if params.trim().is_empty() {
            "{}".to_owned()
        } else {
            params
        };
        let entry = [("params".to_owned(), params)];
        let missing = || Problem::invalid_request("`params` must be a JSON object").with_param("params");
        let range: Range = encaje_sdk::parse_extra(&entry, "params")?.ok_or_else(missing)?;
        let max = range.max.unwrap_or(config.max);
        if range.min > max {
            let message = format!(
                "params.min is {}, more than the maximum {max}: no answer could pass",
                range.min
            );
            return Err(Problem::invalid_request(message).with_param("params.min"));
        }
        Ok(Self {
            min: range.min as usize,
            max: max as usize,
            judged: 0,
            passed: 0,
        })
    }

    fn judge(&mut self, sample: &Sample) -> Result<Score, Problem> {
        if sample.output.len() > MAX_OUTPUT_BYTES {
            let message = format!("`output` has more than {MAX_OUTPUT_BYTES} bytes; shorten it");
            return Err(Problem::too_large(message).with_param("output"));
        }
        let words = sample.output.split_whitespace().count();
        let passes = (self.min..=self.max).contains(&words);
        self.judged += 1;
        self.passed += u64::from(passes);
        let mut score = Score::new(METRIC, if passes { 1.0 } else { 0.0 });
        score.label = Some(if passes { "pass" } else { "fail" }.to_owned());
        score.explanation = Some(format!("{words} words; {} to {} are wanted", self.min, self.max));
        Ok(score)
    }
}

impl Run for Evaluation {
    fn push(&mut self, samples: Vec<Sample>) -> Result<Vec<SampleScore>, Problem> {
        let outcome = |sample: &Sample| SampleScore::of(sample, self.judge(sample));
        Ok(samples.iter().map(outcome).collect())
    }

    fn finish(&mut self) -> Result<CorpusScore, Problem> {
        let mut share = Score::new(METRIC, self.passed as f64 / self.judged.max(1) as f64);
        if self.judged == 0 {
            share.value = None;
            share.explanation = Some("no sample was judged".to_owned());
        }
        Ok(CorpusScore {
            scores: vec![share],
            usage: None,
            extra: vec![("judged".to_owned(), self.judged.to_string())],
        })
    }
}

encaje_sdk::export_evaluator!(Plugin);

#[cfg(test)]
mod tests {
    use super::*;
    use encaje_sdk::errors::ProblemKind;

    fn start(params: &str) -> Result<Evaluation, Problem> {
        Evaluation::new(&Config { max: 3 }, METRIC, params.to_owned())
    }

    fn sample(output: &str) -> Sample {
        Sample {
            id: output.chars().take(3).collect(),
            output: output.to_owned(),
            references: Vec::new(),
            question: None,
            context: Vec::new(),
            messages: Vec::new(),
            ranking: Vec::new(),
            relevant: Vec::new(),
            extra: Vec::new(),
        }
    }

    fn values(params: &str, outputs: &[&str]) -> Vec<Option<f64>> {
        let mut run = start(params).unwrap();
        let scores = run.push(outputs.iter().map(|output| sample(output)).collect()).unwrap();
        scores.into_iter().map(|score| score.outcome.unwrap().value).collect()
    }

    #[test]
    fn the_borders_belong_to_the_range() {
        let outputs = ["", "a", " a\nb c ", "a b c d"];
        assert_eq!(values("", &outputs), [Some(0.0), Some(1.0), Some(1.0), Some(0.0)]);
        assert_eq!(
            values(r#"{"min":0,"max":0}"#, &outputs),
            [Some(1.0), Some(0.0), Some(0.0), Some(0.0)]
        );
    }

    #[test]
    fn the_corpus_gets_the_share_that_passed() {
        let mut run = start("{}").unwrap();
        assert_eq!(run.finish().unwrap().scores[0].value, None);
        run.push(vec![sample("a"), sample("")]).unwrap();
        run.push(vec![sample("a b c d"), sample("b")]).unwrap();
        assert_eq!(run.finish().unwrap().scores[0].value, Some(0.5));
    }

    #[test]
    fn a_sample_that_is_too_long_does_not_stop_the_others() {
        let mut run = start("{}").unwrap();
        let scores = run
            .push(vec![sample(&"x".repeat(MAX_OUTPUT_BYTES + 1)), sample("a")])
            .unwrap();
        assert!(matches!(
            scores[0].outcome.as_ref().unwrap_err().kind,
            ProblemKind::TooLarge
        ));
        assert_eq!(scores[1].outcome.as_ref().unwrap().value, Some(1.0));
        assert_eq!(run.finish().unwrap().scores[0].value, Some(1.0));
    }

    #[test]
    fn parameters_that_do_not_fit_are_named() {
        for (params, name) in [
            (r#"{"min":-1}"#, "params.min"),
            (r#"{"min":4}"#, "params.min"),
            (r#"{"least":1}"#, "params.least"),
            ("{", "params"),
        ] {
            let problem = start(params).unwrap_err();
            assert!(matches!(problem.kind, ProblemKind::InvalidRequest), "{params}");
            assert_eq!(problem.param.as_deref(), Some(name), "{params}");
        }
        let problem = Evaluation::new(&Config { max: 3 }, "bleu", String::new()).unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::NotFound));
    }

    #[test]
    fn the_schema_of_the_parameters_is_json() {
        let schema: serde_json::Value = serde_json::from_str(PARAMS).unwrap();
        assert_eq!(schema["properties"]["min"]["default"], 1);
    }
}
