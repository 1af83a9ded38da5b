//! Tables and rows in memory: what a migration, a batch and a query mean. No store is known here. Indexes are not kept, but
//! for what unique ones forbid: every question reads all rows of its table.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use encaje_sdk::errors::Problem;
use encaje_sdk::storage::{self, Assignment, ColumnType, Mutation, Page, Query};
use encaje_sdk::values::{Filter, Value};
use serde::{Deserialize, Serialize};

/// Rows of a page: more than any list of the host shows.
const MAX_ROWS: u32 = 10_000;
/// Bytes of a table's or column's name, as the contract has it.
const MAX_NAME_BYTES: usize = 63;

/// `Value`, as JSON can hold it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cell(#[serde(with = "Mirror")] Value);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Value")]
enum Mirror {
    Null,
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
    Json(String),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ColumnType")]
enum Type {
    Boolean,
    Integer,
    Real,
    Text,
    Blob,
    Json,
    TimeUs,
    MoneyNano,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    #[serde(with = "Type")]
    pub(crate) of: ColumnType,
    required: bool,
    default: Cell,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Table {
    columns: Vec<Column>,
    key: Vec<usize>,
    /// Columns of which no two rows agree in all.
    unique: Vec<Vec<usize>>,
    /// Columns that `matches-text` may ask.
    pub(crate) text: Vec<usize>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// All tables.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Store(BTreeMap<String, Table>);

#[derive(Serialize, Deserialize)]
struct Cursor {
    /// Which table and order it is of.
    of: String,
    at: Vec<Cell>,
}

pub(crate) fn invalid(message: String, param: &str) -> Problem {
    Problem::invalid_request(message).with_param(param)
}

pub(crate) fn cell(row: &[Cell], at: usize) -> &Value {
    row.get(at).map_or(&Value::Null, |cell| &cell.0)
}

/// Null first. Values of one column are of one type.
pub(crate) fn order(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Boolean(left), Value::Boolean(right)) => left.cmp(right),
        (Value::Integer(left), Value::Integer(right)) => left.cmp(right),
        (Value::Real(left), Value::Real(right)) => left.partial_cmp(right).unwrap_or(Ordering::Equal),
        (Value::Text(left), Value::Text(right)) | (Value::Json(left), Value::Json(right)) => left.cmp(right),
        (Value::Blob(left), Value::Blob(right)) => left.cmp(right),
        _ => Ordering::Equal,
    }
}

impl Column {
    /// The value as this column holds it; nothing is converted but integers for reals.
    pub(crate) fn fit(&self, value: &Value) -> Result<Value, Problem> {
        use ColumnType as Of;
        let fits = match (self.of, value) {
            (_, Value::Null) => !self.required,
            (Of::Real, Value::Integer(number)) => return Ok(Value::Real(*number as f64)),
            (Of::Real, Value::Real(number)) => number.is_finite(),
            (Of::Boolean, Value::Boolean(_)) | (Of::Text, Value::Text(_)) | (Of::Blob, Value::Blob(_)) => true,
            (Of::Integer | Of::TimeUs | Of::MoneyNano, Value::Integer(_)) | (Of::Json, Value::Json(_)) => true,
            _ => false,
        };
        let refuse = || {
            invalid(
                format!("the column `{}` does not hold this value", self.name),
                &self.name,
            )
        };
        if fits { Ok(value.clone()) } else { Err(refuse()) }
    }
}

impl Table {
    fn at(&self, name: &str) -> Result<usize, Problem> {
        let found = self.columns.iter().position(|column| column.name == name);
        found.ok_or_else(|| invalid(format!("there is no column `{name}`"), name))
    }

    pub(crate) fn column(&self, name: &str) -> Result<(usize, &Column), Problem> {
        let at = self.at(name)?;
        let column = self.columns.get(at);
        column
            .map(|column| (at, column))
            .ok_or_else(|| Problem::internal("a column is lost"))
    }

