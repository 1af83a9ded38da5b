//! More than one process: a server that is killed, and another program that reads while the server runs.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use encaje_core::storage::Durability;

use super::{number, open, read, statement, write};
use crate::testing;

fn block_on<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// Writes until it is killed by its own hand in the middle of a stream of batches; what was answered stands in a file.
async fn write_and_die(folder: &Path) {
    let database = open(folder);
    write(&database, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
        .await
        .unwrap();
    let answered = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let mut writers = Vec::new();
    for writer in 0..4_i64 {
        let (database, answered, folder) = (database.clone(), answered.clone(), folder.to_owned());
        writers.push(async move {
            for row in 0.. {
                let params = vec![(writer * 1_000_000 + row).into(), "x".repeat(500).into()];
                let batch = vec![statement("INSERT INTO t VALUES (?, ?)", params)];
                database.transact(batch, Durability::Process).await.unwrap();
                let count = answered.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                if count == 3_000 {
                    std::fs::write(folder.join("answered"), count.to_string()).unwrap();
                    testing::kill_this_process();
                }
            }
        });
    }
    futures::future::join_all(writers).await;
}

#[test]
fn what_was_answered_survives_kill_9() {
    if let Some(folder) = testing::as_child() {
        return block_on(write_and_die(&folder));
    }
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let status = testing::child(
            "sql::tests::processes::what_was_answered_survives_kill_9",
            folder.path(),
        );
        assert_eq!(status.signal(), Some(9));
        let answered: i64 = std::fs::read_to_string(folder.path().join("answered"))
            .unwrap()
            .parse()
            .unwrap();
        block_on(async {
            let database = open(folder.path());
            assert!(number(&database, "SELECT count(*) FROM t").await >= answered);
            database.close().await;
        });
        let file = rusqlite::Connection::open(folder.path().join("main.db")).unwrap();
        let health: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(health, "ok");
    }
}

#[test]
fn another_process_reads_and_writes_while_this_one_runs() {
    if let Some(folder) = testing::as_child() {
        block_on(async {
            let database = open(&folder);
            assert_eq!(number(&database, "SELECT count(*) FROM t").await, 500);
            write(&database, "INSERT INTO t VALUES (-1)").await.unwrap();
            database.close().await;
        });
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let database = open(folder.path());
        write(&database, "CREATE TABLE t (a INTEGER PRIMARY KEY)")
            .await
            .unwrap();
        for row in 0..500_i64 {
            let batch = vec![statement("INSERT INTO t VALUES (?)", vec![row.into()])];
            database.transact(batch, Durability::Process).await.unwrap();
        }
        let test = "sql::tests::processes::another_process_reads_and_writes_while_this_one_runs";
        assert!(testing::child(test, folder.path()).success());
        assert_eq!(number(&database, "SELECT min(a) FROM t").await, -1);
        write(&database, "INSERT INTO t VALUES (1000)").await.unwrap();
        assert_eq!(
            read(&database, "SELECT a FROM t WHERE a >= 499")
                .await
                .unwrap()
                .values
                .len(),
            2
        );
    });
}
