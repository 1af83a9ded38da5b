//! `allow`: what the operator lets a plugin have, as typed grants. What it gets in the end is decided in `manifest`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::diagnostic::{Span, quoted};
use crate::names::Name;
use crate::reader::{Node, Shape, Table, key_text, string_text};

const ALLOW: Shape = Shape {
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
        ("database", "`sql = [\"NAME\"]`"),
        ("databases", "`sql = [\"NAME\"]`"),
        ("network", "`http = [\"HOST:443\"]`"),
        ("hosts", "`http = [\"HOST:443\"]`"),
        ("net", "`http = [\"HOST:443\"]`"),
        ("env", "`secrets`; a plugin sees no environment"),
        ("model", "`inference` for local models, `models` for routed ones"),
        ("vector", "`vectors`"),
        ("log", "nothing: every plugin may log"),
        ("clock", "nothing: every plugin has the clock"),
        ("config", "nothing: every plugin sees its own `config`"),
        ("filesystem", "nothing: no plugin sees files"),
    ],
};

const SECRET: Shape = Shape {
    known: &["host", "header", "value", "reveal"],
    renamed: &[
        ("template", "`value`"),
        ("domain", "`host`"),
        ("key", "`value`, with `{}` where the secret goes"),
    ],
};

/// What a secret's entry looks like.
pub(crate) const SECRET_EXAMPLE: &str =
    "`secrets = { NAME = { host = \"HOST\", header = \"authorization\", value = \"Bearer {}\" } }`";

/// A grant that names things, or all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Nothing.
    #[default]
    None,
    /// Everything that there is, now or later.
    All,
    /// These.
    Only(Vec<String>),
}

impl Scope {
    /// Whether nothing is granted.
    pub fn is_none(&self) -> bool {
        match self {
            Self::None => true,
            Self::All => false,
            Self::Only(names) => names.is_empty(),
        }
    }

    /// Whether a name is within it.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Only(names) => names.iter().any(|known| known == name),
        }
    }
}

/// A host and port that requests may go to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct HostPort {
    /// A host name in lower case, or an IP address; an IPv6 address without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

impl HostPort {
    /// Reads `host:port` or `[v6]:port`.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
        if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: std::net::Ipv6Addr = inner.parse().ok()?;
            return Some(Self {
                host: address.to_string(),
                port,
            });
        }
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|each| each.is_ascii_alphanumeric() || each == '-')
        };
        (host.len() <= 253 && host.split('.').all(label)).then(|| Self {
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(out, "[{}]:{}", self.host, self.port)
        } else {
            write!(out, "{}:{}", self.host, self.port)
        }
    }
}

/// How a secret leaves the host: in this header, to this host alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretBinding {
    /// The one host whose requests get it.
    pub host: String,
    /// The header's name, in lower case.
    pub header: String,
    /// The header's value; `{}` stands for the secret.
    pub value: String,
    /// Whether the plugin may read the secret itself.
    pub reveal: bool,
}

/// What the operator allows a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Allow {
    /// Local models by name.
    pub inference: Vec<String>,
    /// Databases by name.
    pub sql: Vec<String>,
    /// A key-value store of its own.
    pub kv: bool,
    /// The metrics that its manifest declares.
    pub metrics: bool,
    /// Hosts that its requests may go to.
    pub http: Vec<HostPort>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, SecretBinding>,
    /// Routed models, through the host's own flow.
    pub models: Scope,
    /// Vector collections.
    pub vectors: Scope,
    #[serde(skip)]
    pub(crate) places: Places,
}

/// Where the parts of an `allow` stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// `allow` itself; `None` when it is not written.
    pub(crate) whole: Option<Span>,
    /// Each key.
    pub(crate) keys: BTreeMap<String, Span>,
    /// Each name of `inference`, `sql` and `models`, in that key's order.
    pub(crate) names: Vec<(&'static str, String, Span)>,
}

impl Allow {
    pub(super) fn read(node: &Node<'_>) -> Self {
        let mut allow = Self::default();
        allow.places.whole = Some(node.key);
        let Some(table) = node.table(&ALLOW, "`allow = { kv = true }`") else {
            return allow;
        };
        for key in ALLOW.known {
            if let Some(node) = table.get(key) {
                allow.places.keys.insert((*key).to_owned(), node.key);
            }
        }
        allow.inference = allow.list(&table, "inference", Name::Model, "`inference = [\"MODEL\"]`");
        allow.sql = allow.list(&table, "sql", Name::Plain, "`sql = [\"DATABASE\"]`");
        allow.kv = table.get("kv").and_then(|node| node.boolean()).unwrap_or(false);
        allow.metrics = table.get("metrics").and_then(|node| node.boolean()).unwrap_or(false);
        allow.http = table.get("http").map(|node| hosts(&node)).unwrap_or_default();
        allow.secrets = table.get("secrets").map(|node| secrets(&node)).unwrap_or_default();
        allow.models = allow.scope(&table, "models", Name::Pattern);
        allow.vectors = allow.scope(&table, "vectors", Name::Plain);
        allow
    }

    fn list(&mut self, table: &Table<'_>, key: &'static str, rule: Name, example: &str) -> Vec<String> {
        let Some(node) = table.get(key) else { return Vec::new() };
        if node.is_boolean() {
            let message = format!("`{}` must name what it allows", node.path);
            node.error(message, format!("write {example}"));
            return Vec::new();
        }
        let names = node.names(rule, example).unwrap_or_default();
        self.places
            .names
            .extend(names.iter().map(|(name, at)| (key, name.clone(), *at)));
        names.into_iter().map(|(name, _)| name).collect()
    }

