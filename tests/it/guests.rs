//! The plugins', the SDK's and the fuzzing's own tests, which live in workspaces that `cargo test --workspace` does not reach.

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

/// The committed inputs, from which fuzzing begins; minutes of fuzzing are for `cargo fuzz`.
#[test]
fn the_inputs_for_the_fuzzer_hold() {
    tests_of("fuzz", 5);
}

/// The path, and behind it the Node.js and the Go that the builds brought, where the machine has none.
fn path_with_node() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let brought = ["node", "go"].map(|name| file_named(name, &home().toolchains()));
    let own = brought
        .into_iter()
        .flatten()
        .filter_map(|program| Some(program.parent()?.to_owned()));
    std::env::join_paths(std::env::split_paths(&path).chain(own)).unwrap()
}

/// How many tests ran, in the words of Python's `unittest`, of Node.js, of `go test -v`, of a program in C.
fn tests_in(said: &str) -> usize {
    let number = |rest: &str| rest.split_whitespace().next()?.parse::<usize>().ok();
    let numbered = |line: &str| {
        let starts = ["Ran ", "# pass ", "\u{2139} pass "];
        starts.iter().find_map(|start| number(line.strip_prefix(start)?))
    };
    let counted: usize = said.lines().filter_map(numbered).sum();
    counted + said.matches("--- PASS").count() + said.matches("all tests passed").count()
}

/// Runs the tests of a folder: it ends well, and at least one test ran.
pub fn tests_run(folder: &std::path::Path, program: &std::path::Path, arguments: &[&str]) {
    let said = runs(folder, program, arguments);
    assert!(tests_in(&said) > 0, "{}: no test ran\n{said}", folder.display());
}

/// Runs the line of a new plugin's README that tests it, as its author would.
pub fn readme_tests_run(folder: &std::path::Path) {
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let starts = ["python3 -m unittest", "npm test", "go test ", "cc -std"];
    let lines = readme.lines().map(|line| line.trim_start_matches("- `"));
    let mut tested = lines.filter(|line| starts.iter().any(|start| line.starts_with(start)));
    let line = tested.next().unwrap().split('`').next().unwrap();
    // The packages' own `npm` may be missing where the builds brought a Node.js.
    let script = || {
        let package = std::fs::read_to_string(folder.join("package.json")).unwrap();
        let package: serde_json::Value = serde_json::from_str(&package).unwrap();
        package["scripts"]["test"].as_str().unwrap().to_owned()
    };
    let line = if line == "npm test" { script() } else { line.to_owned() };
    tests_run(folder, "sh".as_ref(), &["-c", &line]);
}

/// Runs a program in a folder; its output is the failure's message.
fn runs(folder: &std::path::Path, program: &std::path::Path, arguments: &[&str]) -> String {
    let ran = std::process::Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("PATH", path_with_node())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("GOFLAGS", "-mod=mod -buildvcs=false -v")
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&ran.stdout) + &text(&ran.stderr);
    assert!(ran.status.success(), "{}\n{said}", folder.display());
    said
}

#[test]
fn the_python_and_javascript_sdks_and_examples_pass_their_own_tests() {
    tests_run(
        &root().join("sdk/python"),
        "python3".as_ref(),
        &["-m", "unittest", "discover", "-s", "tests"],
    );
    for example in ["exact-python", "evaluator-readability"] {
        tests_run(
            &root().join("plugins/examples").join(example),
            "python3".as_ref(),
            &["-m", "unittest"],
        );
    }
    let path = root().join("plugins/examples/exact-javascript");
    let settings = encaje_supply::guest_target::Settings::from_environment();
    encaje_supply::build::build_plugin(&home(), &path, &settings, &TerminalProgress::new()).unwrap();
    for place in [
        "sdk/javascript",
        "plugins/examples/exact-javascript",
        "plugins/examples/instrumentor-keywords",
    ] {
        let package = std::fs::read_to_string(root().join(place).join("package.json")).unwrap();
        let package: serde_json::Value = serde_json::from_str(&package).unwrap();
        tests_run(
            &root().join(place),
            "sh".as_ref(),
            &["-c", package["scripts"]["test"].as_str().unwrap()],
        );
    }
}

#[test]
fn the_c_sdk_and_examples_pass_their_own_tests() {
    let folder = tempfile::tempdir().unwrap();
    for (place, sources) in [
        (
            "sdk/c",
            &["tests/test.c", "encaje_json.c", "encaje_stream.c", "encaje_text.c"][..],
        ),
        (
            "plugins/examples/exact-c",
            &[
                "tests/test.c",
                "metric.c",
                "../../../sdk/c/encaje_json.c",
                "../../../sdk/c/encaje_text.c",
            ],
        ),
        (
            "plugins/examples/evaluator-distance",
            &["tests/test.c", "distance.c", "../../../sdk/c/encaje_text.c"],
        ),
    ] {
        let program = folder.path().join("test");
        let output = program.display().to_string();
        let options = ["-std=c17", "-I.", "-I../../../sdk/c", "-o", &output];
        let place = root().join(place);
        runs(&place, "gcc".as_ref(), &[&options[..], sources].concat());
        tests_run(&place, &program, &[]);
    }
}

#[test]
fn the_go_sdk_and_examples_pass_their_own_tests() {
    let path = root().join("plugins/examples/exact-go");
    let settings = encaje_supply::guest_target::Settings::from_environment();
    encaje_supply::build::build_plugin(&home(), &path, &settings, &TerminalProgress::new()).unwrap();
    let go = file_named("go", &home().toolchains()).expect("the build has installed it");
    for (place, packages) in [
        ("sdk/go", &["./lines", "./retryafter", "./wit/types"][..]),
        ("plugins/examples/exact-go", &["./metric"]),
        ("plugins/examples/provider-ollama", &["./wire"]),
    ] {
        tests_run(&root().join(place), &go, &[&["test"], packages].concat());
    }
}

/// A program of this name in a folder `bin` anywhere below.
fn file_named(name: &str, folder: &std::path::Path) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder)
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir() && !path.is_symlink());
    let in_bin = folder.file_name().is_some_and(|folder| folder == "bin");
    let here = files
        .into_iter()
        .find(|path| in_bin && path.file_name().is_some_and(|file| file == name));
    here.or_else(|| folders.iter().find_map(|folder| file_named(name, folder)))
}
