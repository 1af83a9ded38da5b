//! Filters over metadata and `id`. Documents have no common schema, so whether a field exists and what it holds is known
//! only once they were read: a field that no document has, and a value that fits none that has it, are the caller's mistake
//! and told as such, instead of an empty answer.

use std::cmp::Ordering;
use std::collections::HashSet;

use encaje_sdk::errors::Problem;
use encaje_sdk::values::{Comparator, Comparison, Filter, Value};

use crate::limits::{MAX_ALTERNATIVES, MAX_COMPARISONS};
use crate::rank::words;

/// A filter, and what it has met so far.
#[derive(Debug)]
pub(crate) struct Checked<'a> {
    groups: Vec<Vec<Test<'a>>>,
    documents: u64,
}

#[derive(Debug)]
struct Test<'a> {
    comparison: &'a Comparison,
    param: String,
    /// Some document has the field.
    met: bool,
    /// Some document has a value there, and one that can be compared with the test's.
    met_value: bool,
    fitted: bool,
}

impl<'a> Checked<'a> {
    /// # Errors
    /// `invalid-request` for another number or class of values than the comparator takes, `too-large` over a cap.
    pub(crate) fn new(filter: &'a Filter) -> Result<Self, Problem> {
        if filter.iter().map(Vec::len).sum::<usize>() > MAX_COMPARISONS {
            let message = format!("a filter has at most {MAX_COMPARISONS} comparisons");
            return Err(Problem::too_large(message).with_param("where"));
        }
        let test = |(group, place): (usize, usize), comparison| {
            let param = format!("where[{group}][{place}]");
            check(comparison, &param)?;
            Ok(Test {
                comparison,
                param,
                met: false,
                met_value: false,
                fitted: false,
            })
        };
        let group = |(group, comparisons): (usize, &'a Vec<Comparison>)| {
            let tests = comparisons.iter().enumerate();
            tests
                .map(|(place, comparison)| test((group, place), comparison))
                .collect()
        };
        let groups = filter.iter().enumerate().map(group).collect::<Result<_, Problem>>()?;
        Ok(Self { groups, documents: 0 })
    }

    /// Whether nothing is asked: then every document matches.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether a document matches.
    pub(crate) fn holds(&mut self, id: &str, metadata: &[(String, Value)]) -> bool {
        self.documents += 1;
        let id = Value::Text(id.to_owned());
        let mut any = self.groups.is_empty();
        for group in &mut self.groups {
            let mut all = true;
            // Every test sees every document, also where the outcome is known: it must learn which fields there are.
            for test in group {
                let field = test.comparison.field.as_str();
                let value = if field == "id" {
                    Some(&id)
                } else {
                    metadata.iter().find(|(name, _)| name == field).map(|(_, value)| value)
                };
                all &= test.holds(value);
            }
            any |= all;
        }
        any
    }

    /// After all documents: whether every test could have held for one of them.
    ///
    /// # Errors
    /// `invalid-request`, naming the comparison.
    pub(crate) fn finish(&self) -> Result<(), Problem> {
        if self.documents == 0 {
            return Ok(());
        }
        for test in self.groups.iter().flatten() {
            let field = &test.comparison.field;
            let message = if !test.met {
                format!("no document has a field `{field}`")
            } else if test.met_value && !test.fitted {
                format!("`{field}` holds no value that can be compared with this one")
            } else {
                continue;
            };
            return Err(Problem::invalid_request(message).with_param(test.param.as_str()));
        }
        Ok(())
    }
}

/// What can be said without a document.
fn check(comparison: &Comparison, param: &str) -> Result<(), Problem> {
    use Comparator as By;
    let refuse = |message: &str| Err(Problem::invalid_request(message).with_param(param));
    let values = &comparison.values;
    let (fits, needed) = match comparison.by {
        By::IsNull | By::IsNotNull => (values.is_empty(), "takes no value"),
        By::OneOf | By::NotOneOf => (true, ""),
        _ => (values.len() == 1, "takes one value"),
    };
    if !fits {
        return refuse(&format!("this comparison of `{}` {needed}", comparison.field));
    }
    if values.len() > MAX_ALTERNATIVES {
        return Err(Problem::too_large(format!("at most {MAX_ALTERNATIVES} values")).with_param(param));
    }
    if values
        .iter()
        .any(|value| matches!(value, Value::Real(number) if !number.is_finite()))
    {
        return refuse("a number that is not finite");
    }
    let all_text = values.iter().all(|value| matches!(value, Value::Text(_)));
    if matches!(comparison.by, By::StartsWith | By::Contains | By::MatchesText) && !all_text {
        return refuse("this comparison takes a text");
    }
    let ordered = |value: &Value| !matches!(value, Value::Boolean(_) | Value::Json(_));
    let orders = matches!(
        comparison.by,
        By::Less | By::LessOrEqual | By::Greater | By::GreaterOrEqual
    );
    if orders && !values.iter().all(ordered) {
        return refuse("booleans and JSON have no order");
    }
    Ok(())
}

