//! `bench`: load on a running server, closed or open loop, with quantiles; another server can be measured in the same
//! run, in turns, so that both see the same noise.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hyper::Method;
use serde_json::json;

use crate::args::Bench;
use crate::client::{Address, Connection, whole};
use crate::limits;

/// What is asked.
const PATH: &str = "/v1/chat/completions";

/// The end of a stream that went well.
const LAST_WORD: &[u8] = b"data: [DONE]\n\n";

/// What was measured of one server.
#[derive(Default)]
struct Measured {
    latencies: Vec<Duration>,
    errors: u64,
    elapsed: Duration,
}

pub(crate) async fn run(options: &Bench) -> Result<()> {
    if options.connections == 0 || options.seconds == 0 {
        bail!("--connections and --seconds must be at least 1");
    }
    let address = Address::parse(&options.url, options.key.clone())?;
    let body = json!({
        "model": options.model,
        "stream": options.stream,
        "messages": [{ "role": "user", "content": "Write one sentence about the sea." }],
    });
    let body = Bytes::from(serde_json::to_vec(&body)?);
    let baseline = options.baseline.as_deref();
    let baseline = baseline.map(Address::without_key).transpose()?;
    let part = Duration::from_millis(options.seconds * 1_000 / limits::BENCH_ROUNDS);
    for address in [Some(&address), baseline.as_ref()].into_iter().flatten() {
        let warm = load(address, &body, options, false, Duration::from_millis(500));
        warm.await.context("warming up")?;
    }
    let (mut measured, mut compared) = (Measured::default(), Measured::default());
    for _ in 0..limits::BENCH_ROUNDS {
        measured.add(load(&address, &body, options, options.stream, part).await?);
        if let Some(baseline) = &baseline {
            // Another server need not speak this wire: whatever it answers will do.
            compared.add(load(baseline, &body, options, false, part).await?);
        }
    }
    measured.print(&format!("chat {}", options.model));
    if baseline.is_some() {
        compared.print("baseline");
        let added = |share: f64| measured.quantile(share).as_secs_f64() - compared.quantile(share).as_secs_f64();
        println!(
            "added     p50 {:.2} ms, p99 {:.2} ms",
            added(0.5) * 1e3,
            added(0.99) * 1e3
        );
    }
    if measured.errors + compared.errors > 0 {
        bail!("{} requests failed", measured.errors + compared.errors);
    }
    Ok(())
}

async fn load(address: &Address, body: &Bytes, options: &Bench, streamed: bool, length: Duration) -> Result<Measured> {
    let start = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..options.connections {
        let mut connection = Connection::open(address).await?;
        let body = body.clone();
        // In an open loop each connection sends at its share of the rate, and waiting for one's turn counts.
        let pace = options.rate.map(|rate| Pace::new(rate, options.connections, worker));
        workers.spawn(async move {
            let mut measured = Measured::default();
            let mut count = 0;
            while start.elapsed() < length {
                let due = match &pace {
                    Some(pace) => pace.wait(start, count).await,
                    None => Instant::now(),
                };
                count += 1;
                let answered = match connection.send(Method::POST, PATH, body.clone()).await {
                    Ok(response) => whole(response).await,
                    Err(error) => Err(error),
                };
                match answered {
                    // A stream that failed on its way has a good status and no last word.
                    Ok(said) if streamed && !said.ends_with(LAST_WORD) => measured.errors += 1,
                    Ok(_) => measured.latencies.push(due.elapsed()),
                    Err(_) => measured.errors += 1,
                }
            }
            measured
        });
    }
    let mut all = Measured::default();
    while let Some(worker) = workers.join_next().await {
        all.add(worker?);
    }
    all.elapsed = start.elapsed();
    Ok(all)
}

/// When a connection of an open loop sends.
struct Pace {
    between: Duration,
    offset: Duration,
}

impl Pace {
    fn new(rate: u32, connections: usize, worker: usize) -> Self {
        let connections = u32::try_from(connections).unwrap_or(u32::MAX);
        let between = Duration::from_secs(1) * connections / rate.max(1);
        Self {
            between,
            offset: between / connections * u32::try_from(worker).unwrap_or_default(),
        }
    }

    /// Waits until request `count` is due, and says when that was.
    async fn wait(&self, start: Instant, count: u32) -> Instant {
        let due = start + self.offset + self.between * count;
        tokio::time::sleep_until(due.into()).await;
        due
    }
}

impl Measured {
    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.errors += other.errors;
        self.elapsed += other.elapsed;
    }

    fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length is an index"
        )]
        #[expect(clippy::cast_precision_loss, reason = "some millions of requests at most")]
        let index = (sorted.len() as f64 * share) as usize;
        sorted
            .get(index.min(sorted.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }

    fn print(&self, what: &str) {
        #[expect(clippy::cast_precision_loss, reason = "some millions of requests at most")]
        let rate = self.latencies.len() as f64 / self.elapsed.as_secs_f64().max(1e-9);
        let ms = |share: f64| self.quantile(share).as_secs_f64() * 1e3;
        println!(
            "{what:<9} {rate:.0} requests/s, {} errors, p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
            self.errors,
            ms(0.5),
            ms(0.9),
            ms(0.99),
            ms(0.999)
        );
    }
}
