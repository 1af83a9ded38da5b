//! `[requires]` and `[metrics]`: what a plugin asks for. Grants nothing.

use serde::Serialize;

use crate::diagnostic::{Span, quoted};
use crate::limits;
use crate::names::Name;
use crate::reader::{Node, Shape, Table};
use crate::registry::{Allow, HostPort, HttpRule, Scope, SecretBinding};

const REQUIRES: Shape = Shape {
    known: &[
        "inference",
        "sql",
        "kv",
        "metrics",
        "http",
        "secrets",
        "models",
        "vectors",
    ],
    renamed: &[
        ("log", "nothing: every plugin may log"),
        ("clock", "nothing: every plugin has the clock"),
        ("config", "nothing: every plugin sees its own `config`"),
        ("call", "nothing: every plugin knows its call"),
        ("network", "`http`"),
        ("hosts", "`http = [\"HOST:443\"]`"),
        (
            "reveal",
            "nothing: the operator says it, with `reveal = true` at the secret",
        ),
        ("database", "`sql`"),
        ("env", "`secrets`; a plugin sees no environment"),
    ],
};

const METRIC: Shape = Shape {
    known: &["kind", "labels", "help"],
    renamed: &[("type", "`kind`"), ("description", "`help`")],
};

/// What a plugin needs of one capability.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// Nothing.
    #[default]
    No,
    /// Something; what, is the operator's to say.
    Any,
    /// Whatever the operator gives, which may be nothing.
    Optional,
    /// Exactly these.
    Names(Vec<String>),
}

impl Need {
    /// Whether something is needed.
    pub fn is_some(&self) -> bool {
        *self != Self::No
    }
}

/// What a plugin needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Requires {
    /// Local models.
    pub inference: Need,
    /// Databases.
    pub sql: Need,
    /// A key-value store of its own.
    pub kv: bool,
    /// To write the metrics that it declares.
    pub metrics: bool,
    /// Hosts, as [`HostPort`] shows them.
    pub http: Need,
    /// Secrets.
    pub secrets: Need,
    /// Routed models.
    pub models: Need,
    /// Vector collections.
    pub vectors: Need,
}

impl Requires {
    /// The `allow` that gives all that is needed; `NAME` and `HOST` stand where the operator must say which.
    pub fn to_allow(&self) -> Allow {
        let named = |need: &Need, example: &str| match need {
            Need::No | Need::Optional => Vec::new(),
            Need::Any => vec![example.to_owned()],
            Need::Names(names) => names.clone(),
        };
        let scope = |need: &Need| match need {
            Need::No | Need::Optional => Scope::None,
            Need::Any => Scope::All,
            Need::Names(names) => Scope::Only(names.clone()),
        };
        let example = || HostPort {
            host: "HOST".to_owned(),
            port: 443,
        };
        let hosts = named(&self.http, "HOST").into_iter();
        let hosts = hosts.map(|host| HostPort::parse(&host).unwrap_or_else(example));
        let secrets = named(&self.secrets, "NAME").into_iter();
        Allow {
            inference: named(&self.inference, "NAME"),
            sql: named(&self.sql, "NAME"),
            kv: self.kv,
            metrics: self.metrics,
            http: hosts.map(HttpRule::from).collect(),
            secrets: secrets.map(|name| (name, SecretBinding::example(None))).collect(),
            models: scope(&self.models),
            vectors: scope(&self.vectors),
            ..Allow::default()
        }
    }

    pub(super) fn read(node: &Node<'_>) -> Self {
        let Some(table) = node.table(&REQUIRES, "`[requires]` with lines such as `kv = true`") else {
            return Self::default();
        };
        let need = |key: &str, rule: Name| table.get(key).map(|node| need(&node, rule)).unwrap_or_default();
        let flag = |key: &str| table.get(key).and_then(|node| node.boolean()).unwrap_or(false);
        Self {
            inference: need("inference", Name::Model),
            sql: need("sql", Name::Plain),
            kv: flag("kv"),
            metrics: flag("metrics"),
            http: table.get("http").map(|node| hosts(&node)).unwrap_or_default(),
            secrets: need("secrets", Name::Secret),
            models: need("models", Name::Pattern),
            vectors: need("vectors", Name::Plain),
        }
    }
}

