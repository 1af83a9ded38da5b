//! The way from a folder to a cached component with a language whose tools are a line of Rust.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

use wasm_encoder::{
    Component as Encoded, ComponentExportKind, ComponentExportSection, ComponentInstanceSection, ComponentTypeSection,
};

use super::*;
use crate::progress::Quiet;

/// Makes a component that exports these interfaces, or edits the sources while it works.
#[derive(Default)]
struct Fake {
    exports: Vec<&'static str>,
    edits: bool,
    identity: &'static str,
    made: AtomicUsize,
}

impl Language for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }
    fn sdk(&self) -> &'static [(&'static str, &'static str)] {
        &[("inner/help.fake", "help")]
    }
    fn look(&self, _: &EncajeHome) -> language::Tooling {
        language::Tooling::Here(String::new())
    }
    fn ensure(&self, home: &EncajeHome, _: &dyn Progress) -> Result<Tools, BuildError> {
        Ok(Tools {
            folder: home.root().to_owned(),
            identity: self.identity.to_owned(),
        })
    }
    fn compile(&self, _: &Tools, job: &Job<'_>, _: &dyn Progress) -> Result<language::Made, BuildError> {
        let count = self.made.fetch_add(1, Ordering::Relaxed);
        assert_eq!(job.world, "encaje:evaluator/plugin@0.1.0");
        assert!(job.wit.join("evaluator.wit").is_file() && job.wit.join("deps/host/host.wit").is_file());
        assert_eq!(fs::read_to_string(job.sdk.join("inner/help.fake")).unwrap(), "help");
        if self.edits {
            fs::write(job.folder.join("code"), count.to_string()).unwrap();
        }
        let path = job.work.join("made.wasm");
        fs::write(&path, exporting(&self.exports)).unwrap();
        Ok(language::Made {
            component: path,
            read: vec![job.folder.join("../shared"), job.work.join("made.wasm")],
        })
    }
}

fn exporting(names: &[&'static str]) -> Vec<u8> {
    let mut component = Encoded::new();
    component.section(&ComponentTypeSection::new());
    let mut instances = ComponentInstanceSection::new();
    instances.export_items(std::iter::empty::<(&str, ComponentExportKind, u32)>());
    component.section(&instances);
    let mut exports = ComponentExportSection::new();
    for &name in names {
        exports.export(name, ComponentExportKind::Instance, 0, None);
    }
    component.section(&exports);
    component.finish()
}

const WHOLE: [&str; 2] = ["encaje:common/lifecycle@0.1.0", "encaje:evaluator/evaluator@0.1.0"];

/// A folder whose manifest has this besides name and kind.
fn plugin(more: &str) -> (tempfile::TempDir, EncajeHome, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let home = EncajeHome::at(folder.path().join("home")).unwrap();
    let path = folder.path().join("plugin");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("code"), "1").unwrap();
    let manifest = format!("name = \"one\"\nkind = \"evaluator\"\n{more}\n");
    fs::write(path.join(MANIFEST_FILE), manifest).unwrap();
    (folder, home, path)
}

fn made(home: &EncajeHome, path: &Path, language: &Fake) -> Result<Built, BuildError> {
    build(home, &Folder::open(path)?, language, &Quiet)
}

#[test]
fn a_component_carries_its_manifest_and_is_made_again_only_when_something_changed() {
    let (_folder, home, path) = plugin("");
    let fake = Fake {
        exports: WHOLE.to_vec(),
        ..Fake::default()
    };
    let first = made(&home, &path, &fake).unwrap();
    let manifest = component::read_manifest(&fs::read(&first.wasm).unwrap()).unwrap();
    assert_eq!(manifest.unwrap(), fs::read_to_string(path.join(MANIFEST_FILE)).unwrap());
    assert!(!first.cached && made(&home, &path, &fake).unwrap().cached);
    for other in ["node_modules/a", "__pycache__/a", "target/a", ".encaje/a"] {
        fs::create_dir_all(path.join(other)).unwrap();
        fs::write(path.join(other).join("b"), "").unwrap();
    }
    fs::write(path.join("target/CACHEDIR.TAG"), "").unwrap();
    assert!(made(&home, &path, &fake).unwrap().cached, "none of these is source");
    fs::write(path.join("code"), "2").unwrap();
    assert!(!made(&home, &path, &fake).unwrap().cached);
    // What its tool read outside the folder counts as well, as it is now.
    let shared = path.join("../shared");
    fs::write(&shared, "1").unwrap();
    let with_shared = made(&home, &path, &fake).unwrap();
    assert!(!with_shared.cached && made(&home, &path, &fake).unwrap().cached);
    fs::write(&shared, "2").unwrap();
    assert!(!made(&home, &path, &fake).unwrap().cached);
    fs::write(&shared, "1").unwrap();
    assert!(
        made(&home, &path, &fake).unwrap().cached,
        "it was made of exactly this before"
    );
    let newer = Fake {
        exports: WHOLE.to_vec(),
        identity: "newer tools",
        ..Fake::default()
    };
    assert!(!made(&home, &path, &newer).unwrap().cached);
    assert_eq!(fake.made.load(Ordering::Relaxed), 4);
}

