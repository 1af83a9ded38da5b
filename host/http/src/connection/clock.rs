//! What one connection is doing and since when, noted by its socket and its service, read by its driver.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::config::EdgeConfig;

/// What the client is expected to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing: it has no request.
    Idle,
    /// Send the rest of a head.
    Head,
    /// Wait: its request is being answered. A body's own clocks are in `body.rs`.
    Served,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    /// Since when the client takes nothing of what is to be written.
    blocked: Option<Instant>,
    /// Whether the last answer closes the connection before its request was read to its end.
    closing: bool,
}

/// The clocks of one connection.
#[derive(Debug)]
pub(crate) struct Clock(Mutex<State>);

/// What a look at the clocks says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All is well.
    Fine,
    /// A head did not come in time.
    SlowHead,
    /// There was no request for too long.
    Idle,
    /// The client takes nothing.
    Stalled,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            phase: Phase::Idle,
            since: Instant::now(),
            blocked: None,
            closing: false,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came.
    pub(crate) fn read(&self) {
        let mut state = self.state();
        if state.phase == Phase::Idle {
            state.phase = Phase::Head;
            state.since = Instant::now();
        }
    }

    /// A head is complete and its request is being answered.
    pub(crate) fn serving(&self) {
        self.state().phase = Phase::Served;
    }

    /// An answer's head is known.
    pub(crate) fn answered(&self, closing: bool) {
        self.state().closing |= closing;
    }

    /// An answer was handed over whole.
    pub(crate) fn served(&self) {
        let mut state = self.state();
        state.phase = Phase::Idle;
        state.since = Instant::now();
    }

    /// The client took something, or did not.
    pub(crate) fn wrote(&self, taken: bool) {
        let mut state = self.state();
        match (taken, state.blocked) {
            (true, _) => state.blocked = None,
            (false, None) => state.blocked = Some(Instant::now()),
            (false, Some(_)) => {}
        }
    }

    /// Whether the last answer closes the connection.
    pub(crate) fn is_closing(&self) -> bool {
        self.state().closing
    }

    /// Reads the clocks.
    pub(crate) fn verdict(&self, config: &EdgeConfig) -> Verdict {
        let state = self.state();
        if state.blocked.is_some_and(|since| since.elapsed() >= config.write_stall) {
            return Verdict::Stalled;
        }
        match state.phase {
            Phase::Head if state.since.elapsed() >= config.head_time => Verdict::SlowHead,
            Phase::Idle if state.blocked.is_none() && state.since.elapsed() >= config.idle_time => Verdict::Idle,
            _ => Verdict::Fine,
        }
    }
}
