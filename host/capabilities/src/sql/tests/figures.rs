//! Figures rather than promises: what a row, a hand-over and a small query take. The bounds are far off what is measured,
//! so that a loaded machine does not fail them; run in release with `--nocapture` to read the numbers.

use std::time::{Duration, Instant};

use encaje_core::storage::Durability;
use encaje_core::value::Value;

use super::{Statement, open, read, statement, write};

const INSERT: &str = "INSERT INTO spans (tenant, trace, span, parent, name, started_us, took_us, status, model, tokens, body, \
    attributes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

fn span(number: i64) -> Statement {
    let text = |text: String| Value::Text(text);
    statement(
        INSERT,
        vec![
            "default".into(),
            text(format!("{:032x}", number / 5)),
            text(format!("{number:016x}")),
            Value::Null,
            "chat".into(),
            (1_700_000_000_000_000 + number).into(),
            1_234_i64.into(),
            "ok".into(),
            "smollm2-135m-instruct".into(),
            42_i64.into(),
            text("Write one sentence about the sea. ".repeat(4)),
            Value::Json("{\"gen_ai.request.model\":\"smollm2\"}".to_owned()),
        ],
    )
}

async fn schema(database: &super::Database) {
    for sql in [
        "CREATE TABLE spans (tenant TEXT NOT NULL, trace TEXT NOT NULL, span TEXT NOT NULL, parent TEXT, name TEXT, \
         started_us INTEGER, took_us INTEGER, status TEXT, model TEXT, tokens INTEGER, body TEXT, attributes TEXT, \
         PRIMARY KEY (tenant, trace, span)) WITHOUT ROWID",
        "CREATE INDEX spans_started ON spans (tenant, started_us)",
    ] {
        write(database, sql).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_rows_and_queries_take() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    schema(&database).await;
    let mut number = 0;
    for rows in [1, 16, 256, 1_280] {
        let rounds = 16_384 / rows;
        let batches: Vec<Vec<Statement>> = (0..rounds)
            .map(|_| {
                (0..rows)
                    .map(|_| {
                        number += 1;
                        span(number)
                    })
                    .collect()
            })
            .collect();
        let (started, before) = (Instant::now(), cpu());
        for batch in batches {
            database.transact(batch, Durability::Process).await.unwrap();
        }
        println!("{rows} rows a batch: a row {}", each(started, before, rounds * rows));
        assert!(started.elapsed() < Duration::from_secs(60));
    }
    let (started, before) = (Instant::now(), cpu());
    for _ in 0..5_000 {
        database.transact(Vec::new(), Durability::Process).await.unwrap();
    }
    println!(
        "an empty batch, hand-over there and back: {}",
        each(started, before, 5_000)
    );
    let (started, before) = (Instant::now(), cpu());
    for key in 0..5_000 {
        let sql = "SELECT name, tokens FROM spans WHERE tenant = ?1 AND trace = ?2";
        let params = vec!["default".into(), Value::Text(format!("{key:032x}"))];
        assert!(!database.query(sql, params, 10).await.unwrap().values.is_empty());
    }
    println!("a query of 5 rows by key: {}", each(started, before, 5_000));
    let started = Instant::now();
    for _ in 0..50 {
        let insert = vec![{
            number += 1;
            span(number)
        }];
        database.transact(insert, Durability::Disk).await.unwrap();
    }
    println!("a disk write of one row: {:.1} µs", micros(started.elapsed(), 50));
    assert_eq!(read(&database, "SELECT 1").await.unwrap().values.len(), 1);
}

/// As the ledger writes: groups one after the other, for long enough to fill the log several times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_long_groups_wait_while_the_log_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    schema(&database).await;
    let rows: i64 = if cfg!(debug_assertions) { 40_000 } else { 400_000 };
    let (mut waits, started_all, before) = (Vec::new(), Instant::now(), cpu());
    for group in 0..rows / 80 {
        let batch: Vec<_> = (0..80).map(|row| span(group * 80 + row)).collect();
        let started = Instant::now();
        database.transact(batch, Durability::Process).await.unwrap();
        waits.push(started.elapsed());
    }
    waits.sort();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    println!(
        "{rows} rows in groups of 80: a row {}; a group p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?}",
        each(started_all, before, rows),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    assert!(at(0.5) < Duration::from_millis(100));
}

/// What the whole process has used, which other load on the machine changes little.
fn cpu() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the structure that it is given.
    assert_eq!(
        unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut now) },
        0
    );
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap())
}

/// Wall time and processor time, an item.
fn each(started: Instant, cpu_before: Duration, count: i64) -> String {
    let (wall, used) = (started.elapsed(), cpu() - cpu_before);
    format!(
        "{:.2} µs each, {:.2} µs of processor time",
        micros(wall, count),
        micros(used, count)
    )
}

fn micros(time: Duration, count: i64) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}
