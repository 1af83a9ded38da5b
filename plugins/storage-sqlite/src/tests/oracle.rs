//! Random rows and random questions, answered by the plugin and by a plain model of them; both must agree, page by page.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use encaje_sdk::storage::{Aggregation, Grouping, Measure, Order, Statistic};
use encaje_sdk::values::{Comparator, Comparison, Filter, Value};
use proptest::prelude::*;

use super::fixture::{measure, query, same, store, upsert, write};
use super::sqlite::{Sqlite, interpolate};
use crate::store as plugin;

const FIELDS: [&str; 6] = ["id", "kind", "rank", "weight", "note", "flag"];

/// A row in the order of [`FIELDS`].
pub(super) type Row = Vec<Value>;

/// A value that a column of that name may hold; few different ones, so that rows meet.
fn value(field: &'static str) -> BoxedStrategy<Value> {
    let texts = || proptest::sample::select(vec!["", "a", "ab", "abc", "b", "ñ", "\u{d7ff}x", "\u{e000}", "🌊"]);
    match field {
        "rank" => (-3_i64..4).prop_map(Value::Integer).boxed(),
        "weight" => proptest::sample::select(vec![-1.5, -0.1, 0.0, 0.1, 0.30000000000000004, 2.0, f64::INFINITY])
            .prop_map(Value::Real)
            .boxed(),
        "flag" => any::<bool>().prop_map(Value::Boolean).boxed(),
        _ => texts().prop_map(|text| Value::Text(text.to_owned())).boxed(),
    }
}

fn nullable(field: &'static str) -> BoxedStrategy<Value> {
    prop_oneof![1 => Just(Value::Null), 3 => value(field)].boxed()
}

/// Rows with different keys.
pub(super) fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        value("kind"),
        nullable("rank"),
        nullable("weight"),
        nullable("note"),
        nullable("flag"),
    );
    proptest::collection::vec(row, 0..40).prop_map(|rows| {
        let number = |(at, (kind, rank, weight, note, flag)): (usize, (Value, Value, Value, Value, Value))| {
            // Keys whose order is not the order of insertion.
            vec![
                Value::Text(format!("{:02}", (at * 17) % 41)),
                kind,
                rank,
                weight,
                note,
                flag,
            ]
        };
        rows.into_iter().enumerate().map(number).collect()
    })
}

fn comparison() -> impl Strategy<Value = Comparison> {
    let plain = |field: &'static str| {
        let by = proptest::sample::select(vec![
            Comparator::Equal,
            Comparator::NotEqual,
            Comparator::Less,
            Comparator::LessOrEqual,
            Comparator::Greater,
            Comparator::GreaterOrEqual,
        ]);
        (by, value(field)).prop_map(move |(by, value)| (field, by, vec![value]))
    };
    let list = |field: &'static str| {
        let by = proptest::sample::select(vec![Comparator::OneOf, Comparator::NotOneOf]);
        (by, proptest::collection::vec(value(field), 0..6)).prop_map(move |(by, values)| (field, by, values))
    };
    let part = |field: &'static str| {
        let by = proptest::sample::select(vec![Comparator::StartsWith, Comparator::Contains]);
        (by, value(field)).prop_map(move |(by, value)| (field, by, vec![value]))
    };
    let null = |field: &'static str| {
        let by = proptest::sample::select(vec![Comparator::IsNull, Comparator::IsNotNull]);
        by.prop_map(move |by| (field, by, Vec::new()))
    };
    let any_field = proptest::sample::select(FIELDS.to_vec());
    let texts = proptest::sample::select(vec!["id", "kind", "note"]);
    let any = prop_oneof![
        any_field.clone().prop_flat_map(plain),
        any_field.clone().prop_flat_map(list),
        texts.prop_flat_map(part),
        any_field.prop_flat_map(null),
    ];
    any.prop_map(|(field, by, values)| Comparison {
        field: field.to_owned(),
        by,
        values,
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    proptest::collection::vec(proptest::collection::vec(comparison(), 0..3), 0..3)
}

pub(super) fn sort_order() -> impl Strategy<Value = Vec<Order>> {
    let key = (proptest::sample::select(FIELDS.to_vec()), any::<bool>());
    let key = key.prop_map(|(field, descending)| Order {
        field: field.to_owned(),
        descending,
    });
    proptest::collection::vec(key, 0..4)
}

fn place(field: &str) -> usize {
    FIELDS.iter().position(|own| *own == field).unwrap()
}

/// Null first, then by value; texts by bytes.
fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Integer(left), Value::Integer(right)) => left.cmp(right),
        (Value::Real(left), Value::Real(right)) => left.partial_cmp(right).unwrap(),
        (Value::Boolean(left), Value::Boolean(right)) => left.cmp(right),
        (Value::Text(left), Value::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
        _ => panic!("{left:?} against {right:?}"),
    }
}

