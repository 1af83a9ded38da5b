//! Whose failure a problem is, as a breaker sees it.

use crate::problem::{Problem, ProblemKind};

/// Whom a problem speaks against.
pub(super) enum Blame {
    Plugin,
    Caller,
    Nobody,
}

/// Whom a problem speaks against. Being asked too much is no failure: it is answered by asking less. An upstream that says
/// so with a status of its own failures (503, 529) is down all the same.
///
/// A plugin that runs out of memory or of CPU time is blamed, though it may be a caller's input that is too large for it:
/// what it cannot handle it must refuse in words, and a trap cannot be told from a leak.
pub(super) fn blames(problem: &Problem) -> Blame {
    if problem.is_own_refusal() {
        return Blame::Nobody;
    }
    match problem.kind {
        ProblemKind::Unavailable | ProblemKind::Timeout | ProblemKind::Internal | ProblemKind::Other(_) => {
            Blame::Plugin
        }
        ProblemKind::Overloaded if problem.upstream_status.is_some_and(|status| status >= 500) => Blame::Plugin,
        ProblemKind::RateLimited
        | ProblemKind::QuotaExceeded
        | ProblemKind::Overloaded
        | ProblemKind::Cancelled
        | ProblemKind::Misconfigured => Blame::Nobody,
        _ => Blame::Caller,
    }
}
