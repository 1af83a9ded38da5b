//! Aggregations: names, orders, wrong questions. The figures are the oracle's business.

use encaje_sdk::errors::ProblemKind;
use encaje_sdk::storage::{Aggregation, Grouping, Measure, Statistic};
use encaje_sdk::values::Value;

use super::fixture::{aggregation, measure, order, same, store, text, upsert, write};
use super::sqlite::Sqlite;
use crate::store;

fn quantile(field: &str, quantile: f64) -> Measure {
    Measure {
        quantile: Some(quantile),
        ..measure(Statistic::Quantile, field)
    }
}

fn filled() -> Sqlite {
    let database = store();
    let row = |id: i64, kind: &str, rank: i64, at: i64| {
        upsert(&[
            ("id", text(&id.to_string())),
            ("kind", text(kind)),
            ("rank", Value::Integer(rank)),
            ("at", Value::Integer(at)),
            ("flag", Value::Boolean(rank > 1)),
        ])
    };
    write(
        &database,
        vec![
            row(1, "a", 1, -1),
            row(2, "a", 3, 0),
            row(3, "b", 9, 9),
            row(4, "b", 9, 10),
            row(5, "c", 2, 25),
        ],
    );
    database
}

#[test]
fn columns_are_named_after_what_they_are_and_sort_by_it() {
    let database = filled();
    let mut question = aggregation(
        vec![
            measure(Statistic::Count, ""),
            measure(Statistic::Sum, "rank"),
            quantile("rank", 0.5),
        ],
        vec![Grouping::Field("kind".to_owned())],
    );
    question.order = order(&["-sum_rank", "kind"]);
    let page = store::aggregate(&database, question.clone()).unwrap();
    assert_eq!(page.columns, ["kind", "count", "sum_rank", "quantile_rank_0.5"]);
    let expected = [("b", 2, 18, 9.0), ("a", 2, 4, 2.0), ("c", 1, 2, 2.0)];
    for (row, (kind, count, sum, median)) in page.rows.iter().zip(expected) {
        let wanted = [
            text(kind),
            Value::Integer(count),
            Value::Integer(sum),
            Value::Real(median),
        ];
        assert!(
            row.iter().zip(&wanted).all(|(got, wanted)| same(got, wanted)),
            "{row:?}"
        );
    }
    question.limit = 1;
    assert_eq!(store::aggregate(&database, question).unwrap().rows.len(), 1);
}

#[test]
fn buckets_start_at_multiples_of_their_width_before_1970_too() {
    let database = filled();
    let by = vec![Grouping::TimeBucket(("at".to_owned(), 10))];
    let page = store::aggregate(&database, aggregation(vec![measure(Statistic::Count, "at")], by)).unwrap();
    assert_eq!(page.columns, ["at", "count_at"]);
    let rows: Vec<String> = page.rows.iter().map(|row| format!("{row:?}")).collect();
    let expected = [(-10, 1), (0, 2), (10, 1), (20, 1)];
    let expected = expected.map(|(start, count)| format!("{:?}", [Value::Integer(start), Value::Integer(count)]));
    assert_eq!(rows, expected);
}

#[test]
fn the_least_boolean_is_a_boolean() {
    let database = filled();
    let page = store::aggregate(
        &database,
        aggregation(vec![measure(Statistic::Min, "flag")], Vec::new()),
    )
    .unwrap();
    assert!(same(&page.rows[0][0], &Value::Boolean(false)));
}

#[test]
fn nothing_has_a_count_and_no_sum() {
    let measures = vec![
        measure(Statistic::Count, ""),
        measure(Statistic::Sum, "rank"),
        quantile("rank", 0.9),
    ];
    let page = store::aggregate(&store(), aggregation(measures, Vec::new())).unwrap();
    assert_eq!(
        format!("{:?}", page.rows),
        format!("{:?}", [[Value::Integer(0), Value::Null, Value::Null]])
    );
}

#[test]
fn wrong_questions_are_refused() {
    let database = filled();
    let count = || vec![measure(Statistic::Count, "")];
    let ordered = |keys: &[&str]| Aggregation {
        order: order(keys),
        ..aggregation(count(), Vec::new())
    };
    for wrong in [
        aggregation(Vec::new(), Vec::new()),
        aggregation(vec![measure(Statistic::Sum, "")], Vec::new()),
        aggregation(vec![measure(Statistic::Sum, "kind")], Vec::new()),
        aggregation(vec![measure(Statistic::Sum, "nobody")], Vec::new()),
        aggregation(vec![measure(Statistic::Quantile, "rank")], Vec::new()),
        aggregation(vec![quantile("rank", 1.5)], Vec::new()),
        aggregation(vec![quantile("rank", f64::NAN)], Vec::new()),
        aggregation([count(), count()].concat(), Vec::new()),
        aggregation(count(), vec![Grouping::TimeBucket(("at".to_owned(), 0))]),
        aggregation(count(), vec![Grouping::TimeBucket(("at".to_owned(), u64::MAX))]),
        aggregation(count(), vec![Grouping::TimeBucket(("kind".to_owned(), 5))]),
        ordered(&["rank"]),
        Aggregation {
            limit: 0,
            ..aggregation(count(), Vec::new())
        },
    ] {
        let said = format!("{wrong:?}");
        let problem = store::aggregate(&database, wrong).unwrap_err();
        assert!(
            matches!(problem.kind, ProblemKind::InvalidRequest),
            "{said}: {problem:?}"
        );
    }
    assert_eq!(store::aggregate(&database, ordered(&["-count"])).unwrap().rows.len(), 1);
}
