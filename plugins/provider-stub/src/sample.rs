//! The plainest value that fits a JSON Schema, for answers in JSON and for arguments of tools. It validates nothing, and it
//! refuses what it cannot be sure to satisfy rather than answer with something that does not fit.

use encaje_sdk::errors::Problem;
use serde_json::{Map, Number, Value, json};

use crate::limits::{MAX_ITEMS, MAX_SCHEMA_DEPTH, MAX_SCHEMA_VALUES};

/// Keywords whose meaning cannot be met by picking a value that meets the others.
const BEYOND: [&str; 9] = [
    "not",
    "if",
    "pattern",
    "multipleOf",
    "contains",
    "uniqueItems",
    "minProperties",
    "patternProperties",
    "dependentRequired",
];

/// A value that fits `schema`; free texts in it are `text`.
///
/// # Errors
/// `unsupported`, naming the keyword, for a schema that it cannot answer.
pub(crate) fn sample(schema: &Value, text: &str) -> Result<Value, Problem> {
    Sampler {
        root: schema,
        text,
        made: 0,
    }
    .value(schema, 0)
}

struct Sampler<'a> {
    root: &'a Value,
    text: &'a str,
    made: u32,
}

impl Sampler<'_> {
    fn value(&mut self, schema: &Value, depth: u32) -> Result<Value, Problem> {
        self.made += 1;
        if depth > MAX_SCHEMA_DEPTH || self.made > MAX_SCHEMA_VALUES {
            return Err(Problem::unsupported(
                "the stub cannot answer a JSON Schema that is this deep or refers to itself",
            ));
        }
        let Value::Object(keywords) = schema else {
            return if *schema == Value::Bool(false) {
                Err(beyond("false"))
            } else {
                Ok(json!({}))
            };
        };
        if let Some(keyword) = BEYOND.iter().find(|keyword| is_restricting(keywords.get(**keyword))) {
            return Err(beyond(keyword));
        }
        if let Some(constant) = keywords.get("const") {
            return Ok(constant.clone());
        }
        if let Some(first) = keywords
            .get("enum")
            .and_then(Value::as_array)
            .and_then(|values| values.first())
        {
            return Ok(first.clone());
        }
        if let Some(reference) = keywords.get("$ref").and_then(Value::as_str) {
            let target = reference
                .strip_prefix('#')
                .and_then(|pointer| self.root.pointer(pointer));
            let target =
                target.ok_or_else(|| Problem::invalid_request(format!("`$ref` `{reference}` leads nowhere")))?;
            return self.value(target, depth + 1);
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(first) = keywords
                .get(keyword)
                .and_then(Value::as_array)
                .and_then(|list| list.first())
            {
                return self.value(first, depth + 1);
            }
        }
        if keywords.contains_key("allOf") {
            return Err(beyond("allOf"));
        }
        match type_of(keywords) {
            "object" => self.object(keywords, depth),
            "array" => self.array(keywords, depth),
            "string" => self.string(keywords),
            "integer" => number(keywords, true),
            "number" => number(keywords, false),
            "boolean" => Ok(Value::Bool(false)),
            "null" => Ok(Value::Null),
            other => Err(Problem::invalid_request(format!("`{other}` is no type of JSON Schema"))),
        }
    }

    /// The required properties; all of them at the top where none is required, since an empty object would tell nothing.
    fn object(&mut self, keywords: &Map<String, Value>, depth: u32) -> Result<Value, Problem> {
        let none = Map::new();
        let properties = keywords.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let required: Vec<&str> = match keywords.get("required").and_then(Value::as_array) {
            Some(names) => names.iter().filter_map(Value::as_str).collect(),
            None if depth == 0 => properties.keys().map(String::as_str).collect(),
            None => Vec::new(),
        };
        let mut object = Map::new();
        for name in required {
            let value = match properties.get(name) {
                Some(schema) => self.value(schema, depth + 1)?,
                None => Value::String(self.text.to_owned()),
            };
            object.insert(name.to_owned(), value);
        }
        Ok(Value::Object(object))
    }

    fn array(&mut self, keywords: &Map<String, Value>, depth: u32) -> Result<Value, Problem> {
        let wanted = keywords.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        if wanted > MAX_ITEMS {
            return Err(beyond("minItems"));
        }
        if keywords.contains_key("prefixItems") {
            return Err(beyond("prefixItems"));
        }
        let any = Value::Bool(true);
        let items = keywords.get("items").unwrap_or(&any);
        (0..wanted)
            .map(|_| self.value(items, depth + 1))
            .collect::<Result<_, _>>()
            .map(Value::Array)
    }

    fn string(&self, keywords: &Map<String, Value>) -> Result<Value, Problem> {
        let text = match keywords.get("format").and_then(Value::as_str) {
            None => self.text,
            Some("date-time") => "2000-01-01T00:00:00Z",
            Some("date") => "2000-01-01",
            Some("time") => "00:00:00Z",
            Some("email") => "stub@example.com",
            Some("uuid") => "00000000-0000-4000-8000-000000000000",
            Some("uri" | "uri-reference") => "https://example.com/",
            Some(_) => return Err(beyond("format")),
        };
        let least = keywords.get("minLength").and_then(Value::as_u64).unwrap_or(0);
        let most = keywords.get("maxLength").and_then(Value::as_u64).unwrap_or(u64::MAX);
        if least > u64::from(MAX_SCHEMA_VALUES) || least > most {
            return Err(beyond("minLength"));
        }
        let mut text: String = text.chars().take(usize::try_from(most).unwrap_or(usize::MAX)).collect();
        let length = text.chars().count();
        text.extend(std::iter::repeat_n(
            '.',
            usize::try_from(least).unwrap_or(0).saturating_sub(length),
        ));
        Ok(Value::String(text))
    }
}

