//! The plugins' and the SDK's own unit tests, which live in workspaces that `cargo test --workspace` does not reach.

use encaje_supply::TerminalProgress;
use encaje_supply::build::run_native_tests;

use crate::support::{home, root};

fn tests_of(workspace: &str, at_least: usize) {
    let report = run_native_tests(&home(), &root().join(workspace), &TerminalProgress::new());
    let report = report.unwrap_or_else(|error| panic!("{workspace}: {error}"));
    assert!(
        report.passed >= at_least as _,
        "{workspace}: only {} tests ran",
        report.passed
    );
    assert_eq!(report.ignored, 0, "{workspace}: an ignored test hides a gap");
}

#[test]
fn the_plugins_own_tests_pass() {
    tests_of("plugins", 200);
}

#[test]
fn the_sdks_own_tests_pass() {
    tests_of("sdk/rust", 40);
}
