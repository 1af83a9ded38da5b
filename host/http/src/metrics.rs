//! `GET /metrics`: the plugins' counters in the OpenMetrics text format, and what the plugins count themselves.
//!
//! Names begin with `encaje_`; a plugin's own with `encaje_guest_`, so that none can pass for the host's.

use std::collections::BTreeMap;
use std::fmt;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use encaje_core::Problem;
use encaje_core::generation::{Generation, PluginEntry};
use encaje_core::health::{HealthSnapshot, LATENCY_BUCKETS, Sample};
use encaje_core::supervise::BreakerState;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;

use crate::admit::Admitted;
use crate::openai::error::Refusal;

/// Names and values.
type Labels = Vec<(String, String)>;

/// `GET /metrics`
pub(crate) async fn metrics(admitted: Admitted) -> Result<impl IntoResponse, Refusal> {
    let text = render(&admitted.generation).map_err(Problem::internal)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, kind)], text))
}

/// One plugin at this moment.
struct Seen<'g> {
    entry: &'g PluginEntry,
    labels: Labels,
    health: HealthSnapshot,
    samples: Vec<Sample>,
}

fn render(generation: &Generation) -> Result<String, fmt::Error> {
    let mut registry = prometheus_client::registry::Registry::default();
    let all: Vec<Seen<'_>> = generation.plugins.iter().map(Seen::of).collect();
    let mut out = String::new();
    registry.register_collector(Box::new(Page {
        number: generation.number,
        families: families(&all),
    }));
    text::encode(&mut out, &registry)?;
    Ok(out)
}

impl<'g> Seen<'g> {
    fn of(entry: &'g PluginEntry) -> Self {
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Self {
            labels: vec![
                label("plugin", entry.observed.name()),
                label("kind", entry.observed.kind().as_str()),
            ],
            health: entry.observed.health(),
            samples: entry.observed.samples(),
            entry,
        }
    }

    fn with(&self, name: &str, value: &str) -> Labels {
        let mut labels = self.labels.clone();
        labels.push((name.to_owned(), value.to_owned()));
        labels
    }
}

/// A metric and its series.
#[derive(Debug)]
struct Family {
    name: String,
    help: String,
    series: Vec<(Labels, Value)>,
}

#[derive(Debug)]
enum Value {
    Counter(f64),
    Gauge(f64),
    /// Sum, and the count up to each bound, the last of which is all.
    Histogram(f64, Vec<(f64, u64)>),
}

#[expect(clippy::cast_precision_loss, reason = "OpenMetrics counts in reals")]
fn real(count: u64) -> f64 {
    count as f64
}

