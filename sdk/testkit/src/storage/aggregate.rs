//! Figures of groups, against the book.

use std::sync::Arc;

use encaje_core::ports::Storage;
use encaje_core::problem::ProblemKind;
use encaje_core::storage::{Aggregation, Grouping, Measure, Mutation, Order, Page, Statistic};
use encaje_core::value::{Filter, Value};

use super::fixture::{FIELDS, Row, Store, matching, of, order, rows, table, upsert};
use crate::generate;
use crate::oracle;
use crate::run::{Verdict, ensure, fail, property, refused, same, shown, skip, told};
use crate::settings::Settings;

fn measure(statistic: Statistic, field: &str) -> Measure {
    Measure {
        statistic,
        field: (!field.is_empty()).then(|| field.to_owned()),
        quantile: (statistic == Statistic::Quantile).then_some(0.25),
    }
}

fn question(filter: Filter, measures: Vec<Measure>, by: Vec<Grouping>) -> Aggregation {
    Aggregation {
        table: table(),
        filter,
        measures,
        by,
        order: Vec::new(),
        limit: 1_000,
    }
}

async fn ask(store: &Store, question: &Aggregation) -> Verdict<Page> {
    match store.port.aggregate(&store.call, question).await {
        Ok(page) => Ok(page),
        Err(problem) if problem.kind == ProblemKind::Unsupported => skip("it offers no aggregate"),
        Err(problem) => fail(format!("figures were expected, {} came", told(&problem))),
    }
}

/// The name of a measure's column, as the contract has it.
fn name(measure: &Measure) -> String {
    let word = match measure.statistic {
        Statistic::Count => "count",
        Statistic::Sum => "sum",
        Statistic::Avg => "avg",
        Statistic::Min => "min",
        Statistic::Max => "max",
        Statistic::Quantile => "quantile",
    };
    let field = measure.field.iter().map(|field| format!("_{field}"));
    let quantile = measure.quantile.iter().map(|quantile| format!("_{quantile}"));
    std::iter::once(word.to_owned()).chain(field).chain(quantile).collect()
}

/// The figure of one group, by the book.
fn figure(measure: &Measure, group: &[&Row]) -> Value {
    let Some(field) = &measure.field else {
        return Value::Integer(group.len() as i64);
    };
    let values: Vec<Value> = group
        .iter()
        .map(|row| of(row, field).clone())
        .filter(|value| *value != Value::Null)
        .collect();
    let numbers = || oracle::numbers(&values);
    let real = |number: Option<f64>| number.map_or(Value::Null, Value::Real);
    let sum = (!values.is_empty()).then(|| numbers().iter().sum::<f64>());
    match measure.statistic {
        Statistic::Count => Value::Integer(values.len() as i64),
        Statistic::Min => values.iter().cloned().min_by(oracle::compare).unwrap_or(Value::Null),
        Statistic::Max => values.iter().cloned().max_by(oracle::compare).unwrap_or(Value::Null),
        Statistic::Sum => real(sum),
        Statistic::Avg => real(sum.map(|sum| sum / values.len() as f64)),
        Statistic::Quantile => real(oracle::quantile(numbers(), measure.quantile.unwrap_or(0.5))),
    }
}

