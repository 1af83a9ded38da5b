//! Queries and transactions: values, limits, counts, conflicts, groups.

use encaje_core::ProblemKind;
use encaje_core::storage::Durability;
use encaje_core::value::Value;

use super::{class, number, open, read, statement, write};
use crate::sql::Statement;

#[tokio::test]
async fn values_come_back_as_they_went() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    write(&database, "CREATE TABLE t (a, b, c, d, e, f, g)").await.unwrap();
    let row = vec![
        Value::Null,
        Value::Boolean(true),
        Value::Integer(i64::MIN),
        Value::Real(0.1 + 0.2),
        Value::Text("¿qué? \u{1F980}".to_owned()),
        Value::Blob(vec![0, 255]),
        Value::Json("{}".to_owned()),
    ];
    let insert = statement("INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", row.clone());
    assert_eq!(database.transact(vec![insert], Durability::Process).await.unwrap(), [1]);
    let rows = database
        .query("SELECT * FROM t WHERE c = ?", vec![Value::Integer(i64::MIN)], 10)
        .await
        .unwrap();
    assert_eq!(rows.columns, ["a", "b", "c", "d", "e", "f", "g"]);
    let mut expected = row;
    expected[1] = Value::Integer(1);
    expected[6] = Value::Text("{}".to_owned());
    assert_eq!((rows.values, rows.more), (vec![expected], false));
}

#[tokio::test]
async fn a_limit_says_whether_there_is_more() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    for (limit, came, more) in [(0, 0, true), (2, 2, true), (3, 3, false), (9, 3, false)] {
        let rows = database
            .query("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3", Vec::new(), limit)
            .await
            .unwrap();
        assert_eq!((rows.values.len(), rows.more), (came, more), "{limit}");
    }
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_counts_changes() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let made = database
        .transact(
            vec![
                statement(
                    "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT NOT NULL CHECK (v <> 'bad'))",
                    Vec::new(),
                ),
                statement("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')", Vec::new()),
                statement("CREATE INDEX v ON t (v)", Vec::new()),
                statement("SELECT * FROM t", Vec::new()),
                statement("UPDATE t SET v = 'x' WHERE k > 1 RETURNING k", Vec::new()),
                statement("DELETE FROM t WHERE k = 9", Vec::new()),
            ],
            Durability::Process,
        )
        .await;
    assert_eq!(made.unwrap(), [0, 3, 0, 0, 2, 0]);

    let insert = |key: i64, text: &str| statement("INSERT INTO t VALUES (?, ?)", vec![key.into(), text.into()]);
    let failed = database
        .transact(vec![insert(4, "d"), insert(1, "again")], Durability::Process)
        .await
        .unwrap_err();
    assert_eq!(
        (failed.kind, failed.param.as_deref()),
        (ProblemKind::Conflict, Some("statements[1]"))
    );
    assert_eq!(failed.message, "UNIQUE constraint failed: t.k");
    assert_eq!(number(&database, "SELECT count(*) FROM t").await, 3);

    let bad = database.transact(vec![insert(5, "bad")], Durability::Process).await;
    assert_eq!(class(bad).0, ProblemKind::InvalidRequest);
    let null = database
        .transact(
            vec![statement("INSERT INTO t VALUES (6, NULL)", Vec::new())],
            Durability::Disk,
        )
        .await;
    assert_eq!(class(null).0, ProblemKind::InvalidRequest);

    let guarded = Statement {
        expected_changes: Some(1),
        ..statement("UPDATE t SET v = 'y' WHERE k >= 2", Vec::new())
    };
    let conflict = database
        .transact(vec![insert(7, "g"), guarded], Durability::Process)
        .await;
    assert_eq!(
        class(conflict),
        (ProblemKind::Conflict, "unexpected_changes".to_owned())
    );
    assert_eq!(
        number(&database, "SELECT count(*) FROM t WHERE v = 'y' OR k = 7").await,
        0
    );
}

