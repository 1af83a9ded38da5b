//! The tools around plugins with real compilers beneath: what a build takes in, what it refuses, and what the doctors see.

use std::fs;
use std::path::{Path, PathBuf};

use encaje_core::trace::PluginKind;
use encaje_runtime::fit;
use encaje_supply::build::{BuildError, Built, build_plugin};
use encaje_supply::{TerminalProgress, guest_target};

use crate::support::process::{command, command_with};
use crate::support::{component, home, registry, runtime};

/// A new plugin from a template, in a folder of that name.
fn begun(folder: &Path, language: &str, kind: &str) -> PathBuf {
    let path = folder.join(format!("my-{language}"));
    encaje_supply::scaffold::new_plugin("my-plugin", kind, language, &path).unwrap();
    path
}

fn built(folder: &Path) -> Result<Built, BuildError> {
    let settings = guest_target::Settings::from_environment();
    build_plugin(&home(), folder, &settings, &TerminalProgress::new())
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{}: no `{from}`", path.display());
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// A Rust plugin that includes a text beside its package.
fn noting_rust(root: &Path) -> PathBuf {
    let rust = begun(root, "rust", "evaluator");
    let source = rust.join("src/lib.rs");
    let text = fs::read_to_string(&source).unwrap();
    let note = "#[used]\nstatic NOTE: &str = include_str!(\"../../shared/note.txt\");\n";
    fs::write(&source, format!("{text}\n{note}")).unwrap();
    rust
}

/// Every file that a build reads beside its folder counts: a stale component would be served for ever.
#[test]
fn what_a_build_reads_outside_its_folder_counts() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("shared/go")).unwrap();

    let javascript = begun(root, "javascript", "evaluator");
    let package = javascript.join("node_modules/dep");
    fs::create_dir_all(&package).unwrap();
    fs::write(package.join("package.json"), r#"{"name":"dep","main":"i.js"}"#).unwrap();
    edit(
        &javascript.join("plugin.js"),
        "export const plugin",
        "import { note } from \"../shared/x.js\";\nimport { other } from \"dep\";\nglobalThis.notes = [note, other];\nexport const plugin",
    );
    let c = begun(root, "c", "evaluator");
    let source = c.join("plugin.c");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(
        &source,
        format!("#include \"../shared/z.h\"\n{text}\nconst volatile int encaje_note = NOTE;\n__attribute__((used)) int encaje_noted(void) {{ return encaje_note; }}\n"),
    )
    .unwrap();
    let go = begun(root, "go", "evaluator");
    fs::write(root.join("shared/go/go.mod"), "module example.com/note\n\ngo 1.22\n").unwrap();
    let module = fs::read_to_string(go.join("go.mod")).unwrap();
    fs::write(
        go.join("go.mod"),
        format!("{module}\nrequire example.com/note v0.0.0\n\nreplace example.com/note => ../shared/go\n"),
    )
    .unwrap();
    fs::write(
        go.join("noted.go"),
        "package main\n\nimport \"example.com/note\"\n\nfunc init() { println(note.Note()) }\n",
    )
    .unwrap();

    let rust = noting_rust(root);

    /// What a file holds, by its number.
    type Holds = fn(u32) -> String;
    let cases: [(&Path, PathBuf, Holds); 5] = [
        (&rust, root.join("shared/note.txt"), |note| format!("note {note}")),
        (&javascript, root.join("shared/x.js"), |note| {
            format!("export const note = {note};\n")
        }),
        (&javascript, package.join("i.js"), |note| {
            format!("export const other = {note};\n")
        }),
        (&c, root.join("shared/z.h"), |note| format!("#define NOTE {note}\n")),
        (&go, root.join("shared/go/note.go"), |note| {
            format!("package note\n\nfunc Note() string {{ return \"note {note}\" }}\n")
        }),
    ];
    for (_, path, text) in &cases {
        fs::write(path, text(1)).unwrap();
    }
    // A file of the last moment may have been written while the build ran: then it is compiled twice.
    std::thread::sleep(std::time::Duration::from_millis(50));
    for (plugin, path, text) in cases {
        let first = built(plugin).unwrap_or_else(|error| panic!("{error}"));
        assert!(built(plugin).unwrap().cached, "{}: nothing has changed", path.display());
        fs::write(&path, text(2)).unwrap();
        let second = built(plugin).unwrap();
        assert!(
            !second.cached && second.sha256 != first.sha256,
            "{}: its change was not seen",
            path.display()
        );
    }
}

