//! Values of the document as JSON, for what has a schema of its own.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::Node;
use crate::diagnostic::Span;

impl Node<'_> {
    /// The value as JSON, and where each part of it stands, by JSON pointer. Dates become strings.
    pub(crate) fn json(&self) -> (Value, BTreeMap<String, Span>) {
        let spans = RefCell::new(BTreeMap::new());
        let value = self.to_json("", self.key, self.value, &spans);
        (value, spans.into_inner())
    }

    fn to_json(
        &self,
        pointer: &str,
        key: Span,
        node: &Spanned<DeValue<'_>>,
        spans: &RefCell<BTreeMap<String, Span>>,
    ) -> Value {
        spans.borrow_mut().insert(pointer.to_owned(), key);
        let refuse = |what: &str| {
            self.report.error(
                node.span().into(),
                format!("{what} in `{}`", self.path),
                "write another number",
            );
            Value::Null
        };
        match node.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Datetime(time) => Value::String(time.to_string()),
            DeValue::Integer(integer) => {
                let number = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
                match number.and_then(serde_json::Number::from_i128) {
                    Some(number) => Value::Number(number),
                    None => refuse("a number that needs more than 64 bits"),
                }
            }
            DeValue::Float(float) => {
                let number = float.as_str().parse().ok().and_then(serde_json::Number::from_f64);
                number.map_or_else(|| refuse("a number that is not finite"), Value::Number)
            }
            DeValue::Array(items) => {
                let item = |(index, item): (usize, &Spanned<DeValue<'_>>)| {
                    self.to_json(&format!("{pointer}/{index}"), item.span().into(), item, spans)
                };
                items.iter().enumerate().map(item).collect()
            }
            DeValue::Table(table) => {
                let mut object = serde_json::Map::new();
                for (key, value) in table.iter() {
                    let name = key.get_ref();
                    let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                    object.insert(
                        name.to_string(),
                        self.to_json(&pointer, key.span().into(), value, spans),
                    );
                }
                Value::Object(object)
            }
        }
    }
}
