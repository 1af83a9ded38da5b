//! What is wrong, where, and what to write instead. Knows text and positions; nothing of what a registry means.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::limits;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken; the operator should look.
    Warning,
}

/// A range of bytes in a source text. Equal to any other, so that registries compare by what they say and not by where
/// they say it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Span {}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self {
            start: range.start,
            end: range.end,
        }
    }
}

/// One finding. `Display` gives several lines: the message, the place, the source line with a caret, the fix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file, as it was named to the parser.
    pub origin: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub fix: Option<String>,
    #[serde(skip)]
    excerpt: Option<Excerpt>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    /// The source line, shortened around the place, without control characters.
    line: String,
    /// Characters before the caret, and carets.
    before: usize,
    carets: usize,
}

impl Diagnostic {
    /// Of a whole file, e.g. one that cannot be read.
    pub(crate) fn of_file(origin: &str, message: String, fix: Option<String>) -> Self {
        Self {
            severity: Severity::Error,
            origin: origin.to_owned(),
            line: 1,
            column: 1,
            message,
            fix,
            excerpt: None,
        }
    }

    /// Whether the file is refused because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(out, "{severity}: {}", self.message)?;
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        write!(out, "{gutter}--> {}:{}:{}", self.origin, self.line, self.column)?;
        if let Some(excerpt) = &self.excerpt {
            write!(out, "\n{gutter} |\n{number} | {}", excerpt.line)?;
            write!(
                out,
                "\n{gutter} | {}{}",
                " ".repeat(excerpt.before),
                "^".repeat(excerpt.carets)
            )?;
        }
        if let Some(fix) = &self.fix {
            for (index, line) in fix.lines().enumerate() {
                write!(
                    out,
                    "\n{gutter} {} {line}",
                    if index == 0 { "= fix:" } else { "      " }
                )?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// All of them, one after the other with an empty line between, as a terminal shows them.
pub fn render(diagnostics: &[Diagnostic]) -> String {
    diagnostics
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// A text with a name and its lines.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) origin: String,
    pub(crate) text: String,
    /// The byte at which each line starts.
    lines: Vec<usize>,
}

impl Source {
    pub(crate) fn new(origin: &str, text: &str) -> Arc<Self> {
        let starts = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(index, _)| index + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        Arc::new(Self {
            origin: origin.to_owned(),
            text: text.to_owned(),
            lines,
        })
    }

    /// The line's number from 1, the byte where it starts, and its text.
    fn line(&self, at: usize) -> (usize, usize, &str) {
        let number = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(number - 1).copied().unwrap_or_default();
        let rest = self.text.get(start..).unwrap_or_default();
        (
            number,
            start,
            rest.split('\n').next().unwrap_or_default().trim_end_matches('\r'),
        )
    }

    pub(crate) fn diagnostic(
        &self,
        severity: Severity,
        span: Span,
        message: String,
        fix: Option<String>,
    ) -> Diagnostic {
        let at = (0..=span.start.min(self.text.len()))
            .rev()
            .find(|at| self.text.is_char_boundary(*at))
            .unwrap_or(0);
        let (line, start, text) = self.line(at);
        let column = text.get(..at - start).unwrap_or(text).chars().count();
        let length = self
            .text
            .get(at..span.end)
            .map_or(1, |marked| marked.lines().next().unwrap_or("").chars().count());
        let excerpt = Some(excerpt(text, column, length));
        Diagnostic {
            severity,
            origin: self.origin.clone(),
            line,
            column: column + 1,
            message,
            fix,
            excerpt,
        }
    }
}

/// Shows at most [`limits::MAX_EXCERPT`] characters, so that the place is among them. Control characters, a terminal's
/// escapes among them, become spaces; so does a tab, so that the caret stands under its place.
fn excerpt(line: &str, column: usize, length: usize) -> Excerpt {
    let first = if column < limits::MAX_EXCERPT {
        0
    } else {
        column - limits::MAX_EXCERPT / 2
    };
    let shown: String = line
        .chars()
        .skip(first)
        .take(limits::MAX_EXCERPT)
        .map(printable)
        .collect();
    let cut_front = if first > 0 { "…" } else { "" };
    let before = column - first + cut_front.chars().count();
    let line = format!("{cut_front}{}", shown.trim_end());
    let carets = length.clamp(1, (limits::MAX_EXCERPT + 1).saturating_sub(before).max(1));
    Excerpt { line, before, carets }
}

/// As it may stand on a terminal: control characters, a terminal's escapes among them, become spaces.
pub(crate) fn printable(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}

/// A piece of the operator's text for a message: shortened, without control characters.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(limits::MAX_QUOTED).map(printable).collect();
    if text.chars().nth(limits::MAX_QUOTED).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// Collects the findings of one text.
pub(crate) struct Report {
    pub(crate) source: Arc<Source>,
    found: RefCell<Vec<Diagnostic>>,
    left_out: Cell<bool>,
}

impl Report {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        Self {
            source,
            found: RefCell::default(),
            left_out: Cell::default(),
        }
    }

    pub(crate) fn error(&self, at: Span, message: impl Into<String>, fix: impl Into<String>) {
        self.push(
            self.source
                .diagnostic(Severity::Error, at, message.into(), Some(fix.into())),
        );
    }

    pub(crate) fn warn(&self, at: Span, message: impl Into<String>, fix: impl Into<String>) {
        self.push(
            self.source
                .diagnostic(Severity::Warning, at, message.into(), Some(fix.into())),
        );
    }

    /// An error on a line that may hold a secret: the line is not shown.
    pub(crate) fn error_unseen(&self, at: Span, message: impl Into<String>, fix: impl Into<String>) {
        let shown = self
            .source
            .diagnostic(Severity::Error, at, message.into(), Some(fix.into()));
        self.push(Diagnostic { excerpt: None, ..shown });
    }

    /// As [`Report::error_unseen`], for a warning.
    pub(crate) fn warn_unseen(&self, at: Span, message: impl Into<String>, fix: impl Into<String>) {
        let shown = self
            .source
            .diagnostic(Severity::Warning, at, message.into(), Some(fix.into()));
        self.push(Diagnostic { excerpt: None, ..shown });
    }

    /// An error at a key, whatever its value: the value is not shown, since a key in the wrong place may hold a secret.
    pub(crate) fn error_at_key(&self, at: Span, message: impl Into<String>, fix: impl Into<String>) {
        let mut shown = self
            .source
            .diagnostic(Severity::Error, at, message.into(), Some(fix.into()));
        if let Some(excerpt) = &mut shown.excerpt {
            let after = excerpt
                .line
                .char_indices()
                .nth(excerpt.before + excerpt.carets)
                .map(|(index, _)| index);
            if let Some((line, rest)) = after.and_then(|after| excerpt.line.split_at_checked(after))
                && rest.trim_start().starts_with('=')
            {
                excerpt.line = format!("{line} = …");
            }
        }
        self.push(shown);
    }

    fn push(&self, diagnostic: Diagnostic) {
        if !self.is_full() {
            self.found.borrow_mut().push(diagnostic);
        }
    }

    /// Whether there is no room for more; whoever asks had more to say.
    pub(crate) fn is_full(&self) -> bool {
        let full = self.found.borrow().len() >= limits::MAX_DIAGNOSTICS;
        self.left_out.set(self.left_out.get() || full);
        full
    }

    /// In the order of the text: the errors when there are some, else the warnings. Next to errors, warnings would be
    /// noise, and some of them only follow from what was not read.
    pub(crate) fn finish(self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        if self.left_out.get() {
            let message = format!("only the first {} findings are shown", limits::MAX_DIAGNOSTICS);
            found.push(Diagnostic::of_file(
                &self.source.origin,
                message,
                Some("mend these first".to_owned()),
            ));
        }
        if !found.iter().any(Diagnostic::is_error) {
            return Ok(found);
        }
        found.retain(Diagnostic::is_error);
        Err(found)
    }
}

/// A file's text, if it is one and not too large.
pub(crate) fn read(path: &Path, what: &str) -> Result<String, Vec<Diagnostic>> {
    use std::io::Read as _;

    let origin = path.display().to_string();
    let refuse = |message: String, fix: &str| vec![Diagnostic::of_file(&origin, message, Some(fix.to_owned()))];
    let unreadable = |error| {
        refuse(
            format!("cannot read {what}: {error}"),
            "check the path and its permissions",
        )
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(limits::MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| refuse(format!("{what} is not UTF-8 text"), "save it as UTF-8"))
}
