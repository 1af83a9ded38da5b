//! The files: closing, damage, other processes, deleted content, the growth of the log.

use std::path::Path;
use std::time::Duration;

use encaje_core::ProblemKind;
use encaje_core::storage::Durability;
use encaje_core::value::Value;

use super::{class, number, open, read, statement, write};
use crate::limits;
use crate::sql::{Database, Databases, SqliteSource};

const CANARY: &str = "canary-8f41-deleted-secret";

fn source(file: &str) -> SqliteSource {
    SqliteSource { file: file.into() }
}

/// The files of a folder that hold these bytes.
fn holders(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    files
        .filter(|file| {
            std::fs::read(file.path())
                .unwrap()
                .windows(bytes.len())
                .any(|window| window == bytes)
        })
        .map(|file| file.file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn scrub_leaves_no_byte_of_what_was_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    for sql in [
        "CREATE TABLE m (id INTEGER PRIMARY KEY, body TEXT)",
        "CREATE INDEX m_body ON m (body)",
        "CREATE VIRTUAL TABLE m_text USING fts5(body)",
    ] {
        write(&database, sql).await.unwrap();
    }
    for (id, text) in [
        (1_i64, CANARY),
        (2, "kept"),
        (3, &format!("{CANARY}{}", "x".repeat(20_000))),
    ] {
        let params: Vec<Value> = vec![id.into(), text.into()];
        let batch = vec![
            statement("INSERT INTO m VALUES (?, ?)", params.clone()),
            statement("INSERT INTO m_text (rowid, body) VALUES (?, ?)", params),
        ];
        database.transact(batch, Durability::Process).await.unwrap();
    }
    write(&database, "DELETE FROM m WHERE id <> 2").await.unwrap();
    write(&database, "DELETE FROM m_text WHERE rowid <> 2").await.unwrap();
    assert!(
        !holders(folder.path(), CANARY.as_bytes()).is_empty(),
        "without a scrub it is still there"
    );
    database.scrub().await.unwrap();
    for word in [CANARY, "canary", "deleted", "8f41"] {
        assert_eq!(holders(folder.path(), word.as_bytes()), Vec::<String>::new(), "{word}");
    }
    assert_eq!(
        number(&database, "SELECT count(*) FROM m_text WHERE m_text MATCH 'kept'").await,
        1
    );
    write(&database, "INSERT INTO m VALUES (4, 'after')").await.unwrap();
    assert_eq!(number(&database, "SELECT count(*) FROM m").await, 2);
}

#[tokio::test]
async fn a_scrub_that_a_reader_blocks_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    write(&database, "CREATE TABLE t (a)").await.unwrap();
    let other = rusqlite::Connection::open(folder.path().join("main.db")).unwrap();
    other.execute_batch("BEGIN; SELECT * FROM t").unwrap();
    assert_eq!(class(database.scrub().await).0, ProblemKind::Unavailable);
    other.execute_batch("COMMIT").unwrap();
    database.scrub().await.unwrap();
}

#[tokio::test]
async fn closing_leaves_one_clean_file() {
    let folder = tempfile::tempdir().unwrap();
    let databases = Databases::open(folder.path(), [("a".to_owned(), source("a.db"))]).unwrap();
    let database = databases.get("a").unwrap().clone();
    write(&database, "CREATE TABLE t (a)").await.unwrap();
    databases.close().await;
    assert_eq!(
        class(write(&database, "INSERT INTO t VALUES (1)").await).0,
        ProblemKind::Unavailable
    );
    assert_eq!(class(read(&database, "SELECT 1").await).0, ProblemKind::Unavailable);
    databases.close().await;
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["a.db"]);
    drop((databases, database));

    let again = Databases::open(folder.path(), [("a".to_owned(), source("a.db"))]).unwrap();
    assert_eq!(number(again.get("a").unwrap(), "SELECT count(*) FROM t").await, 0);
    drop(again);
    assert!(!folder.path().join("a.db-wal").exists(), "dropping closes too");
}

