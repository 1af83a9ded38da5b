//! Mutations as statements. The same shape of mutation always makes the same text, so that the host's cache of prepared
//! statements is hit, and within a batch the text is made once a shape.

use encaje_sdk::errors::Problem;
use encaje_sdk::host::sql::Statement;
use encaje_sdk::storage::{Assignment, Mutation, Remove, Update};
use encaje_sdk::values::{Fields, Value};

use crate::catalog::{Table, Type};
use crate::database::Sql;
use crate::filter::push_where;
use crate::value::to_store;

/// The table that a mutation is about.
pub(crate) fn table_of(mutation: &Mutation) -> &str {
    match mutation {
        Mutation::Upsert((table, _)) | Mutation::Insert((table, _)) => table,
        Mutation::Update(update) => &update.table,
        Mutation::Remove(remove) => &remove.table,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Upsert,
    Insert,
}

/// A row's shape: which columns it has, by their place in the declaration, in the order given.
struct Shape {
    kind: Kind,
    table: usize,
    columns: Vec<usize>,
    sql: String,
}

/// Makes the statements of one batch.
pub(crate) struct Writer<'a> {
    tables: &'a [Table],
    shapes: Vec<Shape>,
}

impl<'a> Writer<'a> {
    /// A writer for batches that touch only these tables.
    pub(crate) fn new(tables: &'a [Table]) -> Self {
        Self {
            tables,
            shapes: Vec::new(),
        }
    }

    /// The statement of one mutation.
    ///
    /// # Errors
    /// `invalid-request` for what the table does not take.
    pub(crate) fn statement(&mut self, mutation: Mutation) -> Result<Statement, Problem> {
        match mutation {
            Mutation::Upsert((table, fields)) => self.row(Kind::Upsert, &table, fields),
            Mutation::Insert((table, fields)) => self.row(Kind::Insert, &table, fields),
            Mutation::Update(change) => update(self.table(&change.table)?.1, change),
            Mutation::Remove(change) => remove(self.table(&change.table)?.1, change),
        }
    }

    fn table(&self, name: &str) -> Result<(usize, &'a Table), Problem> {
        let found = self.tables.iter().enumerate().find(|(_, table)| table.name == name);
        found.ok_or_else(|| Problem::internal(format!("the table `{name}` was not loaded")))
    }

    fn row(&mut self, kind: Kind, name: &str, fields: Fields) -> Result<Statement, Problem> {
        let (place, table) = self.table(name)?;
        let (columns, values) = resolve(table, fields)?;
        if kind == Kind::Upsert && !can_be_inserted(table, &columns) {
            return partial_upsert(table, &columns, values);
        }
        let known = self
            .shapes
            .iter()
            .rev()
            .find(|shape| shape.kind == kind && shape.table == place && shape.columns == columns);
        let sql = match known {
            Some(shape) => shape.sql.clone(),
            None => {
                let sql = row_sql(kind, table, &columns)?;
                self.shapes.push(Shape {
                    kind,
                    table: place,
                    columns,
                    sql: sql.clone(),
                });
                sql
            }
        };
        // A row that met an existing one was not inserted, and the guard makes that a `conflict`.
        let expected_changes = (kind == Kind::Insert).then_some(1);
        Ok(Statement {
            sql,
            params: values,
            expected_changes,
        })
    }
}

/// The columns that fields name, by their place, and the values as they are stored.
fn resolve(table: &Table, fields: Fields) -> Result<(Vec<usize>, Vec<Value>), Problem> {
    let mut columns = Vec::with_capacity(fields.len());
    let mut values = Vec::with_capacity(fields.len());
    let mut after_last = 0;
    for (name, value) in fields {
        // Fields mostly come in the declaration's order, so the search starts behind the field before.
        let from_here = table.columns.iter().enumerate().skip(after_last);
        let from_start = table.columns.iter().enumerate().take(after_last);
        let found = from_here.chain(from_start).find(|(_, column)| column.name == name);
        let Some((place, column)) = found else {
            return Err(table.column(&name).err().unwrap_or_else(unreachable_column));
        };
        if columns.contains(&place) {
            let message = format!("the row names the column `{name}` twice");
            return Err(Problem::invalid_request(message).with_param(name));
        }
        values.push(to_store(column, value)?);
        columns.push(place);
        after_last = place + 1;
    }
    let has = |name: &String| {
        columns
            .iter()
            .any(|place| table.columns.get(*place).is_some_and(|own| own.name == *name))
    };
    match table.key.iter().find(|name| !has(name)) {
        Some(missing) => {
            let message = format!("the row for `{}` lacks `{missing}` of its key", table.name);
            Err(Problem::invalid_request(message).with_param(missing))
        }
        None => Ok((columns, values)),
    }
}

fn unreachable_column() -> Problem {
    Problem::internal("a column is there and is not")
}

