//! An evaluator that needs nothing but the texts: exact match, token F1 and length. It asks no model and reaches nothing
//! outside itself.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed expectation is a failed test"
    )
)]

mod limits;
mod metric;
mod normalise;
mod tally;

use encaje_sdk::errors::Problem;
use encaje_sdk::evaluator::{CorpusScore, Evaluator, MetricInfo, Run, Sample, SampleScore, Score};

use limits::{MAX_REFERENCE_BYTES, MAX_REFERENCES, MAX_TEXT_BYTES};
use metric::Metric;
use tally::Tally;

struct Exact;

impl Evaluator for Exact {
    fn metrics() -> Result<Vec<MetricInfo>, Problem> {
        Ok(metric::list())
    }

    fn start(metric: String, params: String) -> Result<Box<dyn Run>, Problem> {
        Ok(Box::new(Evaluation::new(&metric, &params)?))
    }
}

/// One run.
#[derive(Debug)]
struct Evaluation {
    metric: Metric,
    tally: Tally,
}

impl Evaluation {
    fn new(metric: &str, params: &str) -> Result<Self, Problem> {
        Ok(Self {
            metric: Metric::new(metric, params)?,
            tally: Tally::default(),
        })
    }

    fn judge(&mut self, sample: &Sample) -> Result<Score, Problem> {
        let judged = check(&self.metric, sample).map(|()| self.metric.value(&sample.output, &sample.references));
        self.tally.add(judged.as_ref().ok().map(|value| value.value));
        let value = judged?;
        let mut score = Score::new(self.metric.name(), value.value);
        score.explanation = value.reference.map(|place| format!("by references[{place}]"));
        Ok(score)
    }
}

impl Run for Evaluation {
    fn push(&mut self, samples: Vec<Sample>) -> Result<Vec<SampleScore>, Problem> {
        let outcome = |sample: &Sample| SampleScore::of(sample, self.judge(sample));
        Ok(samples.iter().map(outcome).collect())
    }

    fn finish(&mut self) -> Result<CorpusScore, Problem> {
        Ok(CorpusScore {
            scores: self.tally.scores(self.metric.name(), self.metric.tells_spread()),
            usage: None,
            extra: self.tally.extra(),
        })
    }
}

/// Whether a sample can be judged at all.
fn check(metric: &Metric, sample: &Sample) -> Result<(), Problem> {
    let too_long = |what: String| {
        let message = format!("`{what}` has more than {MAX_TEXT_BYTES} bytes; shorten it");
        Problem::too_large(message).with_param(what)
    };
    if sample.output.len() > MAX_TEXT_BYTES {
        return Err(too_long("output".to_owned()));
    }
    if !metric.needs_references() {
        return Ok(());
    }
    if sample.references.is_empty() {
        let message = format!("`{}` needs at least one reference", metric.name());
        let problem = Problem::invalid_request(message).with_code("references_missing");
        return Err(problem.with_param("references"));
    }
    if sample.references.len() > MAX_REFERENCES {
        let message = format!("a sample has at most {MAX_REFERENCES} references");
        return Err(Problem::too_large(message).with_param("references"));
    }
    let long = sample.references.iter().position(|text| text.len() > MAX_TEXT_BYTES);
    if let Some(place) = long {
        return Err(too_long(format!("references[{place}]")));
    }
    if sample.references.iter().map(String::len).sum::<usize>() > MAX_REFERENCE_BYTES {
        let message = format!("the references of a sample have at most {MAX_REFERENCE_BYTES} bytes together");
        return Err(Problem::too_large(message).with_param("references"));
    }
    Ok(())
}

encaje_sdk::export_evaluator!(Exact);

#[cfg(test)]
mod tests {
    use super::{Evaluation, Run, Sample};
    use encaje_sdk::errors::ProblemKind;

    fn sample(id: &str, output: &str, references: &[&str]) -> Sample {
        Sample {
            id: id.to_owned(),
            output: output.to_owned(),
            references: references.iter().map(|text| (*text).to_owned()).collect(),
            question: None,
            context: Vec::new(),
            messages: Vec::new(),
            ranking: Vec::new(),
            relevant: Vec::new(),
            extra: Vec::new(),
        }
    }

    #[test]
    fn one_sample_that_cannot_be_judged_does_not_stop_the_others() {
        let mut run = Evaluation::new("token_f1", "{}").unwrap();
        let huge = "x".repeat((1 << 20) + 1);
        let outcomes = run
            .push(vec![
                sample("a", "x", &["x"]),
                sample("b", "x", &[]),
                sample("c", &huge, &["x"]),
                sample("d", "x", &["y", huge.as_str()]),
            ])
            .unwrap();
        let ids: Vec<&str> = outcomes.iter().map(|outcome| outcome.id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "c", "d"]);
        assert_eq!(outcomes[0].outcome.as_ref().unwrap().value, Some(1.0));
        let missing = outcomes[1].outcome.as_ref().unwrap_err();
        assert!(matches!(missing.kind, ProblemKind::InvalidRequest));
        assert_eq!(missing.code.as_deref(), Some("references_missing"));
        for (place, param) in [(2, "output"), (3, "references[1]")] {
            let long = outcomes[place].outcome.as_ref().unwrap_err();
            assert!(matches!(long.kind, ProblemKind::TooLarge));
            assert_eq!(long.param.as_deref(), Some(param));
        }
        let again = run.push(vec![sample("e", "x", &["y"])]).unwrap();
        assert_eq!(again[0].outcome.as_ref().unwrap().value, Some(0.0));
        let corpus = run.finish().unwrap();
        let scores: Vec<_> = corpus
            .scores
            .iter()
            .map(|score| (score.name.as_str(), score.value))
            .collect();
        assert_eq!(scores, [("token_f1", Some(0.5)), ("token_f1_stddev", Some(0.5))]);
        assert_eq!(
            corpus.extra,
            [
                ("judged".to_owned(), "2".to_owned()),
                ("failed".to_owned(), "3".to_owned())
            ]
        );
    }

    #[test]
    fn too_many_references_are_refused_and_not_cut() {
        let mut run = Evaluation::new("exact_match", "").unwrap();
        let outcome = run.push(vec![sample("a", "x", &["x"; 257])]).unwrap();
        assert!(matches!(
            outcome[0].outcome.as_ref().unwrap_err().kind,
            ProblemKind::TooLarge
        ));
    }

    #[test]
    fn a_run_without_a_judged_sample_has_no_mean() {
        let mut run = Evaluation::new("exact_match", "").unwrap();
        run.push(vec![sample("a", "x", &[])]).unwrap();
        let corpus = run.finish().unwrap();
        assert_eq!(corpus.scores.len(), 1);
        assert_eq!(corpus.scores[0].value, None);
        assert!(corpus.scores[0].explanation.as_ref().unwrap().contains("no sample"));
    }
}
