//! Problems.

use std::time::Duration;

use encaje_bindings::base::encaje::common::errors as guest;
use encaje_core::{Problem, ProblemKind};

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

pub(crate) fn to_core(problem: guest::Problem) -> Problem {
    Problem {
        kind: kind_to_core(problem.kind),
        message: problem.message,
        log_detail: problem.log_detail,
        code: problem.code,
        param: problem.param,
        retry_after: problem.retry_after_ms.map(Duration::from_millis),
        upstream_status: problem.upstream_status,
        extra: problem.extra,
    }
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
