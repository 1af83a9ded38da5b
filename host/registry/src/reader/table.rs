//! Tables whose keys are known, and keys and strings as TOML writes them.

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeString, DeTable};

use super::{Node, Shape};
use crate::diagnostic::{Report, Span, quoted};
use crate::names::{listed, nearest};

/// A table whose unknown keys have been reported.
pub(crate) struct Table<'a> {
    pub(crate) report: &'a Report,
    pub(super) path: String,
    pub(super) at: Span,
    pub(super) map: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// The whole document.
    pub(crate) fn root(report: &'a Report, map: &'a DeTable<'a>, shape: &Shape) -> Self {
        let root = Self {
            report,
            path: String::new(),
            at: Span::default(),
            map,
        };
        root.refuse_unknown(shape, false);
        root
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Where the table's own key stands.
    pub(crate) fn at(&self) -> Span {
        self.at
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<Node<'a>> {
        let (key, value) = self.map.get_key_value(key)?;
        let path = join(&self.path, key.get_ref());
        Some(Node {
            report: self.report,
            path,
            key: key.span().into(),
            value,
        })
    }

    /// As [`Table::get`], and an error when the key is missing. `example` is what to add.
    pub(crate) fn require(&self, key: &str, example: &str) -> Option<Node<'a>> {
        let node = self.get(key);
        if node.is_none() {
            let fix = format!("add {example}");
            if self.path.is_empty() {
                // The first line has nothing to do with it.
                self.report
                    .error_unseen(self.at, format!("`{key}` is missing in the file"), fix);
            } else {
                let message = format!("`{key}` is missing in `{}`", self.path);
                self.report.error(self.at, message, fix);
            }
        }
        node
    }

    pub(super) fn refuse_unknown(&self, shape: &Shape, discreet: bool) {
        let known = |key: &&Spanned<DeString<'_>>| shape.known.contains(&key.get_ref().as_ref());
        let mut unknown: Vec<&Spanned<DeString<'_>>> = self.map.keys().filter(|key| !known(key)).collect();
        unknown.sort_by_key(|key| key.span().start);
        for key in unknown {
            // A file of something else has thousands of unknown keys; comparing each would take long for nothing.
            if self.report.is_full() {
                return;
            }
            let name = key.get_ref();
            let place = if self.path.is_empty() {
                String::new()
            } else {
                format!(" in `{}`", self.path)
            };
            let renamed = shape.renamed.iter().find(|(old, _)| old == name);
            let (message, fix) = match (renamed, nearest(name, shape.known.iter().copied())) {
                (Some((old, new)), _) => (
                    format!("`{old}` is not the name of a key{place}"),
                    format!("write {new}"),
                ),
                (None, Some(near)) => (
                    format!("unknown key {}{place}", quoted(name)),
                    format!("did you mean `{near}`?"),
                ),
                (None, None) => {
                    let known = listed(shape.known.iter().copied());
                    (
                        format!("unknown key {}{place}", quoted(name)),
                        format!("the known keys are {known}"),
                    )
                }
            };
            let at = Span::from(key.span());
            if discreet {
                self.report.error_unseen(at, message, fix);
            } else {
                self.report.error_at_key(at, message, fix);
            }
        }
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key_text(key)
    } else {
        format!("{path}.{}", key_text(key))
    }
}

/// A key as TOML writes it: quoted where it must be.
pub(crate) fn key_text(key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .chars()
            .all(|each| each.is_ascii_alphanumeric() || matches!(each, '-' | '_'));
    if bare { key.to_owned() } else { string_text(key) }
}

/// A TOML string. JSON's escapes are TOML's too, for the characters that names may have.
pub(crate) fn string_text(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}
