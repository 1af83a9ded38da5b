//! The SQLite storage in its sandbox, over a real database: the ledger's schema, guards, cursors, sums.

use encaje_core::ports::Storage;
use encaje_core::storage::{
    Aggregation, Assignment, Durability, Grouping, Measure, Mutation, Order, Query, Statistic, Update,
};
use encaje_core::value::{Comparison, Value};
use encaje_core::{ProblemKind, schema};

use crate::support::{call, store};

fn row(trace: &str, start: i64, model: &str) -> Vec<(String, Value)> {
    let field = |name: &str, value: Value| (name.to_owned(), value);
    vec![
        field("tenant", "t".into()),
        field("trace_id", trace.into()),
        field("span_id", "s".into()),
        field("root", true.into()),
        field("name", "chat".into()),
        field("start_us", start.into()),
        field("end_us", (start + 5).into()),
        field("status", "ok".into()),
        field("attributes", Value::Json("{}".to_owned())),
        field("model", model.into()),
        field("input_tokens", 3_i64.into()),
    ]
}

fn newest(limit: u32, cursor: Option<String>) -> Query {
    Query {
        table: "spans".to_owned(),
        columns: vec!["trace_id".to_owned()],
        filter: vec![vec![Comparison::equal("tenant", "t")]],
        order: vec![Order {
            field: "start_us".to_owned(),
            descending: true,
        }],
        limit,
        cursor,
    }
}

#[tokio::test]
async fn migrating_twice_changes_nothing_the_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _databases) = store(folder.path()).await;
    let first = store.migrate(&call("t"), &schema::tables()).await.unwrap();
    assert!(first.iter().any(|line| line.contains("spans")), "{first:?}");
    assert_eq!(
        store.migrate(&call("t"), &schema::tables()).await.unwrap(),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn pages_miss_nothing_while_rows_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _databases) = store(folder.path()).await;
    let call = call("t");
    store.migrate(&call, &schema::tables()).await.unwrap();
    let batch: Vec<_> = (0..50)
        .map(|index| Mutation::Insert("spans".to_owned(), row(&format!("{index:02}"), 100 + index / 3, "m")))
        .collect();
    store.write(&call, &batch, Durability::Process).await.unwrap();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.read(&call, &newest(7, cursor)).await.unwrap();
        seen.extend(page.rows.iter().map(|row| row[0].as_text().unwrap().to_owned()));
        // Newer rows come between two pages; they belong before the first.
        let late = Mutation::Insert("spans".to_owned(), row(&format!("late{}", seen.len()), 9_999, "m"));
        store.write(&call, &[late], Durability::Process).await.unwrap();
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen, (0..50).map(|index| format!("{index:02}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_guard_that_fails_undoes_the_whole_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _databases) = store(folder.path()).await;
    let call = call("t");
    store.migrate(&call, &schema::tables()).await.unwrap();
    let guarded = Mutation::Update(Update {
        table: "spans".to_owned(),
        filter: vec![vec![Comparison::equal("trace_id", "absent")]],
        set: vec![("status".to_owned(), Assignment::Set("error".into()))],
        expected_rows: Some(1),
    });
    let batch = [Mutation::Insert("spans".to_owned(), row("1", 1, "m")), guarded];
    let problem = store.write(&call, &batch, Durability::Disk).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Conflict, "{problem}");
    assert!(store.read(&call, &newest(10, None)).await.unwrap().rows.is_empty());
    let twice = [Mutation::Insert("spans".to_owned(), row("1", 1, "m"))];
    store.write(&call, &twice, Durability::Disk).await.unwrap();
    let problem = store.write(&call, &twice, Durability::Disk).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Conflict, "an insert of a key that exists");
}

#[tokio::test]
async fn sums_and_counts_are_by_group() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _databases) = store(folder.path()).await;
    let call = call("t");
    store.migrate(&call, &schema::tables()).await.unwrap();
    let batch: Vec<_> = (0..10)
        .map(|index| {
            let model = if index < 4 { "a" } else { "b" };
            Mutation::Upsert("spans".to_owned(), row(&index.to_string(), index, model))
        })
        .collect();
    store.write(&call, &batch, Durability::Process).await.unwrap();
    let measure = |statistic, field: Option<&str>| Measure {
        statistic,
        field: field.map(str::to_owned),
        quantile: None,
    };
    let page = store
        .aggregate(
            &call,
            &Aggregation {
                table: "spans".to_owned(),
                filter: Vec::new(),
                measures: vec![
                    measure(Statistic::Count, None),
                    measure(Statistic::Sum, Some("input_tokens")),
                ],
                by: vec![Grouping::Field("model".to_owned())],
                order: vec![Order {
                    field: "model".to_owned(),
                    descending: false,
                }],
                limit: 10,
            },
        )
        .await
        .unwrap();
    let rows: Vec<_> = page
        .rows
        .iter()
        .map(|row| (row[0].as_text(), row[1].as_integer(), row[2].as_integer()))
        .collect();
    assert_eq!(rows, [(Some("a"), Some(4), Some(12)), (Some("b"), Some(6), Some(18))]);
}

#[tokio::test]
async fn a_storage_without_its_database_is_told_which_line_to_add() {
    let mut bare = crate::support::spec(
        "store",
        encaje_core::trace::PluginKind::Storage,
        "plugins/storage-sqlite",
        r#"{"database":"main"}"#,
    );
    bare.capabilities.sql.clear();
    let plugin = encaje_runtime::Plugin::load(&crate::support::runtime(), bare).unwrap();
    let problem = encaje_runtime::StoragePlugin::start(plugin)
        .await
        .err()
        .expect("its check asks for the database");
    assert_eq!(problem.kind, ProblemKind::Denied);
    assert!(problem.message.contains("sql = [\"main\"]"), "{}", problem.message);
}
