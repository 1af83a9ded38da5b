//! What a good plugin feels of a bad one: 200 calls a second of the stub, alone and beside eight callers of one hostile
//! guest, for each way of being hostile that can be called. And what a thousand streams at once take.
//!
//! Guests that only reach for what is not theirs are refused and do no more harm than that; they try again without end
//! (`again`), until their own limits end them. One that got anything would answer, and that counts as a failure here.
//!
//! A call's latency counts from the moment when it was due. The bar: the 99th percentile beside a bad neighbour is at most
//! three times the quiet one, or 10 ms more, whichever is larger; every hostile call ends in a typed problem. Words on the
//! command line choose among the ways: `cargo bench --bench neighbours -- redirects realloc`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a bench that fails should say where"
)]

#[path = "../it/support/assembled.rs"]
mod assembled;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use encaje_capabilities::egress::{Egress, Hidden, Policy, Resolver, Rule, Secret};
use encaje_capabilities::kv::Kv;
use encaje_capabilities::sql::{Databases, SqliteSource};
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

/// Fixtures, and what is asked of them. `PORT` is where a server of this bench redirects whatever it is asked.
const BAD: [(&str, &str); 35] = [
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
    ("misbehaves", "use-after-drop"),
    ("misbehaves", "confuse-handles"),
    ("misbehaves", "sleep-for-ever"),
    ("misbehaves", "again sql attach database 'other.db' as other"),
    ("misbehaves", "again sql-write vacuum into 'other.db'"),
    ("misbehaves", "again sql pragma database_list"),
    (
        "misbehaves",
        "again sql with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n",
    ),
    ("misbehaves", "again inject '); drop table notes; --"),
    ("misbehaves", "again kv-others ../diary"),
    ("misbehaves", "again get http://169.254.169.254/latest/meta-data/"),
    ("misbehaves", "again get http://127.0.0.1:PORT/redirects"),
    ("misbehaves", "again get http://rebinds.example:PORT/"),
    ("misbehaves", "again secret KEY"),
    ("misbehaves", "again borrow-secret KEY http://127.0.0.1:PORT/"),
    ("assembled", "tables"),
    ("assembled", "realloc"),
    ("assembled", "handle"),
];

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn spec(name: &str, folder: &str, config: String, limits: PluginLimits) -> PluginSpec {
    let settings = guest_target::Settings::from_environment();
    let home = EncajeHome::from_environment().unwrap();
    let built = encaje_supply::build::build_plugin(&home, &root().join(folder), &settings, &TerminalProgress::new());
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

/// What the bad plugins are given, so that they have something to abuse.
struct World {
    capabilities: Capabilities,
    port: u16,
    _folder: tempfile::TempDir,
}

/// Says a public address, whose machine does not answer, and this machine's own in turns.
struct Rebinding(AtomicUsize);

#[async_trait]
impl Resolver for Rebinding {
    async fn addresses(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        let address = match self.0.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => Ipv4Addr::new(192, 88, 98, 1),
            _ => Ipv4Addr::LOCALHOST,
        };
        Ok(vec![IpAddr::V4(address)])
    }
}

/// Sends every client to the address where clouds keep their secrets.
async fn redirects() -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                // The requests are shorter than this, and what they say does not matter.
                let _ = client.read(&mut [0; 4096]).await;
                let head = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/\r\ncontent-length: 0\r\n\
                            connection: close\r\n\r\n";
                let _ = client.write_all(head.as_bytes()).await;
            });
        }
    });
    port
}

