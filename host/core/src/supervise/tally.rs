//! How the calls of a plugin ended of late, in constant memory: what a closed breaker looks at.

use std::time::{Duration, Instant};

/// How the calls of late ended: those of the running half of the window, and of the half before it.
#[derive(Debug)]
pub(super) struct Tally {
    since: Instant,
    now: Ends,
    before: Ends,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ends {
    pub(super) well: u32,
    pub(super) failed: u32,
}

impl Tally {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            now: Ends::default(),
            before: Ends::default(),
        }
    }

    /// The running half, at this time.
    pub(super) fn at(&mut self, now: Instant, window: Duration) -> &mut Ends {
        let (half, age) = (window / 2, now.saturating_duration_since(self.since));
        if age >= window {
            *self = Self::new(now);
        } else if age >= half {
            self.before = std::mem::take(&mut self.now);
            self.since += half;
        }
        &mut self.now
    }

    /// Whether so many have failed, and no fewer than ended well.
    pub(super) fn speaks_against(&self, failures: u32) -> bool {
        let failed = self.now.failed.saturating_add(self.before.failed);
        failed >= failures && failed >= self.now.well.saturating_add(self.before.well)
    }
}
