//! How a report reads.

use encaje_core::trace::PluginKind;

use crate::{Check, Outcome, Report};

#[test]
fn a_report_has_one_line_a_check_and_the_totals() {
    let check = |name, outcome| Check { name, outcome };
    let report = Report {
        plugin: "mine".to_owned(),
        kind: PluginKind::Source,
        checks: vec![
            check("it holds", Outcome::Passed),
            check("it does not", Outcome::Failed("1 was expected,\n2 came".to_owned())),
            check("it was not asked", Outcome::Skipped("no location".to_owned())),
        ],
    };
    let lines = [
        "ok it holds",
        "FAILED it does not: 1 was expected, 2 came",
        "skipped it was not asked: no location",
        "source `mine`: 1 ok, 1 failed, 1 skipped",
    ];
    assert_eq!(report.to_string(), lines.join("\n"));
    assert!(!report.passed());
}
