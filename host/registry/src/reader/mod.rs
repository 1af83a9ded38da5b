//! Walks a parsed TOML document by hand, so that every mistake in it is found at once, each with its place.
//!
//! A reader never stops at a mistake: it reports, returns `None`, and the caller goes on with the next key. Nothing here
//! knows what a registry is.

mod json;
mod table;

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(crate) use table::{Table, key_text, string_text};

use table::join;

use crate::diagnostic::{Report, Span, quoted};
use crate::digest::Digest;
use crate::limits;
use crate::names::{Name, listed, nearest};
use crate::units;

/// The keys that a table may have, and those that it once had or that people try: old name, what to write instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) known: &'static [&'static str],
    pub(crate) renamed: &'static [(&'static str, &'static str)],
}

/// How the TOML parser says it.
const DUPLICATE: &str = "duplicate key";

/// Parses a text. `None`, with the errors reported, when it is too large or its syntax leaves nothing to walk.
pub(crate) fn document<'s>(report: &Report, text: &'s str) -> Option<DeTable<'s>> {
    if text.len() as u64 > limits::MAX_FILE_BYTES {
        let most = units::format_size(limits::MAX_FILE_BYTES);
        report.error(
            Span::default(),
            format!("the file is larger than {most}"),
            "is it the right file?",
        );
        return None;
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    // With a duplicate, the rest of the document is as good as any; with a broken line it is a guess.
    let walkable = errors.iter().all(|error| error.message() == DUPLICATE);
    for error in errors {
        if report.is_full() {
            break;
        }
        let span = Span::from(error.span().unwrap_or_default());
        let fix = match error.message() {
            DUPLICATE => "keep one of the two",
            message if message.contains("recursion") => "nest less deeply",
            _ => "mend the TOML syntax; text stands in quotes, tables in `{ key = value }` or under `[name]`",
        };
        report.error(span, format!("not valid TOML: {}", error.message()), fix);
    }
    walkable.then(|| document.into_inner())
}

