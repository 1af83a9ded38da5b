//! What an author of a plugin does: begins one from a template, tests it, builds it, and finds out why one does not fit.

use std::path::Path;

use encaje_core::trace::PluginKind;
use encaje_runtime::{
    EvaluatorPlugin, InstrumentorPlugin, Plugin, ProviderPlugin, RetrieverPlugin, SourcePlugin, StoragePlugin,
};
use encaje_supply::build::{build_plugin, run_native_tests};
use encaje_supply::{TerminalProgress, guest_target};

use crate::support::process::command;
use crate::support::{home, root, runtime, spec};

/// Loads a component of a kind and runs its check, with a map of its own.
async fn starts(kind: PluginKind, wasm: Vec<u8>, config: &str) -> Result<(), encaje_core::Problem> {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = spec("new", kind, "plugins/provider-stub", config);
    spec.wasm = wasm;
    spec.capabilities.kv = Some(encaje_capabilities::kv::Kv::open(folder.path()).await.unwrap());
    let plugin = tokio::task::spawn_blocking(move || Plugin::load(&runtime(), spec))
        .await
        .unwrap()?;
    match kind {
        PluginKind::Provider => ProviderPlugin::start(plugin).await.map(drop),
        PluginKind::Storage => StoragePlugin::start(plugin).await.map(drop),
        PluginKind::Evaluator => EvaluatorPlugin::start(plugin).await.map(drop),
        PluginKind::Instrumentor => InstrumentorPlugin::start(plugin).await.map(drop),
        PluginKind::Retriever => RetrieverPlugin::start(plugin).await.map(drop),
        PluginKind::Source => SourcePlugin::start(plugin).await.map(drop),
    }
}