    fn agree(columns: &[usize], left: &[Cell], right: &[Cell]) -> bool {
        columns
            .iter()
            .all(|at| order(cell(left, *at), cell(right, *at)).is_eq())
    }

    /// Whether two rows agree in a unique index; nulls agree with nothing.
    fn check_unique(&self) -> Result<(), Problem> {
        for columns in std::iter::once(&self.key).chain(&self.unique) {
            let known = |row: &&Vec<Cell>| columns.iter().all(|at| !matches!(cell(row, *at), Value::Null));
            let mut rows: Vec<&Vec<Cell>> = self.rows.iter().filter(known).collect();
            let compare = |left: &[Cell], right: &[Cell]| {
                let orders = columns.iter().map(|at| order(cell(left, *at), cell(right, *at)));
                orders.fold(Ordering::Equal, Ordering::then)
            };
            rows.sort_by(|left, right| compare(left, right));
            if rows
                .windows(2)
                .any(|pair| matches!(pair, [left, right] if Self::agree(columns, left, right)))
            {
                return Err(Problem::conflict("two rows would agree in the key or a unique index"));
            }
        }
        Ok(())
    }

    /// Takes over what is declared and not there yet; says whether that was anything.
    fn widen(&mut self, declared: &storage::Table) -> Result<bool, Problem> {
        let (columns, unique, text) = (self.columns.len(), self.unique.len(), self.text.len());
        for wanted in &declared.columns {
            let required = wanted.required || declared.key.contains(&wanted.name);
            if let Ok((_, own)) = self.column(&wanted.name) {
                if own.of != wanted.of || own.required != required {
                    return Err(Problem::conflict(format!(
                        "the column `{}` is of another type",
                        wanted.name
                    )));
                }
                continue;
            }
            let name = wanted.name.clone();
            let mut column = Column {
                name,
                of: wanted.of,
                required: false,
                default: Cell(Value::Null),
            };
            column.default = Cell(column.fit(wanted.default_value.as_ref().unwrap_or(&Value::Null))?);
            column.required = required;
            if required && matches!(column.default.0, Value::Null) && !self.rows.is_empty() {
                let message = format!("the new column `{}` is required and needs a default", wanted.name);
                return Err(Problem::conflict(message));
            }
            self.rows.iter_mut().for_each(|row| row.push(column.default.clone()));
            self.columns.push(column);
        }
        for index in declared.indexes.iter().filter(|index| index.unique || index.text) {
            let places = index
                .columns
                .iter()
                .map(|name| self.at(name))
                .collect::<Result<Vec<_>, _>>()?;
            if index.text {
                let new = places
                    .into_iter()
                    .filter(|at| !self.text.contains(at))
                    .collect::<Vec<_>>();
                self.text.extend(new);
            } else if !self.unique.contains(&places) {
                self.unique.push(places);
            }
        }
        let key = declared
            .key
            .iter()
            .map(|name| self.at(name))
            .collect::<Result<Vec<_>, _>>()?;
        if columns > 0 && key != self.key {
            return Err(Problem::conflict(format!(
                "the key of `{}` is another one",
                declared.name
            )));
        }
        self.key = key;
        self.check_unique()?;
        Ok((columns, unique, text) != (self.columns.len(), self.unique.len(), self.text.len()))
    }

