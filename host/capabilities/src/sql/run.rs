//! Runs one guest's query, or one guest's batch inside a transaction that its caller has opened.
//!
//! It checks every cap and converts values; it begins and commits nothing.

use encaje_core::storage::Durability;
use encaje_core::value::Value;
use encaje_core::{Problem, ProblemKind};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, ToSql};

use super::connection::Guarded;
use super::failure;
use crate::limits;

/// One statement of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// One SQL statement.
    pub sql: String,
    /// One value for each parameter, in order.
    pub params: Vec<Value>,
    /// The whole batch is rolled back with `Conflict` when the statement changed another number of rows.
    pub expected_changes: Option<u64>,
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    /// Names, in the order of the values.
    pub columns: Vec<String>,
    /// One list a row: `Null`, `Integer`, `Real`, `Text` or `Blob`, as SQLite has no other types.
    pub values: Vec<Vec<Value>>,
    /// Whether rows were left out, because of the limit or because the answer grew too large.
    pub more: bool,
}

/// One batch: a transaction of its own.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) statements: Vec<Statement>,
    pub(super) durability: Durability,
}

/// Refuses what is over a cap before it waits for anything.
pub(super) fn check_batch(statements: &[Statement]) -> Result<(), Problem> {
    if statements.len() > limits::STATEMENTS {
        return Err(too_large(format!(
            "A batch takes {} statements; this one has {}.",
            limits::STATEMENTS,
            statements.len()
        )));
    }
    let mut bytes = 0_usize;
    for (index, statement) in statements.iter().enumerate() {
        check_statement(&statement.sql, &statement.params).map_err(|problem| at(index, problem))?;
        bytes = bytes.saturating_add(statement.params.iter().map(size).sum());
    }
    if bytes > limits::BATCH_BYTES {
        return Err(too_large(format!(
            "The values of a batch take {} bytes; these have {bytes}.",
            limits::BATCH_BYTES
        )));
    }
    Ok(())
}

/// Refuses what is over a cap before it waits for anything.
pub(super) fn check_statement(sql: &str, params: &[Value]) -> Result<(), Problem> {
    if sql.len() > limits::SQL_BYTES {
        return Err(too_large(format!(
            "A statement takes {} bytes of SQL; this one has {}.",
            limits::SQL_BYTES,
            sql.len()
        )));
    }
    if params.len() > limits::PARAMETERS {
        return Err(too_large(format!(
            "A statement takes {} values; this one has {}.",
            limits::PARAMETERS,
            params.len()
        )));
    }
    if params.iter().any(|value| size(value) > limits::VALUE_BYTES) {
        return Err(too_large(format!("A value takes {} bytes.", limits::VALUE_BYTES)));
    }
    if sql.contains('\0') {
        return Err(failure::fault("The SQL text holds a zero byte."));
    }
    Ok(())
}

/// Runs a query; at least one row comes back where there is one, however large the others are.
pub(super) fn query(guarded: &Guarded, sql: &str, params: &[Value], limit: u32) -> Result<Rows, Problem> {
    let mut statement = prepare(guarded, sql)?;
    if !statement.readonly() {
        return Err(
            Problem::new(ProblemKind::Denied, "A query may not write; use `transact`.").with_code("sql_read_only"),
        );
    }
    bind(&mut statement, params)?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let width = columns.len();
    let limit = limit.min(limits::ROWS) as usize;
    let mut answer = Rows {
        columns,
        values: Vec::new(),
        more: false,
    };
    let mut bytes = 0_usize;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(|error| explain(guarded, &error))? {
        if answer.values.len() >= limit {
            answer.more = true;
            break;
        }
        let mut values = Vec::with_capacity(width);
        for column in 0..width {
            let value = from_sqlite(row.get_ref(column).map_err(|error| explain(guarded, &error))?)?;
            bytes = bytes.saturating_add(size(&value));
            values.push(value);
        }
        if bytes > limits::RESULT_BYTES {
            if answer.values.is_empty() {
                return Err(too_large(format!(
                    "One row has more than the {} bytes of an answer.",
                    limits::RESULT_BYTES
                )));
            }
            answer.more = true;
            break;
        }
        answer.values.push(values);
    }
    Ok(answer)
}

