//! What changes from one registry to the next, in words and as data. Applies nothing.
//!
//! Both registries are compared as the JSON that their checked types serialise to, so that a key which is added to the
//! registry cannot be forgotten here.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use crate::diagnostic::printable;
use crate::registry::{Registry, Route};

/// `[server]` keys that are read once, at the start.
const AT_START: [&str; 7] = [
    "listen",
    "data",
    "max_body",
    "max_in_flight",
    "timeout",
    "drain",
    "when_storage_fails",
];

/// What happens to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is new.
    Add,
    /// It goes.
    Remove,
    /// It stays and differs.
    Change,
}

/// What something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// `[server]` and `[sources]`; one key each.
    Setting,
    /// `[keys.NAME]`.
    Key,
    /// `[databases.NAME]`.
    Database,
    /// `[models.NAME]`.
    Model,
    /// `[plugins.NAME]`.
    Plugin,
    /// `[routes."PATTERN"]`.
    Route,
}

impl Subject {
    fn as_str(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Key => "key",
            Self::Database => "database",
            Self::Model => "model",
            Self::Plugin => "plugin",
            Self::Route => "route",
        }
    }
}

/// One value that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Detail {
    /// Its path within the subject, e.g. `limits.memory`; empty for a setting's own value.
    pub path: String,
    /// What it was; `None` where there was nothing.
    pub before: Option<Value>,
    /// What it becomes; `None` where there will be nothing.
    pub after: Option<Value>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// What happens.
    pub action: Action,
    /// To what.
    pub subject: Subject,
    /// Its name.
    pub name: String,
    /// The values that differ; empty unless it is a change.
    pub details: Vec<Detail>,
    /// Whether only a restart of the server brings it about.
    pub needs_restart: bool,
}

/// All changes; settings first, then by subject and name.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Plan {
    /// In that order.
    pub changes: Vec<Change>,
}

type Items = BTreeMap<(Subject, String), Value>;

impl Plan {
    /// From what is running to what is written.
    pub fn between(running: &Registry, written: &Registry) -> Self {
        Self::of(&items(running), &items(written))
    }

    /// From nothing: all that a registry declares.
    pub fn from_nothing(written: &Registry) -> Self {
        Self::of(&Items::new(), &items(written))
    }

    fn of(before: &Items, after: &Items) -> Self {
        let mut names: Vec<&(Subject, String)> = before.keys().chain(after.keys()).collect();
        names.sort();
        names.dedup();
        let change = |name: &&(Subject, String)| {
            let (old, new) = (before.get(*name), after.get(*name));
            let (subject, name) = (name.0, name.1.clone());
            let mut details = Vec::new();
            let action = match (old, new) {
                (None, _) => Action::Add,
                (_, None) => Action::Remove,
                (Some(old), Some(new)) => {
                    differences("", old, new, &mut details);
                    if details.is_empty() {
                        return None;
                    }
                    Action::Change
                }
            };
            let needs_restart = subject == Subject::Setting && AT_START.contains(&name.as_str()) && old.is_some();
            Some(Change {
                action,
                subject,
                name,
                details,
                needs_restart,
            })
        };
        Self {
            changes: names.iter().filter_map(change).collect(),
        }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether some of it waits for a restart.
    pub fn needs_restart(&self) -> bool {
        self.changes.iter().any(|change| change.needs_restart)
    }
}

fn items(registry: &Registry) -> Items {
    let value = |value: Result<Value, serde_json::Error>| value.unwrap_or(Value::Null);
    let mut items = Items::new();
    if let Value::Object(server) = value(serde_json::to_value(&registry.server)) {
        items.extend(server.into_iter().map(|(key, value)| ((Subject::Setting, key), value)));
    }
    items.insert((Subject::Setting, "hub".to_owned()), json!(registry.hub));
    for key in &registry.keys {
        let known = json!({ "tenant": key.tenant, "sha256": crate::Digest::from(key.sha256) });
        items.insert((Subject::Key, key.name.clone()), known);
    }
    for (name, database) in &registry.databases {
        items.insert((Subject::Database, name.clone()), value(serde_json::to_value(database)));
    }
    for (name, model) in &registry.models {
        items.insert((Subject::Model, name.clone()), value(serde_json::to_value(model)));
    }
    for plugin in &registry.plugins {
        items.insert(
            (Subject::Plugin, plugin.name.clone()),
            value(serde_json::to_value(plugin)),
        );
    }
    items.extend(
        registry
            .routes
            .iter()
            .map(|route| ((Subject::Route, route.pattern.clone()), route_value(route))),
    );
    items
}

fn route_value(route: &Route) -> Value {
    let target = |target: &encaje_core::route::Target| {
        let mut value = json!({ "plugin": target.plugin });
        if let Some(object) = value.as_object_mut() {
            object.extend(target.model.iter().map(|model| ("model".to_owned(), json!(model))));
            object.extend(target.degraded.then(|| ("degraded".to_owned(), json!(true))));
        }
        value
    };
    json!({ "to": route.to.iter().map(target).collect::<Vec<_>>(), "cost_mode": route.cost_mode })
}

/// Objects are compared key by key, everything else as a whole; null and absent are the same.
fn differences(path: &str, old: &Value, new: &Value, found: &mut Vec<Detail>) {
    if let (Value::Object(before), Value::Object(after)) = (old, new) {
        let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let inner = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            let side = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
            differences(&inner, &side(before), &side(after), found);
        }
        return;
    }
    if old != new {
        let side = |value: &Value| (!value.is_null()).then(|| value.clone());
        found.push(Detail {
            path: path.to_owned(),
            before: side(old),
            after: side(new),
        });
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(out, "Nothing changes.");
        }
        self.changes.iter().try_for_each(|change| writeln!(out, "{change}"))?;
        if self.needs_restart() {
            writeln!(
                out,
                "What is marked with a restart stays as it is until the server is started again."
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.action {
            Action::Add => "+ add",
            Action::Remove => "- remove",
            Action::Change => "~ change",
        };
        write!(out, "{verb} the {} `{}`", self.subject.as_str(), self.name)?;
        if self.needs_restart {
            write!(out, " (needs a restart)")?;
        }
        let details: Vec<String> = self.details.iter().map(ToString::to_string).collect();
        if details.is_empty() {
            return Ok(());
        }
        // A plugin's `config` has any keys and texts; JSON escapes some of what a terminal takes for orders, not all.
        write!(
            out,
            ": {}",
            details.join("; ").chars().map(printable).collect::<String>()
        )
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(out, "{} ", self.path)?;
        }
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(out, "from {before} to {after}"),
            (None, Some(after)) => write!(out, "becomes {after}"),
            (Some(before), None) => write!(out, "is no longer {before}"),
            (None, None) => Ok(()),
        }
    }
}
