//! Statistics of groups: the statement of an aggregation, and what comes back as a page. A measure's column is named after
//! it (`count`, `sum_total_us`, `quantile_total_us_0.95`), a grouping's after its field; the order goes by these names.

use encaje_sdk::errors::Problem;
use encaje_sdk::host::sql::Rows;
use encaje_sdk::storage::{Aggregation, Grouping, Measure, Order, Page, Statistic};
use encaje_sdk::values::Value;

use crate::catalog::{Column, Table, Type};
use crate::database::Sql;
use crate::filter::push_where;
use crate::limits::{MAX_MEASURES, MAX_ORDER, MAX_ROWS};
use crate::value::from_store;

/// A column of the result.
#[derive(Debug)]
struct Output {
    name: String,
    /// What its values are, where they have to be turned back.
    of: Type,
}

/// An aggregation that has been checked against its table.
#[derive(Debug)]
pub(crate) struct Summary {
    outputs: Vec<Output>,
    /// Groups at most.
    pub(crate) limit: u32,
    pub(crate) sql: Sql,
}

impl Summary {
    /// Checks an aggregation and makes its statement.
    ///
    /// # Errors
    /// `invalid-request` for unknown columns, statistics that a column does not have, and names that clash.
    pub(crate) fn new(table: &Table, aggregation: Aggregation) -> Result<Self, Problem> {
        let columns = aggregation.measures.len() + aggregation.by.len();
        if columns == 0 || columns > MAX_MEASURES {
            return Err(Problem::invalid_request(format!(
                "between 1 and {MAX_MEASURES} measures and groupings, please"
            )));
        }
        if aggregation.limit == 0 || aggregation.limit > MAX_ROWS {
            let message = format!("the limit must lie between 1 and {MAX_ROWS}");
            return Err(Problem::invalid_request(message).with_param("limit"));
        }
        let mut summary = Self {
            outputs: Vec::new(),
            limit: aggregation.limit,
            sql: Sql::default(),
        };
        summary.sql.push("SELECT ");
        for grouping in &aggregation.by {
            summary.push_grouping(table, grouping)?;
        }
        let groups = summary.outputs.len();
        for measure in &aggregation.measures {
            summary.push_measure(table, measure)?;
        }
        summary.sql.push(" FROM ").name(&table.name);
        push_where(&mut summary.sql, table, aggregation.where_)?;
        let places: Vec<String> = (1..=groups).map(|place| place.to_string()).collect();
        if groups > 0 {
            summary.sql.push(" GROUP BY ").push(&places.join(", "));
        }
        summary.push_order(&aggregation.order, &places)?;
        summary
            .sql
            .push(" LIMIT ")
            .value(Value::Integer(i64::from(aggregation.limit)));
        Ok(summary)
    }

    /// Starts a column of the result.
    fn output(&mut self, name: String, of: Type) -> Result<&mut Sql, Problem> {
        if self.outputs.iter().any(|output| output.name == name) {
            return Err(Problem::invalid_request(format!(
                "two columns of the result would be named `{name}`"
            )));
        }
        self.sql.push(if self.outputs.is_empty() { "" } else { ", " });
        self.outputs.push(Output { name, of });
        Ok(&mut self.sql)
    }

    fn push_grouping(&mut self, table: &Table, grouping: &Grouping) -> Result<(), Problem> {
        match grouping {
            Grouping::Field(name) => {
                let column = table.column(name)?;
                self.output(name.clone(), column.of)?.name(name);
            }
            Grouping::TimeBucket((name, width)) => {
                let column = table.column(name)?;
                if !matches!(column.of, Type::TimeUs | Type::Integer) {
                    return Err(unfit(column, "has no buckets of time"));
                }
                let width = i64::try_from(*width).ok().filter(|width| *width > 0);
                let width = width.ok_or_else(|| unfit(column, "cannot have buckets of this width"))?;
                // SQLite's remainder has the sign of the time, so that buckets before 1970 need a second step. The width
                // is a number of ours, not a parameter, since the grouping must be the same expression.
                let sql = self.output(name.clone(), Type::Integer)?;
                sql.name(name)
                    .push(" - ((")
                    .name(name)
                    .push(&format!(" % {width}) + {width}) % {width}"));
            }
        }
        Ok(())
    }

