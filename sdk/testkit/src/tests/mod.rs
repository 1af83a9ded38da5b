//! The kit over fakes: a right implementation of each kind passes everything, a wrong one is caught by the check that is
//! about what is wrong with it. Real plugins are judged where they can be loaded.

mod evaluator;
mod instrumentor;
mod provider;
mod report;
mod retriever;
mod source;
mod storage;

use std::time::Duration;

use crate::{Outcome, Report, Settings};

/// Settings for fakes: quick, and the same each time.
fn settings() -> Settings {
    Settings {
        cases: 32,
        check_time: Duration::from_secs(30),
        words: vec!["kestrel".to_owned()],
        other_spec: Some(r#"{"size":2}"#.to_owned()),
        ..Settings::default()
    }
}

/// Nothing failed, and nothing was left out.
fn assert_passes(report: &Report) {
    let bad = report.checks.iter().find(|check| check.outcome != Outcome::Passed);
    assert!(bad.is_none(), "{report}");
}

/// The check of this name failed.
fn assert_caught(report: &Report, name: &str) {
    assert!(
        report.checks.iter().any(|check| check.name == name),
        "no check `{name}`"
    );
    assert!(
        report.failed().any(|check| check.name == name),
        "`{name}` did not fail:\n{report}"
    );
}
