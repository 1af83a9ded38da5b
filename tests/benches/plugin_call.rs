//! What a crossing costs: a provider's call through the port against the same work in a bare wasmtime loop.
//!
//! Both sides run the same component in one process, with the same pool and the same imports; bare, no epochs are checked.
//! The port adds what the sandbox promises: place, deadline, CPU account, memory cap, crossing, conversion to the domain's
//! types and back. Criterion gives each side's own distribution; the last line comes from a loop that alternates the two,
//! so that the machine's noise hits both alike. The network and the router are no part of it (`encaje bench` is).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench that fails should say where"
)]

mod bare;
mod port;

use std::time::{Duration, Instant};

use bare::{Bare, BareStream};
use criterion::{BenchmarkId, Criterion};
use encaje_core::chat::ChatRequest;
use encaje_core::ports::Completion;
use port::{Port, chat};
use tokio::runtime::Runtime;

/// What is asked, and echoed.
const QUESTION: &str = "What does one crossing cost?";
/// Events of the long answer; each is one `next`.
const EVENTS: usize = 2_048;
/// Calls of `next` between two looks at the clock, whose own cost is then nothing.
const BLOCK: usize = 64;
/// Pairs of whole calls in the alternating loop, after a tenth as many unmeasured.
const PAIRS: usize = 4_000;
/// Pairs of long answers in the alternating loop.
const STREAMS: usize = 40;
/// A whole call through the port costs at most so many times the bare one.
const FRESH_BAR: f64 = 2.0;
/// A whole call of a warm instance through the port costs at most so many microseconds more than the bare one.
const WARM_BAR_US: f64 = 5.0;
/// A `next` through the port costs at most so many microseconds more than the bare one.
const NEXT_BAR_US: f64 = 3.0;

/// Both sides, ready.
struct Sides {
    runtime: Runtime,
    port: Port,
    warm: Port,
    bare: Bare,
}

impl Sides {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let config =
            serde_json::json!({ "models": ["stub"], "context_tokens": 32_768, "dimensions": 384, "script": {} });
        let (wasm, config) = (port::component(), config.to_string());
        let bare = Bare::new(&wasm, config.clone());
        let port = runtime.block_on(Port::new(wasm.clone(), config.clone(), 1));
        let warm = runtime.block_on(Port::new(wasm, config, u32::MAX));
        Self {
            runtime,
            port,
            warm,
            bare,
        }
    }
}

/// A call for a short answer, all at once.
fn short() -> ChatRequest {
    chat(QUESTION)
}

/// A call for an answer of [`EVENTS`] events, one at a time.
fn long() -> ChatRequest {
    let script = serde_json::json!({ "text": "word ".repeat(EVENTS), "deltas": EVENTS, "batch": 1 });
    let mut request = chat(QUESTION);
    request.extra.push(("stub".to_owned(), script.to_string()));
    request
}

/// A block of `next` through the port.
async fn block_port(stream: &mut dyn Completion) -> Duration {
    let start = Instant::now();
    for _ in 0..BLOCK {
        assert_eq!(stream.next().await.unwrap().unwrap().len(), 1);
    }
    start.elapsed()
}

/// A block of `next` without it.
async fn block_bare(stream: &mut BareStream) -> Duration {
    let start = Instant::now();
    for _ in 0..BLOCK {
        assert_eq!(stream.next().await.unwrap().len(), 1);
    }
    start.elapsed()
}

fn fresh(criterion: &mut Criterion, sides: &Sides) {
    let mut group = criterion.benchmark_group("plugin_call/fresh");
    group.bench_function(BenchmarkId::from_parameter("port"), |bencher| {
        bencher.to_async(&sides.runtime).iter(|| sides.port.call(short()));
    });
    let request = bare::from_core(&short());
    group.bench_function(BenchmarkId::from_parameter("bare"), |bencher| {
        bencher.to_async(&sides.runtime).iter(|| sides.bare.call(&request));
    });
    group.finish();
}

