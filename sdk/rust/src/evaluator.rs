//! Scores for what a model said (`encaje:evaluator`): implement [`Evaluator`] and [`Run`], then
//! [`export_evaluator!`](crate::export_evaluator).

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::evaluator::exports::encaje::evaluator::evaluator as exported;
use crate::bindings::lifecycle::exports::encaje::common::lifecycle;
use crate::errors::Problem;

pub use crate::documents::Passage;
pub use crate::telemetry::Score;
pub use exported::{CorpusScore, MetricInfo, Need, Sample, SampleScore};

/// What an evaluator plugin does. The meaning of each call is the WIT's.
pub trait Evaluator: 'static {
    /// Run once for each new generation, before any traffic: checks the configuration.
    ///
    /// # Errors
    /// Whatever keeps the plugin from working; the old generation goes on serving. Unless implemented there is nothing
    /// that could be wrong.
    fn check() -> Result<Vec<String>, Problem> {
        Ok(vec!["evaluate".to_owned()])
    }

    /// The metrics that it has.
    ///
    /// # Errors
    /// What keeps it from knowing them.
    fn metrics() -> Result<Vec<MetricInfo>, Problem>;

    /// Begins an evaluation of one metric; `params` is the JSON that the metric's own schema describes.
    ///
    /// # Errors
    /// `not-found` for a metric that it does not have, `invalid-request` for `params` that do not fit.
    fn start(metric: String, params: String) -> Result<Box<dyn Run>, Problem>;
}

/// One evaluation. Dropped when it is over or given up.
pub trait Run: 'static {
    /// Judges these samples: one outcome for each, in order. What concerns one sample belongs into its outcome
    /// ([`SampleScore::of`]).
    ///
    /// # Errors
    /// What ends the whole run.
    fn push(&mut self, samples: Vec<Sample>) -> Result<Vec<SampleScore>, Problem>;

    /// The score of everything that was pushed. Called once, last.
    ///
    /// # Errors
    /// Why there is none.
    fn finish(&mut self) -> Result<CorpusScore, Problem>;
}

impl SampleScore {
    /// The outcome for this sample.
    #[must_use]
    pub fn of(sample: &Sample, outcome: Result<Score, Problem>) -> Self {
        Self {
            id: sample.id.clone(),
            outcome,
        }
    }
}

impl Score {
    /// A number under a name, and nothing else.
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            value: Some(value),
            label: None,
            explanation: None,
            extra: Vec::new(),
        }
    }
}

/// What [`export_evaluator!`](crate::export_evaluator) exports for an [`Evaluator`].
#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<T>(PhantomData<T>);

impl<T: Evaluator> lifecycle::Guest for Exported<T> {
    fn check() -> Result<Vec<String>, Problem> {
        T::check()
    }
}

impl<T: Evaluator> exported::Guest for Exported<T> {
    type Run = ExportedRun;

    fn metrics() -> Result<Vec<MetricInfo>, Problem> {
        T::metrics()
    }

    fn start(metric: String, params: String) -> Result<exported::Run, Problem> {
        T::start(metric, params).map(|run| exported::Run::new(ExportedRun(RefCell::new(run))))
    }
}

/// The resource that the host pushes samples into.
#[doc(hidden)]
pub struct ExportedRun(RefCell<Box<dyn Run>>);

impl exported::GuestRun for ExportedRun {
    fn push(&self, samples: Vec<Sample>) -> Result<Vec<SampleScore>, Problem> {
        self.0.try_borrow_mut().map_err(|_| busy())?.push(samples)
    }

    fn finish(&self) -> Result<CorpusScore, Problem> {
        self.0.try_borrow_mut().map_err(|_| busy())?.finish()
    }
}

/// A guest is never entered twice at once, so this cannot happen; if it did, the call would fail, not the instance.
fn busy() -> Problem {
    Problem::internal("a run was called while it was running")
}

/// Exports a type that implements [`Evaluator`](crate::evaluator::Evaluator) as a plugin of the kind `evaluator`. Once a crate.
/// Outside WebAssembly it only checks the type, so that unit tests of the plugin link.
#[macro_export]
macro_rules! export_evaluator {
    ($plugin:ty) => {
        const _: () = {
            type EncajeExported = $crate::evaluator::Exported<$plugin>;
            const fn is_exportable<T: $crate::bindings::evaluator::exports::encaje::evaluator::evaluator::Guest>() {}
            is_exportable::<EncajeExported>();
            #[cfg(target_family = "wasm")]
            $crate::bindings::lifecycle::export_lifecycle_interface!(
                EncajeExported with_types_in $crate::bindings::lifecycle
            );
            #[cfg(target_family = "wasm")]
            $crate::bindings::evaluator::export_evaluator_interface!(
                EncajeExported with_types_in $crate::bindings::evaluator
            );
        };
    };
}
