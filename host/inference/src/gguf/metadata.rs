//! The key-value pairs at the head of a GGUF file.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::{Content, Value};

use crate::error::ModelError;

/// The metadata of one file.
pub(crate) struct Metadata<'a> {
    values: &'a HashMap<String, Value>,
}

impl<'a> Metadata<'a> {
    /// That of `content`.
    pub(crate) fn new(content: &'a Content) -> Self {
        Self {
            values: &content.metadata,
        }
    }

    fn wrong(key: &str, wanted: &str) -> ModelError {
        ModelError::Malformed(format!("the key `{key}` is not {wanted}"))
    }

    fn needed<T>(key: &str, value: Option<T>) -> Result<T, ModelError> {
        value.ok_or_else(|| ModelError::Malformed(format!("the key `{key}` is missing")))
    }

    /// A text, if there is one.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, ModelError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Self::wrong(key, "a text")),
        }
    }

    /// A text that must be there.
    pub(crate) fn need_text(&self, key: &str) -> Result<&'a str, ModelError> {
        Self::needed(key, self.text(key)?)
    }

    /// A whole number of any width, not negative.
    pub(crate) fn number(&self, key: &str) -> Result<Option<usize>, ModelError> {
        let number = match self.values.get(key) {
            None => return Ok(None),
            Some(Value::U8(value)) => i128::from(*value),
            Some(Value::U16(value)) => i128::from(*value),
            Some(Value::U32(value)) => i128::from(*value),
            Some(Value::U64(value)) => i128::from(*value),
            Some(Value::I8(value)) => i128::from(*value),
            Some(Value::I16(value)) => i128::from(*value),
            Some(Value::I32(value)) => i128::from(*value),
            Some(Value::I64(value)) => i128::from(*value),
            Some(_) => return Err(Self::wrong(key, "a whole number")),
        };
        usize::try_from(number)
            .map(Some)
            .map_err(|_| Self::wrong(key, "a whole number from 0"))
    }

    /// A whole number that must be there, from 1 to `most`.
    pub(crate) fn need_number(&self, key: &str, most: usize) -> Result<usize, ModelError> {
        let number = Self::needed(key, self.number(key)?)?;
        if (1..=most).contains(&number) {
            Ok(number)
        } else {
            Err(Self::wrong(key, &format!("from 1 to {most}")))
        }
    }

    /// A finite fractional number.
    pub(crate) fn float(&self, key: &str) -> Result<Option<f64>, ModelError> {
        let number = match self.values.get(key) {
            None => return Ok(None),
            Some(Value::F32(value)) => f64::from(*value),
            Some(Value::F64(value)) => *value,
            Some(_) => return Err(Self::wrong(key, "a number")),
        };
        if number.is_finite() {
            Ok(Some(number))
        } else {
            Err(Self::wrong(key, "a finite number"))
        }
    }

    /// Yes or no.
    pub(crate) fn switch(&self, key: &str) -> Result<Option<bool>, ModelError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(Self::wrong(key, "true or false")),
        }
    }

    /// A list of texts that must be there.
    pub(crate) fn need_texts(&self, key: &str) -> Result<Vec<&'a str>, ModelError> {
        let wrong = || Self::wrong(key, "a list of texts");
        let Value::Array(items) = Self::needed(key, self.values.get(key))? else {
            return Err(wrong());
        };
        items
            .iter()
            .map(|item| {
                if let Value::String(text) = item {
                    Ok(text.as_str())
                } else {
                    Err(wrong())
                }
            })
            .collect()
    }

    /// A list of signed numbers, if there is one.
    pub(crate) fn numbers(&self, key: &str) -> Result<Option<Vec<i64>>, ModelError> {
        let wrong = || Self::wrong(key, "a list of whole numbers");
        let items = match self.values.get(key) {
            None => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(wrong()),
        };
        let number = |item: &Value| match item {
            Value::I32(value) => Ok(i64::from(*value)),
            Value::U32(value) => Ok(i64::from(*value)),
            Value::I64(value) => Ok(*value),
            _ => Err(wrong()),
        };
        items.iter().map(number).collect::<Result<_, _>>().map(Some)
    }
}
