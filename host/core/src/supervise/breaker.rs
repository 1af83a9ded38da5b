//! A circuit breaker: closed, open after too many failures, half-open with a few probes after a pause.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::blame::{Blame, blames};
use super::tally::Tally;
use crate::problem::Problem;

/// When a breaker opens and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// So many failures within `window` open it, if no more calls than these went well: a busy plugin that fails once in a
    /// hundred times is worth asking. 0 never opens it.
    pub failures: u32,
    /// How long a call counts; some count for half of it.
    pub window: Duration,
    /// How long it stays open.
    pub pause: Duration,
    /// Calls at once that try a half-open one; as many successes close it.
    pub probes: u32,
}

impl BreakerSettings {
    /// One that never opens.
    pub fn off() -> Self {
        Self {
            failures: 0,
            ..Self::default()
        }
    }
}

impl Default for BreakerSettings {
    /// Five failures within half a minute are no accident; ten seconds are enough for a restart and short for a person.
    fn default() -> Self {
        Self {
            failures: 5,
            window: Duration::from_secs(30),
            pause: Duration::from_secs(10),
            probes: 1,
        }
    }
}

/// What a breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Probes.
    HalfOpen,
    /// Nothing.
    Open,
}

impl BreakerState {
    /// The state as one lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

/// The breaker of one plugin.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    inner: Mutex<Inner>,
    refused: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    /// Counts how often it opened: what was let through before says nothing about the time after.
    epoch: u64,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Closed(Tally),
    Open { until: Instant },
    HalfOpen { probing: u32, succeeded: u32 },
}