impl World {
    async fn new() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), redirects().await);
        let source = SqliteSource { file: "main.db".into() };
        let databases = Databases::open(folder.path(), [("main".to_owned(), source)]).unwrap();
        let rule = |host: &str| Rule {
            host: host.to_owned(),
            port,
            methods: Vec::new(),
            path: None,
            private: false,
        };
        let secret = Secret {
            host: "api.example.com".to_owned(),
            header: "authorization".to_owned(),
            template: "Bearer {}".to_owned(),
            reveal: false,
            value: Some(Hidden::new("sk-neighbour".to_owned())),
        };
        let policy = Policy {
            plugin: "misbehaves".to_owned(),
            rules: vec![rule("127.0.0.1"), rule("rebinds.example")],
            secrets: BTreeMap::from([("KEY".to_owned(), secret)]),
        };
        let mut capabilities = Capabilities::default();
        let main = databases.get("main").unwrap().clone();
        capabilities.sql.insert("main".to_owned(), main);
        capabilities.kv = Some(Kv::open(folder.path()).await.unwrap());
        let resolver = Arc::new(Rebinding(AtomicUsize::new(0)));
        capabilities.http = Some(Egress::with_resolver(policy, resolver).unwrap());
        Self {
            capabilities,
            port,
            _folder: folder,
        }
    }

    /// One bad plugin.
    fn bad(&self, fixture: &str, what: &str) -> PluginSpec {
        let limits = PluginLimits {
            cpu: CPU,
            wall: WALL,
            ..PluginLimits::default()
        };
        if fixture == "assembled" {
            return PluginSpec {
                limits,
                ..assembled(what).spec()
            };
        }
        let mut bad = spec(fixture, &format!("tests/fixtures/{fixture}"), "{}".to_owned(), limits);
        if fixture == "misbehaves" {
            bad.capabilities = self.capabilities.clone();
        }
        bad
    }
}

/// What no compiler makes.
fn assembled(what: &str) -> assembled::Assembled {
    let good = assembled::Assembled::default();
    let spin = "(loop $again (br $again)) unreachable".to_owned();
    match what {
        "tables" => assembled::Assembled {
            also: "(table $hoard 1 funcref)".to_owned(),
            complete: "(loop $again (br_if $again
                (i32.ne (i32.const -1) (table.grow $hoard (ref.null func) (i32.const 1000))))) unreachable"
                .to_owned(),
            ..good
        },
        "realloc" => assembled::Assembled { realloc: spin, ..good },
        _ => assembled::Assembled {
            complete: "(i32.store (i32.const 520) (i32.const 77)) (i32.const 512)".to_owned(),
            ..good
        },
    }
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
async fn caller(number: usize, bad: Bad, what: String, stop: Arc<AtomicBool>, tally: Arc<Tally>) {
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let outcome = match &bad {
            Bad::ToLoad(runtime, spec) => {
                let (runtime, spec) = (runtime.clone(), Arc::clone(spec));
                let loaded = tokio::task::spawn_blocking(move || Plugin::load(&runtime, spec.as_ref().clone())).await;
                ProviderPlugin::start(loaded.unwrap().unwrap()).await.map(drop)
            }
            Bad::Loaded(plugin) => {
                let tenant = if what == "start" {
                    "victim".to_owned()
                } else {
                    format!("tenant-{number}")
                };
                answered(plugin.as_ref(), &call(&tenant), &what).await
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

/// Whether the command line names a part of it, or names nothing.
fn wanted(fixture: &str, what: &str) -> bool {
    let mut words = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .peekable();
    words.peek().is_none() || words.any(|word| format!("{fixture} {what}").contains(&word))
}

async fn neighbours(runtime: &Runtime, good: &Arc<ProviderPlugin>) -> bool {
    let (world, mut all) = (World::new().await, true);
    println!(
        "{:<62} {:>9} {:>9} {:>7} {:>9}",
        "beside", "quiet p99", "p99", "ended", "longest"
    );
    for (fixture, what) in BAD.into_iter().filter(|(fixture, what)| wanted(fixture, what)) {
        let (bad, asked) = (world.bad(fixture, what), what.replace("PORT", &world.port.to_string()));
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
        for number in 0..CALLERS {
            callers.spawn(caller(
                number,
                bad.clone(),
                asked.clone(),
                Arc::clone(&stop),
                Arc::clone(&tally),
            ));
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
            "{:<62} {:>6.2} ms {:>6.2} ms {ended:>7} {:>6.0} ms{}",
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