#[tokio::test]
async fn a_next_generation_shares_what_stays() {
    let folder = tempfile::tempdir().unwrap();
    let both = [("a".to_owned(), source("a.db")), ("b".to_owned(), source("b.db"))];
    let first = Databases::open(folder.path(), both).unwrap();
    write(first.get("a").unwrap(), "CREATE TABLE t (a)").await.unwrap();
    let next = [("a".to_owned(), source("a.db")), ("c".to_owned(), source("c.db"))];
    let second = first.reopen(folder.path(), next).unwrap();
    drop(first);
    assert_eq!(second.names().collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(number(second.get("a").unwrap(), "SELECT count(*) FROM t").await, 0);
    assert!(!folder.path().join("b.db-wal").exists(), "what went is closed");
    let twice = [("a".to_owned(), source("a.db")), ("b".to_owned(), source("a.db"))];
    let problem = second.reopen(folder.path(), twice).unwrap_err();
    assert!(
        problem.kind == ProblemKind::Misconfigured && problem.message.contains("same file"),
        "{problem}"
    );
}

#[test]
fn what_is_no_database_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let open = || {
        let problem = Databases::open(folder.path(), [("a".to_owned(), source("a.db"))]).unwrap_err();
        assert!(problem.message.contains("`a`"), "{problem}");
        (problem.kind, problem.code.unwrap_or_default())
    };
    std::fs::write(&file, vec![b'x'; 4_096]).unwrap();
    assert_eq!(open(), (ProblemKind::Misconfigured, "not_a_database".to_owned()));

    std::fs::remove_file(&file).unwrap();
    let made = rusqlite::Connection::open(&file).unwrap();
    made.execute_batch("PRAGMA journal_mode = DELETE; CREATE TABLE t (a); CREATE TABLE u (b)")
        .unwrap();
    made.close().unwrap();
    let good = std::fs::read(&file).unwrap();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        std::fs::write(&file, bytes).unwrap();
    };
    // The schema's format number of a later SQLite, the file format's version of a later one, and a damaged schema page.
    with(&|bytes| bytes[44..48].copy_from_slice(&9_u32.to_be_bytes()));
    assert_eq!(open(), (ProblemKind::Misconfigured, "database_newer".to_owned()));
    with(&|bytes| bytes[19] = 9);
    assert_eq!(open(), (ProblemKind::Misconfigured, "not_a_database".to_owned()));
    with(&|bytes| bytes[100..2_000].fill(0xff));
    assert_eq!(open(), (ProblemKind::Internal, "database_corrupt".to_owned()));
    with(&|_| {});
    assert!(Databases::open(folder.path(), [("a".to_owned(), source("a.db"))]).is_ok());
}

#[tokio::test]
async fn another_connection_reads_while_this_one_writes() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    write(&database, "CREATE TABLE t (a)").await.unwrap();
    let other = Database::of_host("main", folder.path(), "main.db").unwrap();
    for count in 1..=20 {
        write(&database, "INSERT INTO t VALUES (1)").await.unwrap();
        assert_eq!(number(&other, "SELECT count(*) FROM t").await, count);
    }
    write(&other, "INSERT INTO t VALUES (2)").await.unwrap();
    drop(other);
    assert_eq!(number(&database, "SELECT count(*) FROM t").await, 21);
}

#[tokio::test]
async fn the_log_does_not_grow_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    write(&database, "CREATE TABLE t (a)").await.unwrap();
    let log = folder.path().join("main.db-wal");
    let cap = u64::from(limits::WAL_FULL_PAGES) * 4_096;
    let (mut written, mut largest) = (0_u64, 0);
    while written < cap * 3 / 2 {
        let blob = Value::Blob(vec![7; 1 << 20]);
        let batch = vec![statement("INSERT INTO t VALUES (?)", vec![blob]); 4];
        database.transact(batch, Durability::Process).await.unwrap();
        written += 4 << 20;
        largest = largest.max(std::fs::metadata(&log).unwrap().len());
    }
    assert!(largest < cap * 11 / 10, "{largest} of {cap}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let size = std::fs::metadata(folder.path().join("main.db")).unwrap().len();
    assert!(size > written / 4, "the log was copied: {size} of {written}");
}
