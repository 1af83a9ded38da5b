//! How the next token is chosen from a row of logits.
//!
//! Order: penalties and biases change the logits; temperature divides them; then the best k, the nucleus and the least
//! share drop candidates; then one is drawn. Probabilities that are reported are the model's own, before all this.

use std::collections::HashMap;

use encaje_core::chat::Sampling;

use crate::error::ModelError;
use crate::limits::NUCLEUS;

/// What is used where the request names no parameter of shape at all: small models ramble without any. A request that
/// names one (temperature, `top_p`, `top_k`, `min_p`) gets exactly that, and the others do nothing.
const DEFAULT: Shape = Shape {
    temperature: 0.7,
    top_p: 0.95,
    top_k: 0,
    min_p: 0.05,
};

#[derive(Debug, Clone, Copy, PartialEq)]
struct Shape {
    temperature: f64,
    top_p: f64,
    top_k: usize,
    min_p: f64,
}

/// A chosen token and, where they were asked for, the model's probabilities of it and its rivals.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice {
    /// The token.
    pub(crate) token: u32,
    /// Natural logarithm of its probability; only with logprobs.
    pub(crate) logprob: Option<f64>,
    /// Best first.
    pub(crate) rivals: Vec<(u32, f64)>,
}

/// Chooses the tokens of one answer; remembers what was said.
#[derive(Debug, Clone)]
pub(crate) struct Sampler {
    shape: Shape,
    frequency: f32,
    presence: f32,
    repetition: f32,
    biases: Vec<(u32, f32)>,
    alternatives: Option<usize>,
    said: HashMap<u32, u32>,
    random: Random,
}

impl Sampler {
    /// For one answer. Parameters have been checked; answers of one request differ by `choice`.
    pub(crate) fn new(sampling: &Sampling, seed: u64, choice: u32) -> Self {
        let named = sampling.temperature.is_some()
            || sampling.top_p.is_some()
            || sampling.top_k.is_some()
            || sampling.min_p.is_some();
        let given = Shape {
            temperature: sampling.temperature.unwrap_or(1.0),
            top_p: sampling.top_p.unwrap_or(1.0),
            top_k: sampling.top_k.unwrap_or(0) as usize,
            min_p: sampling.min_p.unwrap_or(0.0),
        };
        Self {
            shape: if named { given } else { DEFAULT },
            frequency: sampling.frequency_penalty.unwrap_or(0.0) as f32,
            presence: sampling.presence_penalty.unwrap_or(0.0) as f32,
            repetition: sampling.repetition_penalty.unwrap_or(1.0) as f32,
            biases: sampling.logit_bias.clone(),
            alternatives: sampling.logprobs.map(usize::from),
            said: HashMap::new(),
            random: Random::new(seed, choice),
        }
    }

    /// Chooses from one row of logits.
    ///
    /// # Errors
    /// `Failed` where the logits are no numbers.
    pub(crate) fn choose(&mut self, logits: &[f32]) -> Result<Choice, ModelError> {
        let mut changed = logits.to_vec();
        self.penalise(&mut changed);
        let token = if self.shape.temperature == 0.0 {
            best(&changed)
        } else {
            self.draw(&changed)
        };
        let token = token.ok_or_else(|| ModelError::Failed("the logits are no numbers".to_owned()))?;
        *self.said.entry(token).or_insert(0) += 1;
        let (logprob, rivals) = match self.alternatives {
            None => (None, Vec::new()),
            Some(count) => report(logits, token, count),
        };
        Ok(Choice { token, logprob, rivals })
    }

    fn penalise(&self, logits: &mut [f32]) {
        for (token, count) in &self.said {
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit = if *logit > 0.0 {
                    *logit / self.repetition
                } else {
                    *logit * self.repetition
                };
                *logit -= self.presence + self.frequency * *count as f32;
            }
        }
        for (token, bias) in &self.biases {
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit += bias;
            }
        }
    }

    fn draw(&mut self, logits: &[f32]) -> Option<u32> {
        let top = f64::from(*logits.get(best(logits)? as usize)?);
        let weight = |logit: f32| ((f64::from(logit) - top) / self.shape.temperature).exp();
        // The best weighs 1, so that its share needs no division.
        let mut candidates: Vec<(u32, f64)> = (0u32..)
            .zip(logits)
            .map(|(token, logit)| (token, weight(*logit)))
            .filter(|(_, weight)| *weight > 0.0 && *weight >= self.shape.min_p)
            .collect();
        let heavier = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if self.shape.top_k > 0 && self.shape.top_k < candidates.len() {
            candidates.select_nth_unstable_by(self.shape.top_k - 1, heavier);
            candidates.truncate(self.shape.top_k);
        }
        if self.shape.top_p < 1.0 {
            keep_nucleus(&mut candidates, self.shape.top_p, heavier);
        } else {
            candidates.sort_unstable_by_key(|(token, _)| *token);
        }
        let total: f64 = candidates.iter().map(|(_, weight)| weight).sum();
        let mut left = self.random.share() * total;
        for (token, weight) in &candidates {
            left -= weight;
            if left < 0.0 {
                return Some(*token);
            }
        }
        candidates.last().map(|(token, _)| *token)
    }
}