fn can_be_inserted(table: &Table, columns: &[usize]) -> bool {
    first_missing(table, columns).is_none()
}

/// The first required column that a row neither names nor gets by default.
fn first_missing<'a>(table: &'a Table, columns: &[usize]) -> Option<&'a str> {
    let mut all = table.columns.iter().enumerate();
    let missing = all.find(|(place, column)| column.required && column.default.is_none() && !columns.contains(place));
    missing.map(|(_, column)| column.name.as_str())
}

fn row_sql(kind: Kind, table: &Table, columns: &[usize]) -> Result<String, Problem> {
    if let Some(missing) = first_missing(table, columns) {
        let message = format!("the row for `{}` lacks the required column `{missing}`", table.name);
        return Err(Problem::invalid_request(message).with_param(missing));
    }
    let named = || {
        columns
            .iter()
            .filter_map(|place| table.columns.get(*place))
            .map(|column| column.name.as_str())
    };
    let mut sql = Sql::default();
    sql.push("INSERT INTO ")
        .name(&table.name)
        .push(" (")
        .names(named())
        .push(") VALUES (");
    sql.push(&vec!["?"; columns.len()].join(",")).push(") ON CONFLICT");
    if kind == Kind::Insert {
        sql.push(" DO NOTHING");
        return Ok(sql.text);
    }
    sql.push(" (")
        .names(table.key.iter().map(String::as_str))
        .push(") DO UPDATE SET ");
    let is_key = |name: &&str| table.key.iter().any(|key| key == name);
    let mut set: Vec<&str> = named().filter(|name| !is_key(name)).collect();
    if set.is_empty() {
        // Nothing to change, but an existing row still counts as touched.
        set.extend(table.key.first().map(String::as_str));
    }
    for (at, name) in set.into_iter().enumerate() {
        sql.push(if at > 0 { ", " } else { "" })
            .name(name)
            .push(" = excluded.")
            .name(name);
    }
    Ok(sql.text)
}

/// An upsert of a row that could not be inserted, since it lacks required columns: it can only mean an existing row. SQLite
/// would refuse it before looking for that row.
fn partial_upsert(table: &Table, columns: &[usize], values: Vec<Value>) -> Result<Statement, Problem> {
    let (mut set, mut key) = (Sql::default(), Sql::default());
    for (place, value) in columns.iter().zip(values) {
        let Some(column) = table.columns.get(*place) else {
            continue;
        };
        let is_key = table.key.contains(&column.name);
        let (part, between) = if is_key { (&mut key, " AND ") } else { (&mut set, ", ") };
        part.push(if part.text.is_empty() { "" } else { between })
            .name(&column.name)
            .push(" = ")
            .value(value);
    }
    if set.text.is_empty() {
        let missing = first_missing(table, columns).unwrap_or_default();
        let message = format!("the row for `{}` lacks the required column `{missing}`", table.name);
        return Err(Problem::invalid_request(message).with_param(missing));
    }
    let mut sql = Sql::default();
    sql.push("UPDATE ")
        .name(&table.name)
        .push(" SET ")
        .push(&set.text)
        .push(" WHERE ")
        .push(&key.text);
    sql.parameters = set.parameters;
    sql.parameters.append(&mut key.parameters);
    Ok(sql.into_statement(Some(1)))
}

fn update(table: &Table, change: Update) -> Result<Statement, Problem> {
    if change.set.is_empty() {
        return Err(Problem::invalid_request(format!(
            "an update of `{}` that sets nothing",
            table.name
        )));
    }
    let mut sql = Sql::default();
    sql.push("UPDATE ").name(&table.name).push(" SET ");
    for (at, (name, assignment)) in change.set.into_iter().enumerate() {
        let column = table.column(&name)?;
        sql.push(if at > 0 { ", " } else { "" }).name(&name).push(" = ");
        match assignment {
            Assignment::Set(value) => {
                sql.value(to_store(column, value)?);
            }
            Assignment::Add(amount) if column.of.is_number() => {
                // Nothing counted yet is zero.
                let zero = if column.of == Type::Real {
                    ", 0.0) + "
                } else {
                    ", 0) + "
                };
                sql.push("coalesce(")
                    .name(&name)
                    .push(zero)
                    .value(Value::Integer(amount));
            }
            Assignment::Add(_) => {
                let message = format!("the column `{name}` is no number that could be added to");
                return Err(Problem::invalid_request(message).with_param(name));
            }
        }
    }
    push_where(&mut sql, table, change.where_)?;
    Ok(sql.into_statement(change.expected_rows))
}

fn remove(table: &Table, change: Remove) -> Result<Statement, Problem> {
    let mut sql = Sql::default();
    sql.push("DELETE FROM ").name(&table.name);
    push_where(&mut sql, table, change.where_)?;
    Ok(sql.into_statement(change.expected_rows))
}
