//! Reads: comparators that the oracle does not cover, wrong questions, foreign cursors, and the use of indexes.

use encaje_sdk::errors::{Problem, ProblemKind};
use encaje_sdk::storage::{Mutation, Page, Query};
use encaje_sdk::values::{Comparator, Value};

use super::fixture::{aggregation, first_texts, items, measure, only, query, store, text, upsert, write};
use super::sqlite::Sqlite;
use crate::store;

fn notes(database: &Sqlite, list: &[&str]) {
    let row = |(at, note): (usize, &&str)| {
        upsert(&[
            ("id", text(&format!("{at:03}"))),
            ("kind", text("x")),
            ("note", text(note)),
        ])
    };
    write(database, list.iter().enumerate().map(row).collect::<Vec<Mutation>>());
}

fn page_after(database: &Sqlite, mut query: Query, cursor: Option<String>) -> Result<Page, Problem> {
    query.cursor = cursor;
    store::read(database, query)
}

#[test]
fn no_columns_are_all_columns() {
    let database = store();
    notes(&database, &["n"]);
    let page = store::read(&database, query(&[], Vec::new(), &[], 1)).unwrap();
    let declared: Vec<String> = items().columns.into_iter().map(|column| column.name).collect();
    assert_eq!(page.columns, declared);
    assert_eq!(page.rows[0].len(), declared.len());
    assert!(page.next.is_none());
}

#[test]
fn a_text_search_takes_its_words_literally() {
    let database = store();
    notes(&database, &["near the \"sea\"", "NOT a sea", "nothing"]);
    let found = |words: &str| {
        let filter = only("note", Comparator::MatchesText, &[text(words)]);
        store::read(&database, query(&["id"], filter, &[], 9)).map(|page| first_texts(&page))
    };
    assert_eq!(found("sea").unwrap(), ["000", "001"]);
    assert_eq!(found("\"sea\" near").unwrap(), ["000"]);
    assert_eq!(found("NOT").unwrap(), ["001"]);
    assert_eq!(found("sea* OR x").unwrap(), Vec::<String>::new());
    assert_eq!(found("kind : x").unwrap(), Vec::<String>::new());
    assert!(matches!(found("  ").unwrap_err().kind, ProblemKind::InvalidRequest));
    let unindexed = only("data", Comparator::MatchesText, &[text("a")]);
    let problem = store::read(&database, query(&["id"], unindexed, &[], 9)).unwrap_err();
    assert!(matches!(problem.kind, ProblemKind::Unsupported));
}

#[test]
fn long_lists_share_statements_by_the_power_of_two() {
    let database = store();
    notes(&database, &["a", "b", "c", "d", "e"]);
    let found = |values: &[&str]| {
        let values: Vec<Value> = values.iter().map(|value| text(value)).collect();
        let filter = only("note", Comparator::OneOf, &values);
        store::read(&database, query(&["note"], filter, &["note"], 9)).unwrap()
    };
    database.texts.borrow_mut().clear();
    assert_eq!(first_texts(&found(&["a", "c", "e"])), ["a", "c", "e"]);
    assert_eq!(first_texts(&found(&["b", "c", "d", "x"])), ["b", "c", "d"]);
    let texts = database.texts.borrow();
    assert_eq!(texts[1], texts[3]);
}

#[test]
fn wrong_questions_are_refused_by_name() {
    let database = store();
    let refused = |query: Query| store::read(&database, query).unwrap_err();
    let ask = |field: &str, by: Comparator, values: &[Value]| refused(query(&["id"], only(field, by, values), &[], 9));
    for problem in [
        refused(query(&["nobody"], Vec::new(), &[], 9)),
        refused(query(&["id"], Vec::new(), &["nobody"], 9)),
        ask("nobody", Comparator::Equal, &[Value::Integer(1)]),
        ask("rank\" OR 1 --", Comparator::Equal, &[Value::Integer(1)]),
    ] {
        assert!(matches!(problem.kind, ProblemKind::InvalidRequest), "{problem:?}");
        assert!(problem.message.contains("has no column"), "{problem:?}");
    }
    for problem in [
        ask("rank", Comparator::Equal, &[text("1")]),
        ask("rank", Comparator::Equal, &[]),
        ask("rank", Comparator::Equal, &[Value::Null]),
        ask("rank", Comparator::Less, &[Value::Integer(1), Value::Integer(2)]),
        ask("rank", Comparator::IsNull, &[Value::Integer(1)]),
        ask("rank", Comparator::Contains, &[text("1")]),
        ask("raw", Comparator::StartsWith, &[Value::Blob(vec![1])]),
    ] {
        assert!(matches!(problem.kind, ProblemKind::InvalidRequest), "{problem:?}");
    }
    assert_eq!(refused(query(&[], Vec::new(), &[], 0)).param.as_deref(), Some("limit"));
    assert_eq!(
        refused(query(&[], Vec::new(), &[], 10_001)).param.as_deref(),
        Some("limit")
    );
    let broad = vec![only("rank", Comparator::IsNull, &[]).concat(); 200];
    assert!(matches!(refused(query(&[], broad, &[], 9)).kind, ProblemKind::TooLarge));
    let mut elsewhere = query(&[], Vec::new(), &[], 9);
    elsewhere.table = "nowhere".to_owned();
    assert!(matches!(refused(elsewhere).kind, ProblemKind::NotFound));
}

