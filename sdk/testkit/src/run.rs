//! How a check is run: under a time-out, its panics caught, its random cases made smaller where one fails.

use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

use encaje_core::problem::{Problem, ProblemKind};
use encaje_core::trace::PluginKind;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::generate::MARK;
use crate::limits;
use crate::report::{Check, Outcome, Report};
use crate::settings::Settings;

/// Why a check did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What was expected, and what came.
    Failed(String),
    /// Why it was not asked.
    Skipped(String),
}

/// How a check ended.
pub(crate) type Verdict<T = ()> = Result<T, Fault>;

/// A problem that nobody expected.
impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::Failed(format!("success was expected, {} came", told(&problem)))
    }
}

/// The check fails with these words.
pub(crate) fn fail<T>(words: impl Into<String>) -> Verdict<T> {
    Err(Fault::Failed(words.into()))
}

/// The check is left out for this reason.
pub(crate) fn skip<T>(words: impl Into<String>) -> Verdict<T> {
    Err(Fault::Skipped(words.into()))
}

/// Fails where something does not hold.
pub(crate) fn ensure(holds: bool, words: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { fail(words()) }
}

/// Fails where two things differ.
pub(crate) fn same<T: PartialEq + Debug>(what: &str, came: &T, expected: &T) -> Verdict {
    ensure(came == expected, || {
        format!("{what}: {} was expected, {} came", shown(expected), shown(came))
    })
}

/// Fails where something has what only another call knew.
pub(crate) fn unmarked(what: &str, came: &(impl Debug + ?Sized)) -> Verdict {
    ensure(!format!("{came:?}").contains(MARK), || {
        format!("{what}: nothing of another call was expected, {} came", shown(came))
    })
}

/// A value as a failure shows it, not longer than a screen.
pub(crate) fn shown(value: &(impl Debug + ?Sized)) -> String {
    let mut text = format!("{value:?}");
    if text.len() > limits::SHOWN_BYTES {
        let end = text.floor_char_boundary(limits::SHOWN_BYTES);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A problem as a failure shows it.
pub(crate) fn told(problem: &Problem) -> String {
    shown(&problem.to_string())
}

/// A problem of one of these classes, told as problems must be: it is what the check expects.
pub(crate) fn typed(problem: &Problem, kinds: &[ProblemKind]) -> Verdict {
    ensure(kinds.contains(&problem.kind), || {
        let kinds: Vec<&str> = kinds.iter().map(ProblemKind::as_str).collect();
        format!("{} was expected, {} came", kinds.join(" or "), told(problem))
    })?;
    well_told(problem)
}

/// The text for the caller is one line that says something.
pub(crate) fn well_told(problem: &Problem) -> Verdict {
    let message = &problem.message;
    let plain = !message.trim().is_empty() && !message.chars().any(char::is_control);
    ensure(plain && message.len() <= limits::MESSAGE_BYTES, || {
        format!(
            "a problem's message must be one line of 1 to {} bytes, {} came",
            limits::MESSAGE_BYTES,
            shown(problem)
        )
    })
}

/// An outcome that must be a problem of one of these classes.
pub(crate) fn refused<T: Debug>(what: &str, outcome: Result<T, Problem>, kinds: &[ProblemKind]) -> Verdict {
    match outcome {
        Err(problem) => typed(&problem, kinds).map_err(|fault| about(what, fault)),
        Ok(value) => {
            let kinds: Vec<&str> = kinds.iter().map(ProblemKind::as_str).collect();
            fail(format!(
                "{what}: {} was expected, {} came",
                kinds.join(" or "),
                shown(&value)
            ))
        }
    }
}

/// The same fault with a word on what it is about.
pub(crate) fn about(what: &str, fault: Fault) -> Fault {
    match fault {
        Fault::Failed(words) => Fault::Failed(format!("{what}: {words}")),
        skipped @ Fault::Skipped(_) => skipped,
    }
}

/// A suite under way.
pub(crate) struct Suite<'a> {
    settings: &'a Settings,
    report: Report,
}

impl<'a> Suite<'a> {
    /// An empty report.
    pub(crate) fn new(plugin: &str, kind: PluginKind, settings: &'a Settings) -> Self {
        let report = Report {
            plugin: plugin.to_owned(),
            kind,
            checks: Vec::new(),
        };
        Self { settings, report }
    }

    /// Runs one check, on the heap: suites are long, and their futures together would be larger than a stack.
    pub(crate) async fn check(&mut self, name: &'static str, work: Pin<Box<dyn Future<Output = Verdict> + '_>>) {
        let outcome = match tokio::time::timeout(self.settings.check_time, caught(work)).await {
            Ok(Ok(())) => Outcome::Passed,
            Ok(Err(Fault::Failed(words))) => Outcome::Failed(words),
            Ok(Err(Fault::Skipped(words))) => Outcome::Skipped(words),
            Err(_) => Outcome::Failed(format!(
                "an end within {:?} was expected, none came",
                self.settings.check_time
            )),
        };
        self.report.checks.push(Check { name, outcome });
    }

    /// What was found.
    pub(crate) fn finish(self) -> Report {
        self.report
    }
}

/// A panic of an implementation is its failure, not the kit's.
async fn caught(mut work: Pin<Box<dyn Future<Output = Verdict> + '_>>) -> Verdict {
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(_) => Poll::Ready(fail("an answer was expected, a panic came")),
        },
    )
    .await
}

/// All of them at once, each answer in its place.
pub(crate) async fn together<F: Future>(work: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut work: Vec<Pin<Box<F>>> = work.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = work.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, place) in work.iter_mut().zip(&mut done) {
            if place.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *place = Some(value);
            }
        }
        if done.iter().all(Option::is_some) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// Runs random cases; the first that fails is made as small as a few tries allow.
pub(crate) async fn property<S: Strategy>(
    settings: &Settings,
    strategy: S,
    case: impl AsyncFn(S::Value) -> Verdict,
) -> Verdict {
    let mut runner = runner(settings.seed);
    for _ in 0..settings.cases.max(1) {
        let mut tree = match strategy.new_tree(&mut runner) {
            Ok(tree) => tree,
            Err(reason) => return skip(format!("no case could be made: {reason}")),
        };
        match case(tree.current()).await {
            Ok(()) => {}
            Err(Fault::Failed(words)) => return fail(smallest(&mut tree, words, &case).await),
            skipped => return skipped,
        }
    }
    Ok(())
}

async fn smallest<T: ValueTree>(tree: &mut T, mut words: String, case: &impl AsyncFn(T::Value) -> Verdict) -> String {
    let mut value = tree.current();
    let mut moved = tree.simplify();
    for _ in 0..limits::SHRINKS {
        if !moved {
            break;
        }
        let smaller = tree.current();
        moved = match case(tree.current()).await {
            Err(Fault::Failed(now)) => {
                (value, words) = (smaller, now);
                tree.simplify()
            }
            _ => tree.complicate(),
        };
    }
    format!("{words}; the case: {}", shown(&value))
}

fn runner(seed: u64) -> TestRunner {
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0_u8; 32];
    for (byte, from) in bytes.iter_mut().zip(seed.to_le_bytes()) {
        *byte = from;
    }
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}
