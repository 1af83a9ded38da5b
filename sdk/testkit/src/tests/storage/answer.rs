//! The reads and figures of the store in memory.

use std::cmp::Ordering;

use encaje_core::Problem;
use encaje_core::storage::{Aggregation, Grouping, Measure, Order, Page, Query, Statistic};
use encaje_core::value::{Comparator, Comparison, Filter, Value};

use super::{Kept, Row, refuse};
use crate::oracle;

fn of(row: &Row, field: &str) -> Value {
    row.get(field).cloned().unwrap_or(Value::Null)
}

fn holds(row: &Row, filter: &Filter, wrong: &str) -> bool {
    let one = |comparison: &Comparison| {
        let own = of(row, &comparison.field);
        let text = own.as_text().unwrap_or_default().to_lowercase();
        let wanted = comparison.values.first().and_then(Value::as_text).unwrap_or_default();
        match (wrong, comparison.by) {
            ("nulls differ", Comparator::NotEqual | Comparator::NotOneOf) if own == Value::Null => true,
            ("borders", Comparator::LessOrEqual | Comparator::GreaterOrEqual) => {
                oracle::holds(&own, comparison) && !oracle::equal(&own, &comparison.values[0])
            }
            ("any word", Comparator::MatchesText) => wanted
                .split_whitespace()
                .any(|word| text.contains(&word.to_lowercase())),
            _ => oracle::holds(&own, comparison),
        }
    };
    filter.is_empty() || filter.iter().any(|group| group.iter().all(one))
}