fn families(all: &[Seen<'_>]) -> Vec<Family> {
    let family = |name: &str, help: &str, series: Vec<(Labels, Value)>| Family {
        name: format!("encaje_plugin_{name}"),
        help: help.to_owned(),
        series,
    };
    let each = |value: &dyn Fn(&Seen<'_>) -> Value| all.iter().map(|seen| (seen.labels.clone(), value(seen))).collect();
    let count = |number: usize| Value::Gauge(real(u64::try_from(number).unwrap_or(u64::MAX)));
    let open = |seen: &Seen<'_>| match seen.entry.supervisor.breaker.state() {
        BreakerState::Closed => Value::Gauge(0.0),
        BreakerState::HalfOpen => Value::Gauge(0.5),
        BreakerState::Open => Value::Gauge(1.0),
    };
    let mut families = vec![
        family(
            "calls",
            "Visits that have ended",
            each(&|seen| Value::Counter(real(seen.health.calls))),
        ),
        family(
            "errors",
            "Visits that ended with a problem, by its class",
            failures(all),
        ),
        family(
            "refused",
            "Calls that were turned away before a visit began, by the code that they were told",
            refusals(all),
        ),
        family(
            "latency_seconds",
            "Wall-clock time of visits",
            each(&|seen| latency(&seen.health)),
        ),
        family(
            "cpu_seconds",
            "CPU time of visits",
            each(&|seen| Value::Counter(seen.health.cpu.as_secs_f64())),
        ),
        family(
            "egress_bytes",
            "Bytes to and from other hosts",
            each(&|seen| Value::Counter(real(seen.health.egress_bytes))),
        ),
        family(
            "peak_memory_bytes",
            "The largest that an instance's memories were",
            each(&|seen| Value::Gauge(real(seen.health.peak_memory))),
        ),
        family(
            "running",
            "Visits that run now",
            each(&|seen| Value::Gauge(real(seen.health.running))),
        ),
        family(
            "waiting",
            "Calls that wait for an instance",
            each(&|seen| count(seen.entry.observed.waiting())),
        ),
        family(
            "instances",
            "Instances that it may have at once",
            each(&|seen| count(seen.entry.observed.instances())),
        ),
        family("breaker_open", "1 open, 0.5 half-open, 0 closed", each(&open)),
    ];
    families.extend(guests(all));
    families
}

fn failures(all: &[Seen<'_>]) -> Vec<(Labels, Value)> {
    let each = all.iter().flat_map(|seen| {
        let failures = seen.health.failures.iter();
        failures.map(|(class, count)| (seen.with("class", class), Value::Counter(real(*count))))
    });
    each.collect()
}

fn refusals(all: &[Seen<'_>]) -> Vec<(Labels, Value)> {
    let each = all.iter().flat_map(|seen| {
        let reasons = seen.entry.refused().into_iter();
        reasons.map(|(reason, count)| (seen.with("reason", reason), Value::Counter(real(count))))
    });
    each.collect()
}

fn latency(health: &HealthSnapshot) -> Value {
    let bounds = LATENCY_BUCKETS.iter().copied().chain([f64::INFINITY]);
    Value::Histogram(
        health.latency_sum.as_secs_f64(),
        bounds.zip(health.latency.iter().copied()).collect(),
    )
}

/// The plugins' own metrics, those of one name and type together, whoever counts them.
fn guests(all: &[Seen<'_>]) -> Vec<Family> {
    let mut families: BTreeMap<(String, bool), Family> = BTreeMap::new();
    for seen in all {
        for sample in &seen.samples {
            let suffix = if sample.histogram { "_values" } else { "" };
            let family = families
                .entry((sample.name.clone(), sample.histogram))
                .or_insert_with(|| Family {
                    name: format!("encaje_guest_{}{suffix}", sample.name),
                    help: "Counted by plugins".to_owned(),
                    series: Vec::new(),
                });
            // A plugin cannot name another as the one that counted.
            let own = sample
                .labels
                .iter()
                .map(|(name, value)| (format!("own_{name}"), value.clone()));
            let labels = seen.labels.iter().cloned().chain(own).collect();
            let value = match sample.histogram {
                true => Value::Histogram(sample.sum, vec![(f64::INFINITY, sample.count)]),
                false => Value::Counter(sample.sum),
            };
            family.series.push((labels, value));
        }
    }
    families.into_values().collect()
}

#[derive(Debug)]
struct Page {
    number: u64,
    families: Vec<Family>,
}

impl prometheus_client::collector::Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut generation = encoder.encode_descriptor(
            "encaje_generation",
            "Counts taken-over registries",
            None,
            MetricType::Gauge,
        )?;
        generation.encode_gauge(&self.number)?;
        for family in self.families.iter().filter(|family| !family.series.is_empty()) {
            let kind = match family.series.first() {
                Some((_, Value::Gauge(_))) => MetricType::Gauge,
                Some((_, Value::Histogram(..))) => MetricType::Histogram,
                _ => MetricType::Counter,
            };
            let mut described = encoder.encode_descriptor(&family.name, &family.help, None, kind)?;
            for (labels, value) in &family.series {
                let mut series = described.encode_family(labels)?;
                match value {
                    Value::Counter(value) => series.encode_counter::<NoLabelSet, f64, u64>(value, None)?,
                    Value::Gauge(value) => series.encode_gauge(value)?,
                    Value::Histogram(sum, buckets) => {
                        let count = buckets.last().map_or(0, |(_, count)| *count);
                        series.encode_histogram::<NoLabelSet>(*sum, count, &apart(buckets), None)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The encoder adds the buckets up itself.
fn apart(buckets: &[(f64, u64)]) -> Vec<(f64, u64)> {
    let mut before = 0;
    let one = |(bound, count): &(f64, u64)| {
        let own = count - before;
        before = *count;
        (*bound, own)
    };
    buckets.iter().map(one).collect()
}
