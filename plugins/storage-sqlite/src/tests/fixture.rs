//! Tables, rows and questions for the tests, in as few words as possible.

use encaje_sdk::storage::{
    Aggregation, Column, ColumnType, Durability, Grouping, Index, Measure, Mutation, Order, Page, Query, Statistic,
    Table,
};
use encaje_sdk::values::{Comparator, Comparison, Fields, Filter, Value};

use super::sqlite::Sqlite;
use crate::store;

/// A column.
pub(super) fn column(name: &str, of: ColumnType, required: bool) -> Column {
    Column {
        name: name.to_owned(),
        of,
        required,
        default_value: None,
    }
}

/// An index that is neither unique nor for text.
pub(super) fn index(columns: &[&str]) -> Index {
    Index {
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        unique: false,
        text: false,
    }
}

/// A table with a column of each type: `id` is the key, the rest but `kind` may be null.
pub(super) fn items() -> Table {
    Table {
        name: "items".to_owned(),
        columns: vec![
            column("id", ColumnType::Text, true),
            column("kind", ColumnType::Text, true),
            column("rank", ColumnType::Integer, false),
            column("weight", ColumnType::Real, false),
            column("note", ColumnType::Text, false),
            column("flag", ColumnType::Boolean, false),
            column("at", ColumnType::TimeUs, false),
            column("price", ColumnType::MoneyNano, false),
            column("data", ColumnType::Json, false),
            column("raw", ColumnType::Blob, false),
        ],
        key: vec!["id".to_owned()],
        indexes: vec![
            index(&["rank"]),
            Index {
                text: true,
                ..index(&["note", "kind"])
            },
        ],
    }
}

/// An empty store with [`items`].
pub(super) fn store() -> Sqlite {
    let database = Sqlite::new();
    store::migrate(&database, vec![items()]).unwrap();
    database
}

/// The fields of a row.
pub(super) fn fields(list: &[(&str, Value)]) -> Fields {
    list.iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

/// A text.
pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// An upsert into `items`.
pub(super) fn upsert(list: &[(&str, Value)]) -> Mutation {
    Mutation::Upsert(("items".to_owned(), fields(list)))
}

/// An insert into `items`.
pub(super) fn insert(list: &[(&str, Value)]) -> Mutation {
    Mutation::Insert(("items".to_owned(), fields(list)))
}

/// Writes a batch that must succeed.
pub(super) fn write(database: &Sqlite, batch: Vec<Mutation>) -> Vec<u64> {
    store::write(database, batch, Durability::Process).unwrap()
}

/// A filter of one comparison.
pub(super) fn only(field: &str, by: Comparator, values: &[Value]) -> Filter {
    vec![vec![Comparison {
        field: field.to_owned(),
        by,
        values: values.to_vec(),
    }]]
}

/// `field`, or `-field` for the descending order.
pub(super) fn order(keys: &[&str]) -> Vec<Order> {
    let key = |key: &&str| Order {
        field: key.trim_start_matches('-').to_owned(),
        descending: key.starts_with('-'),
    };
    keys.iter().map(key).collect()
}

/// A query of `items` for some columns.
pub(super) fn query(columns: &[&str], filter: Filter, keys: &[&str], limit: u32) -> Query {
    Query {
        table: "items".to_owned(),
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        where_: filter,
        order: order(keys),
        limit,
        cursor: None,
    }
}

/// A measure; the field may be empty.
pub(super) fn measure(statistic: Statistic, field: &str) -> Measure {
    Measure {
        statistic,
        field: Some(field.to_owned()).filter(|field| !field.is_empty()),
        quantile: None,
    }
}

/// An aggregation over all of `items`.
pub(super) fn aggregation(measures: Vec<Measure>, by: Vec<Grouping>) -> Aggregation {
    Aggregation {
        table: "items".to_owned(),
        where_: Vec::new(),
        measures,
        by,
        order: Vec::new(),
        limit: 100,
    }
}

/// The texts of the first column.
pub(super) fn first_texts(page: &Page) -> Vec<String> {
    let text = |row: &Vec<Value>| match &row[0] {
        Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    };
    page.rows.iter().map(text).collect()
}

/// Whether two values are the same one; reals by their bits.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Real(left), Value::Real(right)) => left.to_bits() == right.to_bits(),
        (left, right) => format!("{left:?}") == format!("{right:?}"),
    }
}
