//! What was found in one request, for its trace: how often, where and by which rule. Never what.

use std::collections::BTreeSet;

use encaje_sdk::instrumentor::Annotation;
use encaje_sdk::values::Value;

use crate::config::Guard;

/// Counts of one request.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) rules: BTreeSet<usize>,
}

impl Tally {
    /// Adds another count.
    pub(crate) fn add(&mut self, other: Self) {
        self.input += other.input;
        self.output += other.output;
        self.rules.extend(other.rules);
    }

    /// As the trace gets it.
    pub(crate) fn annotation(&self, guard: &Guard) -> Annotation {
        let count = |count: u64| Value::Integer(i64::try_from(count).unwrap_or(i64::MAX));
        let mut annotation = Annotation::none();
        annotation.attributes = vec![
            ("guard.matches".to_owned(), count(self.input + self.output)),
            ("guard.matches.input".to_owned(), count(self.input)),
            ("guard.matches.output".to_owned(), count(self.output)),
        ];
        if !self.rules.is_empty() {
            let names: Vec<String> = self.rules.iter().map(|rule| guard.rules.name(*rule)).collect();
            let action = Value::Text(guard.action.name().to_owned());
            annotation.attributes.push(("guard.action".to_owned(), action));
            annotation
                .attributes
                .push(("guard.rules".to_owned(), Value::Text(names.join(","))));
            annotation.tags.push(format!("guard:{}", guard.action.name()));
        }
        annotation
    }
}
