//! Tries again: how often, after how long, and for which failures.

use std::time::Duration;

use rand::Rng;

use crate::call::Call;
use crate::problem::{Problem, ProblemKind};

/// How often a provider is asked for one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySettings {
    /// Tries all told; 1 is no retry.
    pub attempts: u32,
    /// The first pause, before jitter; each further one is twice as long.
    pub first: Duration,
    /// No pause is longer; where an upstream asks for a longer one, there is no retry.
    pub most: Duration,
}

impl RetrySettings {
    /// No retry.
    pub fn once() -> Self {
        Self {
            attempts: 1,
            ..Self::default()
        }
    }
}

impl Default for RetrySettings {
    /// One more try: clients try again themselves, and each layer multiplies the load on what is failing.
    fn default() -> Self {
        Self {
            attempts: 2,
            first: Duration::from_millis(200),
            most: Duration::from_secs(5),
        }
    }
}

/// The tries of one call at one provider.
#[derive(Debug)]
pub struct Retrying {
    settings: RetrySettings,
    tried: u32,
}

impl Retrying {
    /// Nothing was tried yet.
    pub fn new(settings: RetrySettings) -> Self {
        Self { settings, tried: 0 }
    }

    /// The number of the try that begins, from 1.
    pub fn begin(&mut self) -> u32 {
        self.tried += 1;
        self.tried
    }

    /// How long to wait before the next try; `None` where there is none: the class forbids it, the tries are used up, or
    /// the wait would not end in time.
    pub fn pause(&self, call: &Call, problem: &Problem) -> Option<Duration> {
        if self.tried >= self.settings.attempts || !may_help(problem) {
            return None;
        }
        let doublings = self.tried.saturating_sub(1).min(16);
        let longest = self
            .settings
            .first
            .saturating_mul(1 << doublings)
            .min(self.settings.most);
        // Half of it by chance, so that callers that failed together do not come back together.
        let jittered = longest.mul_f64(rand::rng().random_range(0.5..=1.0));
        let asked = problem.retry_after.unwrap_or_default();
        let wait = jittered.max(asked);
        (asked <= self.settings.most && wait < call.remaining()).then_some(wait)
    }
}

/// Whether the same request may do better in a moment. A crash would crash again; a deadline has passed for good; and
/// where this server turned the call away itself, tries would wait in line a second time, or beside the call that holds
/// the place they wait for.
fn may_help(problem: &Problem) -> bool {
    matches!(
        problem.kind,
        ProblemKind::RateLimited | ProblemKind::Overloaded | ProblemKind::Unavailable
    ) && !problem.is_own_refusal()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: RetrySettings = RetrySettings {
        attempts: 4,
        first: Duration::from_millis(100),
        most: Duration::from_secs(1),
    };

    fn call() -> Call {
        Call::of_server(Duration::from_secs(60))
    }

    fn unavailable() -> Problem {
        Problem::new(ProblemKind::Unavailable, "down")
    }

    #[test]
    fn pauses_double_with_jitter_and_end() {
        let (mut retrying, call) = (Retrying::new(SETTINGS), call());
        for longest in [100, 200, 400] {
            retrying.begin();
            let pause = retrying.pause(&call, &unavailable()).unwrap().as_millis();
            assert!((longest / 2..=longest).contains(&pause), "{pause} of {longest}");
        }
        assert_eq!(retrying.begin(), 4);
        assert_eq!(retrying.pause(&call, &unavailable()), None, "the tries are used up");
    }

    #[test]
    fn an_upstream_is_not_asked_before_it_said() {
        let (mut retrying, call) = (Retrying::new(SETTINGS), call());
        retrying.begin();
        let limited = Problem::new(ProblemKind::RateLimited, "slow").with_retry_after(Duration::from_millis(900));
        assert_eq!(retrying.pause(&call, &limited), Some(Duration::from_millis(900)));
        let long = limited.with_retry_after(Duration::from_secs(2));
        assert_eq!(retrying.pause(&call, &long), None, "longer than anybody waits");
    }

    #[test]
    fn what_a_repetition_cannot_mend_is_not_repeated() {
        let (mut retrying, call) = (Retrying::new(SETTINGS), call());
        retrying.begin();
        for kind in [
            ProblemKind::InvalidRequest,
            ProblemKind::Internal,
            ProblemKind::Timeout,
            ProblemKind::QuotaExceeded,
            ProblemKind::Denied,
            ProblemKind::Misconfigured,
        ] {
            assert_eq!(retrying.pause(&call, &Problem::new(kind, "no")), None);
        }
        for (kind, code) in [
            (ProblemKind::Unavailable, "breaker_open"),
            (ProblemKind::Overloaded, "plugin_busy"),
            (ProblemKind::Overloaded, "plugin_pool_full"),
            (ProblemKind::Overloaded, "plugins_crowded"),
            (ProblemKind::Overloaded, "nested_too_deep"),
        ] {
            let mut own = Problem::new(kind.clone(), "no").with_code(code);
            assert_eq!(retrying.pause(&call, &own), None, "{code}: this server knows better");
            own.upstream_status = Some(503);
            assert!(retrying.pause(&call, &own).is_some(), "{code}: an upstream's own word");
        }
        let short = Call::of_server(Duration::from_millis(10));
        assert_eq!(retrying.pause(&short, &unavailable()), None, "no time is left");
    }
}