impl Test<'_> {
    fn holds(&mut self, value: Option<&Value>) -> bool {
        use Comparator as By;
        self.met |= value.is_some();
        let by = self.comparison.by;
        let own = value.filter(|value| !matches!(value, Value::Null));
        let Some(own) = own else {
            return by == By::IsNull;
        };
        self.met_value = true;
        let wanted = &self.comparison.values;
        if matches!(by, By::IsNull | By::IsNotNull) || wanted.is_empty() {
            self.fitted = true;
            return matches!(by, By::IsNotNull | By::NotOneOf);
        }
        let orders: Vec<Option<Ordering>> = wanted.iter().map(|wanted| order(own, wanted)).collect();
        // A null fits anything, and equals nothing.
        let null = |value: &Value| matches!(value, Value::Null);
        if !orders.iter().any(Option::is_some) && !wanted.iter().any(null) {
            return false;
        }
        self.fitted = true;
        let unknown = wanted.iter().any(null);
        let equal = orders.contains(&Some(Ordering::Equal));
        let first = orders.first().copied().flatten();
        match by {
            By::Equal | By::OneOf => equal,
            By::NotEqual | By::NotOneOf => !equal && !unknown,
            By::Less => first == Some(Ordering::Less),
            By::LessOrEqual => first.is_some_and(Ordering::is_le),
            By::Greater => first == Some(Ordering::Greater),
            By::GreaterOrEqual => first.is_some_and(Ordering::is_ge),
            By::StartsWith | By::Contains | By::MatchesText => match (own, wanted.first()) {
                (Value::Text(own), Some(Value::Text(wanted))) => in_text(by, own, wanted),
                _ => false,
            },
            By::IsNull | By::IsNotNull => false,
        }
    }
}

fn in_text(by: Comparator, own: &str, wanted: &str) -> bool {
    match by {
        Comparator::StartsWith => own.starts_with(wanted),
        Comparator::Contains => own.contains(wanted),
        _ => {
            let there: HashSet<String> = words(own).collect();
            words(wanted).all(|word| there.contains(&word))
        }
    }
}

/// How two values of one class compare; `None` for values of different classes, and for nulls.
fn order(own: &Value, wanted: &Value) -> Option<Ordering> {
    match (own, wanted) {
        (Value::Boolean(own), Value::Boolean(wanted)) => Some(own.cmp(wanted)),
        (Value::Integer(own), Value::Integer(wanted)) => Some(own.cmp(wanted)),
        (Value::Real(own), Value::Real(wanted)) => own.partial_cmp(wanted),
        (Value::Integer(own), Value::Real(wanted)) => mixed(*own, *wanted),
        (Value::Real(own), Value::Integer(wanted)) => mixed(*wanted, *own).map(Ordering::reverse),
        (Value::Text(own), Value::Text(wanted)) | (Value::Json(own), Value::Json(wanted)) => Some(own.cmp(wanted)),
        (Value::Blob(own), Value::Blob(wanted)) => Some(own.cmp(wanted)),
        _ => None,
    }
}

/// An integer against a real, without the rounding of a conversion: by whole numbers first, then by the rest.
fn mixed(integer: i64, real: f64) -> Option<Ordering> {
    if real.is_nan() {
        return None;
    }
    let below = real.floor();
    // The cast keeps within i128 whatever the real is.
    let whole = i128::from(integer).cmp(&(below as i128));
    Some(whole.then(if real > below { Ordering::Less } else { Ordering::Equal }))
}

#[cfg(test)]
mod tests {
    use super::{Checked, order};
    use encaje_sdk::errors::Problem;
    use encaje_sdk::values::{Comparator as By, Comparison, Value};
    use std::cmp::Ordering;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn comparison(field: &str, by: By, values: Vec<Value>) -> Comparison {
        Comparison {
            field: field.to_owned(),
            by,
            values,
        }
    }