impl Breaker {
    /// A closed one.
    pub fn new(settings: BreakerSettings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            inner: Mutex::new(Inner {
                epoch: 0,
                phase: Phase::Closed(Tally::new(Instant::now())),
            }),
            refused: AtomicU64::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave for one call, or how long to wait.
    pub(super) fn admit(self: &Arc<Self>) -> Result<Pass, Duration> {
        let admitted = self.admit_at(Instant::now());
        if admitted.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    /// Calls that it has turned away.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn admit_at(self: &Arc<Self>, now: Instant) -> Result<Pass, Duration> {
        let mut inner = self.lock();
        if let Phase::Open { until } = inner.phase {
            if until > now {
                return Err(until - now);
            }
            inner.phase = Phase::HalfOpen {
                probing: 0,
                succeeded: 0,
            };
        }
        let probe = match &mut inner.phase {
            Phase::HalfOpen { probing, .. } if *probing >= self.settings.probes.max(1) => {
                return Err(self.settings.pause.min(Duration::from_secs(1)));
            }
            Phase::HalfOpen { probing, .. } => {
                *probing += 1;
                true
            }
            Phase::Closed(_) | Phase::Open { .. } => false,
        };
        Ok(Pass {
            breaker: Arc::clone(self),
            epoch: inner.epoch,
            probe,
            open: true,
        })
    }

    /// What it lets through now.
    pub fn state(&self) -> BreakerState {
        self.state_at(Instant::now())
    }

    fn state_at(&self, now: Instant) -> BreakerState {
        match self.lock().phase {
            Phase::Closed(_) => BreakerState::Closed,
            Phase::Open { until } if until > now => BreakerState::Open,
            Phase::Open { .. } | Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// What a pass of this epoch may change; nothing where it opened since.
    fn of(&self, epoch: u64) -> Option<MutexGuard<'_, Inner>> {
        Some(self.lock()).filter(|inner| inner.epoch == epoch)
    }

    /// A call of a closed one ended well.
    fn ended_well(&self, epoch: u64, now: Instant) {
        let Some(mut inner) = self.of(epoch) else { return };
        if let Phase::Closed(tally) = &mut inner.phase {
            let ends = tally.at(now, self.settings.window);
            ends.well = ends.well.saturating_add(1);
        }
    }

    /// A probe went well.
    fn proved(&self, epoch: u64, now: Instant) {
        let Some(mut inner) = self.of(epoch) else { return };
        if let Phase::HalfOpen { probing, succeeded } = &mut inner.phase {
            *probing = probing.saturating_sub(1);
            *succeeded += 1;
            if *succeeded >= self.settings.probes.max(1) {
                inner.phase = Phase::Closed(Tally::new(now));
            }
        }
    }

    fn failed(&self, epoch: u64, probe: bool, now: Instant) {
        if self.settings.failures == 0 {
            return;
        }
        let Some(mut inner) = self.of(epoch) else { return };
        let opens = match &mut inner.phase {
            Phase::Open { .. } => false,
            // Half-open, an answer that had begun well and broke later leaves the word to the next probe.
            Phase::HalfOpen { .. } => probe,
            Phase::Closed(tally) => {
                let ends = tally.at(now, self.settings.window);
                ends.failed = ends.failed.saturating_add(1);
                tally.speaks_against(self.settings.failures)
            }
        };
        if opens {
            inner.epoch += 1;
            inner.phase = Phase::Open {
                until: now + self.settings.pause,
            };
        }
    }

    /// A probe that nobody waited for proves nothing; the next call tries.
    fn gave_up(&self, epoch: u64) {
        let Some(mut inner) = self.of(epoch) else { return };
        if let Phase::HalfOpen { probing, .. } = &mut inner.phase {
            *probing = probing.saturating_sub(1);
        }
    }
}

/// Leave for one call. Says at its end how it went; dropped without a word, it counts for nothing.
#[derive(Debug)]
pub struct Pass {
    breaker: Arc<Breaker>,
    /// Of the breaker, when it was given.
    epoch: u64,
    /// Whether a half-open breaker waits for its word.
    probe: bool,
    open: bool,
}

impl Pass {
    /// The plugin has begun to answer. That is all that a half-open breaker waits for: an answer may take minutes, and
    /// nobody else would be let through. If it breaks later, it counts as any other call's.
    pub fn begun(&mut self) {
        if std::mem::take(&mut self.probe) {
            self.breaker.proved(self.epoch, Instant::now());
        }
    }

    /// The plugin did its work, also where it refused the request for a reason of the request's own.
    pub fn succeeded(self) {
        self.succeeded_at(Instant::now());
    }

    fn succeeded_at(mut self, now: Instant) {
        match std::mem::take(&mut self.probe) {
            true => self.breaker.proved(self.epoch, now),
            false => self.breaker.ended_well(self.epoch, now),
        }
        self.open = false;
    }

    /// The call ended with this problem: a failure of the plugin, or the caller's own.
    pub fn ended(self, problem: &Problem) {
        self.ended_at(problem, Instant::now());
    }

    fn ended_at(mut self, problem: &Problem, now: Instant) {
        match blames(problem) {
            Blame::Plugin => {
                self.open = false;
                self.breaker.failed(self.epoch, self.probe, now);
            }
            Blame::Caller => self.succeeded_at(now),
            Blame::Nobody => drop(self),
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.open && self.probe {
            self.breaker.gave_up(self.epoch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::ProblemKind;

    const SETTINGS: BreakerSettings = BreakerSettings {
        failures: 3,
        window: Duration::from_secs(10),
        pause: Duration::from_secs(5),
        probes: 1,
    };

    /// A breaker and the time, which passes only when told to.
    struct Bench {
        breaker: Arc<Breaker>,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                breaker: Breaker::new(SETTINGS),
                now: Instant::now(),
            }
        }

        fn pass(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        fn admit(&self) -> Result<Pass, Duration> {
            self.breaker.admit_at(self.now)
        }

        fn end(&self, kind: ProblemKind) {
            self.admit().unwrap().ended_at(&Problem::new(kind, "no"), self.now);
        }

        fn fail(&self, times: u32) {
            (0..times).for_each(|_| self.end(ProblemKind::Unavailable));
        }

        fn state(&self) -> BreakerState {
            self.breaker.state_at(self.now)
        }
    }

    #[test]
    fn it_opens_after_failures_and_closes_after_a_good_probe() {
        let mut bench = Bench::new();
        bench.fail(3);
        assert_eq!(bench.state(), BreakerState::Open);
        assert_eq!(bench.admit().unwrap_err(), Duration::from_secs(5));
        bench.pass(5);
        assert_eq!(bench.state(), BreakerState::HalfOpen);
        let probe = bench.admit().unwrap();
        assert!(bench.admit().is_err(), "one probe at a time");
        probe.succeeded();
        assert_eq!(bench.state(), BreakerState::Closed);
        assert!(bench.admit().is_ok());
    }

    #[test]
    fn a_bad_probe_opens_it_again_and_a_dropped_one_lets_the_next_try() {
        let mut bench = Bench::new();
        bench.fail(3);
        bench.pass(6);
        drop(bench.admit().unwrap());
        bench.fail(1);
        assert_eq!(bench.state(), BreakerState::Open);
        assert_eq!(bench.admit().unwrap_err(), Duration::from_secs(5));
    }

    #[test]
    fn failures_far_apart_and_those_of_the_caller_do_not_count() {
        let mut bench = Bench::new();
        for _ in 0..10 {
            bench.fail(1);
            bench.pass(6);
        }
        assert_eq!(bench.state(), BreakerState::Closed);
        for kind in [
            ProblemKind::InvalidRequest,
            ProblemKind::RateLimited,
            ProblemKind::Cancelled,
        ] {
            (0..10).for_each(|_| bench.end(kind.clone()));
        }
        assert_eq!(bench.state(), BreakerState::Closed);
    }

    #[test]
    fn a_busy_plugin_that_fails_now_and_then_is_asked_on() {
        let mut bench = Bench::new();
        for _ in 0..30 {
            (0..20).for_each(|_| bench.admit().unwrap().succeeded_at(bench.now));
            bench.fail(1);
            bench.pass(1);
        }
        assert_eq!(bench.state(), BreakerState::Closed);
        bench.pass(10);
        bench.admit().unwrap().succeeded_at(bench.now);
        bench.fail(3);
        assert_eq!(
            bench.state(),
            BreakerState::Open,
            "what went well long ago does not count"
        );
    }

    #[test]
    fn what_began_before_it_opened_changes_nothing() {
        let mut bench = Bench::new();
        let (early, late) = (bench.admit().unwrap(), bench.admit().unwrap());
        bench.fail(3);
        early.succeeded();
        assert_eq!(bench.state(), BreakerState::Open);
        bench.pass(6);
        let probe = bench.admit().unwrap();
        late.ended_at(&Problem::new(ProblemKind::Unavailable, "down"), bench.now);
        assert_eq!(bench.state(), BreakerState::HalfOpen);
        probe.succeeded();
        assert_eq!(bench.state(), BreakerState::Closed);
    }

    #[test]
    fn an_upstream_that_says_503_is_down_and_this_servers_own_refusals_say_nothing() {
        let bench = Bench::new();
        let end = |kind: ProblemKind, code: Option<&str>, status: Option<u16>| {
            let mut problem = Problem::new(kind, "no");
            problem.code = code.map(str::to_owned);
            problem.upstream_status = status;
            (0..10).for_each(|_| {
                let admitted = bench.admit();
                admitted.into_iter().for_each(|pass| pass.ended_at(&problem, bench.now));
            });
            bench.state()
        };
        for (kind, code, status) in [
            (ProblemKind::Overloaded, Some("plugin_busy"), None),
            (ProblemKind::Overloaded, None, None),
            (ProblemKind::Overloaded, None, Some(429)),
            (ProblemKind::RateLimited, None, Some(429)),
            // Of another plugin, which this one asked and whose word it passes on.
            (ProblemKind::Unavailable, Some("breaker_open"), None),
        ] {
            assert_eq!(end(kind, code, status), BreakerState::Closed, "{code:?} {status:?}");
        }
        assert_eq!(end(ProblemKind::Overloaded, None, Some(529)), BreakerState::Open);
    }

    #[test]
    fn a_probe_that_has_begun_to_answer_lets_others_through_and_may_still_fail() {
        let mut bench = Bench::new();
        bench.fail(3);
        bench.pass(5);
        let mut probe = bench.admit().unwrap();
        assert!(bench.admit().is_err(), "nothing has come yet");
        probe.begun();
        assert_eq!(bench.state(), BreakerState::Closed);
        bench.fail(2);
        assert_eq!(bench.state(), BreakerState::Closed);
        probe.ended_at(&Problem::new(ProblemKind::Unavailable, "broke"), bench.now);
        assert_eq!(
            bench.state(),
            BreakerState::Open,
            "its later failure is one of the three"
        );
    }

    #[test]
    fn a_stale_probe_has_no_say_in_a_later_period() {
        let mut bench = Bench {
            breaker: Breaker::new(BreakerSettings { probes: 2, ..SETTINGS }),
            now: Instant::now(),
        };
        bench.fail(3);
        bench.pass(5);
        let (first, stale) = (bench.admit().unwrap(), bench.admit().unwrap());
        let another = Problem::new(ProblemKind::Unavailable, "down");
        first.ended_at(&another, bench.now);
        bench.pass(5);
        let (one, two) = (bench.admit().unwrap(), bench.admit().unwrap());
        drop(stale);
        assert!(bench.admit().is_err(), "the stale one's place was given back already");
        one.succeeded();
        assert_eq!(bench.state(), BreakerState::HalfOpen, "two must succeed");
        two.succeeded();
        assert_eq!(bench.state(), BreakerState::Closed);
    }

    #[test]
    fn failures_from_before_it_opened_do_not_open_it_again() {
        let mut bench = Bench::new();
        let hanging: Vec<Pass> = (0..10).map(|_| bench.admit().unwrap()).collect();
        bench.fail(3);
        bench.pass(5);
        bench.admit().unwrap().succeeded();
        for late in hanging {
            late.ended_at(&Problem::new(ProblemKind::Timeout, "late"), bench.now);
        }
        assert_eq!(bench.state(), BreakerState::Closed);
    }

    #[test]
    fn one_that_is_off_never_opens() {
        let bench = Bench {
            breaker: Breaker::new(BreakerSettings::off()),
            now: Instant::now(),
        };
        bench.fail(1_000);
        assert_eq!(bench.state(), BreakerState::Closed);
    }
}
