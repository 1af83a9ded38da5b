//! Ends a statement when its time is up or when nobody waits for it any more.
//!
//! A [`Watch`] belongs to one call; a [`Slot`] to one connection, whose progress handler looks at it. It cannot end a wait
//! for the disk or for a lock: those have their own limits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use encaje_core::{Problem, ProblemKind};

/// How long statements ran for somebody who runs one after the other. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Ran(Arc<Mutex<Account>>);

#[derive(Debug, Default)]
struct Account {
    ended: Duration,
    /// Of the one that runs.
    since: Option<Instant>,
}

impl Ran {
    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) {
        self.account().since = Some(Instant::now());
    }

    fn end(&self) {
        let mut account = self.account();
        let since = account.since.take();
        account.ended += since.map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// The time until now.
    #[must_use]
    pub fn time(&self) -> Duration {
        let account = self.account();
        account.ended + account.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// Until when a call may work, and whether its caller still waits.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    deadline: Instant,
    abandoned: Arc<AtomicBool>,
    ran: Ran,
}

impl Watch {
    pub(super) fn until(deadline: Instant, ran: Ran) -> Self {
        Self {
            deadline,
            abandoned: Arc::default(),
            ran,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What the caller's future holds: dropping it ends the work.
    pub(super) fn guard(&self) -> Waiting {
        Waiting(self.abandoned.clone())
    }

    /// Why the work should end, if it should.
    pub(super) fn verdict(&self) -> Option<Problem> {
        if self.abandoned.load(Ordering::Relaxed) {
            Some(Problem::new(ProblemKind::Cancelled, "The caller went away."))
        } else if Instant::now() >= self.deadline {
            Some(timeout())
        } else {
            None
        }
    }
}

/// The answer to a call whose time is up.
pub(super) fn timeout() -> Problem {
    Problem::new(
        ProblemKind::Timeout,
        "The database took longer than this call may take.",
    )
    .with_code("database_timeout")
}

/// Held by whoever waits for the answer.
#[derive(Debug)]
pub(super) struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The call that a connection works for, if any.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Option<Watch>>>);

impl Slot {
    /// Does a call's work, and counts how long it ran.
    pub(super) fn run<T>(&self, watch: &Watch, work: impl FnOnce() -> T) -> T {
        self.set(Some(watch.clone()));
        watch.ran.begin();
        let done = work();
        watch.ran.end();
        self.set(None);
        done
    }

    fn set(&self, watch: Option<Watch>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = watch;
    }

    /// Why the statement that runs should end, if it should.
    pub(super) fn verdict(&self) -> Option<Problem> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .and_then(Watch::verdict)
    }
}