/// One iteration is one block of [`BLOCK`].
fn next(criterion: &mut Criterion, sides: &Sides) {
    let mut group = criterion.benchmark_group(format!("plugin_call/next_x{BLOCK}"));
    group.bench_function(BenchmarkId::from_parameter("port"), |bencher| {
        bencher.to_async(&sides.runtime).iter_custom(|blocks| async move {
            let (mut stream, mut spent) = (sides.port.open(long()).await, Duration::ZERO);
            for block in 1..=blocks {
                spent += block_port(stream.as_mut()).await;
                if block % (EVENTS / BLOCK) as u64 == 0 {
                    stream = sides.port.open(long()).await;
                }
            }
            spent
        });
    });
    let request = bare::from_core(&long());
    group.bench_function(BenchmarkId::from_parameter("bare"), |bencher| {
        bencher.to_async(&sides.runtime).iter_custom(|blocks| {
            let request = &request;
            async move {
                let (mut stream, mut spent) = (sides.bare.open(request).await, Duration::ZERO);
                for block in 1..=blocks {
                    spent += block_bare(&mut stream).await;
                    if block % (EVENTS / BLOCK) as u64 == 0 {
                        stream = sides.bare.open(request).await;
                    }
                }
                spent
            }
        });
    });
    group.finish();
}

/// Microseconds of the port's samples and of the bare ones.
#[derive(Default)]
struct Samples {
    port: Vec<f64>,
    bare: Vec<f64>,
}

impl Samples {
    /// Both medians.
    fn medians(mut self) -> (f64, f64) {
        let median = |samples: &mut Vec<f64>| {
            samples.sort_by(f64::total_cmp);
            samples[samples.len() / 2]
        };
        (median(&mut self.port), median(&mut self.bare))
    }
}

fn microseconds(spent: Duration) -> f64 {
    spent.as_secs_f64() * 1e6
}

/// Whole calls, the two sides in turn; which of them is first changes each time. With `warm`, each side has one instance that
/// serves them all.
async fn alternate_calls(sides: &Sides, warm: bool) -> Samples {
    let mut kept = sides.bare.instance().await;
    let port = if warm { &sides.warm } else { &sides.port };
    let (mut samples, bare_request) = (Samples::default(), bare::from_core(&short()));
    for pair in 0..PAIRS + PAIRS / 10 {
        let request = short();
        let (mut spent, mut said) = ([0.0; 2], [0; 2]);
        for side in [pair % 2, (pair + 1) % 2] {
            let start = Instant::now();
            said[side] = match side {
                0 => port.call(request.clone()).await,
                _ if warm => kept.call(&bare_request).await,
                _ => sides.bare.call(&bare_request).await,
            };
            spent[side] = microseconds(start.elapsed());
        }
        assert!(
            said[0] > 1 && said[0] == said[1],
            "both sides do the same work: {said:?}"
        );
        if pair >= PAIRS / 10 {
            samples.port.push(spent[0]);
            samples.bare.push(spent[1]);
        }
    }
    samples
}

/// Blocks of `next` on two open answers, the two sides in turn.
async fn alternate_next(sides: &Sides) -> Samples {
    let (mut samples, request) = (Samples::default(), bare::from_core(&long()));
    for _ in 0..STREAMS {
        let mut port = sides.port.open(long()).await;
        let mut bare = sides.bare.open(&request).await;
        for block in 0..EVENTS / BLOCK {
            for side in [block % 2, (block + 1) % 2] {
                match side {
                    0 => samples
                        .port
                        .push(microseconds(block_port(port.as_mut()).await) / BLOCK as f64),
                    _ => samples
                        .bare
                        .push(microseconds(block_bare(&mut bare).await) / BLOCK as f64),
                }
            }
        }
    }
    samples
}

fn main() {
    let sides = Sides::new();
    let mut criterion = Criterion::default().configure_from_args();
    fresh(&mut criterion, &sides);
    next(&mut criterion, &sides);
    criterion.final_summary();
    // `cargo test --benches` runs everything once, to see that it runs; medians of that would say nothing.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let (port, bare) = sides.runtime.block_on(alternate_calls(&sides, false)).medians();
    let (warm_port, warm_bare) = sides.runtime.block_on(alternate_calls(&sides, true)).medians();
    let (next_port, next_bare) = sides.runtime.block_on(alternate_next(&sides)).medians();
    println!(
        "plugin_call medians, alternating: fresh port {port:.1} µs, bare {bare:.1} µs, ratio {:.2} (bar {FRESH_BAR}); warm \
         port {warm_port:.1} µs, bare {warm_bare:.1} µs, {:+.1} µs (bar +{WARM_BAR_US} µs); next port {next_port:.2} µs, bare {next_bare:.2} µs, {:+.2} µs (bar +{NEXT_BAR_US} µs)",
        port / bare,
        warm_port - warm_bare,
        next_port - next_bare,
    );
}
