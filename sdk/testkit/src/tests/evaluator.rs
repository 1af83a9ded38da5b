//! An evaluator of one metric, the share of equal words, and its wrong sisters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use encaje_core::call::Call;
use encaje_core::evaluation::{CorpusScore, MetricInfo, Need, Sample, SampleScore};
use encaje_core::ports::{Evaluation, Evaluator};
use encaje_core::telemetry::Score;
use encaje_core::{Problem, ProblemKind};

use super::{assert_caught, assert_passes, settings};
use crate::{Report, evaluator};

#[derive(Default)]
struct Words {
    wrong: &'static str,
    asked: Arc<AtomicU32>,
    kept: Arc<Mutex<Kept>>,
}

/// What the wrong ones keep from one evaluation to the next.
#[derive(Default)]
struct Kept {
    values: Vec<f64>,
    by_id: BTreeMap<String, f64>,
    /// The first of all.
    output: String,
}

struct Run {
    wrong: &'static str,
    asked: Arc<AtomicU32>,
    kept: Arc<Mutex<Kept>>,
    values: Vec<f64>,
    pushes: u32,
}

fn score(value: Option<f64>, label: Option<&str>) -> Score {
    Score {
        name: "same_words".to_owned(),
        value,
        label: label.map(str::to_owned),
        explanation: None,
        extra: Vec::new(),
    }
}

#[async_trait]
impl Evaluator for Words {
    fn name(&self) -> &str {
        "words"
    }

    async fn metrics(&self, _: &Call) -> Result<Vec<MetricInfo>, Problem> {
        let params = if self.wrong == "schema" {
            "anything"
        } else {
            r#"{"type":"object","additionalProperties":false}"#
        };
        let metric = MetricInfo {
            name: "same_words".to_owned(),
            description: "The share of the reference's words that the output has.".to_owned(),
            lowest: Some(0.0),
            highest: Some(1.0),
            higher_is_better: true,
            needs: vec![Need::References],
            deterministic: true,
            params: params.to_owned(),
        };
        let copies = if self.wrong == "twice" { 2 } else { 1 };
        Ok(vec![metric; copies])
    }

    async fn start(&self, _: &Call, metric: &str, params: &str) -> Result<Box<dyn Evaluation>, Problem> {
        if metric != "same_words" {
            let kind = if self.wrong == "unknown" {
                ProblemKind::Internal
            } else {
                ProblemKind::NotFound
            };
            return Err(Problem::new(kind, "There is no such metric."));
        }
        if params != "{}" && self.wrong != "params" {
            return Err(Problem::invalid("params", "There are no parameters."));
        }
        Ok(Box::new(Run {
            wrong: self.wrong,
            asked: Arc::clone(&self.asked),
            kept: Arc::clone(&self.kept),
            values: Vec::new(),
            pushes: 0,
        }))
    }
}

impl Run {
    fn judge(&mut self, sample: &Sample) -> Result<Score, Problem> {
        let Some(reference) = sample.references.first() else {
            return Err(Problem::invalid("references", "A reference is needed."));
        };
        let words: Vec<&str> = reference.split_whitespace().collect();
        let met = words.iter().filter(|word| sample.output.contains(**word)).count();
        let mut value = met as f64 / words.len().max(1) as f64;
        match self.wrong {
            "percent" => value *= 100.0,
            "infinite" => value = met as f64 / words.len().saturating_sub(met) as f64,
            "moody" => value *= 1.0 / f64::from(1 + self.asked.fetch_add(1, Ordering::Relaxed) % 7),
            _ => {}
        }
        let mut kept = self.kept.lock().unwrap();
        if self.wrong == "by id" {
            value = *kept.by_id.entry(sample.id.clone()).or_insert(value);
        }
        kept.values.push(value);
        if kept.output.is_empty() {
            kept.output.clone_from(&sample.output);
        }
        self.values.push(value);
        let explanation = (self.wrong == "quotes").then(|| kept.output.clone());
        Ok(Score {
            explanation,
            ..score(Some(value), None)
        })
    }
}

#[async_trait]
impl Evaluation for Run {
    async fn push(&mut self, samples: Vec<Sample>) -> Result<Vec<SampleScore>, Problem> {
        self.pushes += 1;
        if self.wrong == "small" && samples.iter().any(|sample| sample.output.len() > 10_000) {
            return Err(Problem::internal("out of memory"));
        }
        if self.wrong == "all or none" && samples.iter().any(|sample| sample.references.is_empty()) {
            return Err(Problem::invalid("references", "A reference is needed."));
        }
        let mut scores = Vec::new();
        for sample in samples {
            let outcome = self.judge(&sample);
            let id = if self.wrong == "ids" {
                scores.len().to_string()
            } else {
                sample.id
            };
            scores.push(SampleScore { id, outcome });
        }
        if self.wrong == "backwards" {
            scores.reverse();
        }
        Ok(scores)
    }

    async fn finish(&mut self) -> Result<CorpusScore, Problem> {
        let count = if self.wrong == "pushes" {
            self.pushes as usize
        } else {
            self.values.len()
        };
        let mut mean = self.values.iter().sum::<f64>() / count as f64;
        if self.wrong == "remembers" {
            let kept = self.kept.lock().unwrap();
            mean = kept.values.iter().sum::<f64>() / kept.values.len() as f64;
        }
        let none = self.values.is_empty() && self.wrong != "nothing";
        let corpus = if none {
            score(None, Some("none"))
        } else {
            score(Some(mean), None)
        };
        Ok(CorpusScore {
            scores: vec![corpus],
            ..CorpusScore::default()
        })
    }
}

async fn judged(wrong: &'static str) -> Report {
    let words = Words {
        wrong,
        ..Words::default()
    };
    evaluator(&words, &settings()).await
}

#[tokio::test]
async fn a_right_evaluator_passes() {
    assert_passes(&judged("").await);
}

#[tokio::test]
async fn each_wrong_evaluator_is_caught_by_its_check() {
    let forgotten = "an evaluation knows nothing of the ones before it";
    for (wrong, check) in [
        (
            "schema",
            "listed metrics have names of their own, bounds in order and a JSON Schema",
        ),
        (
            "twice",
            "listed metrics have names of their own, bounds in order and a JSON Schema",
        ),
        ("unknown", "a metric that it does not have is not-found"),
        ("params", "parameters that do not fit are an invalid request"),
        ("ids", "each sample has one outcome, in order, with its id"),
        ("backwards", "each sample has one outcome, in order, with its id"),
        (
            "percent",
            "scores are finite, within their bounds, and named after their metric",
        ),
        (
            "infinite",
            "scores are finite, within their bounds, and named after their metric",
        ),
        ("moody", "a deterministic metric gives the same scores again"),
        (
            "pushes",
            "the score of all samples does not depend on how they are pushed",
        ),
        (
            "all or none",
            "a sample that lacks what is needed has a problem of its own, and the others go on",
        ),
        (
            "small",
            "empty, odd and huge texts are scored, or refused sample by sample",
        ),
        ("nothing", "an evaluation of nothing ends"),
        ("remembers", "two evaluations at once do not mix"),
        (
            "remembers",
            "after a dropped evaluation the next one starts from nothing",
        ),
        ("remembers", forgotten),
        ("by id", forgotten),
        ("quotes", forgotten),
    ] {
        assert_caught(&judged(wrong).await, check);
    }
}
