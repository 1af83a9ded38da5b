//! `metrics`: counters and histograms that the manifest declares, and no others, so that their number is bounded.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use encaje_bindings::base::encaje::common::errors::Problem as GuestProblem;
use encaje_bindings::base::encaje::host::metrics;
use encaje_core::health::Sample;
use encaje_core::{Problem, ProblemKind};

use super::denied;
use crate::convert::problem::to_guest;
use crate::grants::MetricSpec;
use crate::limits::{LABEL_BYTES, SERIES};
use crate::state::State;

/// What a plugin has counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    declared: BTreeMap<String, MetricSpec>,
    series: Mutex<BTreeMap<Series, Totals>>,
}

/// A metric's name and its labels' values.
type Series = (String, Vec<String>);

/// How many values, and their sum.
type Totals = (u64, f64);

impl Metrics {
    pub(crate) fn new(declared: BTreeMap<String, MetricSpec>) -> Self {
        Self {
            declared,
            series: Mutex::default(),
        }
    }

    pub(crate) fn snapshot(&self) -> Vec<Sample> {
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let sample = |((name, values), (count, sum)): (&Series, &Totals)| {
            let spec = self.declared.get(name);
            let names = spec.map(|spec| spec.labels.clone()).unwrap_or_default();
            Sample {
                name: name.clone(),
                histogram: spec.is_some_and(|spec| spec.histogram),
                labels: names.into_iter().zip(values.iter().cloned()).collect(),
                count: *count,
                sum: *sum,
            }
        };
        series.iter().map(sample).collect()
    }

    fn record(
        &self,
        plugin: &str,
        histogram: bool,
        name: String,
        labels: &[(String, String)],
        value: f64,
    ) -> Result<(), Problem> {
        let spec = self.declared.get(&name).filter(|spec| spec.histogram == histogram);
        let spec = spec.ok_or_else(|| denied(plugin, &format!("metrics: {}", clip(&name)), "metrics = true"))?;
        let invalid = |message: String| Err(Problem::new(ProblemKind::InvalidRequest, message));
        if !value.is_finite() || (!histogram && value < 0.0) {
            return invalid(format!(
                "The metric `{name}` takes finite numbers; a counter only grows."
            ));
        }
        let values: Option<Vec<String>> = spec
            .labels
            .iter()
            .map(|label| {
                labels
                    .iter()
                    .find(|(given, _)| given == label)
                    .map(|(_, value)| clip(value))
            })
            .collect();
        let Some(values) = values.filter(|values| values.len() == labels.len()) else {
            return invalid(format!(
                "The metric `{name}` has the labels {:?}, no more and no less.",
                spec.labels
            ));
        };
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let full = series.len() >= SERIES;
        match series.entry((name, values)) {
            std::collections::btree_map::Entry::Vacant(_) if full => Err(Problem::new(
                ProblemKind::TooLarge,
                format!("The plugin has {SERIES} series of metrics already."),
            )),
            entry => {
                let (count, sum) = entry.or_default();
                *count += 1;
                *sum += value;
                Ok(())
            }
        }
    }
}

fn clip(text: &str) -> String {
    text.get(..text.floor_char_boundary(LABEL_BYTES))
        .unwrap_or_default()
        .to_owned()
}

impl metrics::Host for State {
    fn add(
        &mut self,
        name: String,
        labels: Vec<(String, String)>,
        amount: f64,
    ) -> wasmtime::Result<Result<(), GuestProblem>> {
        Ok(self
            .shared
            .metrics
            .record(&self.shared.name, false, name, &labels, amount)
            .map_err(to_guest))
    }

    fn observe(
        &mut self,
        name: String,
        labels: Vec<(String, String)>,
        value: f64,
    ) -> wasmtime::Result<Result<(), GuestProblem>> {
        Ok(self
            .shared
            .metrics
            .record(&self.shared.name, true, name, &labels, value)
            .map_err(to_guest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Metrics {
        let spec = MetricSpec {
            histogram: false,
            labels: vec!["model".to_owned()],
        };
        Metrics::new(BTreeMap::from([("answers".to_owned(), spec)]))
    }

    fn label(value: &str) -> Vec<(String, String)> {
        vec![("model".to_owned(), value.to_owned())]
    }

    #[test]
    fn what_is_not_declared_is_denied() {
        let metrics = metrics();
        let kind = |outcome: Result<(), Problem>| outcome.unwrap_err().kind;
        assert_eq!(
            kind(metrics.record("p", false, "other".to_owned(), &[], 1.0)),
            ProblemKind::Denied
        );
        assert_eq!(
            kind(metrics.record("p", true, "answers".to_owned(), &label("a"), 1.0)),
            ProblemKind::Denied
        );
        assert_eq!(
            kind(metrics.record("p", false, "answers".to_owned(), &[], 1.0)),
            ProblemKind::InvalidRequest
        );
        assert_eq!(metrics.snapshot(), Vec::new());
    }

    #[test]
    fn the_number_of_series_is_bounded() {
        let metrics = metrics();
        for index in 0..SERIES {
            metrics
                .record("p", false, "answers".to_owned(), &label(&index.to_string()), 2.0)
                .unwrap();
        }
        let over = metrics.record("p", false, "answers".to_owned(), &label("one more"), 1.0);
        assert_eq!(over.unwrap_err().kind, ProblemKind::TooLarge);
        metrics
            .record("p", false, "answers".to_owned(), &label("7"), 1.0)
            .unwrap();
        let seventh = metrics
            .snapshot()
            .into_iter()
            .find(|sample| sample.labels == label("7"))
            .unwrap();
        assert_eq!((seventh.count, seventh.sum), (2, 3.0));
    }
}