/// Keeps the fewest of the heaviest candidates whose weights reach `share` of all.
fn keep_nucleus(
    candidates: &mut Vec<(u32, f64)>,
    share: f64,
    heavier: impl Fn(&(u32, f64), &(u32, f64)) -> std::cmp::Ordering + Copy,
) {
    let wanted = share * candidates.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut sorted = NUCLEUS;
    loop {
        let count = sorted.min(candidates.len());
        if count < candidates.len() {
            candidates.select_nth_unstable_by(count, heavier);
        }
        let Some(head) = candidates.get_mut(..count) else {
            return;
        };
        head.sort_unstable_by(heavier);
        let mut reached = 0.0;
        let end = head.iter().position(|(_, weight)| {
            reached += weight;
            reached >= wanted
        });
        match end {
            Some(end) => return candidates.truncate(end + 1),
            None if count == candidates.len() => return,
            None => sorted *= 4,
        }
    }
}

/// The first of the largest logits.
fn best(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (token, logit) in (0u32..).zip(logits) {
        if logit.is_nan() {
            return None;
        }
        if best.is_none_or(|(_, largest)| *logit > largest) {
            best = Some((token, *logit));
        }
    }
    best.filter(|(_, largest)| largest.is_finite()).map(|(token, _)| token)
}

fn report(logits: &[f32], token: u32, count: usize) -> (Option<f64>, Vec<(u32, f64)>) {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits.iter().map(|logit| f64::from(logit - top).exp()).sum();
    let logprob = |logit: f32| f64::from(logit - top) - total.ln();
    let mut rivals: Vec<(u32, f32)> = (0u32..).zip(logits.iter().copied()).collect();
    let larger = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if count < rivals.len() {
        rivals.select_nth_unstable_by(count, larger);
        rivals.truncate(count);
    }
    rivals.sort_unstable_by(larger);
    let own = logits.get(token as usize).map(|logit| logprob(*logit));
    (
        own,
        rivals
            .into_iter()
            .map(|(token, logit)| (token, logprob(logit)))
            .collect(),
    )
}

