//! Pages of rows: the statement of a query, and what comes back as a page. Paging goes by the sort keys of the last row
//! ("keyset"), with the table's key as the last resort, so that no row is shown twice or left out while others come and go.

use encaje_sdk::errors::Problem;
use encaje_sdk::host::sql::Rows;
use encaje_sdk::storage::{Order, Page, Query};
use encaje_sdk::values::{Filter, Value};

use crate::catalog::{Column, Table};
use crate::cursor;
use crate::database::Sql;
use crate::filter::push_condition;
use crate::limits::{MAX_ORDER, MAX_ROWS};
use crate::value::from_store;

/// One sort key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sort<'a> {
    pub(crate) column: &'a Column,
    pub(crate) descending: bool,
}

/// A query that has been checked against its table.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    table: &'a Table,
    /// What the caller wants, in order.
    wanted: Vec<&'a Column>,
    /// What is selected: that, and the sort keys that it lacks.
    selected: Vec<&'a Column>,
    sort: Vec<Sort<'a>>,
    /// Rows of the page.
    pub(crate) limit: u32,
    pub(crate) sql: Sql,
}

impl<'a> Reading<'a> {
    /// Checks a query and makes its statement.
    ///
    /// # Errors
    /// `invalid-request` for unknown columns, a foreign cursor, or a limit out of range.
    pub(crate) fn new(table: &'a Table, query: Query) -> Result<Self, Problem> {
        if query.limit == 0 || query.limit > MAX_ROWS {
            let message = format!("the limit must lie between 1 and {MAX_ROWS}");
            return Err(Problem::invalid_request(message).with_param("limit"));
        }
        let wanted: Vec<&Column> = if query.columns.is_empty() {
            table.columns.iter().collect()
        } else {
            query
                .columns
                .iter()
                .map(|name| table.column(name))
                .collect::<Result<_, _>>()?
        };
        let sort = sort_of(table, &query.order)?;
        let mut selected = wanted.clone();
        for key in &sort {
            if !selected.iter().any(|column| column.name == key.column.name) {
                selected.push(key.column);
            }
        }
        let after = query
            .cursor
            .map(|text| cursor::decode(&table.name, &sort, &text))
            .transpose()?;
        let mut reading = Self {
            table,
            wanted,
            selected,
            sort,
            limit: query.limit,
            sql: Sql::default(),
        };
        reading.build(query.where_, after)?;
        Ok(reading)
    }

    fn build(&mut self, filter: Filter, after: Option<Vec<Value>>) -> Result<(), Problem> {
        let sql = &mut self.sql;
        sql.push("SELECT ")
            .names(self.selected.iter().map(|column| column.name.as_str()));
        sql.push(" FROM ").name(&self.table.name);
        let filtered = !filter.is_empty();
        if filtered {
            sql.push(" WHERE ");
            push_condition(sql, self.table, filter)?;
        }
        if let Some(after) = &after {
            sql.push(if filtered { " AND " } else { " WHERE " });
            push_after(sql, &self.sort, after);
        }
        sql.push(" ORDER BY ");
        for (at, key) in self.sort.iter().enumerate() {
            sql.push(if at > 0 { ", " } else { "" }).name(&key.column.name);
            sql.push(if key.descending { " DESC" } else { "" });
        }
        // One row more than the page has tells whether there is another page.
        sql.push(" LIMIT ").value(Value::Integer(i64::from(self.limit) + 1));
        Ok(())
    }

    /// The page of these rows.
    ///
    /// # Errors
    /// `too-large` where the sort keys are too long for a cursor.
    pub(crate) fn page(&self, rows: Rows) -> Result<Page, Problem> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.more || rows.values.len() > limit;
        let mut values = rows.values;
        values.truncate(limit);
        let next = match values.last() {
            Some(last) if more => Some(cursor::encode(&self.table.name, &self.sort, &self.keys_of(last)?)?),
            _ => None,
        };
        let rows = values.into_iter().map(|row| {
            let stored = row.into_iter().zip(&self.wanted);
            stored.map(|(value, column)| from_store(column.of, value)).collect()
        });
        let columns = self.wanted.iter().map(|column| column.name.clone()).collect();
        Ok(Page {
            columns,
            rows: rows.collect(),
            next,
        })
    }

    fn keys_of(&self, row: &[Value]) -> Result<Vec<Value>, Problem> {
        let value_of = |key: &Sort<'_>| {
            let place = self.selected.iter().position(|column| column.name == key.column.name);
            let value = place.and_then(|place| row.get(place)).cloned();
            value.ok_or_else(|| Problem::internal("a row came back without its sort keys"))
        };
        self.sort.iter().map(value_of).collect()
    }
}

/// The whole order: what was asked for, then the key, in the direction of the last explicit one, so that one index may
/// serve both.
fn sort_of<'a>(table: &'a Table, order: &[Order]) -> Result<Vec<Sort<'a>>, Problem> {
    if order.len() > MAX_ORDER {
        return Err(Problem::too_large(format!("more than {MAX_ORDER} sort keys")).with_param("order"));
    }
    let mut sort: Vec<Sort<'a>> = Vec::new();
    let descending = order.last().is_some_and(|last| last.descending);
    let explicit = order.iter().map(|order| (order.field.as_str(), order.descending));
    let implicit = table.key.iter().map(|name| (name.as_str(), descending));
    for (name, descending) in explicit.chain(implicit) {
        let column = table.column(name)?;
        // A column that is sorted by already decides nothing a second time.
        if !sort.iter().any(|key| key.column.name == column.name) {
            sort.push(Sort { column, descending });
        }
    }
    Ok(sort)
}

/// Appends the condition "behind these sort keys". Null is less than everything, as SQLite sorts it.
fn push_after(sql: &mut Sql, sort: &[Sort<'_>], after: &[Value]) {
    sql.push("(");
    // Said once more for the first key alone, since SQLite finds no range in the alternatives that follow.
    if let (Some(first), Some(value)) = (sort.first(), after.first())
        && !matches!(value, Value::Null)
        && (first.column.required || !first.descending)
    {
        let operator = if first.descending { " <= " } else { " >= " };
        sql.name(&first.column.name)
            .push(operator)
            .value(value.clone())
            .push(" AND ");
    }
    sql.push("(");
    for (at, (key, value)) in sort.iter().zip(after).enumerate() {
        sql.push(if at > 0 { " OR (" } else { "(" });
        for (equal, value) in sort.iter().zip(after).take(at) {
            sql.name(&equal.column.name)
                .push(" IS ")
                .value(value.clone())
                .push(" AND ");
        }
        push_behind(sql, key, value);
        sql.push(")");
    }
    sql.push("))");
}

/// Appends "this key is behind this value".
fn push_behind(sql: &mut Sql, key: &Sort<'_>, value: &Value) {
    match (value, key.descending) {
        (Value::Null, false) => {
            sql.name(&key.column.name).push(" IS NOT NULL");
        }
        (Value::Null, true) => {
            sql.push("0");
        }
        (value, false) => {
            sql.name(&key.column.name).push(" > ").value(value.clone());
        }
        (value, true) => {
            sql.push("(").name(&key.column.name).push(" < ").value(value.clone());
            if !key.column.required {
                sql.push(" OR ").name(&key.column.name).push(" IS NULL");
            }
            sql.push(")");
        }
    }
}
