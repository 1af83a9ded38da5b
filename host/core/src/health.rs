//! What a plugin's visits have been like: counted as they end, read by `/metrics`, `/api/v1/plugins` and the terminal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::problem::ProblemKind;
use crate::trace::{Crossing, PluginKind};

/// Upper bounds of the latency histogram's buckets, in seconds; one more takes what is slower.
pub const LATENCY_BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0,
];

/// Classes of failure that are counted apart.
const CLASSES: [ProblemKind; 17] = [
    ProblemKind::InvalidRequest,
    ProblemKind::Unauthenticated,
    ProblemKind::Denied,
    ProblemKind::NotFound,
    ProblemKind::Conflict,
    ProblemKind::TooLarge,
    ProblemKind::ContextExceeded,
    ProblemKind::ContentBlocked,
    ProblemKind::Unsupported,
    ProblemKind::RateLimited,
    ProblemKind::QuotaExceeded,
    ProblemKind::Overloaded,
    ProblemKind::Unavailable,
    ProblemKind::Timeout,
    ProblemKind::Cancelled,
    ProblemKind::Misconfigured,
    ProblemKind::Internal,
];

/// The counters of one plugin, all its instances together.
#[derive(Debug, Default)]
pub struct Health {
    calls: AtomicU64,
    failures: [AtomicU64; CLASSES.len()],
    latency: [AtomicU64; LATENCY_BUCKETS.len() + 1],
    latency_us: AtomicU64,
    cpu_us: AtomicU64,
    egress_bytes: AtomicU64,
    peak_memory: AtomicU64,
    running: AtomicU64,
    refused: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HealthSnapshot {
    /// Visits that have ended.
    pub calls: u64,
    /// Visits that ended with a problem, by its class; classes without any are left out.
    pub failures: Vec<(&'static str, u64)>,
    /// Visits that took no longer than each of [`LATENCY_BUCKETS`], and all of them at the end.
    pub latency: Vec<u64>,
    /// Wall-clock time of all visits.
    pub latency_sum: Duration,
    /// CPU time of all visits.
    pub cpu: Duration,
    /// Bytes to and from other hosts.
    pub egress_bytes: u64,
    /// The largest that an instance's memories were, in bytes.
    pub peak_memory: u64,
    /// Visits that run now.
    pub running: u64,
    /// Calls that found no place and began no visit.
    pub refused: u64,
}

impl HealthSnapshot {
    /// An upper bound of the latency of this share of the visits; zero where there were none.
    pub fn quantile(&self, share: f64) -> Duration {
        let all = self.latency.last().copied().unwrap_or_default();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count is a count"
        )]
        let wanted = (all as f64 * share).ceil() as u64;
        let bucket = self.latency.iter().position(|count| *count >= wanted.max(1));
        let bound = bucket.and_then(|index| LATENCY_BUCKETS.get(index).or(LATENCY_BUCKETS.last()));
        bound.map_or(Duration::ZERO, |seconds| Duration::from_secs_f64(*seconds))
    }
}