/// SplitMix64 (Steele, Lea and Flood 2014): written down here so that a seed means the same in every version.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn new(seed: u64, choice: u32) -> Self {
        let mut random = Self(seed);
        let first = random.next();
        Self(first ^ Self(u64::from(choice)).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in [0, 1).
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 6] = [1.0, 3.0, -2.0, 2.5, 0.0, 2.9];

    fn draws(sampling: &Sampling, count: usize) -> Vec<usize> {
        let mut counts = vec![0; LOGITS.len()];
        for seed in 0..count {
            let choice = Sampler::new(sampling, seed as u64, 0).choose(&LOGITS).unwrap();
            counts[choice.token as usize] += 1;
        }
        counts
    }

    #[test]
    fn zero_is_greedy_and_ties_go_to_the_first() {
        let greedy = Sampling {
            temperature: Some(0.0),
            ..Sampling::default()
        };
        assert_eq!(draws(&greedy, 50), [0, 50, 0, 0, 0, 0]);
        assert_eq!(Sampler::new(&greedy, 0, 0).choose(&[1.0, 2.0, 2.0]).unwrap().token, 1);
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let plain = Sampling {
            temperature: Some(1.0),
            ..Sampling::default()
        };
        let total: f64 = LOGITS.iter().map(|l| f64::from(*l).exp()).sum();
        for (count, logit) in draws(&plain, 20_000).iter().zip(LOGITS) {
            let expected = 20_000.0 * f64::from(logit).exp() / total;
            assert!(
                (*count as f64 - expected).abs() < 5.0 * expected.sqrt() + 5.0,
                "{count} {expected}"
            );
        }
    }

    #[test]
    fn filters_drop_what_they_should() {
        let base = Sampling {
            temperature: Some(1.0),
            ..Sampling::default()
        };
        let kept = |sampling: Sampling| -> Vec<usize> {
            draws(&sampling, 3_000)
                .iter()
                .enumerate()
                .filter(|(_, n)| **n > 0)
                .map(|(i, _)| i)
                .collect()
        };
        assert_eq!(
            kept(Sampling {
                top_k: Some(2),
                ..base.clone()
            }),
            [1, 5]
        );
        assert_eq!(
            kept(Sampling {
                top_k: Some(1),
                ..base.clone()
            }),
            [1]
        );
        // Shares: 0.347, 0.314, 0.210 of the three best.
        assert_eq!(
            kept(Sampling {
                top_p: Some(0.34),
                ..base.clone()
            }),
            [1]
        );
        assert_eq!(
            kept(Sampling {
                top_p: Some(0.6),
                ..base.clone()
            }),
            [1, 5]
        );
        assert_eq!(
            kept(Sampling {
                top_p: Some(0.8),
                ..base.clone()
            }),
            [1, 3, 5]
        );
        assert_eq!(
            kept(Sampling {
                min_p: Some(0.6),
                ..base.clone()
            }),
            [1, 3, 5]
        );
        assert_eq!(
            kept(Sampling {
                min_p: Some(1.0),
                ..base
            }),
            [1]
        );
    }

    #[test]
    fn a_nucleus_wider_than_the_first_cut_is_found() {
        let flat: Vec<f32> = (0..5_000).map(|i| i as f32 * 1e-6).collect();
        let mut candidates: Vec<(u32, f64)> = (0u32..).zip(flat).map(|(i, l)| (i, f64::from(l).exp())).collect();
        keep_nucleus(&mut candidates, 0.5, |a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        assert!((2_490..2_501).contains(&candidates.len()), "{}", candidates.len());
        assert_eq!(candidates[0].0, 4_999);
    }

    #[test]
    fn seeds_repeat_and_choices_differ() {
        let flat = vec![0.0f32; 1_000];
        let run = |seed, choice| {
            let mut sampler = Sampler::new(
                &Sampling {
                    temperature: Some(1.0),
                    ..Sampling::default()
                },
                seed,
                choice,
            );
            (0..20)
                .map(|_| sampler.choose(&flat).unwrap().token)
                .collect::<Vec<_>>()
        };
        assert_eq!(run(7, 0), run(7, 0));
        assert_ne!(run(7, 0), run(7, 1));
        assert_ne!(run(7, 0), run(8, 0));
    }

    #[test]
    fn penalties_and_biases_change_the_choice() {
        let greedy = Sampling {
            temperature: Some(0.0),
            ..Sampling::default()
        };
        let run = |sampling: Sampling| {
            let mut sampler = Sampler::new(&sampling, 0, 0);
            (0..3)
                .map(|_| sampler.choose(&LOGITS).unwrap().token)
                .collect::<Vec<_>>()
        };
        assert_eq!(run(greedy.clone()), [1, 1, 1]);
        assert_eq!(
            run(Sampling {
                presence_penalty: Some(0.3),
                ..greedy.clone()
            }),
            [1, 5, 1]
        );
        assert_eq!(
            run(Sampling {
                frequency_penalty: Some(0.45),
                ..greedy.clone()
            }),
            [1, 5, 1]
        );
        assert_eq!(
            run(Sampling {
                frequency_penalty: Some(0.6),
                ..greedy.clone()
            }),
            [1, 5, 3]
        );
        assert_eq!(
            run(Sampling {
                repetition_penalty: Some(1.3),
                ..greedy.clone()
            }),
            [1, 5, 3]
        );
        assert_eq!(
            run(Sampling {
                logit_bias: vec![(2, 100.0)],
                ..greedy.clone()
            }),
            [2, 2, 2]
        );
        assert_eq!(
            run(Sampling {
                logit_bias: vec![(1, -100.0)],
                ..greedy
            }),
            [5, 5, 5]
        );
    }

    #[test]
    fn reported_probabilities_are_the_models_own() {
        let sampling = Sampling {
            temperature: Some(0.0),
            logit_bias: vec![(4, 50.0)],
            logprobs: Some(2),
            ..Sampling::default()
        };
        let choice = Sampler::new(&sampling, 0, 0).choose(&LOGITS).unwrap();
        let total: f64 = LOGITS.iter().map(|l| f64::from(*l).exp()).sum();
        assert_eq!(choice.token, 4);
        assert!((choice.logprob.unwrap() + total.ln()).abs() < 1e-6);
        assert_eq!(
            choice.rivals.iter().map(|(token, _)| *token).collect::<Vec<_>>(),
            [1, 5]
        );
        assert!((choice.rivals[0].1 - (3.0 - total.ln())).abs() < 1e-6);
        assert!(Sampler::new(&sampling, 0, 0).choose(&[f32::NAN; 6]).is_err());
    }
}
