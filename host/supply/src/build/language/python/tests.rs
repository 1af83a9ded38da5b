//! Which tools are asked for, and what is said where they are not there; nothing is installed.

use super::*;
use crate::{
    build::language::runner::fake::{Fake, absent, ended},
    process::Ended,
    progress::Quiet,
};

/// Python as a fake runs it, and a home of its own.
fn python(
    answer: impl Fn(&str) -> io::Result<Ended> + Send + Sync + 'static,
) -> (tempfile::TempDir, EncajeHome, Python<Fake>) {
    let folder = tempfile::tempdir().unwrap();
    let home = EncajeHome::at(folder.path().canonicalize().unwrap().join("home")).unwrap();
    let runner = Fake::new(move |command| {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let line: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        answer(&line.join(" "))
    });
    (folder, home, Python { runner })
}

#[test]
fn a_virtual_environment_comes_first_and_is_made_once() {
    let (_folder, home, python) = python(|line| match line {
        line if line.contains("version_info") => Ok(ended(0, "3.14\n", "")),
        _ => Ok(ended(0, "", "")),
    });
    let tools = python.ensure(&home, &Quiet).unwrap();
    assert!(tools.folder.starts_with(home.toolchains()) && tools.identity.contains(TOOL.pin()));
    let lines = python.runner.said();
    assert_eq!(lines[1], "python3 -m venv venv");
    assert!(
        lines[2].contains("venv/bin/python -m pip install --no-deps --only-binary=:all:")
            && lines[2].contains("--require-hashes")
    );
    assert_eq!(python.ensure(&home, &Quiet).unwrap(), tools);
    assert_eq!(python.runner.said().len(), 3);
}

#[test]
fn without_venv_pip_is_asked_and_without_both_the_text_says_what_to_install() {
    let (_folder, home, python) = python(|line| match line {
        line if line.contains("version_info") => Ok(ended(0, "3.11\n", "")),
        line if line.contains("venv venv") => Ok(ended(1, "", "ensurepip is not available")),
        _ => Ok(ended(1, "", "No module named pip")),
    });
    let error = python.ensure(&home, &Quiet).unwrap_err().to_string();
    for part in [
        "python plugins cannot be built here",
        "ensurepip is not available",
        "No module named pip",
        "python3-venv or python3-pip",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(python.runner.said()[2].contains("pip install") && python.runner.said()[2].contains("--target site"));
}

#[test]
fn a_python_that_is_absent_or_too_old_is_named() {
    let (_folder, home, python) = python(|line| match line {
        line if line.starts_with("python3 ") => Ok(ended(0, "3.9\n", "")),
        _ => absent(),
    });
    let error = python.ensure(&home, &Quiet).unwrap_err().to_string();
    assert!(
        error.contains("Python 3.10 or newer is needed (python3 is 3.9, python is not on the PATH)"),
        "{error}"
    );
    for (version, enough) in [
        ("3.10", true),
        ("4.0", false),
        ("2.7", false),
        ("", false),
        ("3", false),
    ] {
        assert_eq!(is_new_enough(version), enough, "{version}");
    }
}

#[test]
fn the_tool_gets_a_copy_of_the_sources_the_sdk_and_no_wasi() {
    let (folder, home, python) = python(|_| Ok(ended(0, "", "")));
    let tools = Tools {
        folder: home.root().to_owned(),
        identity: String::new(),
    };
    let plugin = folder.path().join("plugin");
    fs::create_dir_all(plugin.join("inner")).unwrap();
    fs::write(plugin.join("inner/main.py"), "").unwrap();
    let work = folder.path().join("work");
    fs::create_dir(&work).unwrap();
    let job = Job {
        name: "one",
        folder: &plugin,
        entry: Some("inner/main.py"),
        kind: "evaluator",
        wit: Path::new("/w"),
        world: "encaje:evaluator/plugin@0.1.0",
        sdk: Path::new("/s"),
        work: &work,
    };
    assert_eq!(
        python.compile(&tools, &job, &Quiet).unwrap().component,
        work.join("plugin.wasm")
    );
    let line = &python.runner.said()[0];
    let expected = format!(
        "-q -d /w -w encaje:evaluator/plugin@0.1.0 componentize --stub-wasi -p {0}/sources/inner -p /s -o {0}/plugin.wasm main",
        work.display()
    );
    assert!(line.ends_with(&expected), "{line}");
    assert!(work.join("sources/inner/main.py").is_file());
    let bare = Job { entry: None, ..job };
    let error = python.compile(&tools, &bare, &Quiet).unwrap_err().to_string();
    assert!(error.contains("it has no app.py"), "{error}");
}

#[test]
fn an_entry_must_be_a_module_and_not_one_of_the_build() {
    assert_eq!(module(Path::new("src/my_app.py")).unwrap(), "my_app");
    for (entry, why) in [
        ("app.txt", "no Python module"),
        ("my-app.py", "no Python module"),
        ("1.py", "no Python module"),
        ("encaje_sdk.py", "of the build"),
        ("wit_world.py", "of the build"),
    ] {
        assert!(module(Path::new(entry)).unwrap_err().contains(why), "{entry}");
    }
}