#[test]
fn a_plugin_that_is_not_of_its_kind_is_not_built() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |plugin: &Path| built(plugin).unwrap_err().to_string();
    let javascript = begun(folder.path(), "javascript", "evaluator");
    edit(
        &javascript.join("plugin.js"),
        "export const { lifecycle, evaluator }",
        "const { lifecycle, evaluator }",
    );
    let error = refused(&javascript);
    assert!(error.contains("its module exports plugin: end it with"), "{error}");
    fs::write(javascript.join("plugin.js"), "export const a = ;\n").unwrap();
    let error = refused(&javascript);
    assert!(
        error.contains("plugin.js:1:17") && !error.contains("at Object"),
        "{error}"
    );

    let c = begun(folder.path(), "c", "evaluator");
    edit(&c.join("plugin.toml"), "kind = \"evaluator\"", "kind = \"provider\"");
    let error = refused(&c);
    assert!(error.contains("use the SDK of kind `evaluator`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_tried_as_its_kind_and_as_no_other() {
    let wasm = component("plugins/provider-stub");
    fit::check(&runtime(), PluginKind::Provider, wasm.clone())
        .await
        .unwrap();
    let other = fit::check(&runtime(), PluginKind::Retriever, wasm).await.unwrap_err();
    let detail = other.log_detail.unwrap_or_default();
    assert!(
        detail.contains("encaje:retriever/retriever"),
        "{}: {detail}",
        other.message
    );
}

#[test]
fn the_doctor_sees_what_is_missing_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let nothing = [("PATH", "/nowhere"), ("ENCAJE_HOME", home.to_str().unwrap())];
    let doctor = || command_with(folder.path(), &["doctor"], "", &nothing);
    fs::write(folder.path().join("registry.toml"), registry("stub")).unwrap();
    let said = doctor();
    assert!(!said.well, "{}", said.said);
    for words in [
        "WRONG  plugins in rust: cannot ask rustc for its version",
        "WRONG  cargo: not found",
        "The registry has plugins that are built with it: ",
        "doubt  plugins in python: Python 3.10 or newer is needed",
        "is made by the first start",
    ] {
        assert!(said.said.contains(words), "`{words}`:\n{}", said.said);
    }
    // What the machine has does not hang on the registry.
    fs::write(folder.path().join("registry.toml"), "= what").unwrap();
    let said = doctor();
    for words in ["WRONG  registry: ", "when_storage_fails", "listen: ", "plugins in rust"] {
        assert!(said.said.contains(words), "`{words}`:\n{}", said.said);
    }
    assert!(!home.exists() && !folder.path().join("data").exists());
}

#[test]
fn what_a_new_plugin_is_told_can_be_pasted_and_what_is_none_is_told_kindly() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("a \"quoted\" place");
    let arguments = [
        "plugin",
        "new",
        "my-judge",
        "--kind",
        "evaluator",
        "--into",
        into.to_str().unwrap(),
    ];
    let new = command(folder.path(), &arguments, "");
    assert!(new.well && new.said.contains(": evaluator in rust"), "{}", new.said);
    assert!(new.said.contains("encaje plugin test '"), "{}", new.said);
    let block: Vec<&str> = new
        .said
        .lines()
        .skip_while(|line| !line.starts_with('['))
        .take(3)
        .collect();
    let block: toml::Table = block.join("\n").parse().unwrap();
    assert_eq!(
        block["plugins"]["my-judge"]["source"]["path"].as_str(),
        into.to_str(),
        "{}",
        new.said
    );

    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for (path, words) in [
        (&empty, "has no `plugin.toml`"),
        (&folder.path().join("none"), "is no folder"),
    ] {
        let built = command(folder.path(), &["plugin", "build", path.to_str().unwrap()], "");
        assert!(!built.well && built.said.contains(words), "{}", built.said);
        assert!(built.said.contains("encaje plugin new NAME"), "{}", built.said);
    }
}