fn need(node: &Node<'_>, rule: Name) -> Need {
    if node.is_boolean() {
        return if node.boolean() == Some(true) {
            Need::Any
        } else {
            Need::No
        };
    }
    if node.plain_text() == Some("optional") {
        return Need::Optional;
    }
    let names = node
        .names(rule, "`true`, `\"optional\"` or a list of names")
        .unwrap_or_default();
    of_names(names.into_iter().map(|(name, _)| name).collect())
}

fn of_names(names: Vec<String>) -> Need {
    if names.is_empty() { Need::No } else { Need::Names(names) }
}

/// As [`need`], for hosts; methods and paths are the operator's to say.
fn hosts(node: &Node<'_>) -> Need {
    if node.is_boolean() || node.plain_text() == Some("optional") {
        return need(node, Name::Plain);
    }
    let example = "`true` or `[\"api.example.com:443\"]`";
    let mut hosts: Vec<String> = Vec::new();
    for item in node.items(example).unwrap_or_default() {
        let Some(text) = item.text("`\"api.example.com:443\"`") else {
            continue;
        };
        match HostPort::parse(text).map(|host| host.to_string()) {
            Some(host) if hosts.contains(&host) => {
                item.error(
                    format!("`{host}` stands twice in `{}`", node.path),
                    "keep one of the two",
                );
            }
            Some(host) => hosts.push(host),
            None => {
                let message = format!("{} is not a host and a port", quoted(text));
                item.error(
                    message,
                    "write `\"api.example.com:443\"`, without `https://`, a path or `*`",
                );
            }
        }
    }
    of_names(hosts)
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// A sum that only grows; `encaje:host/metrics.add`.
    Counter,
    /// A distribution; `encaje:host/metrics.observe`.
    Histogram,
}

/// A metric that a plugin may write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MetricDeclaration {
    /// As the plugin names it; lower case, digits and `_`.
    pub name: String,
    /// What it is.
    pub kind: MetricKind,
    /// The labels that it may carry.
    pub labels: Vec<String>,
    /// One sentence.
    pub help: String,
}

pub(super) fn metrics(node: &Node<'_>) -> Vec<MetricDeclaration> {
    let example = "`[metrics] hits = { kind = \"counter\", help = \"…\" }`";
    let entries = node.entries(Name::Metric, example);
    if entries.len() > limits::MAX_METRICS {
        let message = format!(
            "`{}` declares {} metrics, more than {}",
            node.path,
            entries.len(),
            limits::MAX_METRICS
        );
        node.error(message, "declare fewer; labels tell cases apart");
        return Vec::new();
    }
    let read = |(name, node): (String, Node<'_>)| {
        let table = node.table(&METRIC, "`{ kind = \"counter\", help = \"…\" }`")?;
        let kinds = [("counter", MetricKind::Counter), ("histogram", MetricKind::Histogram)];
        let kind = table
            .require("kind", "`kind = \"counter\"`")
            .and_then(|node| node.word(&kinds));
        let labels = table.get("labels").map(|node| labels(&node)).unwrap_or_default();
        let help = table
            .get("help")
            .and_then(|node| node.line("a sentence"))
            .unwrap_or_default()
            .to_owned();
        Some(MetricDeclaration {
            name,
            kind: kind?,
            labels,
            help,
        })
    };
    entries.into_iter().filter_map(read).collect()
}

fn labels(node: &Node<'_>) -> Vec<String> {
    let names = node.names(Name::Metric, "`labels = [\"outcome\"]`").unwrap_or_default();
    if names.len() > limits::MAX_LABELS {
        let message = format!(
            "`{}` has {} labels, more than {}",
            node.path,
            names.len(),
            limits::MAX_LABELS
        );
        node.error(message, "keep those with few values: each combination is a time series");
    }
    names.into_iter().map(|(name, _)| name).collect()
}

/// Metrics that are declared must be asked for, and the other way round.
pub(super) fn metrics_agree(root: &Table<'_>, requires: &Requires, metrics: &[MetricDeclaration]) {
    let written = root.get("metrics");
    let place = |node: Option<Node<'_>>| node.map(|node| node.key).unwrap_or_default();
    if requires.metrics && written.is_none() {
        let at: Span = place(root.get("requires").and_then(|node| node.child("metrics")));
        let fix = "declare them: `[metrics]` with `hits = { kind = \"counter\", help = \"…\" }`";
        root.report
            .error(at, "the plugin requires `metrics` and declares none", fix);
    }
    if !requires.metrics && !metrics.is_empty() {
        let fix = "add `metrics = true` under `[requires]`";
        root.report.error(
            place(written),
            "the plugin declares metrics and does not require `metrics`",
            fix,
        );
    }
}
