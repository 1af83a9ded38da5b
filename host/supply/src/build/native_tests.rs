//! Runs a guest workspace's own unit tests for the host, in the same clean environment as its builds. What the tests
//! mean is not known here; only how many ran.

use std::path::Path;

use super::{BuildError, cargo};
use crate::{
    home::EncajeHome,
    limits::GUEST_TESTS,
    lock, process,
    progress::{Progress, Work},
};

/// How a workspace's tests went; all passed, or there would be an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TestReport {
    /// How many ran and passed.
    pub passed: u32,
    /// How many were ignored.
    pub ignored: u32,
}

/// `cargo test --workspace` in the folder of a guest workspace, compiled for the host. Blocking; minutes the first time.
///
/// # Errors
/// [`BuildError::Compile`] with the end of the output when something does not compile or a test fails.
pub fn run_native_tests(
    home: &EncajeHome,
    workspace: &Path,
    progress: &dyn Progress,
) -> Result<TestReport, BuildError> {
    let workspace = workspace
        .canonicalize()
        .map_err(|error| BuildError::file("open", workspace, error))?;
    let folder = cargo::target_folder(home, &workspace, "native");
    let lock = folder.with_extension("lock");
    let what = format!("the tests of {}", workspace.display());
    let _held = lock::acquire(&lock, &format!("running {what}"), progress)
        .map_err(|error| BuildError::file("lock", &lock, error))?;
    let meter = progress.start(&what, Work::Open);
    let mut command = process::clean("cargo", &workspace);
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        .env("CARGO_TARGET_DIR", &folder);
    let ended = process::run(&mut command, GUEST_TESTS, Some(meter.as_ref()))
        .map_err(|error| BuildError::file("run cargo in", &workspace, error))?;
    drop(meter);
    if ended.succeeded() {
        return Ok(count(&ended.stdout));
    }
    // A failed test speaks on standard output, a failed compilation on standard error.
    let failures = ended
        .stdout
        .find("\nfailures:")
        .and_then(|at| ended.stdout.get(at..))
        .unwrap_or_default();
    let error = match cargo::failed(&what, &ended) {
        BuildError::Compile { what, output } => BuildError::Compile {
            what,
            output: format!("{output}{failures}"),
        },
        other => other,
    };
    progress.say(&error.to_string());
    Err(error)
}

/// Adds up the lines `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn count(stdout: &str) -> TestReport {
    let mut report = TestReport::default();
    for line in stdout.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        let number = |word: &str| {
            let before = line.split(word).next()?.trim_end();
            before.rsplit([' ', ';']).next()?.parse::<u32>().ok()
        };
        report.passed += number("passed").unwrap_or(0);
        report.ignored += number("ignored").unwrap_or(0);
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_all_binaries_are_added_up() {
        let text = "running 2 tests\ntest a ... ok\ntest result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\n\
            test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured\n";
        assert_eq!(count(text), TestReport { passed: 15, ignored: 1 });
        assert_eq!(count("nothing"), TestReport::default());
    }
}