#[test]
fn a_component_that_lacks_what_its_kind_exports_is_refused() {
    let (_folder, home, path) = plugin("");
    let fake = Fake {
        exports: vec!["encaje:common/lifecycle@0.1.0", "encaje:retriever/retriever@0.1.0"],
        ..Fake::default()
    };
    let error = made(&home, &path, &fake).unwrap_err().to_string();
    assert!(
        error.contains(
            "kind `evaluator` exports encaje:evaluator/evaluator, and this one does not; it exports a retriever"
        ),
        "{error}"
    );
}

#[test]
fn sources_that_never_rest_are_not_kept() {
    let (_folder, home, path) = plugin("");
    let fake = Fake {
        exports: WHOLE.to_vec(),
        edits: true,
        ..Fake::default()
    };
    assert!(matches!(made(&home, &path, &fake), Err(BuildError::Unsettled(_))));
    assert_eq!(fake.made.load(Ordering::Relaxed), BUILD_ATTEMPTS);
}

#[test]
fn a_manifest_that_cannot_be_built_by_says_why() {
    for (more, why) in [
        ("build = { entry = \"../code\" }", "is no file of the folder"),
        ("build = { entry = \"/etc/passwd\" }", "is no file of the folder"),
        ("build = { entry = \"absent\" }", "is no file of the folder"),
        ("build = { entry = 1 }", "must be a text"),
    ] {
        let (_folder, home, path) = plugin(more);
        let error = made(&home, &path, &Fake::default()).unwrap_err().to_string();
        assert!(error.contains(why), "{more}: {error}");
    }
    let (_folder, home, path) = plugin("");
    fs::write(path.join(MANIFEST_FILE), "name = \"one\"\nkind = \"judge\"\n").unwrap();
    let error = made(&home, &path, &Fake::default()).unwrap_err().to_string();
    assert!(
        error.contains("`kind = \"judge\"`; there are provider, storage"),
        "{error}"
    );
    fs::write(path.join(MANIFEST_FILE), "kind = \"evaluator\"\n").unwrap();
    let error = made(&home, &path, &Fake::default()).unwrap_err().to_string();
    assert!(error.contains("has no `name"), "{error}");
}

#[test]
fn the_sdk_of_a_folders_language_is_written_where_unit_tests_find_it() {
    let (_folder, _home, path) = plugin("build = { language = \"python\" }");
    assert!(crate::build::lay_out_sdk(&path).unwrap());
    assert!(path.join(".encaje/sdk/encaje_sdk/problem.py").is_file());
    let (_folder, _home, path) = plugin("build = { language = \"cobol\" }");
    let error = crate::build::lay_out_sdk(&path).unwrap_err().to_string();
    assert!(error.contains("rust, python, javascript, typescript"), "{error}");
    let (_folder, _home, path) = plugin("");
    fs::write(path.join("Cargo.toml"), "[package]\nname = \"one\"\n").unwrap();
    assert!(!crate::build::lay_out_sdk(&path).unwrap(), "it uses none");
}

#[test]
fn sources_of_another_kind_than_the_manifest_says_are_told() {
    let of = |output: &str| {
        let error = BuildError::Compile {
            what: "the build of one".to_owned(),
            output: output.to_owned(),
        };
        hinted(error, "provider").to_string()
    };
    for output in [
        "plugin.c:1:10: error: 'encaje_evaluator.h' file not found",
        "evaluator/evaluator.go:9:2: package encaje/encaje_evaluator_evaluator is not in std (/x)",
    ] {
        let said = of(output);
        assert!(
            said.contains("use the SDK of kind `evaluator`, and plugin.toml says `kind = \"provider\"`"),
            "{said}"
        );
    }
    for output in [
        "'encaje_provider.h' file not found",
        "plugin.c:1: encaje_evaluator.h: expected ;",
    ] {
        assert!(!of(output).contains("SDK of kind"), "{output}");
    }
}
