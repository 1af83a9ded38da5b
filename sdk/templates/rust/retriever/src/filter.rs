//! Which documents a filter means: every comparator over metadata and `id`. A comparison holds for no document without the
//! field, but for the null test. What no document could match is the caller's mistake, and told as such.

use std::cmp::Ordering;

use encaje_sdk::errors::Problem;
use encaje_sdk::values::{Comparator, Comparison, Filter, Value};

use crate::document::{Stored, words};

/// The documents that match.
///
/// # Errors
/// `invalid-request` for a field that no document has, and for values that do not fit.
pub(crate) fn matching(documents: Vec<Stored>, filter: &Filter) -> Result<Vec<Stored>, Problem> {
    for comparison in filter.iter().flatten() {
        check(&documents, comparison)?;
    }
    let holds = |document: &Stored| {
        let group = |group: &Vec<Comparison>| {
            group
                .iter()
                .all(|comparison| holds(document.field(&comparison.field), comparison))
        };
        filter.is_empty() || filter.iter().any(group)
    };
    Ok(documents.into_iter().filter(holds).collect())
}

/// Refuses what could hold for no document of the collection.
fn check(documents: &[Stored], comparison: &Comparison) -> Result<(), Problem> {
    use Comparator as By;
    let Comparison { field, by, values } = comparison;
    let refuse = |message: String| Err(Problem::invalid_request(message).with_param(field));
    let (fits, wanted) = match by {
        By::IsNull | By::IsNotNull => (values.is_empty(), "no value"),
        By::OneOf | By::NotOneOf => (true, ""),
        By::StartsWith | By::Contains | By::MatchesText => (matches!(values.as_slice(), [Value::Text(_)]), "one text"),
        _ => (values.len() == 1, "one value"),
    };
    if !fits {
        return refuse(format!("this comparison with `{field}` takes {wanted}"));
    }
    let own: Vec<Value> = documents.iter().filter_map(|document| document.field(field)).collect();
    if own.is_empty() && !documents.is_empty() {
        return refuse(format!("no document has a field `{field}`"));
    }
    let told = |value: &Value| !matches!(value, Value::Null);
    let comparable = |value: &Value| own.iter().any(|own| order(own, value).is_some());
    if own.iter().any(told) && !values.iter().all(comparable) {
        return refuse(format!("no document's `{field}` can be compared with that value"));
    }
    Ok(())
}

fn holds(own: Option<Value>, comparison: &Comparison) -> bool {
    use Comparator as By;
    let Some(own) = own.filter(|value| !matches!(value, Value::Null)) else {
        return comparison.by == By::IsNull;
    };
    let wanted = comparison.values.first();
    let ordering = wanted.and_then(|wanted| order(&own, wanted));
    let is_member = || {
        comparison
            .values
            .iter()
            .any(|value| order(&own, value) == Some(Ordering::Equal))
    };
    match comparison.by {
        By::IsNull => false,
        By::IsNotNull => true,
        By::Equal => ordering == Some(Ordering::Equal),
        // Another class of value is another value.
        By::NotEqual => ordering != Some(Ordering::Equal),
        By::Less => ordering == Some(Ordering::Less),
        By::LessOrEqual => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        By::Greater => ordering == Some(Ordering::Greater),
        By::GreaterOrEqual => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
        By::OneOf => is_member(),
        By::NotOneOf => !is_member(),
        By::StartsWith | By::Contains | By::MatchesText => {
            let (Value::Text(own), Some(Value::Text(part))) = (&own, wanted) else {
                return false;
            };
            match comparison.by {
                By::StartsWith => own.starts_with(part),
                By::Contains => own.contains(part),
                _ => words(part).is_subset(&words(own)),
            }
        }
    }
}

/// How two values stand to each other: texts and blobs by their bytes, numbers by their size; `None` across classes.
fn order(own: &Value, wanted: &Value) -> Option<Ordering> {
    match (own, wanted) {
        (Value::Text(own), Value::Text(wanted)) | (Value::Json(own), Value::Json(wanted)) => Some(own.cmp(wanted)),
        (Value::Blob(own), Value::Blob(wanted)) => Some(own.cmp(wanted)),
        (Value::Boolean(own), Value::Boolean(wanted)) => Some(own.cmp(wanted)),
        (Value::Integer(own), Value::Integer(wanted)) => Some(own.cmp(wanted)),
        (own, wanted) => number(own)?.partial_cmp(&number(wanted)?),
    }
}

/// An integer above 2^53 is rounded, but only where it meets a real.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Real(number) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::tests::stored;

    fn ids(by: Comparator, field: &str, values: Vec<Value>) -> Result<Vec<String>, Problem> {
        let documents = vec![stored("a", "x", 1), stored("b", "y", 2)];
        let comparison = Comparison {
            field: field.to_owned(),
            by,
            values,
        };
        let matching = matching(documents, &vec![vec![comparison]])?;
        Ok(matching.into_iter().map(|document| document.id).collect())
    }

    #[test]
    fn each_comparator_chooses_what_it_says() {
        use Comparator as By;
        let year = Value::Integer;
        let text = |text: &str| Value::Text(text.to_owned());
        for (by, field, values, expected) in [
            (By::Equal, "year", vec![year(2)], &["b"][..]),
            (By::NotEqual, "year", vec![year(2)], &["a"]),
            (By::Less, "year", vec![Value::Real(1.5)], &["a"]),
            (By::LessOrEqual, "year", vec![year(2)], &["a", "b"]),
            (By::Greater, "year", vec![year(1)], &["b"]),
            (By::GreaterOrEqual, "year", vec![year(1)], &["a", "b"]),
            (By::OneOf, "id", vec![text("a"), text("z")], &["a"]),
            (By::NotOneOf, "id", vec![text("a"), text("z")], &["b"]),
            (By::StartsWith, "id", vec![text("b")], &["b"]),
            (By::Contains, "id", vec![text("")], &["a", "b"]),
            (By::MatchesText, "id", vec![text("B!")], &["b"]),
            (By::IsNull, "year", vec![], &[]),
            (By::IsNotNull, "year", vec![], &["a", "b"]),
        ] {
            assert_eq!(ids(by, field, values).unwrap(), expected, "{field}");
        }
    }

    #[test]
    fn what_no_document_could_match_is_told() {
        for (by, field, values) in [
            (Comparator::Equal, "nobody", vec![Value::Integer(1)]),
            (Comparator::Equal, "year", vec![Value::Text("2".to_owned())]),
            (Comparator::Equal, "year", Vec::new()),
            (Comparator::StartsWith, "id", vec![Value::Integer(1)]),
            (Comparator::IsNull, "year", vec![Value::Integer(1)]),
        ] {
            assert_eq!(ids(by, field, values).unwrap_err().param.as_deref(), Some(field));
        }
    }
}