    /// Writes a row by its key.
    fn put(&mut self, fields: &[(String, Value)], must_be_new: bool) -> Result<(), Problem> {
        let mut given: Vec<Option<Cell>> = vec![None; self.columns.len()];
        for (name, value) in fields {
            let (at, column) = self.column(name)?;
            let value = column.fit(value)?;
            if let Some(place) = given.get_mut(at) {
                *place = Some(Cell(value));
            }
        }
        let row: Vec<Cell> = given
            .iter()
            .zip(&self.columns)
            .map(|(new, column)| new.clone().unwrap_or(column.default.clone()))
            .collect();
        if self.key.iter().any(|at| matches!(cell(&row, *at), Value::Null)) {
            return Err(Problem::invalid_request("the row lacks a column of its key"));
        }
        match self.rows.iter_mut().find(|own| Self::agree(&self.key, own, &row)) {
            Some(_) if must_be_new => return Err(Problem::conflict("there is a row of this key")),
            Some(own) => {
                for (cell, new) in own.iter_mut().zip(given) {
                    *cell = new.unwrap_or_else(|| cell.clone());
                }
            }
            None => {
                let lacks = |(cell, column): (&Cell, &Column)| column.required && matches!(cell.0, Value::Null);
                if row.iter().zip(&self.columns).any(lacks) {
                    return Err(Problem::conflict("a new row lacks a required column"));
                }
                self.rows.push(row);
            }
        }
        Ok(())
    }

    /// The places of the rows that match, once their number is the one that was expected.
    fn guarded(&self, filter: &Filter, expected: Option<u64>) -> Result<Vec<bool>, Problem> {
        let matching = self.matching(filter)?;
        let count = matching.iter().filter(|matches| **matches).count() as u64;
        match expected {
            Some(expected) if expected != count => Err(Problem::conflict(format!(
                "{count} rows match, {expected} were expected"
            ))),
            _ => Ok(matching),
        }
    }

