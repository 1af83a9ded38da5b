//! Values on their way into and out of SQLite: booleans are integers there and JSON is text. No conversion guesses: a value
//! of another type than the column's is the caller's mistake.

use encaje_sdk::errors::Problem;
use encaje_sdk::values::Value;

use crate::catalog::{Class, Column, Type};

/// A value to be stored in a column.
///
/// # Errors
/// `invalid-request` for another type, for null where the column is required, and for a real that is not a number.
pub(crate) fn to_store(column: &Column, value: Value) -> Result<Value, Problem> {
    if matches!(value, Value::Null) {
        return if column.required {
            Err(refusal(column, "must not be null"))
        } else {
            Ok(Value::Null)
        };
    }
    convert(column, value, false)
}

/// A value to be compared with a column; here a text may stand for JSON.
///
/// # Errors
/// As [`to_store`], and for null, which only `is-null` compares with.
pub(crate) fn to_compare(column: &Column, value: Value) -> Result<Value, Problem> {
    if matches!(value, Value::Null) {
        return Err(refusal(
            column,
            "cannot be compared with null; use `is-null` or `is-not-null`",
        ));
    }
    convert(column, value, true)
}

fn convert(column: &Column, value: Value, compared: bool) -> Result<Value, Problem> {
    match (column.of, value) {
        (Type::Boolean, Value::Boolean(flag)) => Ok(Value::Integer(i64::from(flag))),
        (Type::Integer | Type::TimeUs | Type::MoneyNano, Value::Integer(number)) => Ok(Value::Integer(number)),
        // SQLite would turn it into null.
        (Type::Real, Value::Real(number)) if number.is_nan() => Err(refusal(column, "must be a number")),
        (Type::Real, Value::Real(number)) => Ok(Value::Real(number)),
        (Type::Real, Value::Integer(number)) => Ok(Value::Real(number as f64)),
        (Type::Text, Value::Text(text)) | (Type::Json, Value::Json(text)) => Ok(Value::Text(text)),
        (Type::Json, Value::Text(text)) if compared => Ok(Value::Text(text)),
        (Type::Blob, Value::Blob(bytes)) => Ok(Value::Blob(bytes)),
        (of, value) => Err(refusal(column, &format!("takes {of:?}, not {}", kind(&value)))),
    }
}

/// A stored value as the contract has it.
pub(crate) fn from_store(of: Type, value: Value) -> Value {
    match (of, value) {
        (Type::Boolean, Value::Integer(number)) => Value::Boolean(number != 0),
        (Type::Json, Value::Text(text)) => Value::Json(text),
        (_, value) => value,
    }
}

/// Whether a stored value is of the class that a column of this type holds.
pub(crate) fn fits(of: Type, value: &Value) -> bool {
    matches!(
        (of.class(), value),
        (Class::Integer, Value::Integer(_))
            | (Class::Real, Value::Real(_))
            | (Class::Text, Value::Text(_))
            | (Class::Blob, Value::Blob(_))
    )
}

/// A stored value as a SQL literal, for defaults, which take no parameters.
///
/// # Errors
/// `invalid-request` for what has no literal: infinities, and texts with a zero byte.
pub(crate) fn literal(column: &Column, value: &Value) -> Result<String, Problem> {
    match value {
        Value::Integer(number) => Ok(number.to_string()),
        Value::Real(number) if number.is_finite() => Ok(format!("{number:?}")),
        Value::Text(text) if !text.contains('\0') => Ok(format!("'{}'", text.replace('\'', "''"))),
        Value::Blob(bytes) => Ok(format!("x'{}'", hex(bytes))),
        _ => Err(refusal(column, "cannot have this default")),
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The bytes of hexadecimal digits; `None` for anything else.
pub(crate) fn unhex(digits: &str) -> Option<Vec<u8>> {
    let nibbles = digits
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|nibble| u8::try_from(nibble).ok()));
    let nibbles: Vec<u8> = nibbles.collect::<Option<_>>()?;
    let (pairs, rest) = nibbles.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Boolean(_) => "a boolean",
        Value::Integer(_) => "an integer",
        Value::Real(_) => "a real",
        Value::Text(_) => "a text",
        Value::Blob(_) => "a blob",
        Value::Json(_) => "JSON",
    }
}

fn refusal(column: &Column, why: &str) -> Problem {
    Problem::invalid_request(format!("the column `{}` {why}", column.name)).with_param(&column.name)
}

#[cfg(test)]
mod tests {
    use super::{Column, Type, Value, hex, literal, to_compare, to_store, unhex};

    fn column(of: Type, required: bool) -> Column {
        Column {
            name: "c".to_owned(),
            of,
            required,
            default: None,
        }
    }

    #[test]
    fn other_types_nulls_and_nan_are_refused() {
        assert!(to_store(&column(Type::Integer, false), Value::Text("1".to_owned())).is_err());
        assert!(to_store(&column(Type::Json, false), Value::Text("1".to_owned())).is_err());
        assert!(to_compare(&column(Type::Json, false), Value::Text("1".to_owned())).is_ok());
        assert!(to_store(&column(Type::Boolean, false), Value::Integer(1)).is_err());
        assert!(to_store(&column(Type::Text, true), Value::Null).is_err());
        assert!(to_store(&column(Type::Text, false), Value::Null).is_ok());
        assert!(to_compare(&column(Type::Text, false), Value::Null).is_err());
        assert!(to_store(&column(Type::Real, false), Value::Real(f64::NAN)).is_err());
        assert!(matches!(
            to_store(&column(Type::Real, false), Value::Integer(2)),
            Ok(Value::Real(2.0))
        ));
    }

    #[test]
    fn literals_are_quoted() {
        let text = column(Type::Text, false);
        assert_eq!(literal(&text, &Value::Text("it's".to_owned())).unwrap(), "'it''s'");
        assert!(literal(&text, &Value::Text("a\0b".to_owned())).is_err());
        assert_eq!(literal(&text, &Value::Blob(vec![0, 255])).unwrap(), "x'00ff'");
        assert_eq!(literal(&text, &Value::Real(1.0)).unwrap(), "1.0");
        assert_eq!(literal(&text, &Value::Real(1e300)).unwrap(), "1e300");
    }

    #[test]
    fn hexadecimal_comes_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&bytes)).unwrap(), bytes);
        assert!(unhex("abc").is_none());
        assert!(unhex("zz").is_none());
    }
}