/// The configuration that a server would give it: the defaults of its manifest.
fn defaults(folder: &Path, kind: PluginKind) -> String {
    let manifest = encaje_registry::Manifest::load(&folder.join("plugin.toml")).unwrap();
    let text = format!(
        "[plugins.new]\nkind = \"{}\"\nsource = {{ path = \"x\" }}\nallow = {{ kv = true }}\n\
         [plugins.store]\nkind = \"storage\"\nsource = {{ path = \"y\" }}\n\
         [plugins.up]\nkind = \"provider\"\nsource = {{ path = \"z\" }}\n[routes.\"*\"]\nto = [{{ plugin = \"up\" }}]\n\
         [server]\nstorage = \"store\"\n",
        kind.as_str()
    );
    let registry = encaje_registry::Registry::parse(&text, "registry.toml").unwrap();
    let resolved = registry.resolve(registry.plugin("new").unwrap(), &manifest).unwrap();
    resolved.config.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_plugin_of_each_kind_passes_its_tests_builds_and_starts() {
    let folder = tempfile::tempdir().unwrap();
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
        assert!(begun.said.contains(&format!("[plugins.{name}]")), "{}", begun.said);
        let tested =
            tokio::task::block_in_place(|| run_native_tests(&home(), &here, &TerminalProgress::new())).unwrap();
        assert!(tested.passed > 0 && tested.ignored == 0, "{name}: {tested:?}");
        let settings = guest_target::Settings::from_environment();
        let built =
            tokio::task::block_in_place(|| build_plugin(&home(), &here, &settings, &TerminalProgress::new())).unwrap();
        let wasm = std::fs::read(&built.wasm).unwrap();
        starts(kind, wasm, &defaults(&here, kind))
            .await
            .unwrap_or_else(|problem| panic!("{name}: {problem}"));
        let fits = command(folder.path(), &["plugin", "doctor", built.wasm.to_str().unwrap()], "");
        assert!(fits.well && fits.said.contains("nothing is wrong"), "{}", fits.said);
        let arguments = ["plugin", "test", &into, "--cases", "8", "--location", "text:"];
        let judged = command(folder.path(), &arguments, "");
        assert!(judged.well, "{name}\n{}", judged.said);
    }
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
    let home = encaje_supply::EncajeHome::at(folder.path().join("home")).unwrap();
    let settings = guest_target::Settings::from_environment();
    // Its target lies where all tests have it; the builds of these two are thrown away.
    std::os::unix::fs::symlink(crate::support::home().toolchains(), home.toolchains()).unwrap();
    let build = |place: &str, said: &str| {
        let here = folder.path().join(place);
        std::fs::create_dir_all(here.join("src")).unwrap();
        let manifest = "[package]\nname = \"twin\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n\
            [lib]\ncrate-type = [\"cdylib\"]\n";
        std::fs::write(here.join("Cargo.toml"), manifest).unwrap();
        std::fs::write(here.join("plugin.toml"), "name = \"twin\"\n").unwrap();
        let source = format!("#[unsafe(no_mangle)]\npub static SAID: [u8; 8] = *b\"{said}\";\n");
        std::fs::write(here.join("src/lib.rs"), source).unwrap();
        let built = build_plugin(&home, &here, &settings, &TerminalProgress::new()).unwrap();
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

/// The repository's own plugins, and what the kit must be told to judge all that they do.
const JUDGED: [(&str, &[&str]); 15] = [
    ("plugins/provider-stub", &[]),
    ("plugins/provider-local", &[]),
    ("plugins/storage-sqlite", &[]),
    ("plugins/evaluator-exact", &[]),
    (
        "plugins/instrumentor-guard",
        &[
            "--word",
            "kraken",
            "--config",
            r#"{"keywords":["kraken"],"action":"redact"}"#,
        ],
    ),
    (
        "plugins/retriever-memory",
        &[
            "--spec",
            r#"{"passage_bytes":600}"#,
            "--other-spec",
            r#"{"passage_bytes":64}"#,
        ],
    ),
    (
        "plugins/source-text",
        &[
            "--location",
            "text:",
            "--config",
            r#"{"texts":{"a":"The sea.","b":"A hill."}}"#,
        ],
    ),
    ("plugins/examples/exact-python", &[]),
    ("plugins/examples/exact-javascript", &[]),
    ("plugins/examples/exact-go", &[]),
    ("plugins/examples/exact-c", &[]),
    ("plugins/examples/evaluator-readability", &[]),
    ("plugins/examples/evaluator-distance", &[]),
    ("plugins/examples/instrumentor-keywords", &["--word", "password"]),
    // Not served to anybody: it shows that the kit judges the previous version of the contracts as well.
    ("tests/fixtures/previous-provider", &[]),
];

#[test]
fn the_repositorys_own_plugins_pass_the_conformance_kit() {
    let folder = tempfile::tempdir().unwrap();
    let mut failed = Vec::new();
    for (plugin, options) in JUDGED {
        let path = root().join(plugin).display().to_string();
        let arguments = [&["plugin", "test", &path, "--cases", "8"], options].concat();
        let judged = command(folder.path(), &arguments, "");
        if !judged.well {
            failed.push(format!("{plugin}\n{}", judged.said));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn a_plugin_that_does_not_keep_to_its_contract_fails_the_kit() {
    let folder = tempfile::tempdir().unwrap();
    for fixture in ["never-ends", "traps"] {
        let path = root().join("tests/fixtures").join(fixture).display().to_string();
        let judged = command(
            folder.path(),
            &["plugin", "test", &path, "--model", "any", "--cases", "2"],
            "",
        );
        assert!(
            !judged.well && judged.said.contains("FAILED"),
            "{fixture}: {}",
            judged.said
        );
    }
}

#[test]
fn a_new_plugin_in_every_other_language_builds_and_passes_the_kit() {
    let folder = tempfile::tempdir().unwrap();
    let mut failed = Vec::new();
    let templates = encaje_supply::scaffold::templates();
    let others: Vec<_> = templates.iter().filter(|(language, _)| language != "rust").collect();
    assert!(others.len() >= 10, "{others:?}");
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
        let judged = command(folder.path(), &["plugin", "test", &into, "--cases", "2"], "");
        if !judged.well {
            failed.push(format!("{language} {kind}\n{}", judged.said));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
