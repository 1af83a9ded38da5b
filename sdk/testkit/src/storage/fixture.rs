//! The tables, rows and questions that the storage checks are made of.

use std::sync::Arc;

use encaje_core::call::Call;
use encaje_core::ports::Storage;
use encaje_core::problem::Problem;
use encaje_core::storage::{
    Assignment, Column, ColumnType, Durability, Index, Mutation, Order, Page, Query, Remove, Table, Update,
};
use encaje_core::value::{Comparator, Comparison, Fields, Filter, Value};
use proptest::prelude::*;
use proptest::sample::select;

use crate::generate::{Field, Kind, nullable, value};
use crate::oracle;
use crate::run::{Fault, Verdict, ensure, shown};
use crate::settings::Settings;

/// The columns that random rows fill, the key first.
pub(super) const FIELDS: [Field; 6] = [
    ("id", Kind::Text),
    ("kind", Kind::Text),
    ("rank", Kind::Integer),
    ("weight", Kind::Real),
    ("note", Kind::Text),
    ("flag", Kind::Boolean),
];

/// A row in the order of [`FIELDS`].
pub(super) type Row = Vec<Value>;

/// A store and the call that asks it.
pub(super) struct Store {
    pub(super) port: Arc<dyn Storage>,
    pub(super) call: Call,
}

impl Store {
    /// A store that has the table `items`.
    pub(super) async fn new(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict<Self> {
        let store = Self {
            port: make().await,
            call: settings.call(),
        };
        store.port.migrate(&store.call, &[items()]).await?;
        Ok(store)
    }

    /// A store that has these rows.
    pub(super) async fn filled(
        make: &impl AsyncFn() -> Arc<dyn Storage>,
        settings: &Settings,
        rows: &[Row],
    ) -> Verdict<Self> {
        let store = Self::new(make, settings).await?;
        if !rows.is_empty() {
            let batch: Vec<Mutation> = rows.iter().map(row).collect();
            store.write(&batch).await?;
        }
        Ok(store)
    }

    pub(super) async fn write(&self, batch: &[Mutation]) -> Result<Vec<u64>, Problem> {
        self.port.write(&self.call, batch, Durability::Process).await
    }

    /// One page, whose shape is right: as many values a row as columns, no more rows than asked for.
    pub(super) async fn read(&self, query: &Query) -> Verdict<Page> {
        let page = self.port.read(&self.call, query).await?;
        ensure(page.rows.len() <= query.limit as usize, || {
            format!("at most {} rows were asked for, {} came", query.limit, page.rows.len())
        })?;
        ensure(query.columns.is_empty() || page.columns == query.columns, || {
            format!(
                "the columns {:?} were asked for, {:?} came",
                query.columns, page.columns
            )
        })?;
        let wrong = page.rows.iter().find(|row| row.len() != page.columns.len());
        match wrong {
            None => Ok(page),
            Some(row) => Err(Fault::Failed(format!(
                "{} values a row were expected, {} came",
                page.columns.len(),
                shown(row)
            ))),
        }
    }

    /// All rows that match, in the order of [`FIELDS`], ordered by the key.
    pub(super) async fn rows(&self, filter: Filter) -> Verdict<Vec<Row>> {
        Ok(self.read(&query(filter, 1_000)).await?.rows)
    }

    /// The row with this key.
    pub(super) async fn row(&self, id: &str) -> Verdict<Option<Row>> {
        Ok(self.rows(only("id", Comparator::Equal, &[id.into()])).await?.pop())
    }
}

fn column(name: &str, of: ColumnType, required: bool) -> Column {
    Column {
        name: name.to_owned(),
        of,
        required,
        default_value: None,
    }
}

/// The table that the checks use: a column of each type, an index of each sort.
pub(super) fn items() -> Table {
    use ColumnType as Of;
    let index = |columns: &[&str], unique: bool, text: bool| Index {
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        unique,
        text,
    };
    Table {
        name: "testkit_items".to_owned(),
        columns: vec![
            column("id", Of::Text, true),
            column("kind", Of::Text, true),
            column("rank", Of::Integer, false),
            column("weight", Of::Real, false),
            column("note", Of::Text, false),
            column("flag", Of::Boolean, false),
            column("at", Of::TimeUs, false),
            column("price", Of::MoneyNano, false),
            column("data", Of::Json, false),
            column("raw", Of::Blob, false),
            column("serial", Of::Integer, false),
        ],
        key: vec!["id".to_owned()],
        indexes: vec![
            index(&["rank"], false, false),
            index(&["serial"], true, false),
            index(&["note"], false, true),
        ],
    }
}

/// The name of that table.
pub(super) fn table() -> String {
    items().name
}

pub(super) fn fields(values: &[(&str, Value)]) -> Fields {
    values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

pub(super) fn upsert(values: &[(&str, Value)]) -> Mutation {
    Mutation::Upsert(table(), fields(values))
}

pub(super) fn insert(values: &[(&str, Value)]) -> Mutation {
    Mutation::Insert(table(), fields(values))
}

/// A row of [`FIELDS`] as a write.
pub(super) fn row(values: &Row) -> Mutation {
    let named: Vec<(&str, Value)> = FIELDS.iter().map(|field| field.0).zip(values.iter().cloned()).collect();
    upsert(&named)
}

/// The least row that there is.
pub(super) fn plain(id: &str) -> Mutation {
    upsert(&[("id", id.into()), ("kind", "x".into())])
}

pub(super) fn update(filter: Filter, set: &[(&str, Assignment)], expected_rows: Option<u64>) -> Mutation {
    Mutation::Update(Update {
        table: table(),
        filter,
        set: set
            .iter()
            .map(|(name, assignment)| ((*name).to_owned(), assignment.clone()))
            .collect(),
        expected_rows,
    })
}

pub(super) fn remove(filter: Filter, expected_rows: Option<u64>) -> Mutation {
    Mutation::Remove(Remove {
        table: table(),
        filter,
        expected_rows,
    })
}

/// A filter of one comparison.
pub(super) fn only(field: &str, by: Comparator, values: &[Value]) -> Filter {
    vec![vec![Comparison {
        field: field.to_owned(),
        by,
        values: values.to_vec(),
    }]]
}

/// The columns of [`FIELDS`], ordered by the key.
pub(super) fn query(filter: Filter, limit: u32) -> Query {
    Query {
        table: table(),
        columns: FIELDS.iter().map(|field| field.0.to_owned()).collect(),
        filter,
        order: vec![order("id", false)],
        limit,
        cursor: None,
    }
}

pub(super) fn order(field: &str, descending: bool) -> Order {
    Order {
        field: field.to_owned(),
        descending,
    }
}

/// Rows with different keys, whose order is not the order of insertion.
pub(super) fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        value(Kind::Text),
        nullable(Kind::Integer),
        nullable(Kind::Real),
        nullable(Kind::Text),
        nullable(Kind::Boolean),
    );
    proptest::collection::vec(row, 0..30).prop_map(|rows| {
        let number = |(at, (kind, rank, weight, note, flag))| {
            let id = Value::Text(format!("{:02}", (at * 17) % 31));
            vec![id, kind, rank, weight, note, flag]
        };
        rows.into_iter().enumerate().map(number).collect()
    })
}