    fn push_measure(&mut self, table: &Table, measure: &Measure) -> Result<(), Problem> {
        let column = measure.field.as_deref().map(|name| table.column(name)).transpose()?;
        let function = match measure.statistic {
            Statistic::Count => "count",
            Statistic::Sum => "sum",
            Statistic::Avg => "avg",
            Statistic::Min => "min",
            Statistic::Max => "max",
            Statistic::Quantile => "quantile",
        };
        let Some(column) = column else {
            if measure.statistic != Statistic::Count {
                return Err(Problem::invalid_request(format!("`{function}` needs a field")).with_param("measures"));
            }
            self.output("count".to_owned(), Type::Integer)?.push("count(*)");
            return Ok(());
        };
        let of_numbers = matches!(measure.statistic, Statistic::Sum | Statistic::Avg | Statistic::Quantile);
        if of_numbers && !column.of.is_number() {
            return Err(unfit(column, &format!("is no number, so it has no `{function}`")));
        }
        let mut name = format!("{function}_{}", column.name);
        let of = match measure.statistic {
            Statistic::Count => Type::Integer,
            Statistic::Sum | Statistic::Min | Statistic::Max => column.of,
            Statistic::Avg | Statistic::Quantile => Type::Real,
        };
        let quantile = match (measure.statistic, measure.quantile) {
            (Statistic::Quantile, Some(quantile)) if (0.0..=1.0).contains(&quantile) => Some(quantile),
            (Statistic::Quantile, _) => return Err(unfit(column, "needs a quantile in [0, 1]")),
            (_, _) => None,
        };
        if let Some(quantile) = quantile {
            name.push_str(&format!("_{quantile}"));
        }
        let sql = self.output(name, of)?;
        sql.push(function).push("(").name(&column.name);
        if let Some(quantile) = quantile {
            sql.push(", ").value(Value::Real(quantile));
        }
        sql.push(")");
        Ok(())
    }

    /// By what was asked for, then by the groups, so that the order is always a full one.
    fn push_order(&mut self, order: &[Order], groups: &[String]) -> Result<(), Problem> {
        if order.len() > MAX_ORDER {
            return Err(Problem::too_large(format!("more than {MAX_ORDER} sort keys")).with_param("order"));
        }
        let mut terms = Vec::new();
        for key in order {
            let place = self
                .outputs
                .iter()
                .position(|output| output.name == key.field)
                .ok_or_else(|| {
                    let names: Vec<&str> = self.outputs.iter().map(|output| output.name.as_str()).collect();
                    let message = format!("the result has no column `{}`, only {}", key.field, names.join(", "));
                    Problem::invalid_request(message).with_param("order")
                })?;
            terms.push(format!("{}{}", place + 1, if key.descending { " DESC" } else { "" }));
        }
        terms.extend_from_slice(groups);
        if !terms.is_empty() {
            self.sql.push(" ORDER BY ").push(&terms.join(", "));
        }
        Ok(())
    }

    /// The page of these rows; there is no next one.
    pub(crate) fn page(&self, rows: Rows) -> Page {
        let rows = rows.values.into_iter().map(|row| {
            let stored = row.into_iter().zip(&self.outputs);
            stored.map(|(value, output)| from_store(output.of, value)).collect()
        });
        let columns = self.outputs.iter().map(|output| output.name.clone()).collect();
        Page {
            columns,
            rows: rows.collect(),
            next: None,
        }
    }
}

fn unfit(column: &Column, why: &str) -> Problem {
    Problem::invalid_request(format!("the column `{}` {why}", column.name)).with_param(&column.name)
}
