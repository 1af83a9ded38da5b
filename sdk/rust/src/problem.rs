//! Constructors for `problem`, one a class that plugins use, and the setters for what is optional. No text is made up here.

use std::time::Duration;

use crate::errors::{Problem, ProblemKind};

impl Problem {
    /// A problem of any class. `message` is for the caller: no secret, no path, no upstream body.
    pub fn new(kind: ProblemKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            log_detail: None,
            code: None,
            param: None,
            retry_after_ms: None,
            upstream_status: None,
            extra: Vec::new(),
        }
    }

    /// The caller's fault; never retried.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(ProblemKind::InvalidRequest, message)
    }

    /// Well-formed, but this plugin cannot do it.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ProblemKind::Unsupported, message)
    }

    /// What was named does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ProblemKind::NotFound, message)
    }

    /// The state is another than the caller expected.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ProblemKind::Conflict, message)
    }

    /// More than a cap allows.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(ProblemKind::TooLarge, message)
    }

    /// Try later, not before `retry_after`.
    pub fn rate_limited(message: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(ProblemKind::RateLimited, message).with_retry_after(retry_after)
    }

    /// The other end's fault; retried where the call is safe to repeat.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ProblemKind::Unavailable, message)
    }

    /// The operator's fault: a wrong configuration, a missing grant.
    pub fn misconfigured(message: impl Into<String>) -> Self {
        Self::new(ProblemKind::Misconfigured, message)
    }

    /// The plugin's own fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ProblemKind::Internal, message)
    }

    /// Names the offending parameter, e.g. `messages[0].content`.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// A stable machine word, e.g. `context_length_exceeded`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// What only the operator's log may say.
    #[must_use]
    pub fn with_log_detail(mut self, detail: impl Into<String>) -> Self {
        self.log_detail = Some(detail.into());
        self
    }

    /// When to try again, in whole milliseconds, rounded up.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after_ms = Some(u64::try_from(after.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Problem, ProblemKind};

    #[test]
    fn a_wait_is_rounded_up_so_that_nobody_comes_early() {
        let problem = Problem::rate_limited("slow down", Duration::from_micros(1_001));
        assert_eq!(problem.retry_after_ms, Some(2));
        assert!(matches!(problem.kind, ProblemKind::RateLimited));
        let forever = Problem::rate_limited("slow down", Duration::MAX);
        assert_eq!(forever.retry_after_ms, Some(u64::MAX));
    }

    #[test]
    fn setters_keep_what_was_there() {
        let problem = Problem::internal("broken")
            .with_code("c")
            .with_param("p")
            .with_log_detail("d");
        assert_eq!(
            (
                problem.message.as_str(),
                problem.code.as_deref(),
                problem.param.as_deref(),
                problem.log_detail.as_deref()
            ),
            ("broken", Some("c"), Some("p"), Some("d"))
        );
    }
}
