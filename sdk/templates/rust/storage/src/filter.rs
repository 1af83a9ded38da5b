//! Which rows a filter means. A comparison with a null holds only for the null tests.

use encaje_sdk::errors::Problem;
use encaje_sdk::storage::ColumnType;
use encaje_sdk::values::{Comparator, Comparison, Filter, Value};

use crate::rows::{Table, cell, invalid, order};

impl Table {
    /// Whether each row matches.
    pub(crate) fn matching(&self, filter: &Filter) -> Result<Vec<bool>, Problem> {
        let checked = |comparison: &Comparison| self.checked(comparison);
        let groups = filter
            .iter()
            .map(|group| group.iter().map(checked).collect())
            .collect::<Result<Vec<Vec<_>>, _>>()?;
        let holds = |row: &Vec<crate::rows::Cell>| {
            let group = |group: &Vec<(usize, Comparator, Vec<Value>)>| {
                group.iter().all(|(at, by, values)| holds(cell(row, *at), *by, values))
            };
            groups.is_empty() || groups.iter().any(group)
        };
        Ok(self.rows.iter().map(holds).collect())
    }

    /// A comparison whose field and values are right.
    fn checked(&self, comparison: &Comparison) -> Result<(usize, Comparator, Vec<Value>), Problem> {
        use Comparator as By;
        let (at, column) = self.column(&comparison.field)?;
        let (by, name) = (comparison.by, column.name.as_str());
        let fits = match by {
            By::IsNull | By::IsNotNull => comparison.values.is_empty(),
            By::OneOf | By::NotOneOf => true,
            _ => comparison.values.len() == 1,
        };
        let is_text = matches!(column.of, ColumnType::Text);
        if !fits || comparison.values.iter().any(|value| matches!(value, Value::Null)) {
            return Err(invalid(format!("the comparison with `{name}` has wrong values"), name));
        }
        if matches!(by, By::StartsWith | By::Contains | By::MatchesText) && !is_text {
            return Err(invalid(format!("the column `{name}` is no text"), name));
        }
        if by == By::MatchesText && !self.text.contains(&at) {
            return Err(Problem::unsupported(format!("the column `{name}` has no text index")).with_param(name));
        }
        let values = comparison
            .values
            .iter()
            .map(|value| column.fit(value))
            .collect::<Result<_, _>>()?;
        Ok((at, by, values))
    }
}

fn words(text: &str) -> Vec<String> {
    let parts = text.split(|character: char| !character.is_alphanumeric());
    parts.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

fn holds(own: &Value, by: Comparator, values: &[Value]) -> bool {
    use Comparator as By;
    let is_null = matches!(own, Value::Null);
    if is_null || matches!(by, By::IsNull | By::IsNotNull) {
        return is_null == (by == By::IsNull) && (is_null || by == By::IsNotNull);
    }
    let wanted = values.first().unwrap_or(&Value::Null);
    let ordering = order(own, wanted);
    let is_member = values.iter().any(|value| order(own, value).is_eq());
    match (by, own, wanted) {
        (By::Equal, ..) => ordering.is_eq(),
        (By::NotEqual, ..) => ordering.is_ne(),
        (By::Less, ..) => ordering.is_lt(),
        (By::LessOrEqual, ..) => ordering.is_le(),
        (By::Greater, ..) => ordering.is_gt(),
        (By::GreaterOrEqual, ..) => ordering.is_ge(),
        (By::OneOf, ..) => is_member,
        (By::NotOneOf, ..) => !is_member,
        (By::StartsWith, Value::Text(own), Value::Text(wanted)) => own.starts_with(wanted),
        (By::Contains, Value::Text(own), Value::Text(wanted)) => own.contains(wanted),
        (By::MatchesText, Value::Text(own), Value::Text(wanted)) => {
            let own = words(own);
            words(wanted).iter().all(|word| own.contains(word))
        }
        _ => false,
    }
}