impl Health {
    /// A visit has begun; [`Health::ended`] is its end.
    pub fn began(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    /// A call was turned away before it began a visit: no instance was free, and there was no place in the queue or the
    /// wait there was too long.
    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A visit has ended.
    pub fn ended(&self, crossing: &Crossing) {
        let wall = crossing.end_us.saturating_sub(crossing.start_us);
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a visit are few")]
        let seconds = wall as f64 / 1e6;
        let bucket = LATENCY_BUCKETS
            .iter()
            .position(|bound| seconds <= *bound)
            .unwrap_or(LATENCY_BUCKETS.len());
        let add = |counter: &AtomicU64, amount: u64| counter.fetch_add(amount, Ordering::Relaxed);
        self.running.fetch_sub(1, Ordering::Relaxed);
        add(&self.calls, 1);
        self.latency.get(bucket).map(|counter| add(counter, 1));
        add(&self.latency_us, wall);
        add(
            &self.cpu_us,
            u64::try_from(crossing.cpu.as_micros()).unwrap_or(u64::MAX),
        );
        add(&self.egress_bytes, crossing.egress_bytes);
        self.peak_memory.fetch_max(crossing.peak_memory, Ordering::Relaxed);
        if let Some(kind) = &crossing.failure {
            let class = CLASSES.iter().position(|class| class == kind);
            // A class that this version does not know counts as the plugin's own fault.
            let class = class.unwrap_or(CLASSES.len() - 1);
            self.failures.get(class).map(|counter| add(counter, 1));
        }
    }

    /// The counters now.
    pub fn snapshot(&self) -> HealthSnapshot {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut seen = 0;
        let latency = self.latency.iter().map(|counter| {
            seen += load(counter);
            seen
        });
        let failures = CLASSES.iter().zip(&self.failures);
        HealthSnapshot {
            latency: latency.collect(),
            calls: load(&self.calls),
            failures: failures
                .map(|(class, count)| (name(class), load(count)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            latency_sum: Duration::from_micros(load(&self.latency_us)),
            cpu: Duration::from_micros(load(&self.cpu_us)),
            egress_bytes: load(&self.egress_bytes),
            peak_memory: load(&self.peak_memory),
            running: load(&self.running),
            refused: load(&self.refused),
        }
    }
}

/// The word of a counted class.
fn name(class: &'static ProblemKind) -> &'static str {
    class.as_str()
}

/// One series of a plugin's own metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric.
    pub name: String,
    /// Names and values, in the order of the declaration.
    pub labels: Vec<(String, String)>,
    /// Whether it is a distribution; a counter otherwise.
    pub histogram: bool,
    /// How many times it was given a value.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

/// What can be seen of a loaded plugin.
pub trait Observed: Send + Sync {
    /// Its name in the registry.
    fn name(&self) -> &str;

    /// Its kind.
    fn kind(&self) -> PluginKind;

    /// Its visits.
    fn health(&self) -> HealthSnapshot;

    /// Calls that wait for an instance now.
    fn waiting(&self) -> usize;

    /// Instances that it may have at once.
    fn instances(&self) -> usize;

    /// What its guests have counted.
    fn samples(&self) -> Vec<Sample>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crossing(wall_us: u64, failure: Option<ProblemKind>) -> Crossing {
        Crossing {
            span: crate::id::SpanId::new(),
            within: None,
            plugin: "p".to_owned(),
            kind: PluginKind::Provider,
            function: "complete",
            start_us: 1_000,
            end_us: 1_000 + wall_us,
            cpu: Duration::from_micros(5),
            peak_memory: 7,
            instance_age: Duration::ZERO,
            calls: 1,
            egress_bytes: 3,
            attempt: 1,
            failure,
        }
    }

    #[test]
    fn visits_are_counted_by_class_and_latency() {
        let health = Health::default();
        for (wall, failure) in [
            (400, None),
            (2_000, Some(ProblemKind::Timeout)),
            (300_000_000, Some(ProblemKind::Other("new".to_owned()))),
        ] {
            health.began();
            health.ended(&crossing(wall, failure));
        }
        health.began();
        health.refused();
        let seen = health.snapshot();
        assert_eq!((seen.calls, seen.running, seen.egress_bytes), (3, 1, 9));
        assert_eq!(seen.refused, 1, "which is no visit");
        assert_eq!(seen.failures, [("timeout", 1), ("internal", 1)]);
        assert_eq!(seen.latency.first(), Some(&1));
        assert_eq!(seen.latency.get(LATENCY_BUCKETS.len() - 1), Some(&2), "120 s");
        assert_eq!(seen.latency.last(), Some(&3), "and what is slower");
        assert_eq!(seen.quantile(0.5), Duration::from_micros(2_500));
        assert_eq!(HealthSnapshot::default().quantile(0.99), Duration::ZERO);
    }
}
