//! What an author of a plugin does: begins one from a template, tests it, builds it, and finds out why one does not fit.

use std::path::Path;

use encaje_core::trace::PluginKind;
use encaje_supply::build::{build_plugin, run_native_tests};
use encaje_supply::{TerminalProgress, guest_target};

use crate::support::process::command;
use crate::support::{ServerProcess, home, registry, root};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_plugin_of_each_kind_passes_its_tests_and_the_kit_and_serves() {
    let folder = tempfile::tempdir().unwrap();
    let mut registry = "[server]\nstorage = \"my-storage\"\n\n".to_owned();
    for kind in PluginKind::ALL {
        let name = format!("my-{}", kind.as_str());
        let here = folder.path().join(&name);
        let into = here.display().to_string();
        let arguments = [
            "plugin",
            "new",
            &name,
            "--kind",
            kind.as_str(),
            "--lang",
            "rust",
            "--into",
            &into,
        ];
        let begun = command(folder.path(), &arguments, "");
        assert!(begun.well, "{}", begun.said);
        registry += &block(&begun.said, &into, &name);
        let tested =
            tokio::task::block_in_place(|| run_native_tests(&home(), &here, &TerminalProgress::new())).unwrap();
        assert!(tested.passed > 0 && tested.ignored == 0, "{name}: {tested:?}");
        let settings = guest_target::Settings::from_environment();
        let built =
            tokio::task::block_in_place(|| build_plugin(&home(), &here, &settings, &TerminalProgress::new())).unwrap();
        let fits = command(folder.path(), &["plugin", "doctor", built.wasm.to_str().unwrap()], "");
        assert!(fits.well && fits.said.contains("nothing is wrong"), "{}", fits.said);
        let judging = ["plugin", "test", &into, "--cases", "8"];
        let location: &[&str] = match kind {
            PluginKind::Source => &["--location", "text:"],
            _ => &[],
        };
        let judged = command(folder.path(), &[&judging, location].concat(), "");
        assert!(judged.well, "{name}\n{}", judged.said);
    }
    // What was printed is all that a server needs.
    registry += "[routes.\"*\"]\nto = [{ plugin = \"my-provider\" }]\n";
    let server = ServerProcess::start(folder.path(), &registry, &[]);
    let answer = server.chat("any", "The sea is deep.").await;
    assert_eq!(answer.status, 200, "{}\n{}", answer.body, server.log());
    server.stop();
}

/// Where a plugin that needs nothing but this text is declared.
fn resolves(text: &str, name: &str, folder: &Path) {
    let rest = "[plugins.store]\nkind = \"storage\"\nsource = { path = \"y\" }\n\
        [plugins.up]\nkind = \"provider\"\nsource = { path = \"z\" }\n[routes.\"*\"]\nto = [{ plugin = \"up\" }]\n\
        [server]\nstorage = \"store\"\n";
    let registry = encaje_registry::Registry::parse(&format!("{text}\n{rest}"), "registry.toml")
        .unwrap_or_else(|wrong| panic!("{name}: {}\n{text}", encaje_registry::render(&wrong)));
    let manifest = encaje_registry::Manifest::load(&folder.join("plugin.toml")).unwrap();
    registry
        .resolve(registry.plugin(name).unwrap(), &manifest)
        .unwrap_or_else(|wrong| panic!("{name}: {}\n{text}", encaje_registry::render(&wrong)));
}

#[test]
fn what_a_new_plugin_says_of_the_registry_is_all_that_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    for (language, kind) in encaje_supply::scaffold::templates() {
        let name = format!("my-{language}-{kind}");
        let here = folder.path().join(&name);
        let into = here.display().to_string();
        let arguments = [
            "plugin", "new", &name, "--kind", &kind, "--lang", &language, "--into", &into,
        ];
        let begun = command(folder.path(), &arguments, "");
        assert!(begun.well, "{}", begun.said);
        let lines = begun.said.lines().skip_while(|line| !line.starts_with("[plugins."));
        let said: Vec<_> = lines
            .take_while(|line| line.contains(" = ") || line.starts_with('['))
            .collect();
        resolves(&said.join("\n"), &name, &here);
        let readme = std::fs::read_to_string(here.join("README.md")).unwrap();
        if let Some((_, block)) = readme.split_once("```toml\n") {
            let block = block.split_once("```").unwrap().0;
            assert!(block.contains(&format!("source = {{ path = \"{name}\" }}")), "{block}");
            resolves(block, &name, &here);
        }
    }
}