    /// The ids that match, among four documents.
    fn matching(filter: Vec<Vec<Comparison>>) -> Result<Vec<&'static str>, Problem> {
        let documents = [
            (
                "a",
                vec![
                    ("n", Value::Integer(1)),
                    ("s", text("Hola mundo")),
                    ("f", Value::Boolean(true)),
                ],
            ),
            ("b", vec![("n", Value::Real(1.5)), ("s", text("hello, World"))]),
            ("c", vec![("n", Value::Null), ("s", Value::Integer(7))]),
            ("d", vec![("j", Value::Json("{}".to_owned()))]),
        ];
        let mut checked = Checked::new(&filter)?;
        let mut found = Vec::new();
        for (id, metadata) in documents {
            let metadata: Vec<_> = metadata
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            if checked.holds(id, &metadata) {
                found.push(id);
            }
        }
        checked.finish().map(|()| found)
    }

    #[test]
    fn each_comparator_holds_where_it_should() {
        let one = Value::Integer(1);
        for (field, by, values, expected) in [
            ("n", By::Equal, vec![Value::Real(1.0)], vec!["a"]),
            ("n", By::NotEqual, vec![one.clone()], vec!["b"]),
            ("n", By::Less, vec![Value::Real(1.25)], vec!["a"]),
            ("n", By::LessOrEqual, vec![Value::Real(1.5)], vec!["a", "b"]),
            ("n", By::Greater, vec![one.clone()], vec!["b"]),
            ("n", By::GreaterOrEqual, vec![one.clone()], vec!["a", "b"]),
            ("n", By::OneOf, vec![one.clone(), Value::Integer(9)], vec!["a"]),
            ("n", By::OneOf, vec![], vec![]),
            ("n", By::NotOneOf, vec![one.clone(), Value::Integer(9)], vec!["b"]),
            ("n", By::NotOneOf, vec![], vec!["a", "b"]),
            ("n", By::NotOneOf, vec![Value::Null, Value::Integer(9)], vec![]),
            ("n", By::Equal, vec![Value::Null], vec![]),
            ("n", By::NotEqual, vec![Value::Null], vec![]),
            ("n", By::IsNull, vec![], vec!["c", "d"]),
            ("n", By::IsNotNull, vec![], vec!["a", "b"]),
            ("s", By::StartsWith, vec![text("Hola")], vec!["a"]),
            ("s", By::Contains, vec![text("o")], vec!["a", "b"]),
            ("s", By::MatchesText, vec![text("world HELLO")], vec!["b"]),
            ("s", By::Greater, vec![text("a")], vec!["b"]),
            ("f", By::Equal, vec![Value::Boolean(true)], vec!["a"]),
            ("j", By::Equal, vec![Value::Json("{}".to_owned())], vec!["d"]),
            ("id", By::OneOf, vec![text("c"), text("x")], vec!["c"]),
            ("id", By::GreaterOrEqual, vec![text("c")], vec!["c", "d"]),
        ] {
            let shown = format!("{field} {by:?} {values:?}");
            assert_eq!(
                matching(vec![vec![comparison(field, by, values)]]).unwrap(),
                expected,
                "{shown}"
            );
        }
    }

    #[test]
    fn groups_are_any_of_all() {
        let is = |field: &str, value: Value| comparison(field, By::Equal, vec![value]);
        let filter = vec![
            vec![is("id", text("a")), is("n", Value::Integer(1))],
            vec![is("id", text("b")), is("n", Value::Integer(1))],
            vec![is("id", text("d"))],
        ];
        assert_eq!(matching(filter).unwrap(), ["a", "d"]);
        assert_eq!(matching(Vec::new()).unwrap(), ["a", "b", "c", "d"]);
        assert_eq!(matching(vec![Vec::new()]).unwrap(), ["a", "b", "c", "d"]);
    }

    #[test]
    fn what_no_document_could_match_is_told() {
        for (field, by, values) in [
            ("nobody", By::Equal, vec![Value::Integer(1)]),
            ("nobody", By::IsNull, vec![]),
            ("n", By::Equal, vec![text("1")]),
            ("f", By::Less, vec![Value::Boolean(true)]),
            ("n", By::Equal, vec![]),
            ("n", By::IsNull, vec![Value::Null]),
            ("n", By::Contains, vec![Value::Integer(1)]),
            ("n", By::Equal, vec![Value::Real(f64::NAN)]),
        ] {
            let shown = format!("{field} {by:?} {values:?}");
            let problem = matching(vec![vec![comparison(field, by, values)]]).unwrap_err();
            assert_eq!(problem.param.as_deref(), Some("where[0][0]"), "{shown}");
        }
        let many = vec![vec![comparison("id", By::Equal, vec![text("a")]); 257]];
        assert!(Checked::new(&many).is_err());
    }

    #[test]
    fn integers_and_reals_compare_without_rounding() {
        let big = (1_i64 << 53) + 1;
        let real = (1_u64 << 53) as f64;
        assert_eq!(order(&Value::Integer(big), &Value::Real(real)), Some(Ordering::Greater));
        assert_eq!(order(&Value::Real(real), &Value::Integer(big)), Some(Ordering::Less));
        assert_eq!(order(&Value::Integer(-2), &Value::Real(-1.5)), Some(Ordering::Less));
        assert_eq!(order(&Value::Integer(-1), &Value::Real(-1.5)), Some(Ordering::Greater));
        assert_eq!(
            order(&Value::Integer(i64::MAX), &Value::Real(1e300)),
            Some(Ordering::Less)
        );
        assert_eq!(
            order(&Value::Integer(i64::MIN), &Value::Real(-1e300)),
            Some(Ordering::Greater)
        );
    }
}
