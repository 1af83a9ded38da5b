//! `allow.http`: which requests a plugin may send, by host, port, method and path. Enforcing it is the egress's.

use std::fmt;

use serde::Serialize;

use crate::diagnostic::quoted;
use crate::limits;
use crate::reader::{Node, Shape, string_text};

const RULE: Shape = Shape {
    known: &["host", "methods", "path", "private"],
    renamed: &[
        ("at", "`host`"),
        ("url", "`host = \"api.example.com:443\"`"),
        ("address", "`host = \"api.example.com:443\"`"),
        ("domain", "`host`"),
        ("port", "`host = \"api.example.com:443\"`"),
        ("method", "`methods = [\"GET\"]`"),
        ("verbs", "`methods = [\"GET\"]`"),
        ("prefix", "`path`"),
        ("paths", "`path`, one rule for each"),
        ("local", "`private`"),
        ("internal", "`private`"),
        ("allow_private", "`private`"),
    ],
};

const EXAMPLE: &str = "`http = [\"api.example.com:443\"]`";
const RULE_EXAMPLE: &str = "`{ host = \"api.example.com:443\", methods = [\"POST\"], path = \"/v1\" }`";

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

/// Which requests a plugin may send to one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRule {
    /// Where to.
    pub at: HostPort,
    /// In upper case, sorted; empty is every method.
    pub methods: Vec<String>,
    /// The path itself and all below it: `/v1` is `/v1` and `/v1/x`, not `/v10`. `None` is every path. Begins with `/`,
    /// has no `.` or `..` between its slashes, no escaped dot, slash or `%` and no query.
    pub path: Option<String>,
    /// Whether a private address, or one of this machine, may stand behind the host's name. An address that is written
    /// itself is allowed anyway.
    pub private: bool,
}

impl From<HostPort> for HttpRule {
    /// Every request to a host, behind whose name stands a public address.
    fn from(at: HostPort) -> Self {
        Self {
            at,
            methods: Vec::new(),
            path: None,
            private: false,
        }
    }
}

impl HttpRule {
    /// Whether it says no more than a host.
    fn is_plain(&self) -> bool {
        self.methods.is_empty() && self.path.is_none() && !self.private
    }

    /// As the registry writes it.
    pub fn to_toml(&self) -> String {
        let host = string_text(&self.at.to_string());
        if self.is_plain() {
            return host;
        }
        let mut parts = vec![format!("host = {host}")];
        if !self.methods.is_empty() {
            let methods: Vec<String> = self.methods.iter().map(|method| string_text(method)).collect();
            parts.push(format!("methods = [{}]", methods.join(", ")));
        }
        parts.extend(self.path.iter().map(|path| format!("path = {}", string_text(path))));
        parts.extend(self.private.then(|| "private = true".to_owned()));
        format!("{{ {} }}", parts.join(", "))
    }
}

/// As it is written, so that a plan shows it so.
impl Serialize for HttpRule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            host: String,
            #[serde(skip_serializing_if = "<[String]>::is_empty")]
            methods: &'a [String],
            #[serde(skip_serializing_if = "Option::is_none")]
            path: &'a Option<String>,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            private: bool,
        }
        if self.is_plain() {
            return serializer.collect_str(&self.at);
        }
        let (methods, path, private) = (self.methods.as_slice(), &self.path, self.private);
        Whole {
            host: self.at.to_string(),
            methods,
            path,
            private,
        }
        .serialize(serializer)
    }
}

pub(super) fn rules(node: &Node<'_>) -> Vec<HttpRule> {
    let mut rules: Vec<HttpRule> = Vec::new();
    for item in node.items(EXAMPLE).unwrap_or_default() {
        let Some(rule) = rule(&item) else { continue };
        if rules.contains(&rule) {
            let message = format!("the rule for `{}` stands twice in `{}`", rule.at, node.path);
            item.error(message, "keep one of the two");
            continue;
        }
        rules.push(rule);
    }
    rules
}

fn rule(item: &Node<'_>) -> Option<HttpRule> {
    if !item.is_table() {
        if item.plain_text().is_none() {
            let message = format!("`{}` must be a host and a port, or a table", item.path);
            item.error(message, format!("write `\"api.example.com:443\"` or {RULE_EXAMPLE}"));
            return None;
        }
        return host_port(item, "without `https://`, a path or `*`").map(HttpRule::from);
    }
    let table = item.table(&RULE, RULE_EXAMPLE)?;
    // Without the key that was meant, it would be another rule.
    if item.keys().iter().any(|key| !RULE.known.contains(&key.as_str())) {
        return None;
    }
    let at = table
        .require("host", "`host = \"api.example.com:443\"`")
        .and_then(|node| host_port(&node, "without `https://` or `*`; a path has a key of its own, `path`"));
    let methods = table.get("methods").map(|node| methods(&node));
    let path = table.get("path").map(|node| path(&node));
    let private = table.get("private").map(|node| node.boolean());
    // What was written and is wrong must not become "every method" or "every path".
    Some(HttpRule {
        at: at?,
        methods: match methods {
            Some(written) => written?,
            None => Vec::new(),
        },
        path: match path {
            Some(written) => Some(written?),
            None => None,
        },
        private: match private {
            Some(written) => written?,
            None => false,
        },
    })
}

