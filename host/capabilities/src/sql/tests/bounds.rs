//! Time, size and number: nothing that a guest asks for is unbounded.

use std::time::{Duration, Instant};

use encaje_core::ProblemKind;
use encaje_core::storage::Durability;
use encaje_core::value::Value;

use super::{class, number, open, read, statement, write};
use crate::{limits, testing};

/// Runs for some minutes.
const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

#[tokio::test]
async fn a_query_ends_at_its_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path()).within(Duration::from_millis(100));
    let started = Instant::now();
    assert_eq!(class(read(&database, ENDLESS).await).0, ProblemKind::Timeout);
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn a_batch_ends_at_its_deadline_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    write(&database, "CREATE TABLE t (a)").await.unwrap();
    let batch = vec![
        statement("INSERT INTO t VALUES (1)", Vec::new()),
        statement(ENDLESS, Vec::new()),
    ];
    let outcome = database
        .within(Duration::from_millis(100))
        .transact(batch, Durability::Process)
        .await;
    assert_eq!(class(outcome).0, ProblemKind::Timeout);
    write(&database, "INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(number(&database, "SELECT sum(a) FROM t").await, 2);
}

#[tokio::test]
async fn a_caller_that_goes_away_frees_the_readers_and_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    write(&database, "CREATE TABLE t (a)").await.unwrap();
    let mut calls: Vec<_> = (0..limits::READERS)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move { read(&database, ENDLESS).await.map(drop) })
        })
        .collect();
    let writer = database.clone();
    let batch = vec![
        statement("INSERT INTO t VALUES (1)", Vec::new()),
        statement(ENDLESS, Vec::new()),
    ];
    calls.push(tokio::spawn(async move {
        writer.transact(batch, Durability::Process).await.map(drop)
    }));
    tokio::time::sleep(Duration::from_millis(100)).await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    let started = Instant::now();
    assert_eq!(number(&database, "SELECT count(*) FROM t").await, 0);
    write(&database, "INSERT INTO t VALUES (2)").await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert_eq!(number(&database, "SELECT sum(a) FROM t").await, 2);
}

#[tokio::test]
async fn answers_are_bounded_in_rows_and_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) SELECT i FROM n";
    let rows = database.query(numbers, Vec::new(), u32::MAX).await.unwrap();
    assert_eq!((rows.values.len(), rows.more), (limits::ROWS as usize, true));

    let wide =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100) SELECT zeroblob(1000000) FROM n";
    let rows = database.query(wide, Vec::new(), 100).await.unwrap();
    assert_eq!((rows.values.len(), rows.more), (8, true));

    let huge = read(&database, "SELECT zeroblob(9000000)").await;
    assert_eq!(class(huge).0, ProblemKind::TooLarge);
    let larger = read(&database, "SELECT zeroblob(900000000)").await;
    assert_eq!(class(larger).0, ProblemKind::TooLarge);
}

#[tokio::test]
async fn what_comes_in_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let long = format!("SELECT 1 -- {}", "x".repeat(limits::SQL_BYTES));
    assert_eq!(class(read(&database, &long).await).0, ProblemKind::TooLarge);
    let many = vec![statement("SELECT 1", Vec::new()); limits::STATEMENTS + 1];
    assert_eq!(
        class(database.transact(many, Durability::Process).await).0,
        ProblemKind::TooLarge
    );
    let values = vec![Value::Null; limits::PARAMETERS + 1];
    assert_eq!(
        class(database.query("SELECT 1", values, 1).await).0,
        ProblemKind::TooLarge
    );
    let large = vec![Value::Blob(vec![0; limits::VALUE_BYTES])];
    assert_eq!(
        class(database.query("SELECT ?", large, 1).await).0,
        ProblemKind::TooLarge
    );
    let part = Value::Blob(vec![0; limits::VALUE_BYTES / 2]);
    let batch = vec![statement("SELECT ?", vec![part]); 9];
    assert_eq!(
        class(database.transact(batch, Durability::Process).await).0,
        ProblemKind::TooLarge
    );
    let deep = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(class(read(&database, &deep).await).0, ProblemKind::Internal);
}

/// In a process of its own: what it takes is missing for all other databases of the process.
#[test]
fn memory_is_bounded() {
    if let Some(folder) = testing::as_child() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let database = open(&folder);
            let gathered = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 400) \
                SELECT i, x FROM (SELECT i, hex(zeroblob(2000000 + i)) AS x FROM n ORDER BY x LIMIT -1)";
            assert_eq!(
                class(read(&database, gathered).await),
                (ProblemKind::Overloaded, "sql_memory".to_owned())
            );
            assert_eq!(number(&database, "SELECT 1").await, 1);
        });
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(testing::child("sql::tests::bounds::memory_is_bounded", folder.path()).success());
}

#[tokio::test]
async fn queries_beyond_the_queue_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path()).within(Duration::from_secs(3));
    let calls = (0..limits::READERS + limits::WAITING_QUERIES + 10).map(|_| read(&database, ENDLESS));
    let outcomes = futures::future::join_all(calls).await;
    let count = |kind: ProblemKind| {
        outcomes
            .iter()
            .filter(|outcome| class((*outcome).clone()).0 == kind)
            .count()
    };
    assert_eq!(count(ProblemKind::Overloaded), 10);
    assert_eq!(count(ProblemKind::Timeout), limits::READERS + limits::WAITING_QUERIES);
}