#[test]
fn foreign_and_broken_cursors_are_refused() {
    let database = store();
    notes(&database, &["a", "b", "c"]);
    let ask = || query(&["id"], Vec::new(), &["note"], 1);
    let next = store::read(&database, ask()).unwrap().next.unwrap();
    assert_eq!(
        first_texts(&page_after(&database, ask(), Some(next.clone())).unwrap()),
        ["001"]
    );
    // The same order with another filter or page size is the same question.
    let wider = query(&["id"], only("kind", Comparator::Equal, &[text("x")]), &["note"], 5);
    assert_eq!(
        first_texts(&page_after(&database, wider, Some(next.clone())).unwrap()),
        ["001", "002"]
    );
    let json = String::from_utf8(crate::value::unhex(&next).unwrap()).unwrap();
    let forged = |from: &str, to: &str| crate::value::hex(json.replace(from, to).as_bytes());
    for cursor in [
        String::new(),
        "zz".to_owned(),
        "00".to_owned(),
        next[..next.len() - 2].to_owned(),
        "61".repeat(5_000),
        forged(r#"{"t":"a"}"#, r#"{"i":1}"#),
        forged(r#","at":["#, r#","at":["n","#),
        forged(r#"{"t":"000"}"#, r#""n""#),
    ] {
        let problem = page_after(&database, ask(), Some(cursor.clone())).unwrap_err();
        assert!(
            matches!(problem.kind, ProblemKind::InvalidRequest),
            "{cursor}: {problem:?}"
        );
        assert_eq!(problem.param.as_deref(), Some("cursor"), "{cursor}");
    }
    for other in [
        query(&["id"], Vec::new(), &["-note"], 1),
        query(&["id"], Vec::new(), &[], 1),
    ] {
        let problem = page_after(&database, other, Some(next.clone())).unwrap_err();
        assert_eq!(problem.message, "the cursor belongs to another table or order");
    }
}

#[test]
fn a_sort_key_that_is_too_long_to_go_on_from_says_so() {
    let database = store();
    notes(&database, &["x".repeat(5_000).as_str(), "y"]);
    let problem = store::read(&database, query(&["id"], Vec::new(), &["note"], 1)).unwrap_err();
    assert!(matches!(problem.kind, ProblemKind::TooLarge));
    assert_eq!(
        store::read(&database, query(&["id"], Vec::new(), &["note"], 2))
            .unwrap()
            .rows
            .len(),
        2
    );
}

#[test]
fn indexes_serve_prefixes_keys_and_cursors() {
    let database = store();
    let plan_of = |query: Query| {
        database.texts.borrow_mut().clear();
        store::read(&database, query).unwrap();
        let sql = database.texts.borrow().last().unwrap().clone();
        let parameters = sql.matches('?').count();
        let connection = database.connection.borrow();
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nulls = rusqlite::params_from_iter(vec![rusqlite::types::Null; parameters]);
        let steps: Vec<String> = statement
            .query_map(nulls, |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        steps.join("; ")
    };
    let prefix = plan_of(query(&["id"], only("id", Comparator::StartsWith, &[text("a")]), &[], 9));
    assert!(
        prefix.contains("SEARCH items USING") && prefix.contains("id>? AND id<?"),
        "{prefix}"
    );
    for at in 0..30 {
        write(
            &database,
            vec![upsert(&[
                ("id", text(&format!("{at}"))),
                ("kind", text("x")),
                ("rank", Value::Integer(at / 3)),
            ])],
        );
    }
    let mut later = query(&["id"], Vec::new(), &["rank"], 5);
    later.cursor = store::read(&database, later.clone()).unwrap().next;
    let paged = plan_of(later);
    assert!(
        paged.contains("SEARCH items USING INDEX") && paged.contains("rank>?"),
        "{paged}"
    );
    let counted = aggregation(vec![measure(encaje_sdk::storage::Statistic::Count, "")], Vec::new());
    assert!(same_count(&store::aggregate(&database, counted).unwrap(), 30));
}

fn same_count(page: &Page, count: i64) -> bool {
    matches!(page.rows[0][0], Value::Integer(counted) if counted == count)
}
