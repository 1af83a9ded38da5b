//! Unit tests of the tables, without a host.

use super::*;
use encaje_sdk::errors::ProblemKind;
use encaje_sdk::storage::{Order, Remove, Update};
use encaje_sdk::values::{Comparator, Comparison};

fn declared() -> storage::Table {
    let column = |name: &str, of, required| storage::Column {
        name: name.to_owned(),
        of,
        required,
        default_value: None,
    };
    storage::Table {
        name: "notes".to_owned(),
        columns: vec![
            column("id", ColumnType::Text, true),
            column("rank", ColumnType::Integer, false),
        ],
        key: vec!["id".to_owned()],
        indexes: Vec::new(),
    }
}

fn row(id: &str, rank: Option<i64>) -> (String, Vec<(String, Value)>) {
    let rank = rank.map_or(Value::Null, Value::Integer);
    let fields = vec![("id".to_owned(), Value::Text(id.to_owned())), ("rank".to_owned(), rank)];
    ("notes".to_owned(), fields)
}

/// Rows `a` 3, `b` null, `c` 1; read back as the plugin would.
fn store() -> Store {
    let mut store = Store::default();
    assert_eq!(store.migrate(&[declared()]).unwrap(), ["added the table `notes`"]);
    let batch = [row("a", Some(3)), row("b", None), row("c", Some(1))].map(Mutation::Insert);
    assert_eq!(store.apply(&batch).unwrap(), [1, 1, 1]);
    serde_json::from_slice(&serde_json::to_vec(&store).unwrap()).unwrap()
}

fn only(field: &str, by: Comparator, values: &[i64]) -> Filter {
    let values = values.iter().copied().map(Value::Integer).collect();
    vec![vec![Comparison {
        field: field.to_owned(),
        by,
        values,
    }]]
}

fn query(filter: Filter, limit: u32, cursor: Option<String>) -> Query {
    Query {
        table: "notes".to_owned(),
        columns: vec!["id".to_owned()],
        where_: filter,
        order: vec![Order {
            field: "rank".to_owned(),
            descending: false,
        }],
        limit,
        cursor,
    }
}

fn ids(page: &Page) -> Vec<String> {
    page.rows
        .iter()
        .map(|row| format!("{:?}", row[0]))
        .map(|text| text.replace("Value::Text(\"", "").replace("\")", ""))
        .collect()
}

#[test]
fn a_second_migration_changes_nothing_and_another_type_is_a_conflict() {
    let mut store = store();
    assert!(store.migrate(&[declared()]).unwrap().is_empty());
    let mut other = declared();
    other.columns[1].of = ColumnType::Text;
    assert!(matches!(
        store.migrate(&[other]).unwrap_err().kind,
        ProblemKind::Conflict
    ));
}

#[test]
fn comparisons_leave_nulls_out() {
    use Comparator as By;
    for (by, values, expected) in [
        (By::Equal, vec![3], vec!["a"]),
        (By::NotEqual, vec![3], vec!["c"]),
        (By::Less, vec![3], vec!["c"]),
        (By::GreaterOrEqual, vec![1], vec!["c", "a"]),
        (By::OneOf, vec![], vec![]),
        (By::NotOneOf, vec![1], vec!["a"]),
        (By::IsNull, vec![], vec!["b"]),
        (By::IsNotNull, vec![], vec!["c", "a"]),
    ] {
        let page = store().read(&query(only("rank", by, &values), 9, None)).unwrap();
        assert_eq!(ids(&page), expected, "{by:?}");
    }
}

#[test]
fn pages_go_on_where_they_ended_and_cursors_belong_to_an_order() {
    let first = store().read(&query(Vec::new(), 2, None)).unwrap();
    assert_eq!(ids(&first), ["b", "c"]);
    let last = store().read(&query(Vec::new(), 2, first.next.clone())).unwrap();
    assert_eq!((ids(&last), last.next), (vec!["a".to_owned()], None));
    let mut other = query(Vec::new(), 2, first.next);
    other.order[0].descending = true;
    assert_eq!(store().read(&other).unwrap_err().param.as_deref(), Some("cursor"));
}

#[test]
fn guards_and_keys_hold() {
    let expected = |rows| {
        Mutation::Update(Update {
            table: "notes".to_owned(),
            where_: Vec::new(),
            set: vec![("rank".to_owned(), Assignment::Add(2))],
            expected_rows: Some(rows),
        })
    };
    let mut own = store();
    assert_eq!(own.apply(&[expected(3)]).unwrap(), [3]);
    assert_eq!(
        ids(&own
            .read(&query(only("rank", Comparator::Equal, &[2]), 9, None))
            .unwrap()),
        ["b"]
    );
    for wrong in [expected(2), Mutation::Insert(row("a", None))] {
        assert!(matches!(
            store().apply(&[wrong]).unwrap_err().kind,
            ProblemKind::Conflict
        ));
    }
    let mut own = store();
    let where_ = only("rank", Comparator::Less, &[9]);
    let remove = Mutation::Remove(Remove {
        table: "notes".to_owned(),
        where_,
        expected_rows: None,
    });
    assert_eq!(
        own.apply(&[remove, Mutation::Upsert(row("b", Some(7)))]).unwrap(),
        [2, 1]
    );
    assert_eq!(ids(&own.read(&query(Vec::new(), 9, None)).unwrap()), ["b"]);
}