fn holds(row: &Row, comparison: &Comparison) -> bool {
    let own = &row[place(&comparison.field)];
    let null = matches!(own, Value::Null);
    let one = || compare(own, &comparison.values[0]);
    let is_member = || comparison.values.iter().any(|value| compare(own, value).is_eq());
    let texts = || match (own, &comparison.values[0]) {
        (Value::Text(own), Value::Text(part)) => (own.as_str(), part.as_str()),
        other => panic!("{other:?}"),
    };
    match comparison.by {
        Comparator::IsNull => null,
        Comparator::IsNotNull => !null,
        _ if null => false,
        Comparator::Equal => one().is_eq(),
        Comparator::NotEqual => one().is_ne(),
        Comparator::Less => one().is_lt(),
        Comparator::LessOrEqual => one().is_le(),
        Comparator::Greater => one().is_gt(),
        Comparator::GreaterOrEqual => one().is_ge(),
        Comparator::OneOf => is_member(),
        Comparator::NotOneOf => !is_member(),
        Comparator::StartsWith => texts().0.starts_with(texts().1),
        Comparator::Contains => texts().0.contains(texts().1),
        Comparator::MatchesText => panic!("not asked here"),
    }
}

fn matches(row: &Row, filter: &Filter) -> bool {
    filter.is_empty()
        || filter
            .iter()
            .any(|group| group.iter().all(|comparison| holds(row, comparison)))
}