#[tokio::test]
async fn wrong_sql_is_the_guests_fault_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    for (sql, words) in [
        ("SELEKT 1", "syntax error"),
        ("SELECT * FROM absent", "no such table: absent"),
        ("SELECT 1; SELECT 2", "several"),
        ("SELECT ?1", "1 parameters; 0 values"),
        ("SELECT \"text\"", "no such column"),
        ("SELECT 1\0", "zero byte"),
        ("SELECT CAST(x'ff' AS TEXT)", "not UTF-8"),
        ("", ""),
        ("-- nothing", ""),
    ] {
        let problem = read(&database, sql).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Internal, "{sql}: {problem}");
        assert!(problem.message.contains(words), "{sql}: {problem}");
    }
}

#[tokio::test]
async fn a_batch_that_fails_among_others_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    write(&database, "CREATE TABLE t (k INTEGER PRIMARY KEY ON CONFLICT ROLLBACK)")
        .await
        .unwrap();
    write(&database, "CREATE TABLE parent (k INTEGER PRIMARY KEY)")
        .await
        .unwrap();
    write(
        &database,
        "CREATE TABLE child (p REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
    )
    .await
    .unwrap();
    write(&database, "INSERT INTO t VALUES (0)").await.unwrap();
    let batches = (1..=200_i64).map(|key| {
        let database = database.clone();
        async move {
            let sql = match key {
                // The first undoes the whole transaction, the second fails only at the commit, the third at once.
                _ if key % 10 == 0 => "INSERT INTO t VALUES (?1 - ?1)",
                _ if key % 10 == 5 => "INSERT INTO child VALUES (?1)",
                _ if key % 10 == 7 => "INSERT INTO absent VALUES (?1)",
                _ => "INSERT INTO t VALUES (?1)",
            };
            (
                key,
                database
                    .transact(vec![statement(sql, vec![key.into()])], Durability::Process)
                    .await,
            )
        }
    });
    for (key, outcome) in futures::future::join_all(batches).await {
        match key % 10 {
            0 | 5 => assert_eq!(class(outcome).0, ProblemKind::Conflict, "{key}"),
            7 => assert_eq!(class(outcome).0, ProblemKind::Internal, "{key}"),
            _ => assert_eq!(outcome.unwrap(), [1], "{key}"),
        }
    }
    assert_eq!(number(&database, "SELECT count(*) FROM t").await, 1 + 200 - 60);
    assert_eq!(number(&database, "SELECT count(*) FROM child").await, 0);
}

#[tokio::test]
async fn full_text_search_works_with_triggers() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    for sql in [
        "CREATE TABLE m (id INTEGER PRIMARY KEY, body TEXT)",
        "CREATE VIRTUAL TABLE m_text USING fts5(body, content='m', content_rowid='id')",
        "CREATE TRIGGER m_added AFTER INSERT ON m BEGIN \
         INSERT INTO m_text (rowid, body) VALUES (new.id, new.body); END",
        "INSERT INTO m (body) VALUES ('the sea is calm'), ('the hills are high')",
    ] {
        write(&database, sql).await.unwrap();
    }
    let found = read(&database, "SELECT rowid FROM m_text WHERE m_text MATCH 'sea'")
        .await
        .unwrap();
    assert_eq!(found.values, [[Value::Integer(1)]]);
}

#[tokio::test]
async fn quantiles_are_there_for_guests() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let rows = read(
        &database,
        "WITH t(x) AS (VALUES (1), (2), (3), (4)) SELECT quantile(x, 0.5) FROM t",
    )
    .await
    .unwrap();
    assert_eq!(rows.values, [[Value::Real(2.5)]]);
}

#[tokio::test]
async fn a_required_column_can_be_added_to_a_table_with_rows() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    write(&database, "CREATE TABLE t (a INTEGER NOT NULL PRIMARY KEY)")
        .await
        .unwrap();
    write(&database, "INSERT INTO t VALUES (1), (2)").await.unwrap();
    write(&database, "ALTER TABLE t ADD COLUMN b TEXT NOT NULL DEFAULT 'x'")
        .await
        .unwrap();
    let rows = database
        .query("SELECT a, b FROM t ORDER BY a", Vec::new(), 10)
        .await
        .unwrap();
    assert_eq!(rows.values[1], [Value::Integer(2), Value::Text("x".to_owned())]);
}
