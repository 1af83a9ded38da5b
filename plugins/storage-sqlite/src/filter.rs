//! Filters as SQL conditions. A comparison with a null holds only for `is-null`: what is unknown is neither equal nor
//! unequal. Which index serves a condition is SQLite's business.

use encaje_sdk::errors::Problem;
use encaje_sdk::values::{Comparator, Comparison, Filter, Value};

use crate::catalog::{Class, Column, ROW, Table};
use crate::database::Sql;
use crate::limits::{MAX_ALTERNATIVES, MAX_COMPARISONS, MAX_PARAMETERS};
use crate::value::to_compare;

/// Appends ` WHERE …` for a filter; nothing for the empty one, which matches everything.
///
/// # Errors
/// `invalid-request` for unknown columns and for values that do not fit.
pub(crate) fn push_where(sql: &mut Sql, table: &Table, filter: Filter) -> Result<(), Problem> {
    if !filter.is_empty() {
        sql.push(" WHERE ");
        push_condition(sql, table, filter)?;
    }
    Ok(())
}

/// Appends the condition of a filter, in parentheses.
///
/// # Errors
/// As [`push_where`].
pub(crate) fn push_condition(sql: &mut Sql, table: &Table, filter: Filter) -> Result<(), Problem> {
    if filter.iter().map(Vec::len).sum::<usize>() + filter.len() > MAX_COMPARISONS {
        return Err(
            Problem::too_large(format!("a filter of more than {MAX_COMPARISONS} comparisons")).with_param("where"),
        );
    }
    if filter.is_empty() {
        sql.push("1");
        return Ok(());
    }
    sql.push("(");
    for (at, group) in filter.into_iter().enumerate() {
        sql.push(if at > 0 { " OR (" } else { "(" });
        if group.is_empty() {
            sql.push("1");
        }
        for (at, comparison) in group.into_iter().enumerate() {
            if at > 0 {
                sql.push(" AND ");
            }
            push_comparison(sql, table, comparison)?;
        }
        sql.push(")");
    }
    sql.push(")");
    if sql.parameters.len() > MAX_PARAMETERS {
        return Err(Problem::too_large(format!(
            "more than {MAX_PARAMETERS} values in one statement"
        )));
    }
    Ok(())
}

fn push_comparison(sql: &mut Sql, table: &Table, comparison: Comparison) -> Result<(), Problem> {
    let column = table.column(&comparison.field)?;
    let values = comparison.values;
    let operator = match comparison.by {
        Comparator::Equal => " = ",
        Comparator::NotEqual => " <> ",
        Comparator::Less => " < ",
        Comparator::LessOrEqual => " <= ",
        Comparator::Greater => " > ",
        Comparator::GreaterOrEqual => " >= ",
        Comparator::OneOf => return push_membership(sql, column, values, true),
        Comparator::NotOneOf => return push_membership(sql, column, values, false),
        Comparator::StartsWith => return push_prefix(sql, column, values),
        Comparator::Contains => {
            let part = only_text(column, values)?;
            sql.push("instr(")
                .name(&column.name)
                .push(", ")
                .value(Value::Text(part))
                .push(") > 0");
            return Ok(());
        }
        Comparator::MatchesText => return push_text_match(sql, table, column, values),
        Comparator::IsNull | Comparator::IsNotNull => {
            if !values.is_empty() {
                return Err(wrong_count(column, "no value"));
            }
            let test = if matches!(comparison.by, Comparator::IsNull) {
                " IS NULL"
            } else {
                " IS NOT NULL"
            };
            sql.name(&column.name).push(test);
            return Ok(());
        }
    };
    let value = to_compare(column, only(column, values)?)?;
    sql.name(&column.name).push(operator).value(value);
    Ok(())
}