    fn assign(&mut self, matching: &[bool], name: &str, assignment: &Assignment) -> Result<(), Problem> {
        let (at, column) = self.column(name)?;
        let column = column.clone();
        for (row, _) in self.rows.iter_mut().zip(matching).filter(|(_, matches)| **matches) {
            let new = match (assignment, cell(row, at)) {
                (Assignment::Set(value), _) => value.clone(),
                (Assignment::Add(by), Value::Null) => Value::Integer(*by),
                (Assignment::Add(by), Value::Real(old)) => Value::Real(old + *by as f64),
                (Assignment::Add(by), Value::Integer(old)) => {
                    let too_large = || invalid(format!("`{name}` would pass 64 bits"), name);
                    Value::Integer(old.checked_add(*by).ok_or_else(too_large)?)
                }
                _ => return Err(invalid(format!("the column `{name}` is no number"), name)),
            };
            let new = column.fit(&new)?;
            if let Some(cell) = row.get_mut(at) {
                *cell = Cell(new);
            }
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(fits)
}

impl Store {
    /// Adds what is declared and not there yet; says in words what it did. After an error the store is not to be kept.
    pub(crate) fn migrate(&mut self, tables: &[storage::Table]) -> Result<Vec<String>, Problem> {
        let mut said = Vec::new();
        for declared in tables {
            let name = &declared.name;
            let named = declared
                .columns
                .iter()
                .map(|column| &column.name)
                .chain([name])
                .all(|name| is_name(name));
            if !named || declared.columns.is_empty() || declared.key.is_empty() {
                return Err(invalid(
                    format!("the table `{name}` needs proper names, columns and a key"),
                    "tables",
                ));
            }
            let new = || Table {
                columns: vec![],
                key: vec![],
                unique: vec![],
                text: vec![],
                rows: vec![],
            };
            let is_new = !self.0.contains_key(name);
            if self.0.entry(name.clone()).or_insert_with(new).widen(declared)? {
                said.push(format!(
                    "{} the table `{name}`",
                    if is_new { "added" } else { "widened" }
                ));
            }
        }
        Ok(said)
    }

    fn table(&mut self, name: &str) -> Result<&mut Table, Problem> {
        self.0
            .get_mut(name)
            .ok_or_else(|| Problem::not_found(format!("there is no table `{name}`")))
    }

    /// Does the batch; rows touched by each mutation. After an error the store is not to be kept.
    pub(crate) fn apply(&mut self, batch: &[Mutation]) -> Result<Vec<u64>, Problem> {
        let mut touched = Vec::new();
        for mutation in batch {
            let (table, count) = match mutation {
                Mutation::Upsert((table, fields)) => (table, self.table(table)?.put(fields, false).map(|()| 1)?),
                Mutation::Insert((table, fields)) => (table, self.table(table)?.put(fields, true).map(|()| 1)?),
                Mutation::Update(update) => {
                    let table = self.table(&update.table)?;
                    let matching = table.guarded(&update.where_, update.expected_rows)?;
                    for (name, assignment) in &update.set {
                        table.assign(&matching, name, assignment)?;
                    }
                    (
                        &update.table,
                        matching.iter().filter(|matches| **matches).count() as u64,
                    )
                }
                Mutation::Remove(remove) => {
                    let table = self.table(&remove.table)?;
                    let matching = table.guarded(&remove.where_, remove.expected_rows)?;
                    let before = table.rows.len();
                    let mut matches = matching.into_iter();
                    table.rows.retain(|_| !matches.next().unwrap_or(false));
                    (&remove.table, (before - table.rows.len()) as u64)
                }
            };
            self.table(table)?.check_unique()?;
            touched.push(count);
        }
        Ok(touched)
    }

    /// One page, in the order that was asked for and then by the key.
    pub(crate) fn read(mut self, query: &Query) -> Result<Page, Problem> {
        if query.limit == 0 || query.limit > MAX_ROWS {
            return Err(invalid(format!("a page has 1 to {MAX_ROWS} rows"), "limit"));
        }
        let table = self.table(&query.table)?;
        let all = || table.columns.iter().map(|column| column.name.clone()).collect();
        let columns: Vec<String> = if query.columns.is_empty() {
            all()
        } else {
            query.columns.clone()
        };
        let shown = columns
            .iter()
            .map(|name| table.at(name))
            .collect::<Result<Vec<_>, _>>()?;
        let by = |order: &storage::Order| Ok((table.at(&order.field)?, order.descending));
        let mut sort = query
            .order
            .iter()
            .map(by)
            .collect::<Result<Vec<(usize, bool)>, Problem>>()?;
        sort.extend(table.key.iter().map(|at| (*at, false)));
        let of = format!("{} {sort:?}", query.table);
        let place = |row: &Vec<Cell>| {
            sort.iter()
                .map(|(at, _)| Cell(cell(row, *at).clone()))
                .collect::<Vec<_>>()
        };
        let compare = |left: &[Cell], right: &[Cell]| {
            let order = |((left, right), (_, descending)): ((&Cell, &Cell), &(usize, bool))| {
                let ordering = order(&left.0, &right.0);
                if *descending { ordering.reverse() } else { ordering }
            };
            left.iter()
                .zip(right)
                .zip(&sort)
                .map(order)
                .fold(Ordering::Equal, Ordering::then)
        };
        let matching = table.matching(&query.where_)?;
        let rows = table.rows.iter().zip(matching).filter(|(_, matches)| *matches);
        let mut rows: Vec<(Vec<Cell>, &Vec<Cell>)> = rows.map(|(row, _)| (place(row), row)).collect();
        if let Some(cursor) = &query.cursor {
            let cursor: Option<Cursor> = serde_json::from_str(cursor).ok();
            let after = cursor.filter(|cursor| cursor.of == of && cursor.at.len() == sort.len());
            let foreign = || invalid("the cursor belongs to another table or order".to_owned(), "cursor");
            let after = after.ok_or_else(foreign)?;
            rows.retain(|(place, _)| compare(place, &after.at).is_gt());
        }
        rows.sort_by(|left, right| compare(&left.0, &right.0));
        let is_last = rows.len() <= query.limit as usize;
        rows.truncate(query.limit as usize);
        let cursor = |(at, _): (Vec<Cell>, _)| serde_json::to_string(&Cursor { of, at }).ok();
        let values = |row: &Vec<Cell>| shown.iter().map(|at| cell(row, *at).clone()).collect();
        let page = rows.iter().map(|(_, row)| values(row)).collect();
        let next = if is_last { None } else { rows.pop().and_then(cursor) };
        Ok(Page {
            columns,
            rows: page,
            next,
        })
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
