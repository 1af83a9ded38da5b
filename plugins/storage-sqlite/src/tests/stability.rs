//! Paging while rows come and go: a row that was there all along is shown once, in order, and no row twice.

use encaje_sdk::storage::{Mutation, Order, Remove};
use encaje_sdk::values::{Comparator, Value};
use proptest::prelude::*;

use super::fixture::{only, query, upsert, write};
use super::oracle::{Row, compare_rows, filled, rows, sort_order};
use super::sqlite::Sqlite;
use crate::store as plugin;

const FIELDS: [&str; 6] = ["id", "kind", "rank", "weight", "note", "flag"];

/// What happens between two pages.
#[derive(Debug, Clone)]
enum Change {
    /// The row of that place among those at the start goes.
    Remove(usize),
    /// A row comes, a copy of one there was but for its key.
    Add(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0_usize..40).prop_map(Change::Remove),
        (0_usize..40).prop_map(Change::Add)
    ]
}

fn id(row: &Row) -> String {
    match &row[0] {
        Value::Text(id) => id.clone(),
        other => panic!("{other:?}"),
    }
}

/// Applies a change; returns the key of the row that went.
fn apply(database: &Sqlite, rows: &[Row], change: &Change, number: usize) -> Option<String> {
    match change {
        Change::Remove(place) => {
            let id = id(rows.get(*place)?);
            let filter = only("id", Comparator::Equal, &[Value::Text(id.clone())]);
            let remove = Remove {
                table: "items".to_owned(),
                where_: filter,
                expected_rows: None,
            };
            write(database, vec![Mutation::Remove(remove)]);
            Some(id)
        }
        Change::Add(place) => {
            let mut row = rows.get(*place)?.clone();
            // Between the keys there are, so that it lands anywhere in the order.
            row[0] = Value::Text(format!("{}+{number}", id(&row)));
            write(
                database,
                vec![upsert(&FIELDS.iter().copied().zip(row).collect::<Vec<_>>())],
            );
            None
        }
    }
}

fn is_sorted(rows: &[Row], order: &[Order]) -> bool {
    rows.windows(2)
        .all(|pair| compare_rows(&pair[0], &pair[1], order).is_lt())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_stays_is_shown_once(
        rows in rows(), order in sort_order(), limit in 1_u32..5,
        changes in proptest::collection::vec(proptest::collection::vec(change(), 0..4), 0..20),
    ) {
        let database = filled(&rows);
        let mut question = query(&FIELDS, Vec::new(), &[], limit);
        question.order = order.clone();
        let mut shown: Vec<Row> = Vec::new();
        let mut gone: Vec<String> = Vec::new();
        let mut changes = changes.into_iter();
        let mut number = 0;
        loop {
            let page = plugin::read(&database, question.clone()).unwrap();
            shown.extend(page.rows);
            question.cursor = page.next;
            if question.cursor.is_none() {
                break;
            }
            for change in changes.next().unwrap_or_default() {
                number += 1;
                gone.extend(apply(&database, &rows, &change, number));
            }
        }
        prop_assert!(is_sorted(&shown, &order), "{:?}", shown);
        for row in &rows {
            let times = shown.iter().filter(|other| id(other) == id(row)).count();
            prop_assert!(times == 1 || (times == 0 && gone.contains(&id(row))), "{} shown {} times", id(row), times);
        }
    }
}
