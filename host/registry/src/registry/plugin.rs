//! `[plugins.NAME]`: where a plugin comes from, what it is allowed, how much it may use. Loads nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use encaje_core::trace::PluginKind;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::allow::Allow;
use super::supervision::{Breaker, Retry};
use crate::diagnostic::{Span, quoted};
use crate::digest::Digest;
use crate::limits;
use crate::manifest::Instance;
use crate::reader::{Node, Shape, Table};
use crate::units;

const PLUGIN: Shape = Shape {
    known: &[
        "kind", "source", "allow", "limits", "config", "instance", "on_error", "retry", "breaker",
    ],
    renamed: &[
        ("type", "`kind`"),
        ("path", "`source = { path = \"…\" }`"),
        ("file", "`source = { file = \"…\" }`"),
        ("wasm", "`source = { file = \"…\" }`"),
        ("url", "`source`"),
        ("sha256", "`source = { file = \"…\", sha256 = \"…\" }`"),
        ("grants", "`allow`"),
        ("permissions", "`allow`"),
        ("capabilities", "`allow`"),
        ("settings", "`config`"),
        ("options", "`config`"),
        ("memory", "`limits = { memory = \"64MiB\" }`"),
        ("timeout", "`limits = { wall = \"120s\" }`"),
        ("queue", "`limits = { queue = 1024 }`"),
        ("concurrency", "`limits = { instances = 256 }`"),
        ("retries", "`retry = { attempts = 2 }`, the tries all told"),
        ("max_retries", "`retry = { attempts = 2 }`, the tries all told"),
        ("attempts", "`retry = { attempts = 2 }`"),
        ("backoff", "`retry = { first = \"200ms\" }`"),
        ("circuit_breaker", "`breaker = { failures = 5 }`"),
        ("circuit", "`breaker = { failures = 5 }`"),
        ("threshold", "`breaker = { failures = 5 }`"),
        ("cooldown", "`breaker = { pause = \"10s\" }`"),
    ],
};

const SOURCE: Shape = Shape {
    known: &["path", "file", "sha256", "oci", "digest"],
    renamed: &[
        ("folder", "`path`"),
        ("dir", "`path`"),
        ("wasm", "`file`"),
        ("hash", "`sha256`"),
        ("image", "`oci`"),
        ("registry", "`oci`"),
        ("url", "`file`: this version downloads no plugins"),
        ("git", "`path`, of a checkout of your own"),
    ],
};

const LIMITS: Shape = Shape {
    known: &["memory", "cpu", "wall", "instances", "queue", "uses", "hostcall"],
    renamed: &[
        ("memory_mb", "`memory = \"64MiB\"`"),
        ("mem", "`memory`"),
        ("timeout", "`wall`"),
        ("fuel", "`cpu`, a duration"),
        ("cpu_ms", "`cpu = \"2s\"`"),
        ("concurrency", "`instances`"),
        ("max_instances", "`instances`"),
        ("max_uses", "`uses`"),
        ("max_queue", "`queue`"),
        ("waiting", "`queue`"),
        ("backlog", "`queue`"),
        ("pending", "`queue`"),
    ],
};

const SOURCE_EXAMPLE: &str =
    "`source = { path = \"plugins/NAME\" }` or `source = { file = \"NAME.wasm\", sha256 = \"…\" }`";

/// Where a plugin's component comes from. Paths are relative to the registry's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginSource {
    /// A folder with `plugin.toml` and sources, built on this machine. Not pinned: compilers do not agree to the byte.
    Path(String),
    /// A component.
    File {
        /// Its path.
        path: String,
        /// What it must hash to; without one, `registry.lock` pins what was found first.
        sha256: Option<Digest>,
    },
    /// An artifact in a registry of containers. Parsed, so that the registry is ready for it; not fetched by this version.
    Oci {
        /// `registry/name:tag`.
        reference: String,
        /// What its manifest must hash to.
        digest: Digest,
    },
}

/// How much a plugin may use. See [`crate::limits`] for the reasons and the bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Bytes of one instance's linear memories and tables.
    #[serde(serialize_with = "units::serialize_size")]
    pub memory: u64,
    /// CPU time of one visit.
    #[serde(serialize_with = "units::serialize_duration")]
    pub cpu: Duration,
    /// Wall-clock time of one visit.
    #[serde(serialize_with = "units::serialize_duration")]
    pub wall: Duration,
    /// Instances at a time; see [`limits::DEFAULT_INSTANCES`].
    pub instances: u32,
    /// Calls that wait for one; 0 is none, so that a call finds an instance free or is told to come back.
    pub queue: u32,
    /// Visits after which a warm instance is replaced.
    pub uses: u32,
    /// Bytes that one call from the guest may make the host copy.
    #[serde(serialize_with = "units::serialize_size")]
    pub hostcall: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: limits::DEFAULT_MEMORY,
            cpu: limits::DEFAULT_CPU,
            wall: limits::DEFAULT_WALL,
            instances: limits::DEFAULT_INSTANCES,
            queue: limits::DEFAULT_WAITING,
            uses: limits::DEFAULT_USES,
            hostcall: limits::DEFAULT_HOSTCALL,
        }
    }
}