/// Runs the statements of a batch; the rows that each changed. On an error the caller rolls back.
pub(super) fn batch(guarded: &Guarded, statements: &[Statement]) -> Result<Vec<u64>, Problem> {
    let mut counts = Vec::with_capacity(statements.len());
    let mut last: Option<(&str, CachedStatement<'_>)> = None;
    for (index, statement) in statements.iter().enumerate() {
        // Batches mostly repeat one text; the cache, a hash of the whole text, is asked only when it changes.
        let mut prepared = match last.take() {
            Some((sql, prepared)) if sql == statement.sql => prepared,
            other => {
                drop(other);
                prepare(guarded, &statement.sql).map_err(|problem| at(index, problem))?
            }
        };
        let changed = step(guarded, &mut prepared, &statement.params).map_err(|problem| at(index, problem))?;
        if let Some(expected) = statement.expected_changes
            && expected != changed
        {
            let words = format!("The statement changed {changed} rows, not {expected}; the batch was rolled back.");
            return Err(at(
                index,
                Problem::new(ProblemKind::Conflict, words).with_code("unexpected_changes"),
            ));
        }
        counts.push(changed);
        last = Some((&statement.sql, prepared));
    }
    Ok(counts)
}

fn step(guarded: &Guarded, statement: &mut CachedStatement<'_>, params: &[Value]) -> Result<u64, Problem> {
    bind(statement, params)?;
    let before = guarded.connection.total_changes();
    let mut rows = statement.raw_query();
    while rows.next().map_err(|error| explain(guarded, &error))?.is_some() {}
    drop(rows);
    // SQLite keeps the count of the last insert, update or delete through statements that are neither.
    let changed = guarded.connection.total_changes() != before;
    Ok(if changed { guarded.connection.changes() } else { 0 })
}

fn prepare<'c>(guarded: &'c Guarded, sql: &str) -> Result<CachedStatement<'c>, Problem> {
    guarded
        .connection
        .prepare_cached(sql)
        .map_err(|error| explain(guarded, &error))
}

fn bind(statement: &mut CachedStatement<'_>, params: &[Value]) -> Result<(), Problem> {
    let expected = statement.parameter_count();
    if expected != params.len() {
        return Err(failure::fault(&format!(
            "The statement has {expected} parameters; {} values came.",
            params.len()
        )));
    }
    for (index, value) in params.iter().enumerate() {
        statement
            .raw_bind_parameter(index + 1, Bound(value))
            .map_err(|error| failure::problem(&error))?;
    }
    Ok(())
}

/// The problem of a statement: an interrupt has a reason that only the call's watch knows, a refusal one that only the
/// authorizer knows.
fn explain(guarded: &Guarded, error: &rusqlite::Error) -> Problem {
    let found = failure::problem(error);
    if guarded.mode.take_refusal() && found.kind != ProblemKind::Denied {
        let text = found.message.strip_prefix("SQL: ").unwrap_or(&found.message);
        return failure::refused(text).with_detail(error);
    }
    if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) {
        return guarded.slot.verdict().unwrap_or(found);
    }
    found
}

/// Names the statement of the batch that failed.
fn at(index: usize, problem: Problem) -> Problem {
    problem.with_param(format!("statements[{index}]"))
}

fn too_large(words: String) -> Problem {
    Problem::new(ProblemKind::TooLarge, words).with_code("sql_too_big")
}

struct Bound<'v>(&'v Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Boolean(flag) => ValueRef::Integer(i64::from(*flag)),
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Real(number) => ValueRef::Real(*number),
            Value::Text(text) | Value::Json(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn from_sqlite(value: ValueRef<'_>) -> Result<Value, Problem> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(
            std::str::from_utf8(text)
                .map_err(|_| failure::fault("The database holds a text that is not UTF-8."))?
                .to_owned(),
        ),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_owned()),
    })
}

/// What a value takes, roughly: its bytes and the place of its tag.
fn size(value: &Value) -> usize {
    8 + match value {
        Value::Text(text) | Value::Json(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        _ => 8,
    }
}