    fn scope(&mut self, table: &Table<'_>, key: &'static str, rule: Name) -> Scope {
        let Some(node) = table.get(key) else { return Scope::None };
        if node.is_boolean() {
            return if node.boolean() == Some(true) {
                Scope::All
            } else {
                Scope::None
            };
        }
        let example = format!("`{key} = true` or `{key} = [\"NAME\"]`");
        let names = node.names(rule, &example).unwrap_or_default();
        self.places
            .names
            .extend(names.iter().map(|(name, at)| (key, name.clone(), *at)));
        Scope::Only(names.into_iter().map(|(name, _)| name).collect())
    }

    /// As the registry writes it: `{ inference = ["a"], kv = true }`.
    pub fn to_toml(&self) -> String {
        let list = |names: Vec<String>| {
            format!(
                "[{}]",
                names
                    .iter()
                    .map(|name| string_text(name))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        };
        let mut parts: Vec<String> = Vec::new();
        let mut put = |key: &str, value: Option<String>| parts.extend(value.map(|value| format!("{key} = {value}")));
        put(
            "inference",
            (!self.inference.is_empty()).then(|| list(self.inference.clone())),
        );
        put("sql", (!self.sql.is_empty()).then(|| list(self.sql.clone())));
        put("kv", self.kv.then(|| "true".to_owned()));
        put("metrics", self.metrics.then(|| "true".to_owned()));
        put(
            "http",
            (!self.http.is_empty()).then(|| list(self.http.iter().map(ToString::to_string).collect())),
        );
        let secrets: Vec<String> = self
            .secrets
            .iter()
            .map(|(name, binding)| binding.to_toml(name))
            .collect();
        put(
            "secrets",
            (!secrets.is_empty()).then(|| format!("{{ {} }}", secrets.join(", "))),
        );
        for (key, scope) in [("models", &self.models), ("vectors", &self.vectors)] {
            match scope {
                Scope::None => {}
                Scope::All => put(key, Some("true".to_owned())),
                Scope::Only(names) => put(key, Some(list(names.clone()))),
            }
        }
        if parts.is_empty() {
            "{}".to_owned()
        } else {
            format!("{{ {} }}", parts.join(", "))
        }
    }
}

impl SecretBinding {
    fn to_toml(&self, name: &str) -> String {
        let reveal = if self.reveal { ", reveal = true" } else { "" };
        let (host, header, value) = (
            string_text(&self.host),
            string_text(&self.header),
            string_text(&self.value),
        );
        format!(
            "{} = {{ host = {host}, header = {header}, value = {value}{reveal} }}",
            key_text(name)
        )
    }
}

fn hosts(node: &Node<'_>) -> Vec<HostPort> {
    let example = "`http = [\"api.example.com:443\"]`";
    let mut hosts = Vec::new();
    for item in node.items(example).unwrap_or_default() {
        let Some(text) = item.text(example) else { continue };
        match HostPort::parse(text) {
            Some(host) if hosts.contains(&host) => {
                item.error(format!("`{host}` stands twice in `{}`", node.path), "keep one")
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
    hosts
}

/// No message here shows a line of the file: somebody may have put the secret itself there.
fn secrets(node: &Node<'_>) -> BTreeMap<String, SecretBinding> {
    let read = |(name, node): (String, Node<'_>)| {
        let table = node.discreet_table(&SECRET, SECRET_EXAMPLE)?;
        let part = |key: &str, fits: fn(&str) -> bool, expected: &str| {
            let written = table.get(key);
            let text = written.as_ref().and_then(|node| node.plain_text());
            let good = text.filter(|text| fits(text)).map(str::to_owned);
            if good.is_none() {
                let at = written.map_or(table.at(), |node| node.key);
                let path = format!("{}.{key}", table.path());
                table.report.error_unseen(
                    at,
                    format!("`{path}` must be {expected}"),
                    format!("write {SECRET_EXAMPLE}"),
                );
            }
            good
        };
        let host = part(
            "host",
            |text| HostPort::parse(&format!("{text}:1")).is_some(),
            "a host's name",
        );
        let header = part("header", is_header, "a header's name");
        let value = part(
            "value",
            |text| text.matches("{}").count() == 1 && !text.contains(['\r', '\n']),
            "the header's value with one `{}` where the secret goes; the secret itself comes from the environment or `.env`",
        );
        let reveal = table.get("reveal").and_then(|node| node.boolean()).unwrap_or(false);
        let (host, header) = (host?.to_ascii_lowercase(), header?.to_ascii_lowercase());
        Some((
            name,
            SecretBinding {
                host,
                header,
                value: value?,
                reveal,
            },
        ))
    };
    node.discreet_entries(Name::Secret, SECRET_EXAMPLE)
        .into_iter()
        .filter_map(read)
        .collect()
}

/// RFC 9110's `token`, as far as header names use it.
fn is_header(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text
            .chars()
            .all(|each| each.is_ascii_alphanumeric() || matches!(each, '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_read_and_shown() {
        for text in ["api.example.com:443", "127.0.0.1:8080", "[::1]:9"] {
            assert_eq!(HostPort::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "x",
            "x:0",
            "x:70000",
            "https://x:443",
            "*.x:443",
            "x/y:1",
            "[x]:1",
            "a b:1",
            "-a:1",
        ] {
            assert_eq!(HostPort::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_allowed_is_shown_as_it_is_written() {
        assert_eq!(Allow::default().to_toml(), "{}");
        let allow = Allow {
            inference: vec!["a".into(), "b".into()],
            kv: true,
            models: Scope::All,
            ..Allow::default()
        };
        assert_eq!(
            allow.to_toml(),
            r#"{ inference = ["a", "b"], kv = true, models = true }"#
        );
    }
}
