//! What a good plugin feels of a bad one: 200 calls a second of the stub, alone and beside eight callers of one hostile
//! guest, for each way of being hostile. And what a thousand streams at once take.
//!
//! A call's latency counts from the moment when it was due. The bar: the 99th percentile beside a bad neighbour is at most
//! three times the quiet one, or 10 ms more, whichever is larger; every hostile call ends in a typed problem.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench that fails should say where"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use encaje_core::call::CallParts;
use encaje_core::chat::ChatRequest;
use encaje_core::ports::Provider;
use encaje_core::trace::PluginKind;
use encaje_core::{Call, Caller, Problem};
use encaje_runtime::engine::Allocation;
use encaje_runtime::{Capabilities, Plugin, PluginLimits, PluginSpec, ProviderPlugin, Runtime};
use encaje_supply::{EncajeHome, TerminalProgress, guest_target};

/// Between two calls of the good plugin.
const BETWEEN: Duration = Duration::from_millis(5);
/// How long each side is measured.
const LENGTH: Duration = Duration::from_secs(3);
/// Callers of the bad one at once.
const CALLERS: usize = 8;
/// What one bad call may cost.
const CPU: Duration = Duration::from_millis(200);
const WALL: Duration = Duration::from_secs(2);
/// Streams at once, and the most that each may take.
const STREAMS: usize = 1_000;
const STREAM_BAR: u64 = 2 << 20;

/// Fixtures, and what is asked of them.
const BAD: [(&str, &str); 18] = [
    ("traps", "x"),
    ("spins-in-next", "x"),
    ("spins-in-check", "check"),
    ("spins-at-start", "start"),
    ("sleeps-at-start", "start"),
    ("allocates", "x"),
    ("recurses", "x"),
    ("never-ends", "x"),
    ("huge-string", "x"),
    ("many-handles", "x"),
    ("floods", "x"),
    ("misbehaves", "amplify"),
    ("misbehaves", "forge-handle"),
    ("misbehaves", "drop-twice"),
    ("misbehaves", "flood-log"),
    ("misbehaves", "flood-host"),
    ("misbehaves", "watch-clock"),
    ("misbehaves", "drain-random"),
];

fn spec(name: &str, folder: &str, config: String, limits: PluginLimits) -> PluginSpec {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let settings = guest_target::Settings::from_environment();
    let home = EncajeHome::from_environment().unwrap();
    let built = encaje_supply::build::build_plugin(&home, &root.join(folder), &settings, &TerminalProgress::new());
    PluginSpec {
        name: name.to_owned(),
        kind: PluginKind::Provider,
        wasm: std::fs::read(built.unwrap().wasm).unwrap(),
        config,
        capabilities: Capabilities::default(),
        limits,
        uses: 1,
    }
}

fn chat(text: &str) -> ChatRequest {
    ChatRequest::question("stub", text)
}

fn call(tenant: &str) -> Call {
    Call::new(CallParts {
        caller: Caller {
            tenant: tenant.to_owned(),
            user: None,
        },
        request_id: encaje_core::id::request_id(),
        parent: None,
        session: None,
        idempotency_key: None,
        time_limit: Duration::from_secs(60),
    })
}

async fn answered(provider: &dyn Provider, call: &Call, text: &str) -> Result<(), Problem> {
    let mut answer = provider.complete(call, chat(text)).await?;
    while answer.next().await?.is_some() {}
    Ok(())
}

/// The 99th percentile of the good plugin's latencies.
async fn p99(good: &Arc<ProviderPlugin>) -> Duration {
    let start = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    let mut due = start;
    while start.elapsed() < LENGTH {
        tokio::time::sleep_until(due.into()).await;
        let (good, at) = (Arc::clone(good), due);
        calls.spawn(async move {
            answered(good.as_ref(), &call("good"), "hello").await.unwrap();
            at.elapsed()
        });
        due += BETWEEN;
    }
    let mut latencies = calls.join_all().await;
    latencies.sort_unstable();
    latencies[latencies.len() * 99 / 100]
}

/// What the bad calls came to.
#[derive(Default)]
struct Tally {
    ended: AtomicU64,
    well: AtomicU64,
    longest_us: AtomicU64,
}

/// A bad plugin; one whose check is what is bad is loaded again and again.
#[derive(Clone)]
enum Bad {
    Loaded(Arc<ProviderPlugin>),
    ToLoad(Runtime, Arc<PluginSpec>),
}