/// `one-of` and its opposite. The list is padded to a power of two by repeating its last value, so that a few prepared
/// statements serve all lengths.
fn push_membership(sql: &mut Sql, column: &Column, values: Vec<Value>, member: bool) -> Result<(), Problem> {
    if values.len() > MAX_ALTERNATIVES {
        let message = format!(
            "the column `{}` can be compared with at most {MAX_ALTERNATIVES} values",
            column.name
        );
        return Err(Problem::too_large(message).with_param(&column.name));
    }
    let mut values = values
        .into_iter()
        .map(|value| to_compare(column, value))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(last) = values.last().cloned() else {
        // Nothing is one of none; every value that there is, is not.
        if member {
            sql.push("0");
        } else {
            sql.name(&column.name).push(" IS NOT NULL");
        }
        return Ok(());
    };
    values.resize(values.len().next_power_of_two(), last);
    sql.name(&column.name).push(if member { " IN (" } else { " NOT IN (" });
    for (at, value) in values.into_iter().enumerate() {
        sql.push(if at > 0 { "," } else { "" }).value(value);
    }
    sql.push(")");
    Ok(())
}

/// `starts-with` as a range, which an index serves: SQLite compares texts by bytes, in the order of their characters.
fn push_prefix(sql: &mut Sql, column: &Column, values: Vec<Value>) -> Result<(), Problem> {
    let prefix = only_text(column, values)?;
    let end = successor(&prefix);
    sql.push("(").name(&column.name).push(" >= ").value(Value::Text(prefix));
    if let Some(end) = end {
        sql.push(" AND ").name(&column.name).push(" < ").value(Value::Text(end));
    }
    sql.push(")");
    Ok(())
}

/// The least text that is larger than every text with this prefix; `None` where there is none.
fn successor(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        // The characters before the surrogates' gap are followed by those behind it.
        let next = if last == '\u{d7ff}' {
            Some('\u{e000}')
        } else {
            char::from_u32(u32::from(last) + 1)
        };
        if let Some(next) = next {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

/// Every word of the text occurs, by the full-text index of the column.
fn push_text_match(sql: &mut Sql, table: &Table, column: &Column, values: Vec<Value>) -> Result<(), Problem> {
    let Some(index) = table.text_index(&column.name) else {
        let message = format!("the column `{}` of `{}` has no text index", column.name, table.name);
        return Err(Problem::unsupported(message).with_param(&column.name));
    };
    let text = only_text(column, values)?;
    // Each word is quoted, so that nothing in it is an operator of the query language.
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
        .collect();
    if words.is_empty() || text.contains('\0') {
        return Err(Problem::invalid_request("a text search needs a word").with_param(&column.name));
    }
    let query = format!("{{{}}} : ({})", column.name, words.join(" AND "));
    sql.name(ROW)
        .push(" IN (SELECT rowid FROM ")
        .name(&index)
        .push(" WHERE ")
        .name(&index);
    sql.push(" MATCH ").value(Value::Text(query)).push(")");
    Ok(())
}

fn only(column: &Column, values: Vec<Value>) -> Result<Value, Problem> {
    let [value] = <[Value; 1]>::try_from(values).map_err(|_| wrong_count(column, "one value"))?;
    Ok(value)
}

fn only_text(column: &Column, values: Vec<Value>) -> Result<String, Problem> {
    if column.of.class() != Class::Text {
        let message = format!("the column `{}` is no text", column.name);
        return Err(Problem::invalid_request(message).with_param(&column.name));
    }
    match to_compare(column, only(column, values)?)? {
        Value::Text(text) => Ok(text),
        _ => Err(Problem::internal("a text column compared with something else")),
    }
}

fn wrong_count(column: &Column, wanted: &str) -> Problem {
    Problem::invalid_request(format!("this comparison with `{}` takes {wanted}", column.name)).with_param(&column.name)
}

#[cfg(test)]
mod tests {
    use super::successor;

    #[test]
    fn the_successor_is_the_end_of_the_prefixes_range() {
        assert_eq!(successor("ab").as_deref(), Some("ac"));
        assert_eq!(successor("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(successor("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(successor("\u{7f}").as_deref(), Some("\u{80}"));
        assert_eq!(successor("\u{10ffff}"), None);
        assert_eq!(successor(""), None);
    }
}
