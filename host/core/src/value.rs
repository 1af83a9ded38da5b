//! Values of rows and predicates over them, as `encaje:common/values` has them.
//!
//! `Serialize` here is for the spool's own file format, not for a wire.

use serde::{Deserialize, Serialize};

use crate::problem::Json;

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// 64 bits, signed; times are microseconds of UTC since 1970, money is billionths.
    Integer(i64),
    /// 64 bits.
    Real(f64),
    /// UTF-8.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
    /// A JSON text.
    Json(Json),
}

impl Value {
    /// The text of a `Text` or `Json`.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Json(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an `Integer`, or 0 and 1 of a `Boolean`.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Boolean(flag) => Some(i64::from(*flag)),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u64> for Value {
    /// Saturates at the largest signed number.
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Boolean(flag)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparator {
    /// Same value.
    Equal,
    /// Another value.
    NotEqual,
    /// Smaller.
    Less,
    /// Not larger.
    LessOrEqual,
    /// Larger.
    Greater,
    /// Not smaller.
    GreaterOrEqual,
    /// One of the values.
    OneOf,
    /// None of the values.
    NotOneOf,
    /// Text that starts with the value, case counts.
    StartsWith,
    /// Text that contains the value, case counts.
    Contains,
    /// Full-text match.
    MatchesText,
    /// Null.
    IsNull,
    /// Not null.
    IsNotNull,
}

/// One test of one field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The column.
    pub field: String,
    /// The test.
    pub by: Comparator,
    /// One value for most tests, any number for `OneOf`, none for the null tests.
    pub values: Vec<Value>,
}

impl Comparison {
    /// `field = value`.
    pub fn equal(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self {
            field: field.into(),
            by: Comparator::Equal,
            values: vec![value.into()],
        }
    }
}

/// Any of these groups; a group holds when all of its comparisons do. The empty list matches everything.
pub type Filter = Vec<Vec<Comparison>>;

/// Named values of a row.
pub type Fields = Vec<(String, Value)>;
