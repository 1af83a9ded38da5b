//! Problems.

use std::time::Duration;

use encaje_bindings::base::encaje::common::errors as guest;
use encaje_core::{Problem, ProblemKind};

use crate::limits;

macro_rules! kinds {
    ($($core:ident)*) => {
        fn kind_to_core(kind: guest::ProblemKind) -> ProblemKind {
            match kind {
                $(guest::ProblemKind::$core => ProblemKind::$core,)*
                guest::ProblemKind::Other(word) => ProblemKind::Other(word),
            }
        }

        fn kind_to_guest(kind: ProblemKind) -> guest::ProblemKind {
            match kind {
                $(ProblemKind::$core => guest::ProblemKind::$core,)*
                ProblemKind::Other(word) => guest::ProblemKind::Other(word),
            }
        }
    };
}

kinds! {
    InvalidRequest Unauthenticated Denied NotFound Conflict TooLarge ContextExceeded ContentBlocked Unsupported
    RateLimited QuotaExceeded Overloaded Unavailable Timeout Cancelled Misconfigured Internal
}

/// A guest's text goes to callers, to the log and into traces: it is cut, and is one line.
pub(crate) fn to_core(problem: guest::Problem) -> Problem {
    let kind = match kind_to_core(problem.kind) {
        ProblemKind::Other(word) => ProblemKind::Other(line(&word, limits::WORD)),
        kind => kind,
    };
    let mut extra = problem.extra;
    extra.retain(|(name, json)| name.len() <= limits::WORD && json.len() <= limits::PROBLEM_TEXT);
    extra.truncate(limits::PROBLEM_EXTRAS);
    Problem {
        kind,
        message: line(&problem.message, limits::PROBLEM_TEXT),
        log_detail: problem.log_detail.map(|detail| line(&detail, limits::PROBLEM_TEXT)),
        code: problem.code.map(|code| line(&code, limits::WORD)),
        param: problem.param.map(|param| line(&param, limits::WORD)),
        retry_after: problem.retry_after_ms.map(Duration::from_millis),
        upstream_status: problem.upstream_status,
        extra,
    }
}

/// The beginning of a text, without what would break or steer a log's line.
pub(super) fn line(text: &str, most: usize) -> String {
    let kept = text.get(..text.floor_char_boundary(most)).unwrap_or_default();
    let mut line = kept.replace(char::is_control, " ");
    if kept.len() < text.len() {
        line.push('…');
    }
    line
}

/// The text for the operator's log stays with the operator: a guest is told what a caller is told.
pub(crate) fn to_guest(problem: Problem) -> guest::Problem {
    if let Some(detail) = &problem.log_detail {
        tracing::debug!(kind = %problem.kind, %detail, "a host function failed");
    }
    guest::Problem {
        kind: kind_to_guest(problem.kind),
        message: problem.message,
        log_detail: None,
        code: problem.code,
        param: problem.param,
        retry_after_ms: problem
            .retry_after
            .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        upstream_status: problem.upstream_status,
        extra: problem.extra,
    }
}
