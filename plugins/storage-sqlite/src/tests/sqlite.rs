//! The port to the database over rusqlite, as the host's `sql` capability does it: prepared statements, guards, one
//! transaction a batch, constraint errors as `conflict`, and the aggregate `quantile`.

use std::cell::RefCell;

use encaje_sdk::errors::Problem;
use encaje_sdk::host::sql::{Rows, Statement};
use encaje_sdk::storage::Durability;
use encaje_sdk::values::Value;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, ErrorCode, params_from_iter};

use crate::database::Database;

/// A database and what was asked of it.
pub(super) struct Sqlite {
    pub(super) connection: RefCell<Connection>,
    /// The durability of the last batch.
    pub(super) durability: RefCell<Option<Durability>>,
    /// Every text that was run.
    pub(super) texts: RefCell<Vec<String>>,
}

impl Sqlite {
    /// An empty database in memory.
    pub(super) fn new() -> Self {
        Self::over(Connection::open_in_memory().unwrap())
    }

    /// A database over a connection.
    pub(super) fn over(connection: Connection) -> Self {
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        connection
            .create_aggregate_function("quantile", 2, flags, Quantile)
            .unwrap();
        Self {
            connection: RefCell::new(connection),
            durability: RefCell::default(),
            texts: RefCell::default(),
        }
    }

    /// One value of one row.
    pub(super) fn one<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        self.connection.borrow().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

impl Database for Sqlite {
    fn query(&self, sql: &str, parameters: &[Value], limit: u32) -> Result<Rows, Problem> {
        self.texts.borrow_mut().push(sql.to_owned());
        let connection = self.connection.borrow();
        let mut statement = connection.prepare_cached(sql).map_err(|error| problem(&error))?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement
            .query(params_from_iter(parameters.iter().map(bind)))
            .map_err(|error| problem(&error))?;
        let mut values = Vec::new();
        while let Some(row) = rows.next().map_err(|error| problem(&error))? {
            if values.len() == limit as usize {
                return Ok(Rows {
                    columns,
                    values,
                    more: true,
                });
            }
            values.push(
                (0..columns.len())
                    .map(|place| unbind(row.get_ref_unwrap(place)))
                    .collect(),
            );
        }
        Ok(Rows {
            columns,
            values,
            more: false,
        })
    }

    fn transact(&self, statements: &[Statement], durability: Durability) -> Result<Vec<u64>, Problem> {
        *self.durability.borrow_mut() = Some(durability);
        let mut connection = self.connection.borrow_mut();
        let transaction = connection.transaction().map_err(|error| problem(&error))?;
        let mut changes = Vec::new();
        for (place, statement) in statements.iter().enumerate() {
            self.texts.borrow_mut().push(statement.sql.clone());
            let mut prepared = transaction
                .prepare_cached(&statement.sql)
                .map_err(|error| problem(&error))?;
            let bound = params_from_iter(statement.params.iter().map(bind));
            let changed = prepared.execute(bound).map_err(|error| problem(&error))? as u64;
            if statement.expected_changes.is_some_and(|expected| expected != changed) {
                return Err(
                    Problem::conflict(format!("{changed} rows changed")).with_param(format!("statements[{place}]"))
                );
            }
            changes.push(changed);
        }
        transaction.commit().map_err(|error| problem(&error))?;
        Ok(changes)
    }

    fn scrub(&self) -> Result<(), Problem> {
        // A vacuum goes through the write-ahead log too: only the checkpoint behind it takes the old pages out of the files.
        self.connection
            .borrow()
            .execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")
            .map_err(|error| problem(&error))
    }
}

fn problem(error: &rusqlite::Error) -> Problem {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => Problem::conflict(error.to_string()),
        _ => Problem::internal(error.to_string()),
    }
}

fn bind(value: &Value) -> Stored {
    match value {
        Value::Null => Stored::Null,
        Value::Integer(number) => Stored::Integer(*number),
        Value::Real(number) => Stored::Real(*number),
        Value::Text(text) => Stored::Text(text.clone()),
        Value::Blob(bytes) => Stored::Blob(bytes.clone()),
        Value::Boolean(_) | Value::Json(_) => panic!("the plugin did not turn {value:?} into a stored value"),
    }
}

fn unbind(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8(text.to_vec()).unwrap()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// Linear interpolation between closest ranks; null of nothing.
struct Quantile;

impl Aggregate<(Vec<f64>, f64), Option<f64>> for Quantile {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<(Vec<f64>, f64)> {
        Ok((Vec::new(), 0.0))
    }

    fn step(&self, context: &mut Context<'_>, state: &mut (Vec<f64>, f64)) -> rusqlite::Result<()> {
        state.0.extend(context.get::<Option<f64>>(0)?);
        state.1 = context.get(1)?;
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, state: Option<(Vec<f64>, f64)>) -> rusqlite::Result<Option<f64>> {
        Ok(state.and_then(|(values, quantile)| interpolate(values, quantile)))
    }
}

/// The quantile of these values.
pub(super) fn interpolate(mut values: Vec<f64>, quantile: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let place = quantile * (values.len().checked_sub(1)? as f64);
    let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
    Some(low + (high - low) * place.fract())
}