/// What the flow does when an instrument fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The call fails.
    #[default]
    Fail,
    /// The call goes on without it.
    Skip,
}

/// A declared plugin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plugin {
    /// What routes and traces call it.
    pub name: String,
    /// What it must export; its manifest says the same, or it is not loaded.
    #[serde(serialize_with = "serialize_kind")]
    pub kind: PluginKind,
    /// Where it comes from.
    pub source: PluginSource,
    /// What the operator allows it.
    pub allow: Allow,
    /// How much it may use.
    pub limits: Limits,
    /// Its own table, an object, as written: [`crate::Registry::resolve`] checks it and fills in the defaults.
    pub config: Value,
    /// The operator's choice, where it differs from the manifest's.
    pub instance: Option<Instance>,
    /// For instruments.
    pub on_error: OnError,
    /// For providers; one try for all others.
    pub retry: Retry,
    /// For all but storages, which have none.
    pub breaker: Breaker,
    /// Which of its `limits` the text has.
    #[serde(skip)]
    pub(crate) written: Vec<&'static str>,
    #[serde(skip)]
    pub(crate) limits_at: Span,
    #[serde(skip)]
    pub(crate) at: Span,
    #[serde(skip)]
    pub(crate) kind_at: Span,
    #[serde(skip)]
    pub(crate) source_at: Span,
    /// Where each part of `config` stands, by JSON pointer.
    #[serde(skip)]
    pub(crate) config_at: BTreeMap<String, Span>,
}

