//! Turns for guests that compute for long: so many run at once that a core stays free for everybody else, and plugins
//! take their turns one after another, however many instances each of them has running.
//!
//! A guest that has used little CPU time never comes here. A heavy one takes a turn for each poll, which the epoch ends
//! after a millisecond. What the host copies for a guest no epoch ends: a plugin whose polls are long again and again counts
//! as heavy from the first poll of each visit on, until it has been light for a while.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::limits;

/// The turns of one engine.
#[derive(Debug)]
pub(crate) struct Lanes(Mutex<Turns>);

#[derive(Debug)]
struct Turns {
    free: usize,
    lanes: u64,
    /// Who had the last turn.
    last: u64,
    /// Who waits, by lane; no lane is empty.
    waiting: BTreeMap<u64, VecDeque<Arc<Ticket>>>,
}

/// One plugin's place among the others. Cloning the pointer shares it.
#[derive(Debug)]
pub(crate) struct Lane {
    lanes: Arc<Lanes>,
    number: u64,
    heavy: AtomicBool,
    debt: Mutex<Debt>,
}

/// Time of long polls, paid off as time passes.
#[derive(Debug)]
struct Debt {
    owed: Duration,
    since: Instant,
}

impl Debt {
    /// What is still owed now.
    fn settle(&mut self, now: Instant) -> Duration {
        let paid = now.duration_since(self.since).mul_f64(limits::LONG_POLL_SHARE);
        self.owed = self.owed.saturating_sub(paid);
        self.since = now;
        self.owed
    }
}

/// A wish for a turn.
#[derive(Debug)]
struct Ticket(Mutex<Wish>);

#[derive(Debug)]
enum Wish {
    Waiting(Waker),
    Granted,
    Withdrawn,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lanes {
    /// Leaves a core to the others, where there is another.
    pub(crate) fn new() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with(cores.saturating_sub(1).max(1))
    }

    fn with(free: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Turns {
            free,
            lanes: 0,
            last: 0,
            waiting: BTreeMap::new(),
        })))
    }

    /// A place for one more plugin.
    pub(crate) fn lane(self: &Arc<Self>) -> Arc<Lane> {
        let mut turns = lock(&self.0);
        turns.lanes += 1;
        Arc::new(Lane {
            lanes: Arc::clone(self),
            number: turns.lanes,
            heavy: AtomicBool::new(false),
            debt: Mutex::new(Debt {
                owed: Duration::ZERO,
                since: Instant::now(),
            }),
        })
    }

    /// A turn has ended: the next lane's oldest wish is granted.
    fn release(&self) {
        let mut turns = lock(&self.0);
        while let Some(ticket) = turns.next() {
            let mut wish = lock(&ticket.0);
            if let Wish::Waiting(waker) = &*wish {
                let waker = waker.clone();
                *wish = Wish::Granted;
                drop(wish);
                drop(turns);
                waker.wake();
                return;
            }
        }
        turns.free += 1;
    }
}

impl Turns {
    fn next(&mut self) -> Option<Arc<Ticket>> {
        let behind = self.waiting.range(self.last + 1..).next();
        let lane = *behind.or_else(|| self.waiting.iter().next())?.0;
        self.last = lane;
        let queue = self.waiting.get_mut(&lane)?;
        let ticket = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&lane);
        }
        ticket
    }
}

impl Lane {
    /// Whether its guests take turns from their first poll on.
    pub(crate) fn is_heavy(&self) -> bool {
        self.heavy.load(Ordering::Relaxed) && self.settled()
    }

    fn settled(&self) -> bool {
        let heavy = lock(&self.debt).settle(Instant::now()) > limits::LONG_POLL_DEBT / 2;
        self.heavy.store(heavy, Ordering::Relaxed);
        heavy
    }

    /// One of its polls took so long.
    pub(crate) fn polled(&self, took: Duration) {
        if took < limits::LONG_POLL {
            return;
        }
        let mut debt = lock(&self.debt);
        debt.settle(Instant::now());
        debt.owed = (debt.owed + took).min(limits::LONG_POLL_DEBT * 2);
        if debt.owed > limits::LONG_POLL_DEBT {
            self.heavy.store(true, Ordering::Relaxed);
        }
    }