/// One value of the document and the key that it stands under.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    pub(crate) report: &'a Report,
    /// As a person would say it: `[plugins.local] limits.memory`.
    pub(crate) path: String,
    pub(crate) key: Span,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Node<'a> {
    /// The value's own place; a table that stands under a header is its header.
    pub(crate) fn at(&self) -> Span {
        self.value.span().into()
    }

    /// Reports a mistake at the value.
    pub(crate) fn error(&self, message: impl Into<String>, fix: impl Into<String>) {
        self.report.error(self.at(), message, fix);
    }

    fn wrong_type<T>(&self, expected: &str, example: &str) -> Option<T> {
        let found = self.value.get_ref().type_str();
        let article = if matches!(found, "integer" | "array") {
            "an"
        } else {
            "a"
        };
        let message = format!("`{}` must be {expected}, but is {article} {found}", self.path);
        self.error(message, format!("write {example}"));
        None
    }

    pub(crate) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// The keys of a table, checked or not.
    pub(crate) fn keys(&self) -> Vec<String> {
        let keys = self
            .value
            .get_ref()
            .as_table()
            .into_iter()
            .flat_map(|table| table.keys());
        keys.map(|key| key.get_ref().to_string()).collect()
    }

    /// An entry of a table, checked or not.
    pub(crate) fn child(&self, key: &str) -> Option<Node<'a>> {
        let (key, value) = self.value.get_ref().as_table()?.get_key_value(key)?;
        let path = join(&self.path, key.get_ref());
        Some(Node {
            report: self.report,
            path,
            key: key.span().into(),
            value,
        })
    }

    /// The text of a string; reports nothing.
    pub(crate) fn plain_text(&self) -> Option<&'a str> {
        self.value.get_ref().as_str()
    }

    pub(crate) fn is_boolean(&self) -> bool {
        self.value.get_ref().is_bool()
    }

    pub(crate) fn string(&self, example: &str) -> Option<&'a str> {
        let Some(text) = self.value.get_ref().as_str() else {
            return self.wrong_type("a string", example);
        };
        if text.chars().count() > limits::MAX_TEXT {
            self.error(
                format!("`{}` is longer than {} characters", self.path, limits::MAX_TEXT),
                "shorten it",
            );
            return None;
        }
        Some(text)
    }

    /// A string that is not empty.
    pub(crate) fn text(&self, example: &str) -> Option<&'a str> {
        let text = self.string(example)?;
        if text.trim().is_empty() {
            self.error(format!("`{}` is empty", self.path), format!("write {example}"));
            return None;
        }
        Some(text)
    }

    /// A string that is shown as it stands, on a terminal and in `/metrics`: one line without control characters, which
    /// could write over what stands there.
    pub(crate) fn line(&self, example: &str) -> Option<&'a str> {
        let text = self.string(example)?;
        if text.chars().any(char::is_control) {
            let message = format!("`{}` has line breaks or other control characters", self.path);
            self.error(message, "write it in one line of plain text");
            return None;
        }
        Some(text)
    }

    pub(crate) fn name(&self, rule: Name, example: &str) -> Option<String> {
        let text = self.string(example)?;
        if !rule.fits(text) {
            let message = format!(
                "{} does not fit `{}`: expected {}",
                quoted(text),
                self.path,
                rule.expected()
            );
            self.error(message, format!("write {example}"));
            return None;
        }
        Some(text.to_owned())
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        self.value
            .get_ref()
            .as_bool()
            .or_else(|| self.wrong_type("true or false", "`true` or `false`"))
    }

    pub(crate) fn integer(&self, range: RangeInclusive<u64>, example: &str) -> Option<u64> {
        let Some(integer) = self.value.get_ref().as_integer() else {
            return self.wrong_type("a whole number", example);
        };
        let number = i128::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(|n| u64::try_from(n).ok());
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => {
                let bounds = format!("from {} to {}", range.start(), range.end());
                let message = format!("`{}` is {integer}, which is not {bounds}", self.path);
                self.error(message, format!("write a number {bounds}"));
                None
            }
        }
    }

    pub(crate) fn integer32(&self, range: RangeInclusive<u32>, example: &str) -> Option<u32> {
        self.integer(u64::from(*range.start())..=u64::from(*range.end()), example)
            .and_then(|n| u32::try_from(n).ok())
    }

    pub(crate) fn size(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let example = "a size such as `\"64MiB\"`; the units are B, KiB, MiB and GiB";
        let parsed = units::parse_size(self.string(example)?);
        self.measured(parsed, range, example, units::format_size)
    }

    pub(crate) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let example = "a duration such as `\"2s\"`; the units are ms, s, m and h";
        let parsed = units::parse_duration(self.string(example)?);
        self.measured(parsed, range, example, units::format_duration)
    }

    fn measured<T: PartialOrd + Copy>(
        &self,
        parsed: Option<T>,
        range: RangeInclusive<T>,
        example: &str,
        show: fn(T) -> String,
    ) -> Option<T> {
        let Some(value) = parsed else {
            let written = quoted(self.value.get_ref().as_str().unwrap_or_default());
            self.error(
                format!("`{}` is {written}, which has no known unit", self.path),
                format!("write {example}"),
            );
            return None;
        };
        if range.contains(&value) {
            return Some(value);
        }
        let bounds = format!("from {} to {}", show(*range.start()), show(*range.end()));
        let message = format!("`{}` is {}, which is not {bounds}", self.path, show(value));
        self.error(message, format!("write a value {bounds}"));
        None
    }

    pub(crate) fn digest(&self) -> Option<Digest> {
        let text = self.string("the file's SHA-256 as 64 hexadecimal digits")?;
        match text.parse() {
            Ok(digest) => Some(digest),
            Err(error) => {
                let message = format!(
                    "`{}` is no digest: {error}, this has {}",
                    self.path,
                    text.chars().count()
                );
                self.error(message, "`sha256sum FILE` prints it");
                None
            }
        }
    }

    /// As [`Node::digest`], where the text may be the very secret that should have been hashed.
    pub(crate) fn digest_unseen(&self, fix: &str) -> Option<Digest> {
        let digest = self.value.get_ref().as_str().and_then(|text| text.parse().ok());
        if digest.is_none() {
            let message = format!(
                "`{}` is no digest: a SHA-256 digest has 64 hexadecimal digits",
                self.path
            );
            self.report.error_unseen(self.at(), message, fix);
        }
        digest
    }

    /// One of several words.
    pub(crate) fn word<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let all = listed(words.iter().map(|(word, _)| *word));
        let text = self.string(&format!("one of {all}"))?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let fix = match nearest(text, words.iter().map(|(word, _)| *word)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write one of {all}"),
        };
        self.error(format!("{} is not a value of `{}`", quoted(text), self.path), fix);
        None
    }

    pub(crate) fn items(&self, example: &str) -> Option<Vec<Node<'a>>> {
        let Some(array) = self.value.get_ref().as_array() else {
            return self.wrong_type("a list", example);
        };
        if array.len() > limits::MAX_LIST {
            let message = format!(
                "`{}` has {} entries, more than {}",
                self.path,
                array.len(),
                limits::MAX_LIST
            );
            self.error(message, "shorten the list");
            return None;
        }
        let node = |(index, value): (usize, &'a Spanned<DeValue<'a>>)| {
            let path = format!("{}[{index}]", self.path);
            Node {
                report: self.report,
                path,
                key: value.span().into(),
                value,
            }
        };
        Some(array.iter().enumerate().map(node).collect())
    }

    /// A list of names, none of them twice, each with its place.
    pub(crate) fn names(&self, rule: Name, example: &str) -> Option<Vec<(String, Span)>> {
        let mut names: Vec<(String, Span)> = Vec::new();
        for item in self.items(example)? {
            let Some(name) = item.name(rule, example) else { continue };
            if names.iter().any(|(known, _)| *known == name) {
                item.error(
                    format!("`{name}` stands twice in `{}`", self.path),
                    "keep one of the two",
                );
                continue;
            }
            names.push((name, item.at()));
        }
        Some(names)
    }

    /// A table whose keys are known.
    pub(crate) fn table(&self, shape: &Shape, example: &str) -> Option<Table<'a>> {
        let Some(map) = self.value.get_ref().as_table() else {
            return self.wrong_type("a table", example);
        };
        let table = Table {
            report: self.report,
            path: self.path.clone(),
            at: self.key,
            map,
        };
        table.refuse_unknown(shape, false);
        Some(table)
    }

    /// A table whose unknown entries may hold a secret that nobody should see in a log.
    pub(crate) fn discreet_table(&self, shape: &Shape, example: &str) -> Option<Table<'a>> {
        let Some(map) = self.value.get_ref().as_table() else {
            let message = format!("`{}` must be a table", self.path);
            self.report.error_unseen(self.key, message, format!("write {example}"));
            return None;
        };
        let table = Table {
            report: self.report,
            path: self.path.clone(),
            at: self.key,
            map,
        };
        table.refuse_unknown(shape, true);
        Some(table)
    }

    /// As [`Node::entries`], where a mistake may hold a secret that nobody should see in a log.
    pub(crate) fn discreet_entries(&self, rule: Name, example: &str) -> Vec<(String, Node<'a>)> {
        let good = self
            .value
            .get_ref()
            .as_table()
            .is_some_and(|map| map.keys().all(|key| rule.fits(key.get_ref())));
        if good {
            return self.entries(rule, example);
        }
        let message = format!(
            "the names in `{}` must each be {}, with a table",
            self.path,
            rule.expected()
        );
        self.report.error_unseen(self.key, message, format!("write {example}"));
        Vec::new()
    }

    /// A table whose keys are free names, in the order of the text.
    pub(crate) fn entries(&self, rule: Name, example: &str) -> Vec<(String, Node<'a>)> {
        let Some(map) = self.value.get_ref().as_table() else {
            self.wrong_type::<()>("a table", example);
            return Vec::new();
        };
        if map.len() > limits::MAX_ENTRIES {
            let message = format!(
                "`{}` has {} entries, more than {}",
                self.path,
                map.len(),
                limits::MAX_ENTRIES
            );
            self.report.error(self.key, message, "split the registry");
            return Vec::new();
        }
        let mut entries: Vec<(String, Node<'a>)> = Vec::new();
        for (key, value) in map.iter() {
            let name = key.get_ref();
            let at = Span::from(key.span());
            if !rule.fits(name) {
                let message = format!(
                    "{} is no name for `{}`: expected {}",
                    quoted(name),
                    self.path,
                    rule.expected()
                );
                self.report.error(at, message, "rename it");
                continue;
            }
            let path = format!("{}.{}", self.path, key_text(name));
            entries.push((
                name.to_string(),
                Node {
                    report: self.report,
                    path,
                    key: at,
                    value,
                },
            ));
        }
        entries.sort_by_key(|(_, node)| node.key.start);
        entries
    }
}