fn serialize_kind<S: Serializer>(kind: &PluginKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

/// The kinds by their names.
pub(crate) fn kinds() -> [(&'static str, PluginKind); 6] {
    PluginKind::ALL.map(|kind| (kind.as_str(), kind))
}

/// The ways to keep instances by their names.
pub(crate) const INSTANCES: [(&str, Instance); 2] = [("per-call", Instance::PerCall), ("warm", Instance::Warm)];

impl Plugin {
    pub(super) fn read(name: &str, node: &Node<'_>) -> Option<Self> {
        let table = node.table(&PLUGIN, &format!("`[plugins.{name}]` with `kind` and `source`"))?;
        let kind_node = table.require("kind", "`kind = \"provider\"`");
        let kind_at = kind_node.as_ref().map_or(node.key, Node::at);
        let kind = kind_node.and_then(|node| node.word(&kinds()));
        let source_node = table.require("source", SOURCE_EXAMPLE);
        let source_at = source_node.as_ref().map_or(node.key, |node| node.key);
        let source = source_node.and_then(|node| read_source(&node));
        let allow = table.get("allow").map(|node| Allow::read(&node)).unwrap_or_default();
        let limits = table.get("limits");
        let limits_at = limits.as_ref().map_or(node.key, |limits| limits.key);
        let (limits, written) = limits.map(|node| Limits::read(&node)).unwrap_or_default();
        let (config, config_at) = read_config(&table, node.key);
        let instance = table.get("instance").and_then(|node| node.word(&INSTANCES));
        let on_error = table.get("on_error");
        if let Some(node) = on_error
            .as_ref()
            .filter(|_| kind.is_some_and(|kind| kind != PluginKind::Instrumentor))
        {
            node.report.error(
                node.key,
                format!("`{}` is for instrumentors alone", node.path),
                "remove it",
            );
        }
        let words = [("fail", OnError::Fail), ("skip", OnError::Skip)];
        let on_error = on_error.and_then(|node| node.word(&words)).unwrap_or_default();
        let (retry, breaker) = (Retry::of(&table, kind), Breaker::of(&table, kind));
        let name = name.to_owned();
        let (kind, source, at) = (kind?, source?, node.key);
        Some(Self {
            name,
            kind,
            source,
            allow,
            limits,
            config,
            instance,
            on_error,
            retry,
            breaker,
            written,
            limits_at,
            at,
            kind_at,
            source_at,
            config_at,
        })
    }
}

fn read_config(table: &Table<'_>, at: Span) -> (Value, BTreeMap<String, Span>) {
    let empty = || {
        (
            Value::Object(serde_json::Map::new()),
            BTreeMap::from([(String::new(), at)]),
        )
    };
    let Some(node) = table.get("config") else {
        return empty();
    };
    let (value, places) = node.json();
    if !value.is_object() {
        node.error(
            format!("`{}` must be a table", node.path),
            "write `config = { key = value }`",
        );
        return empty();
    }
    (value, places)
}

fn read_source(node: &Node<'_>) -> Option<PluginSource> {
    let table = node.table(&SOURCE, SOURCE_EXAMPLE)?;
    let named: Vec<&str> = ["path", "file", "oci"]
        .into_iter()
        .filter(|key| table.has(key))
        .collect();
    let [way] = named.as_slice() else {
        let message = format!("`{}` must have exactly one of `path`, `file` and `oci`", node.path);
        node.error(message, format!("write {SOURCE_EXAMPLE}"));
        return None;
    };
    for (key, belongs) in [("sha256", "file"), ("digest", "oci")] {
        if let Some(extra) = table.get(key).filter(|_| *way != belongs) {
            let why = if *way == "path" {
                "; what is built here is not pinned"
            } else {
                ""
            };
            let message = format!("`{}` belongs to `{belongs}`{why}", extra.path);
            node.report.error(extra.key, message, "remove it");
        }
    }
    let place = table.get(way)?;
    match *way {
        "path" => Some(PluginSource::Path(
            place.text("a folder such as `\"plugins/NAME\"`")?.to_owned(),
        )),
        "file" => {
            let sha256 = table.get("sha256").map(|node| node.digest());
            let path = place.text("a file such as `\"NAME.wasm\"`")?.to_owned();
            match sha256 {
                Some(None) => None,
                Some(digest) => Some(PluginSource::File { path, sha256: digest }),
                None => Some(PluginSource::File { path, sha256: None }),
            }
        }
        _ => {
            let reference = place.text("`\"REGISTRY/NAME:TAG\"`").map(str::to_owned);
            let digest = table
                .require("digest", "`digest = \"sha256:…\"`")
                .and_then(|node| oci_digest(&node));
            Some(PluginSource::Oci {
                reference: reference?,
                digest: digest?,
            })
        }
    }
}

/// With or without `sha256:` before it, as both are in use.
fn oci_digest(node: &Node<'_>) -> Option<Digest> {
    let text = node.string("`\"sha256:…\"`")?;
    let digest = text.strip_prefix("sha256:").unwrap_or(text).parse().ok();
    if digest.is_none() {
        let message = format!("{} is no SHA-256 digest", quoted(text));
        node.error(message, "write `sha256:` and 64 hexadecimal digits");
    }
    digest
}

impl Plugin {
    /// Gives a provider what the operator left open of its share of the requests that the server works on at once; says how
    /// many it may hold where that is more than the share.
    pub(super) fn share(&mut self, in_flight: u32) -> Option<u32> {
        if self.kind != PluginKind::Provider {
            return None;
        }
        let share = (in_flight / limits::PROVIDER_SHARE).max(1);
        let limits = &mut self.limits;
        if !self.written.contains(&"instances") {
            limits.instances = limits.instances.min((share / 2).max(1));
        }
        if !self.written.contains(&"queue") {
            limits.queue = limits.queue.min(share.saturating_sub(limits.instances));
        }
        let held = limits.instances.saturating_add(limits.queue);
        (held > share).then_some(held)
    }
}

impl Limits {
    /// The limits, and which of them the text has.
    fn read(node: &Node<'_>) -> (Self, Vec<&'static str>) {
        let mut read = Self::default();
        let Some(table) = node.table(&LIMITS, "`limits = { memory = \"64MiB\", cpu = \"2s\" }`") else {
            return (read, Vec::new());
        };
        let written = LIMITS.known.iter().copied().filter(|key| table.has(key)).collect();
        if let Some(size) = table
            .get("memory")
            .and_then(|node| node.size(limits::MIN_MEMORY..=limits::MAX_MEMORY))
        {
            read.memory = size;
        }
        if let Some(size) = table
            .get("hostcall")
            .and_then(|node| node.size(limits::MIN_MEMORY..=limits::MAX_HOSTCALL))
        {
            read.hostcall = size;
        }
        if let Some(cpu) = table
            .get("cpu")
            .and_then(|node| node.duration(limits::MIN_CPU..=limits::MAX_CPU))
        {
            read.cpu = cpu;
        }
        if let Some(wall) = table
            .get("wall")
            .and_then(|node| node.duration(limits::MIN_WALL..=limits::MAX_WALL))
        {
            read.wall = wall;
        }
        let number = |key: &str, least: u32, most: u32| {
            table
                .get(key)
                .and_then(|node| node.integer32(least..=most, "a number such as `64`"))
        };
        if let Some(instances) = number("instances", 1, limits::MAX_INSTANCES) {
            read.instances = instances;
        }
        if let Some(queue) = number("queue", 0, limits::MAX_WAITING) {
            read.queue = queue;
        }
        if let Some(uses) = number("uses", 1, limits::MAX_USES) {
            read.uses = uses;
        }
        (read, written)
    }
}
