//! The ports of `encaje-core` over guests, one module a kind. Conversion and bounds, nothing clever.

pub(crate) mod provider;
pub(crate) mod storage;

use encaje_core::Problem;

/// A guest's own answer: its problem is noted in the visit and handed on in the domain's words.
macro_rules! answered {
    ($visit:expr, $called:expr) => {
        match $called {
            Ok(answer) => Ok(answer),
            Err(problem) => Err($visit.returned(crate::convert::problem::to_core(problem))),
        }
    };
}
pub(crate) use answered;

/// The export that a component of a kind must have, in words.
fn lacks(plugin: &str, kind: &str, error: &wasmtime::Error) -> Problem {
    Problem::new(
        encaje_core::ProblemKind::Misconfigured,
        format!(
            "The plugin `{plugin}` is no {kind} of version 0.1: its component lacks `encaje:{kind}/{kind}@0.1.0` or \
             `encaje:common/lifecycle@0.1.0`. Build it for that world, or correct `kind` in the registry."
        ),
    )
    .with_detail(format!("{error:#}"))
}
