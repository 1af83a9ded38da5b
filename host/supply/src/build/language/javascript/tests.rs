//! Which tools are asked for, and what is said where they are not there; nothing is installed.

use std::fs;

use super::*;
use crate::{
    build::language::runner::fake::{Fake, absent, ended},
    process::Ended,
    progress::Quiet,
};

fn javascript(
    answer: impl Fn(&str) -> io::Result<Ended> + Send + Sync + 'static,
) -> (tempfile::TempDir, EncajeHome, JavaScript<Fake>) {
    let folder = tempfile::tempdir().unwrap();
    let home = EncajeHome::at(folder.path().canonicalize().unwrap().join("home")).unwrap();
    let runner = Fake::new(move |command| {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let line: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        answer(&line.join(" "))
    });
    let language = JavaScript {
        name: "javascript",
        entries: &["plugin.js"],
        runner,
    };
    (folder, home, language)
}

#[test]
fn both_tools_come_from_npm_without_their_scripts_once() {
    let (_folder, home, javascript) = javascript(|line| match line {
        "node --version" => Ok(ended(0, "v20.20.2\n", "")),
        _ => Ok(ended(0, "", "")),
    });
    let tools = javascript.ensure(&home, &Quiet).unwrap();
    let lines = javascript.runner.said();
    assert!(lines[2].starts_with("npm install --ignore-scripts"), "{lines:?}");
    assert!(
        PACKAGES
            .iter()
            .all(|pin| tools.identity.contains(pin) && PINS.shown.contains(pin))
    );
    assert!(
        PINS.shown.contains(NODE.pin()),
        "another Node.js is another folder of tools"
    );
    for (name, text) in [("package.json", MANIFEST), ("package-lock.json", LOCK)] {
        assert_eq!(fs::read_to_string(tools.folder.join(name)).unwrap(), text);
    }
    javascript.ensure(&home, &Quiet).unwrap();
    assert_eq!(javascript.runner.said().len(), 3);
}

#[test]
fn npm_is_told_the_digest_of_all_that_it_brings() {
    let manifest: serde_json::Value = serde_json::from_str(MANIFEST).unwrap();
    let lock: serde_json::Value = serde_json::from_str(LOCK).unwrap();
    let asked = manifest["dependencies"].as_object().unwrap();
    let asked: Vec<String> = asked
        .iter()
        .map(|(name, version)| format!("{name}@{}", version.as_str().unwrap()))
        .collect();
    assert_eq!(asked, PACKAGES);
    let packages = lock["packages"].as_object().unwrap();
    assert_eq!(packages[""]["dependencies"], manifest["dependencies"]);
    for (name, package) in packages
        .iter()
        .filter(|(name, package)| !name.is_empty() && package.get("version").is_some())
    {
        assert!(package["integrity"].as_str().unwrap().starts_with("sha512-"), "{name}");
    }
}

#[test]
fn a_look_says_what_is_here_what_would_come_and_what_is_missing() {
    let (_folder, home, with_node) = javascript(|line| match line {
        "node --version" => Ok(ended(0, "v20.20.2\n", "")),
        _ => Ok(ended(0, "", "")),
    });
    assert!(matches!(with_node.look(&home), Tooling::ToInstall(by) if by.ends_with(", by npm")));
    assert!(!home.toolchains().exists(), "a look makes nothing");
    with_node.ensure(&home, &Quiet).unwrap();
    assert!(matches!(with_node.look(&home), Tooling::Here(what) if what.contains(PINS.shown)));
    let without = JavaScript {
        name: "javascript",
        entries: &["plugin.js"],
        runner: Fake::new(|_| absent()),
    };
    let gone = without.look(&home);
    assert!(
        matches!(&gone, Tooling::Missing(what) if what.contains("node is needed")),
        "{gone:?}"
    );
}

#[test]
fn where_there_is_no_node_a_wheel_brings_one() {
    let (_folder, home, javascript) = javascript(|line| match line {
        "node --version" => absent(),
        _ => Ok(ended(0, "", "")),
    });
    javascript.ensure(&home, &Quiet).unwrap();
    let lines = javascript.runner.said();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("-m pip install") && line.contains("--require-hashes")),
        "{lines:?}"
    );
}