fn compare(left: &Row, right: &Row, orders: &[Order]) -> Ordering {
    let by_key = |key: &Order| {
        let ordering = oracle::compare(&of(left, &key.field), &of(right, &key.field));
        if key.descending { ordering.reverse() } else { ordering }
    };
    orders
        .iter()
        .map(by_key)
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// A cursor is the question's table and order, and the last row's values of it.
fn cursor(query: &Query, orders: &[Order], row: &Row) -> String {
    let values: Vec<Value> = orders.iter().map(|key| of(row, &key.field)).collect();
    let values = serde_json::to_string(&values).unwrap();
    format!("{}|{:?}|{values}", query.table, query.order)
}

pub(super) fn read(kept: &Kept, query: &Query, wrong: &str) -> Result<Page, Problem> {
    kept.check(&query.filter)?;
    let names = query.columns.iter().chain(query.order.iter().map(|key| &key.field));
    names.map(|name| kept.column(name)).collect::<Result<Vec<_>, _>>()?;
    if query.limit == 0 {
        return refuse("limit", "At least one row must be asked for.");
    }
    let mut orders = query.order.clone();
    if wrong != "no ties" {
        let keys = kept.table.key.iter();
        orders.extend(keys.map(|field| Order {
            field: field.clone(),
            descending: false,
        }));
    }
    let mut all: Vec<&Row> = kept.rows.iter().collect();
    all.sort_by(|left, right| compare(left, right, &orders));
    let start = match &query.cursor {
        None => 0,
        Some(own) if matches!(wrong, "offsets" | "no ties") => {
            own.parse().or_else(|_| refuse("cursor", "The cursor is foreign."))?
        }
        Some(_) if wrong == "any cursor" => 1,
        Some(own) => place(own, query, &orders, &all)?,
    };
    let mut rows = all.iter().skip(start).filter(|row| holds(row, &query.filter, wrong));
    let extra = usize::from(wrong == "one more");
    let page: Vec<&&Row> = rows.by_ref().take(query.limit as usize + extra).collect();
    let last = page.last().filter(|_| rows.next().is_some());
    let next = last.map(|last| match wrong {
        "offsets" | "no ties" => {
            let place = all.iter().position(|row| std::ptr::eq(*row, **last));
            (place.unwrap_or(0) + 1).to_string()
        }
        _ => cursor(query, &orders, last),
    });
    let declared = || kept.table.columns.iter().map(|column| column.name.clone()).collect();
    let columns: Vec<String> = if query.columns.is_empty() {
        declared()
    } else {
        query.columns.clone()
    };
    let values = |row: &&&Row| columns.iter().map(|column| of(row, column)).collect();
    Ok(Page {
        rows: page.iter().map(values).collect(),
        columns,
        next,
    })
}

/// The first row behind a cursor: found by its values, so that it may be gone.
fn place(own: &str, query: &Query, orders: &[Order], all: &[&Row]) -> Result<usize, Problem> {
    let ours = format!("{}|{:?}|", query.table, query.order);
    let Some(values) = own.strip_prefix(&ours) else {
        return refuse("cursor", "The cursor is foreign.");
    };
    let Ok(values) = serde_json::from_str::<Vec<Value>>(values) else {
        return refuse("cursor", "The cursor is broken.");
    };
    let row: Row = orders.iter().map(|key| key.field.clone()).zip(values).collect();
    Ok(all.partition_point(|other| compare(other, &row, orders).is_le()))
}

fn figure(measure: &Measure, group: &[&Row], wrong: &str) -> Value {
    let Some(field) = &measure.field else {
        return Value::Integer(group.len() as i64);
    };
    let all: Vec<Value> = group.iter().map(|row| of(row, field)).collect();
    let values: Vec<Value> = all.iter().filter(|value| **value != Value::Null).cloned().collect();
    let mut numbers = oracle::numbers(&values);
    let sum: f64 = numbers.iter().sum();
    let real = |number: f64| {
        if numbers.is_empty() {
            Value::Null
        } else {
            Value::Real(number)
        }
    };
    match measure.statistic {
        Statistic::Count if wrong == "counts nulls" => Value::Integer(all.len() as i64),
        Statistic::Count => Value::Integer(values.len() as i64),
        Statistic::Sum if wrong == "sum of nothing" => Value::Real(sum),
        Statistic::Sum => real(sum),
        Statistic::Avg => real(sum / numbers.len() as f64),
        Statistic::Min => values.iter().cloned().min_by(oracle::compare).unwrap_or(Value::Null),
        Statistic::Max => values.iter().cloned().max_by(oracle::compare).unwrap_or(Value::Null),
        Statistic::Quantile => {
            let quantile = measure.quantile.unwrap();
            if wrong == "nearest rank" {
                numbers.sort_by(f64::total_cmp);
                let place = (quantile * numbers.len() as f64) as usize;
                return numbers.get(place).map_or(Value::Null, |number| Value::Real(*number));
            }
            oracle::quantile(numbers, quantile).map_or(Value::Null, Value::Real)
        }
    }
}

fn named(measure: &Measure) -> String {
    let word = format!("{:?}", measure.statistic).to_lowercase();
    let field = measure
        .field
        .as_ref()
        .map(|field| format!("_{field}"))
        .unwrap_or_default();
    let quantile = measure
        .quantile
        .map(|quantile| format!("_{quantile}"))
        .unwrap_or_default();
    word + &field + &quantile
}

fn check(kept: &Kept, question: &Aggregation, columns: &[String]) -> Result<(), Problem> {
    kept.check(&question.filter)?;
    let plain = |measure: &Measure| match (measure.statistic, &measure.field) {
        (Statistic::Count, None) => true,
        (_, None) => false,
        (Statistic::Quantile, Some(_)) => measure.quantile.is_some_and(|own| (0.0..=1.0).contains(&own)),
        _ => true,
    };
    let known = |measure: &Measure| measure.field.as_ref().is_none_or(|field| kept.column(field).is_ok());
    let grouped = |by: &Grouping| match by {
        Grouping::Field(field) => kept.column(field).is_ok(),
        Grouping::TimeBucket(field, width) => kept.column(field).is_ok() && *width > 0,
    };
    let sound = question.limit > 0
        && !columns.is_empty()
        && question.measures.iter().all(|measure| plain(measure) && known(measure))
        && question.by.iter().all(grouped)
        && question.order.iter().all(|key| columns.contains(&key.field));
    if sound {
        Ok(())
    } else {
        refuse("measures", "The question is wrong.")
    }
}

pub(super) fn aggregate(kept: &Kept, question: &Aggregation, wrong: &str) -> Result<Page, Problem> {
    let field = |by: &Grouping| match by {
        Grouping::Field(field) | Grouping::TimeBucket(field, _) => field.clone(),
    };
    let mut columns: Vec<String> = question.by.iter().map(field).collect();
    columns.extend(question.measures.iter().map(named));
    check(kept, question, &columns)?;
    let key_of = |row: &Row, by: &Grouping| match by {
        Grouping::Field(field) => of(row, field),
        Grouping::TimeBucket(field, width) => {
            let (time, width) = (of(row, field).as_integer().unwrap(), *width as i64);
            let start = if wrong == "towards zero" {
                time / width
            } else {
                time.div_euclid(width)
            };
            Value::Integer(start * width)
        }
    };
    let mut groups: Vec<(Vec<Value>, Vec<&Row>)> = Vec::new();
    for row in kept.rows.iter().filter(|row| holds(row, &question.filter, wrong)) {
        let key: Vec<Value> = question.by.iter().map(|by| key_of(row, by)).collect();
        match groups.iter_mut().find(|(own, _)| *own == key) {
            Some((_, group)) => group.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    if question.by.is_empty() && groups.is_empty() {
        groups.push((Vec::new(), Vec::new()));
    }
    let whole = |(key, group): (Vec<Value>, Vec<&Row>)| -> Row {
        let figures = question.measures.iter().map(|measure| figure(measure, &group, wrong));
        columns.iter().cloned().zip(key.into_iter().chain(figures)).collect()
    };
    let mut rows: Vec<Row> = groups.into_iter().map(whole).collect();
    if wrong != "unordered groups" {
        rows.sort_by(|left, right| compare(left, right, &question.order));
    }
    rows.truncate(question.limit as usize);
    let values = |row: &Row| columns.iter().map(|column| of(row, column)).collect();
    Ok(Page {
        rows: rows.iter().map(values).collect(),
        columns,
        next: None,
    })
}
