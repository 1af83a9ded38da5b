//! `allow.secrets`: which secret leaves the host in which header, to which host. Holds no value and reads none.

use serde::Serialize;

use super::http::HostPort;
use crate::diagnostic::Span;
use crate::names::Name;
use crate::reader::{Node, Shape, key_text, string_text};

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

/// How a secret leaves the host: in this header, to this host alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretBinding {
    /// The one host whose requests get it; as in [`HostPort::host`].
    pub host: String,
    /// The header's name, in lower case.
    pub header: String,
    /// The header's value; `{}` stands for the secret.
    pub value: String,
    /// Whether the plugin may read the secret itself.
    pub reveal: bool,
}

impl SecretBinding {
    /// As in [`SECRET_EXAMPLE`], for a suggestion.
    pub(crate) fn example(host: Option<&str>) -> Self {
        Self {
            host: host.unwrap_or("HOST").to_owned(),
            header: "authorization".to_owned(),
            value: "Bearer {}".to_owned(),
            reveal: false,
        }
    }

    /// As the registry writes it, `NAME = { … }`.
    pub(super) fn to_toml(&self, name: &str) -> String {
        let reveal = if self.reveal { ", reveal = true" } else { "" };
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        let (host, header, value) = (string_text(&host), string_text(&self.header), string_text(&self.value));
        format!(
            "{} = {{ host = {host}, header = {header}, value = {value}{reveal} }}",
            key_text(name)
        )
    }
}

/// Each secret with its place. No message here shows a line of the file: somebody may have put the secret itself there.
pub(super) fn bindings(node: &Node<'_>) -> Vec<(String, SecretBinding, Span)> {
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
        let host = part("host", |text| host_of(text).is_some(), "a host's name");
        let header = part("header", is_header, "a header's name");
        let value = part(
            "value",
            |text| text.matches("{}").count() == 1 && !text.contains(['\r', '\n']),
            "the header's value with one `{}` where the secret goes; the secret itself comes from the environment or `.env`",
        );
        let reveal = table.get("reveal").and_then(|node| node.boolean()).unwrap_or(false);
        // As `HostPort` has it, so that the two can be compared.
        let (host, header) = (host_of(&host?)?, header?.to_ascii_lowercase());
        let binding = SecretBinding {
            host,
            header,
            value: value?,
            reveal,
        };
        Some((name, binding, table.at()))
    };
    node.discreet_entries(Name::Secret, SECRET_EXAMPLE)
        .into_iter()
        .filter_map(read)
        .collect()
}

fn host_of(text: &str) -> Option<String> {
    HostPort::parse(&format!("{text}:1")).map(|at| at.host)
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
    fn the_example_is_what_a_suggestion_writes() {
        let line = SecretBinding::example(None).to_toml("NAME");
        assert_eq!(SECRET_EXAMPLE, format!("`secrets = {{ {line} }}`"));
    }
}
