//! What a guest's SQL may not do, in queries and in batches.

use encaje_core::ProblemKind;
use encaje_core::storage::Durability;

use super::{open, read, statement, write};

/// Refused wherever they come.
const FORBIDDEN: [&str; 29] = [
    "ATTACH 'other.db' AS other",
    "DETACH main",
    "VACUUM",
    "VACUUM INTO 'stolen.db'",
    "BEGIN",
    "COMMIT",
    "END",
    "ROLLBACK",
    "SAVEPOINT mine",
    "RELEASE batch",
    "ROLLBACK TO batch",
    "PRAGMA synchronous = OFF",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA query_only = OFF",
    "PRAGMA writable_schema = ON",
    "PRAGMA user_version = 7",
    "PRAGMA temp_store_directory = '/'",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA database_list",
    "PRAGMA secure_delete = OFF",
    "PRAGMA hard_heap_limit = 1",
    "PRAGMA main.cache_size = 1000000",
    "SELECT load_extension('evil')",
    "SELECT readfile('secret')",
    "SELECT writefile('secret', 'x')",
    "SELECT * FROM dbstat",
    "SELECT * FROM sqlite_dbpage",
    "CREATE TEMP TABLE t (a)",
    "CREATE TEMP VIEW v AS SELECT 1",
];

#[tokio::test]
async fn statements_that_reach_outside_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    write(&database, "CREATE TABLE t (a)").await.unwrap();
    for sql in FORBIDDEN {
        for outcome in [
            read(&database, sql).await.map(drop),
            write(&database, sql).await.map(drop),
        ] {
            let problem = outcome.expect_err(sql);
            // Functions and tables that this SQLite lacks, and a vacuum inside of a transaction, fail in other words.
            let absent = ["readfile", "writefile", "sqlite_dbpage", "VACUUM"]
                .iter()
                .any(|name| sql.contains(name));
            let expected = problem.kind == ProblemKind::Denied || (absent && problem.kind == ProblemKind::Internal);
            assert!(expected, "{sql}: {problem}");
        }
        // And the connection is as before.
        write(&database, "INSERT INTO t VALUES (1)")
            .await
            .unwrap_or_else(|problem| panic!("after {sql}: {problem}"));
    }
    let files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(files.len(), 3, "the database, its log and the log's index: {files:?}");
}

#[tokio::test]
async fn the_refusal_is_denied_and_says_what_is_not_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    for sql in [
        "ATTACH 'x' AS y",
        "BEGIN",
        "PRAGMA journal_mode = OFF",
        "SAVEPOINT a",
        "SELECT load_extension('x')",
    ] {
        let problem = read(&database, sql).await.unwrap_err();
        assert_eq!(
            (problem.kind, problem.code.as_deref()),
            (ProblemKind::Denied, Some("sql_denied")),
            "{sql}"
        );
        assert!(problem.message.contains("not allowed"), "{}", problem.message);
    }
}

#[tokio::test]
async fn a_host_statement_in_the_cache_serves_no_guest() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    write(&database, "CREATE TABLE t (a)").await.unwrap();
    for sql in ["COMMIT", "BEGIN IMMEDIATE", "ROLLBACK", "PRAGMA synchronous = FULL"] {
        let batch = vec![
            statement("INSERT INTO t VALUES (1)", Vec::new()),
            statement(sql, Vec::new()),
        ];
        let problem = database.transact(batch, Durability::Disk).await.unwrap_err();
        assert_eq!(
            (problem.kind, problem.param.as_deref()),
            (ProblemKind::Denied, Some("statements[1]")),
            "{sql}"
        );
    }
    assert_eq!(super::number(&database, "SELECT count(*) FROM t").await, 0);
}

#[tokio::test]
async fn a_query_does_not_write() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    write(&database, "CREATE TABLE t (a)").await.unwrap();
    for sql in [
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t VALUES (1) RETURNING a",
        "DELETE FROM t",
        "DROP TABLE t",
        "CREATE TABLE u (a)",
    ] {
        let problem = read(&database, sql).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Denied, "{sql}: {problem}");
    }
}

#[tokio::test]
async fn pragmas_that_describe_the_schema_work() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    write(&database, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
        .await
        .unwrap();
    write(&database, "CREATE INDEX t_b ON t (b)").await.unwrap();
    for (sql, rows) in [
        ("PRAGMA table_info(t)", 2),
        ("PRAGMA table_xinfo('t')", 2),
        ("PRAGMA index_list(t)", 1),
        ("PRAGMA index_info(t_b)", 1),
        ("PRAGMA foreign_key_list(t)", 0),
        ("PRAGMA user_version", 1),
        ("SELECT name FROM pragma_table_info('t')", 2),
        ("SELECT name FROM sqlite_schema WHERE type = 'table'", 1),
    ] {
        assert_eq!(read(&database, sql).await.unwrap().values.len(), rows, "{sql}");
    }
}

#[tokio::test]
async fn the_callers_text_names_no_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("main.db"), vec![b'x'; 8_192]).unwrap();
    let path = folder.path().to_str().unwrap();
    let problem = super::Database::of_host("main", folder.path(), "main.db").unwrap_err();
    assert!(!problem.message.contains(path) && problem.log_detail.unwrap().contains(path));
}
