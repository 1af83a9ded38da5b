//! Where a page ended, as an opaque text: the sort keys of its last row and a mark of the question it belongs to. It names a
//! place in the order, not a number of rows, so that it stays right while rows come and go. It is not secret and not signed:
//! whoever holds it could have asked the same question anyway.

use encaje_sdk::errors::Problem;
use encaje_sdk::values::Value;
use serde::{Deserialize, Serialize};

use crate::limits::MAX_CURSOR;
use crate::read::Sort;
use crate::value::{fits, hex, unhex};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    /// Which table and order it is of.
    of: u64,
    at: Vec<Mark>,
}

/// A stored value; a real as its bits, so that not the last of them is lost.
#[derive(Debug, Serialize, Deserialize)]
enum Mark {
    #[serde(rename = "n")]
    Null,
    #[serde(rename = "i")]
    Integer(i64),
    #[serde(rename = "r")]
    Real(u64),
    #[serde(rename = "t")]
    Text(String),
    #[serde(rename = "b")]
    Blob(String),
}

/// The cursor behind a row with these sort keys.
///
/// # Errors
/// `too-large` where the keys are too long for a cursor.
pub(crate) fn encode(table: &str, sort: &[Sort<'_>], keys: &[Value]) -> Result<String, Problem> {
    let at = keys.iter().map(mark).collect::<Result<_, _>>()?;
    let cursor = Cursor {
        of: question(table, sort),
        at,
    };
    let json = serde_json::to_string(&cursor)
        .map_err(|error| Problem::internal("a cursor cannot be written").with_log_detail(error.to_string()))?;
    let text = hex(json.as_bytes());
    if text.len() > MAX_CURSOR {
        let message = format!("the sort keys of `{table}` are too long to go on from; sort by something shorter");
        return Err(Problem::too_large(message).with_param("order"));
    }
    Ok(text)
}

/// The sort keys that a cursor stands for.
///
/// # Errors
/// `invalid-request` for what is no cursor, and for one of another question.
pub(crate) fn decode(table: &str, sort: &[Sort<'_>], text: &str) -> Result<Vec<Value>, Problem> {
    let refuse = |why: &str| Problem::invalid_request(format!("the cursor {why}")).with_param("cursor");
    if text.len() > MAX_CURSOR {
        return Err(refuse("is too long"));
    }
    let bytes = unhex(text).ok_or_else(|| refuse("is none of this store"))?;
    let cursor: Cursor = serde_json::from_slice(&bytes).map_err(|_| refuse("is none of this store"))?;
    if cursor.of != question(table, sort) || cursor.at.len() != sort.len() {
        return Err(refuse("belongs to another table or order"));
    }
    let value = |(mark, sort): (Mark, &Sort<'_>)| {
        let value = unmark(mark).ok_or_else(|| refuse("is none of this store"))?;
        let nullable = !sort.column.required && matches!(value, Value::Null);
        if nullable || fits(sort.column.of, &value) {
            Ok(value)
        } else {
            Err(refuse("is none of this store"))
        }
    };
    cursor.at.into_iter().zip(sort).map(value).collect()
}

fn mark(value: &Value) -> Result<Mark, Problem> {
    match value {
        Value::Null => Ok(Mark::Null),
        Value::Integer(number) => Ok(Mark::Integer(*number)),
        Value::Real(number) => Ok(Mark::Real(number.to_bits())),
        Value::Text(text) => Ok(Mark::Text(text.clone())),
        Value::Blob(bytes) => Ok(Mark::Blob(hex(bytes))),
        Value::Boolean(_) | Value::Json(_) => Err(Problem::internal("a stored value is of no stored class")),
    }
}

fn unmark(mark: Mark) -> Option<Value> {
    match mark {
        Mark::Null => Some(Value::Null),
        Mark::Integer(number) => Some(Value::Integer(number)),
        Mark::Real(bits) => Some(f64::from_bits(bits))
            .filter(|number| !number.is_nan())
            .map(Value::Real),
        Mark::Text(text) => Some(Value::Text(text)),
        Mark::Blob(digits) => unhex(&digits).map(Value::Blob),
    }
}

/// FNV-1a of the table and the order. The filter is not part of it: a caller may well page on with "until now" moved.
fn question(table: &str, sort: &[Sort<'_>]) -> u64 {
    let order = sort
        .iter()
        .flat_map(|sort| [sort.column.name.as_str(), if sort.descending { "-" } else { "+" }]);
    let bytes = std::iter::once(table)
        .chain(order)
        .flat_map(|word| word.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
