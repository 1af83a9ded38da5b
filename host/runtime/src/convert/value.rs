//! Values of rows and filters over them.

use encaje_bindings::base::encaje::common::values as guest;
use encaje_core::value::{Comparator, Comparison, Fields, Filter, Value};

pub(crate) fn to_guest(value: &Value) -> guest::Value {
    match value {
        Value::Null => guest::Value::Null,
        Value::Boolean(flag) => guest::Value::Boolean(*flag),
        Value::Integer(number) => guest::Value::Integer(*number),
        Value::Real(number) => guest::Value::Real(*number),
        Value::Text(text) => guest::Value::Text(text.clone()),
        Value::Blob(bytes) => guest::Value::Blob(bytes.clone()),
        Value::Json(json) => guest::Value::Json(json.clone()),
    }
}

/// Owned, for what comes out of a host function.
pub(crate) fn into_guest(value: Value) -> guest::Value {
    match value {
        Value::Null => guest::Value::Null,
        Value::Boolean(flag) => guest::Value::Boolean(flag),
        Value::Integer(number) => guest::Value::Integer(number),
        Value::Real(number) => guest::Value::Real(number),
        Value::Text(text) => guest::Value::Text(text),
        Value::Blob(bytes) => guest::Value::Blob(bytes),
        Value::Json(json) => guest::Value::Json(json),
    }
}

pub(crate) fn to_core(value: guest::Value) -> Value {
    match value {
        guest::Value::Null => Value::Null,
        guest::Value::Boolean(flag) => Value::Boolean(flag),
        guest::Value::Integer(number) => Value::Integer(number),
        guest::Value::Real(number) => Value::Real(number),
        guest::Value::Text(text) => Value::Text(text),
        guest::Value::Blob(bytes) => Value::Blob(bytes),
        guest::Value::Json(json) => Value::Json(json),
    }
}

pub(crate) fn fields_to_guest(fields: &Fields) -> guest::Fields {
    fields
        .iter()
        .map(|(name, value)| (name.clone(), to_guest(value)))
        .collect()
}

pub(crate) fn filter_to_guest(filter: &Filter) -> guest::Filter {
    filter
        .iter()
        .map(|group| group.iter().map(comparison_to_guest).collect())
        .collect()
}

fn comparison_to_guest(comparison: &Comparison) -> guest::Comparison {
    guest::Comparison {
        field: comparison.field.clone(),
        by: match comparison.by {
            Comparator::Equal => guest::Comparator::Equal,
            Comparator::NotEqual => guest::Comparator::NotEqual,
            Comparator::Less => guest::Comparator::Less,
            Comparator::LessOrEqual => guest::Comparator::LessOrEqual,
            Comparator::Greater => guest::Comparator::Greater,
            Comparator::GreaterOrEqual => guest::Comparator::GreaterOrEqual,
            Comparator::OneOf => guest::Comparator::OneOf,
            Comparator::NotOneOf => guest::Comparator::NotOneOf,
            Comparator::StartsWith => guest::Comparator::StartsWith,
            Comparator::Contains => guest::Comparator::Contains,
            Comparator::MatchesText => guest::Comparator::MatchesText,
            Comparator::IsNull => guest::Comparator::IsNull,
            Comparator::IsNotNull => guest::Comparator::IsNotNull,
        },
        values: comparison.values.iter().map(to_guest).collect(),
    }
}