    /// Waits for a turn.
    pub(crate) fn turn(self: &Arc<Self>) -> Waiting {
        Waiting {
            lane: Arc::clone(self),
            ticket: None,
        }
    }
}

/// A turn; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Lane>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.lanes.release();
    }
}

/// A wait for a turn; dropped, it is withdrawn.
#[derive(Debug)]
pub(crate) struct Waiting {
    lane: Arc<Lane>,
    ticket: Option<Arc<Ticket>>,
}

impl Future for Waiting {
    type Output = Turn;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Turn> {
        if let Some(ticket) = &self.ticket {
            let mut wish = lock(&ticket.0);
            if matches!(*wish, Wish::Granted) {
                *wish = Wish::Withdrawn;
                drop(wish);
                self.ticket = None;
                return Poll::Ready(Turn(Arc::clone(&self.lane)));
            }
            *wish = Wish::Waiting(context.waker().clone());
            return Poll::Pending;
        }
        let lane = Arc::clone(&self.lane);
        let mut turns = lock(&lane.lanes.0);
        if turns.free > 0 {
            turns.free -= 1;
            turns.last = lane.number;
            drop(turns);
            return Poll::Ready(Turn(lane));
        }
        let ticket = Arc::new(Ticket(Mutex::new(Wish::Waiting(context.waker().clone()))));
        turns
            .waiting
            .entry(lane.number)
            .or_default()
            .push_back(Arc::clone(&ticket));
        drop(turns);
        self.ticket = Some(ticket);
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        let granted = matches!(std::mem::replace(&mut *lock(&ticket.0), Wish::Withdrawn), Wish::Granted);
        if granted {
            self.lane.lanes.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn plugins_take_turns_however_many_each_of_them_has_waiting() {
        let lanes = Lanes::with(1);
        let (hog, good) = (lanes.lane(), lanes.lane());
        let mut running = hog.turn().now_or_never();
        assert!(running.is_some());
        let mut hogs: Vec<_> = (0..5).map(|_| hog.turn()).collect();
        let mut goods: Vec<_> = (0..2).map(|_| good.turn()).collect();
        let mut order = String::new();
        for _ in 0..=7 {
            for (name, waiting) in [('h', &mut hogs), ('g', &mut goods)] {
                let came = waiting.iter_mut().position(|one| {
                    let turn = Pin::new(one).poll(&mut Context::from_waker(Waker::noop()));
                    let Poll::Ready(turn) = turn else { return false };
                    running = Some(turn);
                    true
                });
                if let Some(index) = came {
                    drop(waiting.remove(index));
                    order.push(name);
                }
            }
            running = None;
        }
        assert_eq!(order, "ghghhhh", "one each, as long as both wait");
    }

    #[test]
    fn one_long_poll_is_an_accident_and_many_are_a_habit() {
        let lane = Lanes::with(1).lane();
        lane.polled(limits::LONG_POLL * 3);
        lane.polled(limits::LONG_POLL / 2);
        assert!(!lane.is_heavy());
        for _ in 0..100 {
            lane.polled(limits::LONG_POLL);
        }
        assert!(lane.is_heavy());
        lock(&lane.debt).since = Instant::now() - Duration::from_secs(60);
        assert!(!lane.is_heavy(), "after a while it is as any other");
    }

    #[test]
    fn a_turn_that_nobody_waits_for_any_more_goes_to_the_next() {
        let lanes = Lanes::with(1);
        let lane = lanes.lane();
        let running = lane.turn().now_or_never().unwrap();
        let context = &mut Context::from_waker(Waker::noop());
        let (mut first, mut second, mut third) = (lane.turn(), lane.turn(), lane.turn());
        for waiting in [&mut first, &mut second, &mut third] {
            assert!(Pin::new(waiting).poll(context).is_pending());
        }
        drop(first);
        drop(running);
        // It was granted to the second, which leaves without taking it.
        drop(second);
        assert!(Pin::new(&mut third).poll(context).is_ready());
        assert!(lane.turn().now_or_never().is_some(), "and then it is free");
    }
}
