//! How long work is told to a person: lines, and a meter for what is under way. [`TerminalProgress`] draws bars on a
//! terminal and prints plain lines elsewhere. It knows nothing of what the work is.

use std::io::{IsTerminal, Write, stderr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What a meter measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Work of unknown length, such as a compilation.
    Open,
    /// Bytes, and how many in all where that is known.
    Bytes(Option<u64>),
}

/// Where long work reports to.
pub trait Progress: Send + Sync {
    /// One complete line, such as what is being done and why.
    fn say(&self, line: &str);
    /// Begins a piece of work; it ends when the meter is dropped.
    fn start(&self, what: &str, work: Work) -> Box<dyn Meter>;
}

/// One piece of work under way.
pub trait Meter: Send + Sync {
    /// Bytes done so far.
    fn done(&self, bytes: u64);
    /// The number of bytes in all, once it is known.
    fn total(&self, bytes: u64);
    /// What is going on right now, e.g. the last line of a compiler.
    fn note(&self, line: &str);
}

/// Says nothing; for tests and for callers that have no one to tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn say(&self, _line: &str) {}
    fn start(&self, _what: &str, _work: Work) -> Box<dyn Meter> {
        Box::new(Quiet)
    }
}

impl Meter for Quiet {
    fn done(&self, _bytes: u64) {}
    fn total(&self, _bytes: u64) {}
    fn note(&self, _line: &str) {}
}

/// Writes to stderr: bars and spinners on a terminal, plain lines (one a piece of work) elsewhere, so that a log file
/// holds no control characters.
#[derive(Clone, Copy, Debug)]
pub struct TerminalProgress {
    drawn: bool,
}

impl Default for TerminalProgress {
    fn default() -> Self {
        Self::new()
    }
}

impl TerminalProgress {
    /// Draws when stderr is a terminal.
    #[must_use]
    pub fn new() -> Self {
        Self {
            drawn: stderr().is_terminal(),
        }
    }
}

impl Progress for TerminalProgress {
    fn say(&self, line: &str) {
        // A closed stderr must not stop the work, so the result is not looked at.
        let _ = writeln!(stderr(), "{line}");
    }

    fn start(&self, what: &str, work: Work) -> Box<dyn Meter> {
        if !self.drawn {
            self.say(&format!("{what} ..."));
            return Box::new(Quiet);
        }
        let bar = match work {
            Work::Bytes(Some(total)) => ProgressBar::new(total).with_style(bytes_style()),
            Work::Bytes(None) => ProgressBar::no_length().with_style(bytes_style()),
            Work::Open => ProgressBar::new_spinner(),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr());
        if work == Work::Open {
            bar.set_style(style(
                "{spinner} {prefix} ({elapsed}) {msg:.dim}",
                ProgressStyle::default_spinner(),
            ));
            bar.enable_steady_tick(std::time::Duration::from_millis(120));
        }
        bar.set_prefix(what.to_owned());
        Box::new(Bar(bar))
    }
}

fn bytes_style() -> ProgressStyle {
    let template = "{prefix} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    style(template, ProgressStyle::default_bar())
}

/// A template that does not parse costs the looks, not the work.
fn style(template: &str, otherwise: ProgressStyle) -> ProgressStyle {
    otherwise.clone().template(template).unwrap_or(otherwise)
}

struct Bar(ProgressBar);

impl Meter for Bar {
    fn done(&self, bytes: u64) {
        self.0.set_position(bytes);
    }
    fn total(&self, bytes: u64) {
        self.0.set_length(bytes);
    }
    fn note(&self, line: &str) {
        self.0.set_message(line.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Keeps what was said, for tests of who says what.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct Remembered(std::sync::Mutex<Vec<String>>);

#[cfg(test)]
impl Remembered {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[cfg(test)]
impl Progress for Remembered {
    fn say(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
    fn start(&self, what: &str, _work: Work) -> Box<dyn Meter> {
        self.say(what);
        Box::new(Quiet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_parse() {
        for template in [
            "{prefix} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            "{spinner} {prefix} ({elapsed}) {msg:.dim}",
        ] {
            assert!(ProgressStyle::default_bar().template(template).is_ok(), "{template}");
        }
    }
}