/// `host:port`; `without` says what people write beside it.
fn host_port(node: &Node<'_>, without: &str) -> Option<HostPort> {
    let text = node.text("`\"api.example.com:443\"`")?;
    let parsed = HostPort::parse(text);
    if parsed.is_none() {
        let message = format!("{} is not a host and a port", quoted(text));
        node.error(message, format!("write `\"api.example.com:443\"`, {without}"));
    }
    parsed
}

fn methods(node: &Node<'_>) -> Option<Vec<String>> {
    let example = "`methods = [\"GET\", \"POST\"]`";
    let items = node.items(example)?;
    if items.is_empty() {
        let message = format!("`{}` is empty, so that the rule allows nothing", node.path);
        node.error(
            message,
            format!("write {example}, or remove it: without it every method is allowed"),
        );
        return None;
    }
    let (mut methods, written): (Vec<String>, usize) = (Vec::new(), items.len());
    for item in items {
        let Some(text) = item.text("a method such as `\"GET\"`") else {
            continue;
        };
        if !is_method(text) {
            let upper = text.to_ascii_uppercase();
            let fix = if is_method(&upper) {
                format!("write `\"{upper}\"`")
            } else {
                "write a method such as `\"GET\"`".to_owned()
            };
            item.error(format!("{} is not a method in upper case", quoted(text)), fix);
        } else if methods.iter().any(|known| known == text) {
            item.error(
                format!("`{text}` stands twice in `{}`", node.path),
                "keep one of the two",
            );
        } else {
            methods.push(text.to_owned());
        }
    }
    methods.sort();
    (methods.len() == written).then_some(methods)
}

/// The registered methods are letters and `-`; lower case would be another method, which no server knows.
fn is_method(text: &str) -> bool {
    text.len() <= limits::MAX_METHOD
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.chars().all(|each| each.is_ascii_uppercase() || each == '-')
}

fn path(node: &Node<'_>) -> Option<String> {
    let text = node.text("a path such as `\"/v1\"`")?;
    if let Some((wrong, fix)) = fault(text) {
        node.error(format!("{} in `{}` {wrong}", quoted(text), node.path), fix);
        return None;
    }
    Some(text.to_owned())
}

/// What is wrong with a path that requests are compared with, and what to write. Whatever a server could read as another
/// path is refused rather than interpreted.
fn fault(text: &str) -> Option<(&'static str, String)> {
    let lower = text.to_ascii_lowercase();
    if !text.starts_with('/') {
        let fix = match text.split_once("://") {
            Some(_) => "write the path alone, such as `\"/v1\"`; the host has a key of its own".to_owned(),
            None => format!("write `\"/{}\"`", quoted(text).trim_matches('`')),
        };
        return Some(("does not begin with `/`", fix));
    }
    if text.contains(['?', '#']) {
        return Some((
            "has a query",
            "write the path alone: rules do not look at queries".to_owned(),
        ));
    }
    if text.split('/').any(|part| part == ".." || part == ".") {
        return Some((
            "has `.` or `..` as a part",
            "write the path that it leads to".to_owned(),
        ));
    }
    if ["%2e", "%2f", "%5c", "%25"].iter().any(|escape| lower.contains(escape)) {
        return Some((
            "escapes a dot, a slash or a `%`",
            "write the path without `%`".to_owned(),
        ));
    }
    if text.contains('*') {
        return Some((
            "has a `*`",
            "remove it: all that is below the path is meant anyway".to_owned(),
        ));
    }
    if text.contains('\\') || !text.chars().all(|each| each.is_ascii_graphic()) {
        let fix = "escape other characters as requests do, such as `%20` for a space";
        return Some(("has characters that no request's path has", fix.to_owned()));
    }
    (text.len() > limits::MAX_TEXT).then(|| {
        let fix = format!("shorten it to at most {} characters", limits::MAX_TEXT);
        ("is too long", fix)
    })
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
    fn a_rule_is_shown_as_it_is_written() {
        let plain = HttpRule::from(HostPort::parse("api.example.com:443").unwrap());
        assert_eq!(plain.to_toml(), r#""api.example.com:443""#);
        assert_eq!(serde_json::to_string(&plain).unwrap(), r#""api.example.com:443""#);
        let narrow = HttpRule {
            methods: vec!["GET".into(), "POST".into()],
            path: Some("/v1".into()),
            private: true,
            ..plain
        };
        assert_eq!(
            narrow.to_toml(),
            r#"{ host = "api.example.com:443", methods = ["GET", "POST"], path = "/v1", private = true }"#
        );
        assert_eq!(
            serde_json::to_string(&narrow).unwrap(),
            r#"{"host":"api.example.com:443","methods":["GET","POST"],"path":"/v1","private":true}"#
        );
    }

    #[test]
    fn a_path_that_could_be_read_as_another_is_refused() {
        for path in [
            "/",
            "/v1",
            "/v1/",
            "/v1.0/a..b",
            "/a%20b",
            "/.well-known/x",
            "/v1:batch",
        ] {
            assert_eq!(fault(path), None, "{path}");
        }
        for path in [
            "v1",
            "",
            "/a/../b",
            "/..",
            "/./a",
            "/a/.",
            "/%2e%2E/a",
            "/a%2Fb",
            "/a%5cb",
            "/a%252e",
            "/a?b",
            "/a#b",
            "/a b",
            "/a\\b",
            "/é",
            "/a\n",
            "/v1/*",
        ] {
            assert!(fault(path).is_some(), "{path}");
        }
    }
}