/// The order of two rows, the key last.
pub(super) fn compare_rows(left: &Row, right: &Row, order: &[Order]) -> Ordering {
    let descending = order.last().is_some_and(|last| last.descending);
    let last = Order {
        field: "id".to_owned(),
        descending,
    };
    let keys = order.iter().chain(std::iter::once(&last));
    let by_key = |key: &Order| {
        let ordering = compare(&left[place(&key.field)], &right[place(&key.field)]);
        if key.descending { ordering.reverse() } else { ordering }
    };
    keys.map(by_key)
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// A store with these rows.
pub(super) fn filled(rows: &[Row]) -> Sqlite {
    let database = store();
    let row = |row: &Row| upsert(&FIELDS.iter().copied().zip(row.iter().cloned()).collect::<Vec<_>>());
    write(&database, rows.iter().map(row).collect());
    database
}

fn assert_same(got: &[Row], wanted: &[Row]) -> Result<(), TestCaseError> {
    prop_assert_eq!(got.len(), wanted.len(), "{:?} against {:?}", got, wanted);
    for (got, wanted) in got.iter().zip(wanted) {
        prop_assert!(
            got.iter().zip(wanted).all(|(got, wanted)| same(got, wanted)),
            "{:?} against {:?}",
            got,
            wanted
        );
    }
    Ok(())
}

/// The figures of one group, by the book.
fn figure(measure: &Measure, group: &[&Row]) -> Value {
    let Some(field) = &measure.field else {
        return Value::Integer(group.len() as i64);
    };
    let values: Vec<&Value> = group
        .iter()
        .map(|row| &row[place(field)])
        .filter(|value| !matches!(value, Value::Null))
        .collect();
    let number = |value: &&Value| match value {
        Value::Integer(number) => *number as f64,
        Value::Real(number) => *number,
        other => panic!("{other:?}"),
    };
    let numbers = || values.iter().map(number);
    let extreme = |least: bool| {
        let best = values.iter().copied().reduce(|best, next| {
            if compare(next, best).is_lt() == least {
                next
            } else {
                best
            }
        });
        best.cloned().unwrap_or(Value::Null)
    };
    match measure.statistic {
        Statistic::Count => Value::Integer(values.len() as i64),
        Statistic::Min => extreme(true),
        Statistic::Max => extreme(false),
        _ if values.is_empty() => Value::Null,
        Statistic::Sum => match values[0] {
            Value::Integer(_) => Value::Integer(numbers().sum::<f64>() as i64),
            _ => Value::Real(numbers().sum()),
        },
        Statistic::Avg => Value::Real(numbers().sum::<f64>() / values.len() as f64),
        Statistic::Quantile => Value::Real(interpolate(numbers().collect(), measure.quantile.unwrap()).unwrap()),
    }
}

/// Equal but for rounding, which the order of addition decides.
fn close(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Real(left), Value::Real(right)) => {
            left == right || (left - right).abs() <= 1e-9 || (left.is_nan() && right.is_nan())
        }
        (left, right) => same(left, right),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn pages_joined_are_the_rows_that_match_in_order(
        rows in rows(), filter in filter(), order in sort_order(), limit in 1_u32..7,
    ) {
        let database = filled(&rows);
        let mut wanted: Vec<Row> = rows.into_iter().filter(|row| matches(row, &filter)).collect();
        wanted.sort_by(|left, right| compare_rows(left, right, &order));
        let mut question = query(&FIELDS, filter, &[], limit);
        question.order = order;
        let mut got = Vec::new();
        loop {
            let page = plugin::read(&database, question.clone()).unwrap();
            prop_assert!(page.rows.len() <= limit as usize);
            prop_assert!(page.next.is_none() || page.rows.len() == limit as usize);
            got.extend(page.rows);
            question.cursor = page.next;
            if question.cursor.is_none() {
                break;
            }
        }
        assert_same(&got, &wanted)?;
    }

    #[test]
    fn figures_are_those_of_the_groups(rows in rows(), filter in filter(), by in proptest::sample::subsequence(vec!["kind", "flag"], 0..=2)) {
        let database = filled(&rows);
        let quantile = Measure { quantile: Some(0.25), ..measure(Statistic::Quantile, "rank") };
        let measures = vec![
            measure(Statistic::Count, ""), measure(Statistic::Count, "note"), measure(Statistic::Sum, "rank"),
            measure(Statistic::Avg, "rank"), measure(Statistic::Min, "note"), measure(Statistic::Max, "weight"),
            measure(Statistic::Max, "flag"), quantile,
        ];
        let matching: Vec<&Row> = rows.iter().filter(|row| matches(row, &filter)).collect();
        let mut groups: BTreeMap<String, (Row, Vec<&Row>)> = BTreeMap::new();
        for row in matching {
            let key: Row = by.iter().map(|field| row[place(field)].clone()).collect();
            groups.entry(format!("{key:?}")).or_insert_with(|| (key, Vec::new())).1.push(row);
        }
        if by.is_empty() && groups.is_empty() {
            groups.insert(String::new(), (Vec::new(), Vec::new()));
        }
        let mut wanted: Vec<Row> = groups.into_values().map(|(mut key, group)| {
            key.extend(measures.iter().map(|measure| figure(measure, &group)));
            key
        }).collect();
        wanted.sort_by(|left, right| {
            let keys = left.iter().zip(right).take(by.len());
            keys.map(|(left, right)| compare(left, right)).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
        });
        let by = by.iter().map(|field| Grouping::Field((*field).to_owned())).collect();
        let question = Aggregation { table: "items".to_owned(), where_: filter, measures, by, order: Vec::new(), limit: 1_000 };
        let got = plugin::aggregate(&database, question).unwrap().rows;
        prop_assert_eq!(got.len(), wanted.len());
        for (got, wanted) in got.iter().zip(&wanted) {
            prop_assert!(got.iter().zip(wanted).all(|(got, wanted)| close(got, wanted)), "{:?} against {:?}", got, wanted);
        }
    }

    #[test]
    fn removals_take_what_matches_and_nothing_else(rows in rows(), filter in filter()) {
        let database = filled(&rows);
        let remove = encaje_sdk::storage::Remove { table: "items".to_owned(), where_: filter.clone(), expected_rows: None };
        let removed = write(&database, vec![encaje_sdk::storage::Mutation::Remove(remove)]);
        let mut wanted: Vec<Row> = rows.into_iter().filter(|row| !matches(row, &filter)).collect();
        wanted.sort_by(|left, right| compare_rows(left, right, &[]));
        let left = plugin::read(&database, query(&FIELDS, Vec::new(), &[], 100)).unwrap().rows;
        assert_same(&left, &wanted)?;
        prop_assert!(removed[0] <= 40);
    }
}
