//! A plugin's `config`: the schema that its manifest gives, the defaults in it, and the operator's values against it.

use std::collections::BTreeMap;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value, json};

use crate::diagnostic::{Diagnostic, Severity, Span, quoted};
use crate::names::{listed, nearest};
use crate::reader::{Table, key_text};
use crate::registry::{Plugin, Registry};

/// The manifest's `[config]`, with every object closed that names its properties; without one, no key is taken.
pub(super) fn schema(root: &Table<'_>) -> Option<Value> {
    let Some(node) = root.get("config") else {
        return Some(json!({ "type": "object", "additionalProperties": false }));
    };
    if !node.is_table() {
        node.error(
            "`config` must be a JSON Schema as a table",
            "write `[config]` with `type = \"object\"`",
        );
        return None;
    }
    let (mut schema, places) = node.json();
    if schema.get("type").is_some_and(|kind| kind != "object") {
        let at = places.get("/type").copied().unwrap_or_default();
        root.report.error(
            at,
            "the schema of a `config` must be of type `object`",
            "write `type = \"object\"`",
        );
        return None;
    }
    if let Some(object) = schema.as_object_mut() {
        object.insert("type".to_owned(), "object".into());
    }
    close(&mut schema);
    if let Err(error) = compile(&schema) {
        let at = nearest_place(&places, error.instance_path().as_str());
        let message = format!("`[config]` is no valid JSON Schema: {}", error.masked());
        root.report
            .error(at, message, "see the JSON Schema specification, draft 2020-12");
        return None;
    }
    Some(schema)
}

/// Objects that name their properties take no others, unless they say so themselves.
fn close(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    let open = [
        "additionalProperties",
        "patternProperties",
        "unevaluatedProperties",
        "allOf",
        "anyOf",
        "oneOf",
        "$ref",
    ];
    let says_itself = open.iter().any(|key| object.contains_key(*key));
    if object.contains_key("properties") && !says_itself {
        object.insert("additionalProperties".to_owned(), false.into());
    }
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        properties.values_mut().for_each(close);
    }
    if let Some(items) = object.get_mut("items") {
        close(items);
    }
}

/// Patterns run in linear time: a publisher's schema must not be able to stall a load.
fn compile(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
}

/// The place of the longest known prefix of a JSON pointer.
fn nearest_place(places: &BTreeMap<String, Span>, pointer: &str) -> Span {
    let mut pointer = pointer;
    loop {
        if let Some(place) = places.get(pointer) {
            return *place;
        }
        match pointer.rsplit_once('/') {
            Some((parent, _)) => pointer = parent,
            None => return Span::default(),
        }
    }
}

/// Defaults of the schema where the operator said nothing; an object that is absent stays so unless it has a default.
fn fill(schema: &Value, value: &mut Value) {
    let (Some(properties), Some(object)) = (
        schema.get("properties").and_then(Value::as_object),
        value.as_object_mut(),
    ) else {
        return;
    };
    for (key, property) in properties {
        if let Some(default) = property.get("default").filter(|_| !object.contains_key(key)) {
            object.insert(key.clone(), default.clone());
        }
        if let Some(inner) = object.get_mut(key) {
            fill(property, inner);
        }
    }
}

/// The plugin's `config` with the defaults filled in.
///
/// # Errors
/// Every value that the schema refuses, each at its place in the registry.
pub(super) fn check(registry: &Registry, plugin: &Plugin, schema: &Value) -> Result<Value, Vec<Diagnostic>> {
    let mut config = plugin.config.clone();
    fill(schema, &mut config);
    let broken = |error: &ValidationError<'_>| vec![refuse(registry, plugin, schema, error, None)];
    let validator = compile(schema).map_err(|error| broken(&error))?;
    let mut found = Vec::new();
    for error in validator.iter_errors(&config).take(crate::limits::MAX_DIAGNOSTICS) {
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                found.extend(
                    unexpected
                        .iter()
                        .map(|key| refuse(registry, plugin, schema, &error, Some(key))),
                );
            }
            // How the validator says it where no key at all is taken.
            ValidationErrorKind::FalseSchema if error.instance_path().as_str().is_empty() => {
                let keys = config.as_object().into_iter().flat_map(Map::keys);
                found.extend(keys.map(|key| refuse(registry, plugin, schema, &error, Some(key))));
            }
            _ => found.push(refuse(registry, plugin, schema, &error, None)),
        }
    }
    if found.is_empty() { Ok(config) } else { Err(found) }
}

/// A `config` outside of a registry, with the defaults filled in.
///
/// # Errors
/// What the schema refuses, in words.
pub(super) fn alone(schema: &Value, mut config: Value) -> Result<Value, String> {
    fill(schema, &mut config);
    let validator = compile(schema).map_err(|error| error.to_string())?;
    let wrong: Vec<String> = validator
        .iter_errors(&config)
        .take(crate::limits::MAX_DIAGNOSTICS)
        .map(|error| format!("`config{}`: {}", dotted(error.instance_path().as_str()), error.masked()))
        .collect();
    if wrong.is_empty() {
        Ok(config)
    } else {
        Err(wrong.join("\n"))
    }
}

fn refuse(
    registry: &Registry,
    plugin: &Plugin,
    schema: &Value,
    error: &ValidationError<'_>,
    unknown: Option<&str>,
) -> Diagnostic {
    let pointer = error.instance_path().as_str();
    let path = format!("plugins.{}.config{}", key_text(&plugin.name), dotted(pointer));
    let around = error
        .schema_path()
        .as_str()
        .rsplit_once('/')
        .map_or("", |(parent, _)| parent);
    let around = schema.pointer(around);
    let (at, message, fix) = match (unknown, error.kind()) {
        (Some(key), _) => {
            let own = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
            let none = Map::new();
            let known = around
                .and_then(|schema| schema.get("properties")?.as_object())
                .unwrap_or(&none);
            let fix = match nearest(key, known.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "remove it; the plugin takes no such keys".to_owned(),
                None => format!("the plugin's keys are {}", listed(known.keys().map(String::as_str))),
            };
            (own, format!("unknown key {} in `{path}`", quoted(key)), fix)
        }
        (None, ValidationErrorKind::Required { property }) => {
            let key = property.as_str().unwrap_or_default();
            let message = format!("`{}` is missing in `{path}`", key_text(key));
            let about = around.and_then(|schema| schema.get("properties")?.get(key)?.get("description")?.as_str());
            let about = about.map(|text| format!(": {text}")).unwrap_or_default();
            (
                pointer.to_owned(),
                message,
                format!("add `{} = …`{about}", key_text(key)),
            )
        }
        (None, _) => {
            let about = around.and_then(|schema| schema.get("description")?.as_str());
            let fix = about.map_or_else(|| "see the plugin's README".to_owned(), str::to_owned);
            (
                pointer.to_owned(),
                format!("`{path}` does not fit the plugin: {}", error.masked()),
                fix,
            )
        }
    };
    registry.diagnostic(Severity::Error, nearest_place(&plugin.config_at, &at), message, fix)
}

/// `/script/tool_calls/0/name` as `.script.tool_calls[0].name`.
fn dotted(pointer: &str) -> String {
    let part = |part: &str| {
        let part = part.replace("~1", "/").replace("~0", "~");
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            format!("[{part}]")
        } else {
            format!(".{}", key_text(&part))
        }
    };
    pointer.split('/').skip(1).map(part).collect()
}