/// The answer by the book, in no order.
fn book(rows: &[Row], question: &Aggregation, fields: &[&str]) -> Vec<Row> {
    let mut groups: Vec<(Row, Vec<&Row>)> = Vec::new();
    for row in rows {
        let key: Row = fields.iter().map(|field| of(row, field).clone()).collect();
        match groups.iter_mut().find(|(own, _)| *own == key) {
            Some((_, group)) => group.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    if fields.is_empty() && groups.is_empty() {
        groups.push((Vec::new(), Vec::new()));
    }
    let whole = |(mut key, group): (Row, Vec<&Row>)| {
        key.extend(question.measures.iter().map(|measure| figure(measure, &group)));
        key
    };
    groups.into_iter().map(whole).collect()
}

/// Rows of figures agree, whatever their order.
fn same_figures(mut came: Vec<Row>, mut expected: Vec<Row>, keys: usize) -> Verdict {
    let by_key = |left: &Row, right: &Row| {
        let pairs = left.iter().zip(right).take(keys);
        let mut orderings = pairs.map(|(left, right)| oracle::compare(left, right));
        orderings
            .find(|ordering| ordering.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    };
    came.sort_by(by_key);
    expected.sort_by(by_key);
    let close = |(came, expected): (&Row, &Row)| {
        came.len() == expected.len()
            && came
                .iter()
                .zip(expected)
                .all(|(came, expected)| oracle::close(came, expected))
    };
    let same = came.len() == expected.len() && came.iter().zip(&expected).all(close);
    ensure(same, || {
        format!("the figures {} were expected, {} came", shown(&expected), shown(&came))
    })
}

pub(super) async fn figures(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let by = proptest::sample::subsequence(vec!["kind", "flag", "rank"], 0..=2);
    let strategy = (rows(), generate::filter(&FIELDS), by);
    property(settings, strategy, async |(rows, filter, by)| {
        let store = Store::filled(make, settings, &rows).await?;
        let measures = vec![
            measure(Statistic::Count, ""),
            measure(Statistic::Count, "note"),
            measure(Statistic::Sum, "rank"),
            measure(Statistic::Sum, "weight"),
            measure(Statistic::Avg, "rank"),
            measure(Statistic::Min, "note"),
            measure(Statistic::Max, "weight"),
            measure(Statistic::Quantile, "rank"),
            measure(Statistic::Quantile, "weight"),
        ];
        let groupings = by.iter().map(|field| Grouping::Field((*field).to_owned())).collect();
        let question = question(filter.clone(), measures, groupings);
        let page = ask(&store, &question).await?;
        let mut columns: Vec<String> = by.iter().map(|field| (*field).to_owned()).collect();
        columns.extend(question.measures.iter().map(name));
        same("the columns", &page.columns, &columns)?;
        let expected = book(&matching(&rows, &filter), &question, &by);
        same_figures(page.rows, expected, by.len())
    })
    .await
}

pub(super) async fn buckets(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let times = proptest::collection::vec(-50_i64..50, 1..20);
    property(settings, (times, 1_u64..30), async |(times, width)| {
        let store = Store::new(make, settings).await?;
        let row = |(at, time): (usize, &i64)| -> Mutation {
            upsert(&[
                ("id", at.to_string().into()),
                ("kind", "x".into()),
                ("at", (*time).into()),
            ])
        };
        let batch: Vec<Mutation> = times.iter().enumerate().map(row).collect();
        store.write(&batch).await?;
        let by = vec![Grouping::TimeBucket("at".to_owned(), width)];
        let page = ask(&store, &question(Vec::new(), vec![measure(Statistic::Count, "")], by)).await?;
        same("the columns", &page.columns, &vec!["at".to_owned(), "count".to_owned()])?;
        let width = i64::try_from(width).unwrap_or(i64::MAX);
        let mut starts: Vec<i64> = times.iter().map(|time| time.div_euclid(width) * width).collect();
        starts.sort_unstable();
        let group = |group: &[i64]| vec![Value::from(group.first().copied()), Value::Integer(group.len() as i64)];
        let expected = starts.chunk_by(|left, right| left == right).map(group).collect();
        same_figures(page.rows, expected, 1)
    })
    .await
}

pub(super) async fn nothing(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    let measures = vec![
        measure(Statistic::Count, ""),
        measure(Statistic::Sum, "rank"),
        measure(Statistic::Avg, "rank"),
        measure(Statistic::Max, "note"),
        measure(Statistic::Quantile, "rank"),
    ];
    let page = ask(&store, &question(Vec::new(), measures, Vec::new())).await?;
    let expected = vec![Value::Integer(0), Value::Null, Value::Null, Value::Null, Value::Null];
    same("the figures of nothing", &page.rows, &vec![expected])?;
    let by = vec![Grouping::Field("kind".to_owned())];
    let page = ask(&store, &question(Vec::new(), vec![measure(Statistic::Count, "")], by)).await?;
    same("the groups of nothing", &page.rows, &Vec::new())
}

pub(super) async fn ordered(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    let kinds = ["b", "a", "c", "b", "c", "c", "d"];
    let row = |(at, kind): (usize, &&str)| upsert(&[("id", at.to_string().into()), ("kind", (*kind).into())]);
    store
        .write(&kinds.iter().enumerate().map(row).collect::<Vec<_>>())
        .await?;
    let by = vec![Grouping::Field("kind".to_owned())];
    let mut question = question(Vec::new(), vec![measure(Statistic::Count, "")], by);
    let wanted: [(Vec<Order>, [&str; 4]); 3] = [
        (vec![order("count", true), order("kind", false)], ["c", "b", "a", "d"]),
        (vec![order("count", false), order("kind", true)], ["d", "a", "b", "c"]),
        (vec![order("kind", true)], ["d", "c", "b", "a"]),
    ];
    for (order, expected) in wanted {
        for limit in [4, 2] {
            question.order.clone_from(&order);
            question.limit = limit;
            let page = ask(&store, &question).await?;
            let came: Vec<&str> = page.rows.iter().filter_map(|row| row.first()?.as_text()).collect();
            let expected: Vec<&str> = expected.iter().copied().take(limit as usize).collect();
            same(&format!("the groups by {order:?}"), &came, &expected)?;
        }
    }
    Ok(())
}

pub(super) async fn unknown(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    let count = || vec![measure(Statistic::Count, "")];
    ask(&store, &question(Vec::new(), count(), Vec::new())).await?;
    let too_much = Measure {
        quantile: Some(1.5),
        ..measure(Statistic::Quantile, "rank")
    };
    let field = |field: &str| vec![Grouping::Field(field.to_owned())];
    let mut sorted = question(Vec::new(), count(), Vec::new());
    sorted.order = vec![order("rank", false)];
    let mut none = question(Vec::new(), count(), Vec::new());
    none.limit = 0;
    for (what, wrong) in [
        ("no measure and no group", question(Vec::new(), Vec::new(), Vec::new())),
        (
            "a sum of no field",
            question(Vec::new(), vec![measure(Statistic::Sum, "")], Vec::new()),
        ),
        (
            "a sum of a field that does not exist",
            question(Vec::new(), vec![measure(Statistic::Sum, "nobody")], Vec::new()),
        ),
        ("a quantile above 1", question(Vec::new(), vec![too_much], Vec::new())),
        (
            "groups of a field that does not exist",
            question(Vec::new(), count(), field("nobody")),
        ),
        (
            "buckets of no width",
            question(Vec::new(), count(), vec![Grouping::TimeBucket("at".to_owned(), 0)]),
        ),
        ("an order by what is no column of the result", sorted),
        ("no groups at most", none),
    ] {
        let outcome = store.port.aggregate(&store.call, &wrong).await;
        refused(what, outcome, &[ProblemKind::InvalidRequest])?;
    }
    Ok(())
}
