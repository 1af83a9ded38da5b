//! CPU accounting: the time that is spent inside polls of a guest's future.
//!
//! Epochs go on ticking while a guest waits for the host, so the epoch callback does not trap on a tick: it asks the
//! meter whether the cap is reached, and yields. The meter belongs to one visit; no two threads poll it at once.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use encaje_capabilities::sql::Ran;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::lane::Lane;
use crate::limits;

/// The account of one visit.
#[derive(Debug)]
pub(crate) struct Meter {
    origin: Instant,
    cap_ns: u64,
    /// Of finished polls.
    used_ns: AtomicU64,
    /// When the running poll began, from `origin`; 0 between polls.
    since_ns: AtomicU64,
    /// What databases did meanwhile. It counts for what is shown and not against the cap: a statement has its own limit,
    /// and a migration takes what it takes.
    pub(crate) sql: Ran,
    lane: Arc<Lane>,
}

impl Meter {
    pub(crate) fn new(cap: Duration, lane: Arc<Lane>) -> Arc<Self> {
        Arc::new(Self {
            origin: Instant::now(),
            cap_ns: u64::try_from(cap.as_nanos()).unwrap_or(u64::MAX),
            used_ns: AtomicU64::new(0),
            since_ns: AtomicU64::new(0),
            sql: Ran::default(),
            lane,
        })
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    fn enter(&self) {
        self.since_ns.store(self.now_ns(), Ordering::Relaxed);
    }

    fn leave(&self) {
        let since = self.since_ns.swap(0, Ordering::Relaxed);
        let took = self.now_ns().saturating_sub(since);
        self.used_ns.fetch_add(took, Ordering::Relaxed);
        self.lane.polled(Duration::from_nanos(took));
    }

    /// Whether the visit needs no turn to go on.
    fn is_light(&self) -> bool {
        self.used_ns.load(Ordering::Relaxed) < u64::try_from(limits::HEAVY.as_nanos()).unwrap_or(u64::MAX)
            && !self.lane.is_heavy()
    }

    /// Does what costs the host much on behalf of the guest, e.g. giving back its memory.
    pub(crate) async fn in_turn<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.is_light() {
            return work();
        }
        let _turn = self.lane.turn().await;
        work()
    }

    /// Time used, the running poll included.
    pub(crate) fn used(&self) -> Duration {
        let since = self.since_ns.load(Ordering::Relaxed);
        let running = if since == 0 {
            0
        } else {
            self.now_ns().saturating_sub(since)
        };
        Duration::from_nanos(self.used_ns.load(Ordering::Relaxed).saturating_add(running))
    }

    /// Whether the visit has had all the time that it may have.
    pub(crate) fn exhausted(&self) -> bool {
        self.used() >= Duration::from_nanos(self.cap_ns)
    }

    /// How long ago the visit began.
    pub(crate) fn age(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Runs a guest's future and counts the time of its polls. Once it has used much, it takes turns with the others that
    /// have.
    pub(crate) async fn metered<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut waiting = None;
        std::future::poll_fn(|context| {
            if self.is_light() {
                return self.poll(future.as_mut(), context);
            }
            let wait = waiting.get_or_insert_with(|| self.lane.turn());
            let _turn = ready!(Pin::new(wait).poll(context));
            waiting = None;
            let mut poll = || self.poll(future.as_mut(), context);
            // The epoch ends what a guest computes; what the host does for one it does not.
            if self.lane.is_heavy() { aside(poll) } else { poll() }
        })
        .await
    }

    fn poll<F: Future>(&self, future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.enter();
        let polled = future.poll(context);
        self.leave();
        polled
    }
}

/// What may hold its thread for long: the tasks that wait behind it are handed to another one first.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_is_not_counted_and_working_is() {
        let meter = Meter::new(Duration::from_secs(1), crate::lane::Lanes::new().lane());
        meter.metered(tokio::time::sleep(Duration::from_millis(50))).await;
        assert!(meter.used() < Duration::from_millis(25), "{:?}", meter.used());
        let spin = async {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(30) {
                std::hint::spin_loop();
            }
        };
        meter.metered(spin).await;
        assert!(meter.used() >= Duration::from_millis(30), "{:?}", meter.used());
    }
}
