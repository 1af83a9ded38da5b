//! What each durability promises, seen from the file layer: the order of syncs and answers, and what a failing sync does.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use encaje_core::ProblemKind;
use encaje_core::storage::Durability;

use super::{class, number, open_recorded, statement, write};
use crate::testing::vfs::{self, Fault, Sync};

fn log_of(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap().join("main.db-wal")
}

/// The syncs of the log since `began`, by the thread of that name.
fn since(log: &Path, began: Instant, thread: &str) -> Vec<Sync> {
    vfs::syncs(log)
        .into_iter()
        .filter(|sync| sync.began >= began && sync.thread == thread)
        .collect()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// Waits for a background sync that began after this.
async fn synced(log: &Path, after: Instant) {
    until("a sync", || !since(log, after, "encaje-db-keep").is_empty()).await;
}

/// What is promised, as far as a machine keeps it that may stop any thread for a while: half of the syncs began in time.
fn mostly_within_200_ms(mut delays: Vec<Duration>) {
    delays.sort_unstable();
    assert!(delays[delays.len() / 2] <= Duration::from_millis(200), "{delays:?}");
}

async fn insert(database: &super::Database, durability: Durability) -> Result<Vec<u64>, super::Problem> {
    database
        .transact(vec![statement("INSERT INTO t VALUES (1)", Vec::new())], durability)
        .await
}

#[tokio::test]
async fn a_disk_write_is_synced_before_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (database, log) = (open_recorded(folder.path()), log_of(folder.path()));
    write(&database, "CREATE TABLE t (a)").await.unwrap();
    // A slow disk: an answer that does not wait for the sync would come long before its end.
    vfs::inject(&log, Some(Fault::Delay(Duration::from_millis(60))));
    for _ in 0..5 {
        let began = Instant::now();
        insert(&database, Durability::Disk).await.unwrap();
        let answered = Instant::now();
        let syncs = since(&log, began, "encaje-db-write");
        assert_eq!(syncs.len(), 1, "{syncs:?}");
        assert!(syncs[0].ended <= answered && !syncs[0].failed);
        assert!(answered - began >= Duration::from_millis(60));
    }
}

#[tokio::test]
async fn a_disk_write_whose_sync_fails_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (database, log) = (open_recorded(folder.path()), log_of(folder.path()));
    write(&database, "CREATE TABLE t (a)").await.unwrap();
    vfs::inject(&log, Some(Fault::Fail));
    assert_eq!(
        class(insert(&database, Durability::Disk).await),
        (ProblemKind::Unavailable, "disk_failed".to_owned())
    );
    assert_eq!(number(&database, "SELECT count(*) FROM t").await, 0);
    vfs::inject(&log, None);
    insert(&database, Durability::Disk).await.unwrap();
    assert_eq!(number(&database, "SELECT count(*) FROM t").await, 1);
}

#[tokio::test]
async fn a_process_write_is_answered_at_once_and_synced_within_200_ms() {
    let folder = tempfile::tempdir().unwrap();
    let (database, log) = (open_recorded(folder.path()), log_of(folder.path()));
    let created = Instant::now();
    write(&database, "CREATE TABLE t (a)").await.unwrap();
    synced(&log, created).await;
    let mut delays = Vec::new();
    for _ in 0..3 {
        let began = Instant::now();
        insert(&database, Durability::Process).await.unwrap();
        assert_eq!(
            since(&log, began, "encaje-db-write").len(),
            0,
            "the writer does not wait for the disk"
        );
        let committed = Instant::now();
        synced(&log, began).await;
        // Long enough for a second one, which must not come.
        tokio::time::sleep(Duration::from_millis(250)).await;
        let syncs = since(&log, began, "encaje-db-keep");
        assert_eq!(syncs.len(), 1, "what is synced is not synced again: {syncs:?}");
        // How long the disk takes is the disk's matter.
        delays.push(syncs[0].began.saturating_duration_since(committed));
    }
    mostly_within_200_ms(delays);
}

#[tokio::test]
async fn under_a_stream_of_process_writes_each_is_synced_within_200_ms() {
    let folder = tempfile::tempdir().unwrap();
    let (database, log) = (open_recorded(folder.path()), log_of(folder.path()));
    write(&database, "CREATE TABLE t (a)").await.unwrap();
    let began = Instant::now();
    let mut commits = Vec::new();
    while began.elapsed() < Duration::from_millis(800) {
        // Before the commit: the test may be held up behind it for as long as the sync waits.
        commits.push(Instant::now());
        insert(&database, Durability::Process).await.unwrap();
    }
    synced(&log, *commits.last().unwrap()).await;
    let syncs = since(&log, began, "encaje-db-keep");
    // A sync covers what was written before it began.
    let delay = |commit: Instant| {
        let sync = syncs.iter().find(|sync| sync.began >= commit);
        sync.expect("a sync after each commit").began - commit
    };
    mostly_within_200_ms(commits.into_iter().map(delay).collect());
}

#[tokio::test]
async fn a_background_sync_that_fails_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (database, log) = (open_recorded(folder.path()), log_of(folder.path()));
    let created = Instant::now();
    write(&database, "CREATE TABLE t (a)").await.unwrap();
    synced(&log, created).await;
    let began = Instant::now();
    vfs::inject(&log, Some(Fault::Fail));
    insert(&database, Durability::Process).await.unwrap();
    let tried = |failed: bool| {
        let syncs = since(&log, began, "encaje-db-keep");
        syncs.iter().filter(|sync| sync.failed == failed).count()
    };
    until("it was tried again", || tried(true) >= 2).await;
    vfs::inject(&log, None);
    until("it was synced", || tried(false) >= 1).await;
}

#[tokio::test]
async fn disk_writes_that_wait_together_share_a_sync() {
    let folder = tempfile::tempdir().unwrap();
    let (database, log) = (open_recorded(folder.path()), log_of(folder.path()));
    write(&database, "CREATE TABLE t (a)").await.unwrap();
    vfs::inject(&log, Some(Fault::Delay(Duration::from_millis(30))));
    let began = Instant::now();
    let outcomes = futures::future::join_all((0..60).map(|_| insert(&database, Durability::Disk))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    let syncs = since(&log, began, "encaje-db-write");
    assert!(syncs.len() <= 4, "{}", syncs.len());
    assert_eq!(number(&database, "SELECT count(*) FROM t").await, 60);
}
