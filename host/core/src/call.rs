//! Who a call is for, how long it may take, and what it has crossed so far.
//!
//! A [`Call`] is made once at the edge and handed down by reference; a plugin sees it through `encaje:host/call` and can
//! change nothing of it.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::id::{SpanId, TraceId};
use crate::limits;
use crate::ports::RoutedModels;
use crate::problem::{NESTED_TOO_DEEP, Problem, ProblemKind};
use crate::trace::Crossing;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose data it is; every row and every key is partitioned by it.
    pub tenant: String,
    /// The person or key within the tenant.
    pub user: Option<String>,
}

impl Caller {
    /// The one caller of a server that asks for no key.
    pub fn anonymous() -> Self {
        Self {
            tenant: "default".to_owned(),
            user: None,
        }
    }

    /// The server itself: checks, migrations and ledger writes.
    pub fn server() -> Self {
        Self {
            tenant: "encaje".to_owned(),
            user: None,
        }
    }
}

/// One call of one caller. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Call {
    shared: Arc<Inner>,
    attempt: u32,
    depth: u32,
    /// The crossing that asks, where a plugin does.
    within: Option<SpanId>,
}

#[derive(Debug)]
struct Inner {
    caller: Caller,
    request_id: String,
    trace: TraceId,
    span: SpanId,
    parent: Option<SpanId>,
    session: Option<String>,
    idempotency_key: Option<String>,
    deadline: Instant,
    cancelled: CancellationToken,
    crossings: Mutex<Vec<Crossing>>,
    models: OnceLock<Models>,
}

/// The models of the call's generation.
struct Models(Arc<dyn RoutedModels>);

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Models")
    }
}

/// What a call is made of; see [`Call::new`].
#[derive(Debug, Clone)]
pub struct CallParts {
    /// Who asks.
    pub caller: Caller,
    /// The id that the answer's header carries.
    pub request_id: String,
    /// The trace it belongs to, and the caller's own span in it, from a `traceparent` header.
    pub parent: Option<(TraceId, SpanId)>,
    /// The conversation it belongs to.
    pub session: Option<String>,
    /// What the caller uses to repeat a call safely.
    pub idempotency_key: Option<String>,
    /// The whole call ends by then.
    pub time_limit: Duration,
}

impl Call {
    /// A call that starts now.
    pub fn new(parts: CallParts) -> Self {
        let (trace, parent) = match parts.parent {
            Some((trace, span)) => (trace, Some(span)),
            None => (TraceId::new(), None),
        };
        let shared = Arc::new(Inner {
            caller: parts.caller,
            request_id: parts.request_id,
            trace,
            span: SpanId::new(),
            parent,
            session: parts.session,
            idempotency_key: parts.idempotency_key,
            deadline: Instant::now() + parts.time_limit,
            cancelled: CancellationToken::new(),
            crossings: Mutex::default(),
            models: OnceLock::new(),
        });
        Self {
            shared,
            attempt: 1,
            depth: 0,
            within: None,
        }
    }

    /// A call of the server's own, e.g. a check or a migration.
    pub fn of_server(time_limit: Duration) -> Self {
        Self::new(CallParts {
            caller: Caller::server(),
            request_id: crate::id::request_id(),
            parent: None,
            session: None,
            idempotency_key: None,
            time_limit,
        })
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.shared.caller
    }

    /// The id that the answer's header carries.
    pub fn request_id(&self) -> &str {
        &self.shared.request_id
    }

    /// The trace that this call is, or belongs to.
    pub fn trace(&self) -> TraceId {
        self.shared.trace
    }

    /// The call's own span, the parent of its crossings.
    pub fn span(&self) -> SpanId {
        self.shared.span
    }

    /// The caller's span, when it sent one.
    pub fn parent(&self) -> Option<SpanId> {
        self.shared.parent
    }

    /// The conversation.
    pub fn session(&self) -> Option<&str> {
        self.shared.session.as_deref()
    }

    /// What the caller uses to repeat a call safely.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.shared.idempotency_key.as_deref()
    }

    /// What is left until the deadline; zero when it has passed.
    pub fn remaining(&self) -> Duration {
        self.shared.deadline.saturating_duration_since(Instant::now())
    }

    /// Ends the call: whoever works for it stops.
    pub fn cancel(&self) {
        self.shared.cancelled.cancel();
    }

    /// Becomes ready when the caller has gone away.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.shared.cancelled
    }

    /// Which try of the same question this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The same call, tried for the `attempt`th time.
    #[must_use]
    pub fn tried(&self, attempt: u32) -> Self {
        Self {
            attempt,
            ..self.clone()
        }
    }

    /// How many plugins ask one another: 0 is a call of the outside.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// A part of this call that a plugin asks for: it shares caller, trace, deadline and end.
    ///
    /// # Errors
    /// `Overloaded` when plugins ask one another deeper than [`limits::MAX_DEPTH`].
    pub fn nested(&self) -> Result<Self, Problem> {
        if self.depth >= limits::MAX_DEPTH {
            return Err(Problem::new(
                ProblemKind::Overloaded,
                format!(
                    "Plugins ask models that ask plugins, more than {} deep.",
                    limits::MAX_DEPTH
                ),
            )
            .with_code(NESTED_TOO_DEEP));
        }
        Ok(Self {
            shared: Arc::clone(&self.shared),
            attempt: 1,
            depth: self.depth + 1,
            within: self.within,
        })
    }

    /// The same call, asked by a plugin in the middle of this crossing.
    #[must_use]
    pub fn within(&self, crossing: SpanId) -> Self {
        Self {
            within: Some(crossing),
            ..self.clone()
        }
    }

    /// The crossing that asks; `None` where the call itself does.
    pub fn asker(&self) -> Option<SpanId> {
        self.within
    }

    /// Binds the models of the generation that serves the call; the first one stays.
    pub fn bind(&self, models: Arc<dyn RoutedModels>) {
        let _ = self.shared.models.set(Models(models));
    }

    /// The models that a plugin may ask in this call; none in a call of the server's own, e.g. a check.
    pub fn models(&self) -> Option<&Arc<dyn RoutedModels>> {
        self.shared.models.get().map(|models| &models.0)
    }

    /// Notes a finished crossing into a plugin. Past [`limits::MAX_CROSSINGS`] of one call nothing is noted any more.
    pub fn crossed(&self, crossing: Crossing) {
        let mut crossings = self.shared.crossings.lock().unwrap_or_else(PoisonError::into_inner);
        if crossings.len() < limits::MAX_CROSSINGS {
            crossings.push(crossing);
        }
    }

    /// Hands over what was noted since the last time.
    pub fn take_crossings(&self) -> Vec<Crossing> {
        std::mem::take(&mut *self.shared.crossings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