/// Up to three sort keys.
pub(super) fn orders() -> impl Strategy<Value = Vec<Order>> {
    let key = (select(FIELDS.to_vec()), any::<bool>()).prop_map(|((field, _), descending)| order(field, descending));
    proptest::collection::vec(key, 0..4)
}

/// The value of a field of a row.
pub(super) fn of<'a>(row: &'a Row, field: &str) -> &'a Value {
    let place = FIELDS.iter().position(|own| own.0 == field);
    place.and_then(|place| row.get(place)).unwrap_or(&Value::Null)
}

pub(super) fn id_of(row: &Row) -> &str {
    of(row, "id").as_text().unwrap_or_default()
}

/// The rows that match.
pub(super) fn matching(rows: &[Row], filter: &Filter) -> Vec<Row> {
    let is_match = |row: &&Row| oracle::matches(filter, &|field| of(row, field).clone());
    rows.iter().filter(is_match).cloned().collect()
}

/// The order of two rows; the key breaks ties, in either direction, since the contract leaves that open.
pub(super) fn compare(left: &Row, right: &Row, orders: &[Order], key_descending: bool) -> std::cmp::Ordering {
    let last = order("id", key_descending);
    let by_key = |key: &Order| {
        let ordering = oracle::compare(of(left, &key.field), of(right, &key.field));
        if key.descending { ordering.reverse() } else { ordering }
    };
    let mut keys = orders.iter().chain(std::iter::once(&last)).map(by_key);
    keys.find(|ordering| ordering.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

/// Fails where the rows differ in anything but the two freedoms of a store.
pub(super) fn same_rows(came: &[Row], expected: &[Row]) -> Verdict {
    ensure(are_same(came, expected), || {
        format!("the rows {} were expected, {} came", shown(expected), shown(came))
    })
}

pub(super) fn are_same(came: &[Row], expected: &[Row]) -> bool {
    let same = |(came, expected): (&Row, &Row)| {
        came.len() == expected.len()
            && came
                .iter()
                .zip(expected)
                .all(|(came, expected)| oracle::equal(came, expected))
    };
    came.len() == expected.len() && came.iter().zip(expected).all(same)
}
