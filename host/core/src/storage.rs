//! Tables, writes and queries as data, as `encaje:storage` has them.
//!
//! `Serialize` here is for the spool's own file format, not for a wire.

use serde::{Deserialize, Serialize};

use crate::value::{Fields, Filter, Value};

/// When a write has returned, what it survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The death of the server; synced to disk within 200 ms.
    Process,
    /// The death of the machine; synced before it returns.
    Disk,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// True or false.
    Boolean,
    /// 64 bits, signed.
    Integer,
    /// 64 bits.
    Real,
    /// UTF-8.
    Text,
    /// Bytes.
    Blob,
    /// A JSON text.
    Json,
    /// Microseconds of UTC since 1970.
    TimeUs,
    /// Billionths of the currency unit.
    MoneyNano,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Lower-case letters, digits and `_`.
    pub name: String,
    /// What it holds.
    pub of: ColumnType,
    /// Whether null is refused.
    pub required: bool,
    /// What rows get that do not name it.
    pub default_value: Option<Value>,
}

/// An index of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// In order.
    pub columns: Vec<String>,
    /// Whether two rows may agree in all of them.
    pub unique: bool,
    /// Whether it is for full-text search.
    pub text: bool,
}

/// A table. Adding a table, column or index is the only change there is.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Lower-case letters, digits and `_`.
    pub name: String,
    /// In order.
    pub columns: Vec<Column>,
    /// The columns of the primary key.
    pub key: Vec<String>,
    /// Beside the key's own.
    pub indexes: Vec<Index>,
}

/// A change of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Assignment {
    /// To this value.
    Set(Value),
    /// By this number.
    Add(i64),
}

/// A guarded change of matching rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// The table.
    pub table: String,
    /// Which rows.
    pub filter: Filter,
    /// What changes.
    pub set: Vec<(String, Assignment)>,
    /// The whole batch is undone with `Conflict` when another number of rows matched.
    pub expected_rows: Option<u64>,
}

/// A guarded removal of matching rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remove {
    /// The table.
    pub table: String,
    /// Which rows.
    pub filter: Filter,
    /// The whole batch is undone with `Conflict` when another number of rows matched.
    pub expected_rows: Option<u64>,
}

/// One change; a batch of them is one transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Mutation {
    /// By the table's key; an existing row's other columns are kept.
    Upsert(String, Fields),
    /// `Conflict` when the key exists.
    Insert(String, Fields),
    /// Guarded update.
    Update(Update),
    /// Guarded removal.
    Remove(Remove),
}

/// A sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The column.
    pub field: String,
    /// Largest first.
    pub descending: bool,
}

/// Rows to read.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The table.
    pub table: String,
    /// Which columns; empty is all.
    pub columns: Vec<String>,
    /// Which rows.
    pub filter: Filter,
    /// In which order; the key breaks ties.
    pub order: Vec<Order>,
    /// At most so many.
    pub limit: u32,
    /// From the page before.
    pub cursor: Option<String>,
}

/// Rows, and where the next ones start.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Names, in the order of the values.
    pub columns: Vec<String>,
    /// One list a row.
    pub rows: Vec<Vec<Value>>,
    /// Absent at the end.
    pub next: Option<String>,
}

/// What is computed of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// Rows, or non-null values of a field.
    Count,
    /// Sum of a field.
    Sum,
    /// Mean of a field.
    Avg,
    /// Least value.
    Min,
    /// Largest value.
    Max,
    /// Linear interpolation between closest ranks.
    Quantile,
}

/// One column of an aggregation.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// What.
    pub statistic: Statistic,
    /// Of which field; absent only for `Count`.
    pub field: Option<String>,
    /// In [0, 1], for `Quantile`.
    pub quantile: Option<f64>,
}

/// What makes a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grouping {
    /// Equal values of a field.
    Field(String),
    /// A field of time in buckets of so many microseconds.
    TimeBucket(String, u64),
}

/// A question about many rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregation {
    /// The table.
    pub table: String,
    /// Which rows.
    pub filter: Filter,
    /// What is computed.
    pub measures: Vec<Measure>,
    /// Of what groups; empty is all rows as one.
    pub by: Vec<Grouping>,
    /// In which order.
    pub order: Vec<Order>,
    /// At most so many groups.
    pub limit: u32,
}
