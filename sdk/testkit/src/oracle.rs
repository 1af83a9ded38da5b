//! What a comparison, an order and a statistic mean, written plainly and slowly: what implementations are held against. It
//! knows no table and no document; whoever asks says where a field's value is.

use std::cmp::Ordering;

use encaje_core::value::{Comparator, Comparison, Filter, Value};

/// A value without the two freedoms that a store has: booleans may be numbers, JSON may be text.
pub(crate) fn canonical(value: &Value) -> Value {
    match value {
        Value::Boolean(flag) => Value::Integer(i64::from(*flag)),
        Value::Json(text) => Value::Text(text.clone()),
        other => other.clone(),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Real(number) => Some(*number),
        _ => None,
    }
}

/// Null first; texts and blobs by their bytes, numbers by their size.
pub(crate) fn compare(left: &Value, right: &Value) -> Ordering {
    let (left, right) = (canonical(left), canonical(right));
    match (&left, &right) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Integer(left), Value::Integer(right)) => left.cmp(right),
        (Value::Text(left), Value::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Value::Blob(left), Value::Blob(right)) => left.cmp(right),
        _ => match (number(&left), number(&right)) {
            (Some(left), Some(right)) => left.partial_cmp(&right).unwrap_or(Ordering::Equal),
            _ => Ordering::Less,
        },
    }
}

/// The same value, but for the two freedoms of a store.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    canonical(left) == canonical(right)
}

/// The same figure: numbers may differ by what the order of an addition decides, and an integer may come as a real.
pub(crate) fn close(left: &Value, right: &Value) -> bool {
    let (left, right) = (canonical(left), canonical(right));
    match (number(&left), number(&right)) {
        (Some(left), Some(right)) => (left - right).abs() <= 1e-9 * left.abs().max(right.abs()).max(1.0),
        _ => left == right,
    }
}

/// Whether one comparison holds of a field's value.
pub(crate) fn holds(own: &Value, comparison: &Comparison) -> bool {
    let null = matches!(own, Value::Null);
    let wanted = comparison.values.first().unwrap_or(&Value::Null);
    let ordering = compare(own, wanted);
    let is_member = || comparison.values.iter().any(|value| compare(own, value).is_eq());
    let (text, part) = (own.as_text().unwrap_or_default(), wanted.as_text().unwrap_or_default());
    match comparison.by {
        Comparator::IsNull => null,
        Comparator::IsNotNull => !null,
        _ if null => false,
        Comparator::Equal => ordering.is_eq(),
        Comparator::NotEqual => ordering.is_ne(),
        Comparator::Less => ordering.is_lt(),
        Comparator::LessOrEqual => ordering.is_le(),
        Comparator::Greater => ordering.is_gt(),
        Comparator::GreaterOrEqual => ordering.is_ge(),
        Comparator::OneOf => is_member(),
        Comparator::NotOneOf => !is_member(),
        Comparator::StartsWith => text.starts_with(part),
        Comparator::Contains => text.contains(part),
        Comparator::MatchesText => words(part).iter().all(|word| words(text).contains(word)),
    }
}

/// The words of a text, in lower case.
fn words(text: &str) -> Vec<String> {
    let parts = text.split(|character: char| !character.is_alphanumeric());
    parts.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Whether a filter holds of what has these values.
pub(crate) fn matches(filter: &Filter, value_of: &dyn Fn(&str) -> Value) -> bool {
    let group = |group: &Vec<Comparison>| {
        group
            .iter()
            .all(|comparison| holds(&value_of(&comparison.field), comparison))
    };
    filter.is_empty() || filter.iter().any(group)
}

/// The quantile of numbers by linear interpolation between the closest ranks; none of nothing.
pub(crate) fn quantile(mut numbers: Vec<f64>, quantile: f64) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let place = quantile * (numbers.len().checked_sub(1)? as f64);
    let low = *numbers.get(place.floor() as usize)?;
    let high = *numbers.get(place.ceil() as usize)?;
    Some(low + (high - low) * place.fract())
}

/// The numbers among values.
pub(crate) fn numbers(values: &[Value]) -> Vec<f64> {
    values
        .iter()
        .map(canonical)
        .filter_map(|value| number(&value))
        .collect()
}