#[test]
fn two_plugins_of_one_name_are_not_taken_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let settings = guest_target::Settings::from_environment();
    let build = |place: &str, said: &str| {
        let here = folder.path().join(place);
        let source = here.join("src/lib.rs");
        if !here.exists() {
            let into = here.display().to_string();
            let begin = ["plugin", "new", "twin", "--kind", "evaluator", "--into", &into];
            let begun = command(folder.path(), &begin, "");
            assert!(begun.well, "{}", begun.said);
            std::fs::copy(&source, here.join("template")).unwrap();
        }
        let template = std::fs::read_to_string(here.join("template")).unwrap();
        let own = format!("\n#[unsafe(no_mangle)]\nstatic SAID: [u8; 8] = *b\"{said}\";\n");
        std::fs::write(&source, template + &own).unwrap();
        let built = build_plugin(&home(), &here, &settings, &TerminalProgress::new()).unwrap();
        std::fs::read(built.wasm).unwrap()
    };
    let says = |wasm: &[u8], word: &str| wasm.windows(word.len()).any(|bytes| bytes == word.as_bytes());
    for (place, word, other) in [
        ("one", "says one", "says two"),
        ("two", "says two", "says one"),
        ("one", "one more", "says two"),
        ("two", "two more", "one more"),
        ("one", "says one", "two more"),
    ] {
        let wasm = build(place, word);
        assert!(
            says(&wasm, word) && !says(&wasm, other),
            "{place} does not say `{word}`"
        );
    }
}

#[test]
fn a_component_that_does_not_fit_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let readme = root().join("README.md").display().to_string();
    let said = command(folder.path(), &["plugin", "doctor", &readme], "");
    assert!(!said.well && said.said.contains("not WebAssembly"), "{}", said.said);
}

#[test]
fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let none = command(folder.path(), &["doctor"], "");
    assert!(
        !none.well && none.said.contains("there is no registry at"),
        "{}",
        none.said
    );
    std::fs::write(folder.path().join("registry.toml"), crate::support::registry("stub")).unwrap();
    let well = command(folder.path(), &["doctor"], "");
    assert!(well.well, "{}", well.said);
    for word in ["plugin store: storage-sqlite", "when_storage_fails", "0 wrong"] {
        assert!(well.said.contains(word), "`{word}`:\n{}", well.said);
    }
    let ungranted = crate::support::registry("stub").replace("allow = { sql = [\"main\"] }", "");
    std::fs::write(folder.path().join("registry.toml"), ungranted).unwrap();
    let wrong = command(folder.path(), &["doctor"], "");
    assert!(
        !wrong.well && wrong.said.contains("add the line `allow ="),
        "{}",
        wrong.said
    );
}

/// The block that `plugin new` prints for the registry; the template's own README must show the same.
fn block(said: &str, into: &str, name: &str) -> String {
    let lines = said.lines().skip_while(|line| !line.starts_with("[plugins."));
    let lines: Vec<&str> = lines
        .take_while(|line| line.starts_with("[plugins.") || line.contains(" = "))
        .collect();
    assert!(lines.len() >= 3, "{said}");
    let readme = std::fs::read_to_string(Path::new(into).join("README.md")).unwrap();
    for line in &lines {
        let line = line.replace(into, name);
        assert!(readme.contains(&line), "{into}: the README lacks `{line}`");
    }
    lines.join("\n") + "\n\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_plugin_in_every_other_language_passes_the_kit_and_serves() {
    let folder = tempfile::tempdir().unwrap();
    let mut failed = Vec::new();
    let templates = encaje_supply::scaffold::templates();
    let others: Vec<_> = templates.iter().filter(|(language, _)| language != "rust").collect();
    assert!(others.len() >= 10, "{others:?}");
    let (mut registry, mut models) = (registry("stub"), Vec::new());
    for (language, kind) in others {
        let name = format!("my-{language}-{kind}");
        let into = folder.path().join(&name).display().to_string();
        let begun = command(
            folder.path(),
            &[
                "plugin", "new", &name, "--kind", kind, "--lang", language, "--into", &into,
            ],
            "",
        );
        assert!(begun.well, "{}", begun.said);
        registry += &block(&begun.said, &into, &name);
        if kind == "provider" {
            registry += &format!("[routes.{name}]\nto = [{{ plugin = \"{name}\" }}]\n\n");
            models.push(name);
        }
        let judged = command(folder.path(), &["plugin", "test", &into, "--cases", "2"], "");
        if !judged.well {
            failed.push(format!("{language} {kind}\n{}", judged.said));
        }
        // The build has brought the toolchain by now.
        crate::guests::readme_tests_run(Path::new(&into));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    // All of them at once, as their blocks have them, within the limits of a server.
    let server = ServerProcess::start(folder.path(), &registry, &[]);
    for model in &models {
        let answer = server.chat(model, "The sea is deep.").await;
        assert_eq!(answer.status, 200, "{model}: {}\n{}", answer.body, server.log());
    }
    server.stop();
}

#[test]
fn a_path_that_is_a_file_is_told_what_files_are_for() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.wasm"), b"x").unwrap();
    let block = "\n[plugins.mine]\nkind = \"provider\"\nsource = { path = \"mine.wasm\" }\n";
    std::fs::write(folder.path().join("registry.toml"), registry("stub") + block).unwrap();
    for arguments in [&["doctor"][..], &["plugin", "list"]] {
        let said = command(folder.path(), arguments, "").said;
        assert!(said.contains("source = { file = "), "{arguments:?}: {said}");
    }
}