/// Whether a keyword that stands there restricts anything: `"uniqueItems": false` does not.
fn is_restricting(value: Option<&Value>) -> bool {
    value.is_some_and(|value| !matches!(value, Value::Bool(false) | Value::Null))
}

fn type_of(keywords: &Map<String, Value>) -> &str {
    match keywords.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => {
            let mut names = names.iter().filter_map(Value::as_str);
            names.find(|name| *name != "null").unwrap_or("null")
        }
        _ if keywords.contains_key("items") => "array",
        _ => "object",
    }
}

/// Zero, or the bound nearest to it.
fn number(keywords: &Map<String, Value>, whole: bool) -> Result<Value, Problem> {
    let bound = |name: &str| keywords.get(name).and_then(Value::as_f64);
    let mut least = bound("minimum").unwrap_or(f64::NEG_INFINITY);
    let mut most = bound("maximum").unwrap_or(f64::INFINITY);
    // An exclusive bound is moved inwards by one; a range that is narrower than that is refused below.
    least = least.max(bound("exclusiveMinimum").map_or(least, |bound| bound + 1.0));
    most = most.min(bound("exclusiveMaximum").map_or(most, |bound| bound - 1.0));
    if whole {
        (least, most) = (least.ceil(), most.floor());
    }
    if least > most {
        return Err(beyond("minimum"));
    }
    let value = 0.0_f64.clamp(least, most);
    // Beyond 2^53 a whole number is no longer sure to be the one that was meant.
    if whole && value.abs() <= 9_007_199_254_740_992.0 {
        return Ok(Value::from(value as i64));
    }
    Number::from_f64(value)
        .map(Value::Number)
        .ok_or_else(|| beyond("minimum"))
}

fn beyond(keyword: &str) -> Problem {
    Problem::unsupported(format!("the stub cannot answer a JSON Schema with `{keyword}` there"))
}

#[cfg(test)]
mod tests {
    use super::{Value, json, sample};

    #[test]
    fn plain_schemas_are_answered() {
        for (schema, value) in [
            (
                json!({"type": "object", "properties": {"a": {"type": "string"}}}),
                json!({"a": "hi"}),
            ),
            (
                json!({"type": "object", "required": ["b"], "properties": {"a": {}, "b": {"enum": [3]}}}),
                json!({"b": 3}),
            ),
            (
                json!({"type": "array", "minItems": 2, "items": {"type": "boolean"}}),
                json!([false, false]),
            ),
            (json!({"type": ["null", "integer"], "exclusiveMinimum": 4}), json!(5)),
            (json!({"type": "number", "maximum": -0.5}), json!(-0.5)),
            (json!({"anyOf": [{"const": "x"}, {"type": "null"}]}), json!("x")),
            (json!({"type": "string", "minLength": 4, "maxLength": 5}), json!("hi..")),
            (json!({"type": "string", "format": "date"}), json!("2000-01-01")),
            (
                json!({"$ref": "#/$defs/n", "$defs": {"n": {"type": "null"}}}),
                Value::Null,
            ),
            (json!({"type": "array", "uniqueItems": false}), json!([])),
        ] {
            assert_eq!(sample(&schema, "hi").unwrap(), value, "{schema}");
        }
    }

    #[test]
    fn a_schema_that_cannot_be_met_is_refused() {
        for schema in [
            json!({"type": "string", "pattern": "^a$"}),
            json!({"type": "integer", "minimum": 3, "maximum": 2}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}),
            json!({"$ref": "#/nowhere"}),
            json!({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}),
            json!({"type": "array", "minItems": 101}),
            json!(false),
        ] {
            assert!(sample(&schema, "hi").is_err(), "{schema}");
        }
    }

    #[test]
    fn references_cannot_multiply_without_end() {
        let pair = |next: &str| json!({"type": "array", "minItems": 100, "items": {"$ref": next}});
        let schema = json!({"$ref": "#/$defs/a", "$defs": {"a": pair("#/$defs/b"), "b": pair("#/$defs/c"), "c": pair("#/$defs/d"), "d": {}}});
        assert!(sample(&schema, "hi").is_err());
    }
}