/// One caller of the bad plugin, until it is told to stop.
async fn caller(bad: Bad, what: &'static str, stop: Arc<AtomicBool>, tally: Arc<Tally>) {
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let outcome = match &bad {
            Bad::ToLoad(runtime, spec) => {
                let (runtime, spec) = (runtime.clone(), Arc::clone(spec));
                let loaded = tokio::task::spawn_blocking(move || Plugin::load(&runtime, spec.as_ref().clone())).await;
                ProviderPlugin::start(loaded.unwrap().unwrap()).await.map(drop)
            }
            Bad::Loaded(plugin) => {
                let tenant = if what == "start" { "victim" } else { "a" };
                answered(plugin.as_ref(), &call(tenant), what).await
            }
        };
        let took = u64::try_from(began.elapsed().as_micros()).unwrap();
        tally.ended.fetch_add(1, Ordering::Relaxed);
        tally.well.fetch_add(u64::from(outcome.is_ok()), Ordering::Relaxed);
        tally.longest_us.fetch_max(took, Ordering::Relaxed);
        // One that ends at once is asked again at once, but not in a loop that is itself the load.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn neighbours(runtime: &Runtime, good: &Arc<ProviderPlugin>) -> bool {
    let mut all = true;
    println!(
        "{:<28} {:>9} {:>9} {:>7} {:>9}",
        "beside", "quiet p99", "p99", "ended", "longest"
    );
    for (fixture, what) in BAD {
        let limits = PluginLimits {
            cpu: CPU,
            wall: WALL,
            ..PluginLimits::default()
        };
        let bad = spec(fixture, &format!("tests/fixtures/{fixture}"), "{}".to_owned(), limits);
        let bad = match what {
            "check" => Bad::ToLoad(runtime.clone(), Arc::new(bad)),
            _ => {
                let loaded = Plugin::load(runtime, bad).unwrap();
                Bad::Loaded(Arc::new(ProviderPlugin::start(loaded).await.unwrap()))
            }
        };
        let quiet = p99(good).await;
        let (stop, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..CALLERS {
            callers.spawn(caller(bad.clone(), what, Arc::clone(&stop), Arc::clone(&tally)));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let beside = p99(good).await;
        stop.store(true, Ordering::Relaxed);
        callers.join_all().await;
        let (ended, well) = (tally.ended.load(Ordering::Relaxed), tally.well.load(Ordering::Relaxed));
        let longest = Duration::from_micros(tally.longest_us.load(Ordering::Relaxed));
        let holds = beside <= (quiet * 3).max(quiet + Duration::from_millis(10)) && ended > 0 && well == 0;
        all &= holds;
        println!(
            "{:<28} {:>6.2} ms {:>6.2} ms {ended:>7} {:>6.0} ms{}",
            format!("{fixture} {what}"),
            quiet.as_secs_f64() * 1e3,
            beside.as_secs_f64() * 1e3,
            longest.as_secs_f64() * 1e3,
            if holds { "" } else { "  OVER THE BAR" }
        );
    }
    all
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// A thousand answers at once, each of which has said something and has more to say.
async fn crowd(good: &Arc<ProviderPlugin>) -> bool {
    let before = resident();
    let mut request = chat("x");
    let script = serde_json::json!({ "text": "word ".repeat(20), "deltas": 20, "batch": 1 });
    request.extra.push(("stub".to_owned(), script.to_string()));
    let mut streams = Vec::with_capacity(STREAMS);
    for _ in 0..STREAMS {
        let mut stream = good.complete(&call("crowd"), request.clone()).await.unwrap();
        stream.next().await.unwrap().unwrap();
        streams.push(stream);
    }
    let each = resident().saturating_sub(before) / STREAMS as u64;
    let start = Instant::now();
    let mut said = BTreeSet::new();
    for stream in &mut streams {
        said.insert(stream.next().await.unwrap().unwrap().len());
    }
    let round = start.elapsed();
    println!(
        "{STREAMS} streams at once: {} KiB each, one event of all of them in {round:?}",
        each >> 10
    );
    each <= STREAM_BAR
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let compiled = EncajeHome::from_environment().unwrap().root().join("compiled");
    let engine = Runtime::new(compiled, Allocation::PooledIfPossible).unwrap();
    let config = serde_json::json!({ "models": ["stub"], "context_tokens": 32_768, "dimensions": 384, "script": {} });
    let limits = PluginLimits {
        instances: 2 * STREAMS,
        ..PluginLimits::default()
    };
    let good = spec("stub", "plugins/provider-stub", config.to_string(), limits);
    let holds = runtime.block_on(async {
        let good = Arc::new(
            ProviderPlugin::start(Plugin::load(&engine, good).unwrap())
                .await
                .unwrap(),
        );
        // On a worker, as the server's calls are.
        tokio::spawn(async move { crowd(&good).await & neighbours(&engine, &good).await })
            .await
            .unwrap()
    });
    match holds {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
