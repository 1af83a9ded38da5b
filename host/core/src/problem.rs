//! The one error that crosses every boundary of the server: its class decides status, retries and blame.
//!
//! It carries one text for the caller and one for the operator's log. It knows no status code of any wire; `encaje-http`
//! maps the class to one.

use std::fmt;
use std::time::Duration;

/// A JSON text, as it came or as it goes; whoever reads it parses it.
pub type Json = String;

/// Named JSON values that a record carries along without understanding them.
pub type Extra = Vec<(String, Json)>;

/// The class of a failure. It decides the status that a client sees, whether a retry makes sense, and whom a circuit
/// breaker blames.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// The caller's fault; never retried.
    InvalidRequest,
    /// No key, or one that nobody knows.
    Unauthenticated,
    /// Known, but not allowed; also a capability that the registry did not grant.
    Denied,
    /// What was named does not exist.
    NotFound,
    /// The state is another than the caller expected.
    Conflict,
    /// More bytes, items or lines than a cap allows.
    TooLarge,
    /// The prompt does not fit the model's context.
    ContextExceeded,
    /// A guard or the model's own filter refused.
    ContentBlocked,
    /// Well-formed, but this plugin or model cannot do it.
    Unsupported,
    /// Too many requests; not before `retry_after`.
    RateLimited,
    /// The account is used up.
    QuotaExceeded,
    /// This server has no room now.
    Overloaded,
    /// The other end does not answer as it should.
    Unavailable,
    /// A deadline passed.
    Timeout,
    /// The caller went away.
    Cancelled,
    /// The operator's fault: wrong configuration, missing grant or secret.
    Misconfigured,
    /// The plugin's or the server's own fault.
    Internal,
    /// A class that this version does not know; treated as `Internal`.
    Other(String),
}

impl ProblemKind {
    /// The class as one lower-case word, as logs and spans carry it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::InvalidRequest => "invalid-request",
            Self::Unauthenticated => "unauthenticated",
            Self::Denied => "denied",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too-large",
            Self::ContextExceeded => "context-exceeded",
            Self::ContentBlocked => "content-blocked",
            Self::Unsupported => "unsupported",
            Self::RateLimited => "rate-limited",
            Self::QuotaExceeded => "quota-exceeded",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Misconfigured => "misconfigured",
            Self::Internal => "internal",
            Self::Other(word) => word,
        }
    }

    /// Whether another plugin of the route may be asked instead: the failure lies with the one that was asked, not with
    /// the request.
    pub fn may_fall_back(&self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::QuotaExceeded
                | Self::Overloaded
                | Self::Unavailable
                | Self::Timeout
                | Self::Misconfigured
                | Self::Internal
                | Self::Other(_)
        )
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call was turned away: every instance of the plugin is taken, and its queue is full or the wait was too long.
pub const PLUGIN_BUSY: &str = "plugin_busy";
/// A call was turned away: the pool has no instance, whatever the plugin's own limit.
pub const POOL_FULL: &str = "plugin_pool_full";
/// A call was turned away: all instances together have no memory left.
pub const PLUGINS_CROWDED: &str = "plugins_crowded";
/// A call was turned away: plugins ask one another too deep.
pub const NESTED_TOO_DEEP: &str = "nested_too_deep";
/// A call was turned away: the plugin failed too often of late.
pub const BREAKER_OPEN: &str = "breaker_open";

/// A provider went on answering without end.
pub const ANSWER_TOO_LARGE: &str = "answer_too_large";

/// See [`Problem::is_own_refusal`].
const OWN_REFUSALS: [&str; 5] = [PLUGIN_BUSY, POOL_FULL, PLUGINS_CROWDED, NESTED_TOO_DEEP, BREAKER_OPEN];

/// A failure, told twice: `message` to the caller, `log_detail` to the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whose fault it is and what may be done about it.
    pub kind: ProblemKind,
    /// For the caller: what is wrong and what to do. No secret, no path, no upstream body.
    pub message: String,
    /// For the log only.
    pub log_detail: Option<String>,
    /// A stable machine word, e.g. `context_length_exceeded`.
    pub code: Option<String>,
    /// The offending parameter, e.g. `messages[0].content`.
    pub param: Option<String>,
    /// Not to be tried again before this has passed.
    pub retry_after: Option<Duration>,
    /// The status that an upstream answered with, if one did.
    pub upstream_status: Option<u16>,
    /// What else came with it.
    pub extra: Extra,
}

impl Problem {
    /// A problem of a class with a text for the caller.
    pub fn new(kind: ProblemKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            log_detail: None,
            code: None,
            param: None,
            retry_after: None,
            upstream_status: None,
            extra: Extra::new(),
        }
    }

    /// The caller's fault, in the parameter named.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ProblemKind::InvalidRequest, message).with_param(param)
    }

    /// The server's own fault: the caller learns only that, the log learns `detail`.
    pub fn internal(detail: impl fmt::Display) -> Self {
        Self::new(ProblemKind::Internal, "The server failed to process this request.").with_detail(detail)
    }

    /// Whether this server itself turned the call away before any plugin or upstream worked on it: no place, no room, too
    /// deep, a breaker that is open. It says nothing of the plugin, and to ask again at once is what fills queues: whoever
    /// asked has been told when to come back.
    pub fn is_own_refusal(&self) -> bool {
        self.upstream_status.is_none() && self.code.as_deref().is_some_and(|code| OWN_REFUSALS.contains(&code))
    }

    /// Adds a text for the log.
    #[must_use]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.log_detail = Some(detail.to_string());
        self
    }

    /// Adds the stable machine word.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Adds the offending parameter.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Adds the time before which a retry is pointless.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)?;
        match &self.log_detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}
