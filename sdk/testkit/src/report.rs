//! What the kit found, check by check, and how it is told in words. No judgement: that is the suites' business.

use std::fmt;

use encaje_core::trace::PluginKind;

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not: what was expected, and what came.
    Failed(String),
    /// It was not asked: why.
    Skipped(String),
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What must hold, in words.
    pub name: &'static str,
    /// Whether it does.
    pub outcome: Outcome,
}

/// All checks of one implementation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The implementation's own name.
    pub plugin: String,
    /// What it is.
    pub kind: PluginKind,
    /// In the order in which they were done.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether nothing failed.
    pub fn passed(&self) -> bool {
        self.failed().next().is_none()
    }

    /// The checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        let failed = |check: &&Check| matches!(check.outcome, Outcome::Failed(_));
        self.checks.iter().filter(failed)
    }

    fn count(&self, is: impl Fn(&Outcome) -> bool) -> usize {
        self.checks.iter().filter(|check| is(&check.outcome)).count()
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Passed => write!(f, "ok {}", self.name),
            Outcome::Failed(what) => write!(f, "FAILED {}: {}", self.name, one_line(what)),
            Outcome::Skipped(why) => write!(f, "skipped {}: {}", self.name, one_line(why)),
        }
    }
}

/// One line a check, then the totals.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        let passed = self.count(|outcome| matches!(outcome, Outcome::Passed));
        let failed = self.count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let skipped = self.count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        let (kind, plugin) = (self.kind.as_str(), &self.plugin);
        write!(f, "{kind} `{plugin}`: {passed} ok, {failed} failed, {skipped} skipped")
    }
}

/// What an implementation said may hold line breaks and worse; a report has one line a check.
fn one_line(text: &str) -> String {
    let plain = |character: char| if character.is_control() { ' ' } else { character };
    text.chars().map(plain).collect()
}
