//! What a run remembers of its samples: counts, the mean and the spread, kept up to date one value at a time (Welford 1962),
//! so that millions of samples cost no memory and no precision.

use encaje_sdk::evaluator::Score;

/// The figures so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    judged: u64,
    failed: u64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
}

impl Tally {
    /// One more sample; `None` is one that could not be judged.
    pub(crate) fn add(&mut self, value: Option<f64>) {
        let Some(value) = value else {
            self.failed += 1;
            return;
        };
        self.judged += 1;
        let before = value - self.mean;
        self.mean += before / self.judged as f64;
        self.squares += before * (value - self.mean);
    }

    /// The mean under the metric's name, and where `spread` is asked for the standard deviation of the samples (that of
    /// these samples, not an estimate for others) under `<name>_stddev`.
    pub(crate) fn scores(&self, name: &str, spread: bool) -> Vec<Score> {
        if self.judged == 0 {
            let mut none = Score::new(name, 0.0);
            none.value = None;
            none.explanation = Some("no sample could be judged".to_owned());
            return vec![none];
        }
        let mut mean = Score::new(name, self.mean);
        mean.explanation = Some(format!("mean of {} samples", self.judged));
        let mut scores = vec![mean];
        if spread {
            let deviation = (self.squares / self.judged as f64).sqrt();
            let mut score = Score::new(format!("{name}_stddev"), deviation);
            score.explanation = Some(format!("standard deviation of {} samples", self.judged));
            scores.push(score);
        }
        scores
    }

    /// How many samples were judged, and how many could not be.
    pub(crate) fn extra(&self) -> Vec<(String, String)> {
        vec![
            ("judged".to_owned(), self.judged.to_string()),
            ("failed".to_owned(), self.failed.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn mean_and_spread_agree_with_two_passes(values in prop::collection::vec(-1e6_f64..1e6, 1..60)) {
            let mut tally = Tally::default();
            values.iter().for_each(|value| tally.add(Some(*value)));
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
            let scores = tally.scores("m", true);
            prop_assert!((scores[0].value.unwrap() - mean).abs() < 1e-6);
            prop_assert!((scores[1].value.unwrap() - variance.sqrt()).abs() < 1e-4);
        }
    }
}
