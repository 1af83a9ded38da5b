//! Keeping a failing plugin from doing harm: a circuit breaker for each, and tries again where the failure allows it.
//!
//! Bounds of a plugin's instances and of its queue are the runtime's; this is about what its answers say of its health.

mod blame;
mod breaker;
mod retry;
mod tally;

use std::sync::Arc;

pub use breaker::{Breaker, BreakerSettings, BreakerState, Pass};
pub use retry::{RetrySettings, Retrying};

use crate::problem::{BREAKER_OPEN, Problem, ProblemKind};

/// What watches over one plugin, from one generation to the next for as long as the plugin stays the same.
#[derive(Debug)]
pub struct Supervisor {
    /// Whether it is asked at all.
    pub breaker: Arc<Breaker>,
    /// Whether it is asked again.
    pub retry: RetrySettings,
}

impl Supervisor {
    /// With these settings; the breaker starts closed.
    pub fn new(breaker: BreakerSettings, retry: RetrySettings) -> Arc<Self> {
        Arc::new(Self {
            breaker: Breaker::new(breaker),
            retry,
        })
    }

    /// One that never keeps anybody from asking, once.
    pub fn permissive() -> Arc<Self> {
        Self::new(BreakerSettings::off(), RetrySettings::once())
    }

    /// Leave to ask the plugin called `name`.
    ///
    /// # Errors
    /// `Unavailable` with code `breaker_open` and the time until it is tried again.
    pub fn admit(&self, name: &str) -> Result<Pass, Problem> {
        self.breaker.admit().map_err(|wait| {
            let message = format!("The plugin `{name}` failed too often and rests for a moment.");
            Problem::new(ProblemKind::Unavailable, message)
                .with_code(BREAKER_OPEN)
                .with_retry_after(wait)
        })
    }
}