#[test]
fn what_is_missing_is_named_with_what_to_install() {
    let said = |answer: fn(&str) -> io::Result<Ended>| {
        // Python brings no Node.js here either.
        let (_folder, home, javascript) = javascript(move |line| match line.contains("pip") || line.contains("venv") {
            true => absent(),
            false => answer(line),
        });
        javascript.ensure(&home, &Quiet).unwrap_err().to_string()
    };
    let fix = "Install Node.js 18 or newer with npm (Debian: nodejs and npm)";
    let none = said(|_| absent());
    assert!(
        none.contains("node is needed: it is not on the PATH") && none.contains(fix),
        "{none}"
    );
    let old = said(|_| Ok(ended(0, "v12.22.0\n", "")));
    assert!(
        old.contains("node is v12.22.0, which is too old") && old.contains(fix),
        "{old}"
    );
    let no_npm = said(|line| match line {
        "node --version" => Ok(ended(0, "v22.1.0\n", "")),
        _ => absent(),
    });
    assert!(
        no_npm.contains("npm is needed: it is not on the PATH") && no_npm.contains(fix),
        "{no_npm}"
    );
    let no_line = said(|line| match line {
        "node --version" => Ok(ended(0, "v22.1.0\n", "")),
        "npm --version" => Ok(ended(0, "10.0.0\n", "")),
        _ => Ok(ended(1, "", "npm error network")),
    });
    assert!(
        no_line.contains("npm install") && no_line.contains("npm error network"),
        "{no_line}"
    );
}

#[test]
fn the_sources_become_one_module_before_they_become_a_component() {
    let (folder, home, javascript) = javascript(|line| match line {
        line if line.contains("broken.js") => Ok(ended(1, "", "error: Expected \";\"")),
        _ => Ok(ended(0, "", "")),
    });
    let root = folder.path();
    for name in ["plugin.js", "broken.js"] {
        fs::write(root.join(name), "").unwrap();
    }
    let job = Job {
        name: "one",
        folder: root,
        entry: None,
        kind: "evaluator",
        wit: Path::new("/w"),
        world: "encaje:evaluator/plugin@0.1.0",
        sdk: Path::new("/s"),
        work: root,
    };
    let bundled = |exports: &str| {
        let told = format!(r#"{{"inputs":{{}},"outputs":{{"plugin.js":{{"exports":[{exports}]}}}}}}"#);
        fs::write(root.join("bundle.json"), told).unwrap();
    };
    bundled(r#""evaluator","lifecycle""#);
    // npm lays the machine's own program beside the script that calls it.
    let own = home.root().join("node_modules/@esbuild/some-machine/bin");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("esbuild"), "").unwrap();
    let tools = Tools {
        folder: home.root().to_owned(),
        identity: String::new(),
    };
    assert_eq!(
        javascript.compile(&tools, &job, &Quiet).unwrap().component,
        root.join("plugin.wasm")
    );
    let lines = javascript.runner.said();
    assert!(
        lines[0].contains("/node_modules/@esbuild/some-machine/bin/esbuild ")
            && lines[0].contains("--alias:encaje-sdk/host=/s/host.js")
    );
    let component = "--sync --stub-wasi --wit /w -n encaje:evaluator/plugin@0.1.0 --js";
    assert!(
        lines[1].contains("/.bin/componentize-qjs ") && lines[1].contains(component),
        "{lines:?}"
    );
    let broken = Job {
        entry: Some("broken.js"),
        ..job
    };
    let error = javascript.compile(&tools, &broken, &Quiet).unwrap_err();
    assert!(
        matches!(&error, BuildError::Compile { output, .. } if output.contains("Expected")),
        "{error}"
    );
    assert_eq!(
        javascript.runner.said().len(),
        3,
        "nothing is made of what did not bundle"
    );
    bundled(r#""provider","lifecycle""#);
    let error = javascript.compile(&tools, &job, &Quiet).unwrap_err().to_string();
    assert!(
        error.contains("kind `evaluator` exports `lifecycle` and `evaluator`"),
        "{error}"
    );
}
