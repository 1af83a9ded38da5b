//! What changes between two registries, what is pinned, and which setting wins.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should say where"
)]

use std::collections::BTreeMap;
use std::path::Path;

use encaje_registry::{Digest, Environment, Flags, Lock, LockError, Origin, Pin, Plan, Registry, Settings, render};

const BEFORE: &str = r#"
[server]
listen = "127.0.0.1:8080"
timeout = "60s"

[databases.main]
sqlite = "main.db"

[plugins.store]
kind = "storage"
source = { path = "store" }
allow = { sql = ["main"] }

[plugins.local]
kind = "provider"
source = { file = "local.wasm" }
limits = { memory = "64MiB" }
config = { words = ["a"], deep = { x = 1 } }

[models.m]
format = "gguf"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
source = [{ path = "m.gguf" }]

[routes.m]
to = [{ plugin = "local" }]
"#;

fn parse(text: &str) -> Registry {
    Registry::parse(text, "registry.toml").unwrap_or_else(|wrong| panic!("{}", render(&wrong)))
}

#[test]
fn a_plan_writes_nothing_to_the_terminal_but_text() {
    let with = |config: &str| parse(&BEFORE.replace("words = [\"a\"]", config));
    let after = with(r#""\u001b[2J" = "\u001b[2J", words = ["\u009b2J", "\u007f"]"#);
    let plan = Plan::between(&parse(BEFORE), &after).to_string();
    assert!(plan.contains("config.words from [\"a\"] to [\" 2J\",\" \"]"), "{plan}");
    assert!(!plan.trim_end().contains(char::is_control), "{plan:?}");
}

#[test]
fn the_same_registry_with_other_words_changes_nothing() {
    let moved = format!(
        "# a comment\n\n{}",
        BEFORE
            .replace("\"60s\"", "\"1m\"")
            .replace("[plugins.local]", "\n\n[plugins.local]")
    );
    let plan = Plan::between(&parse(BEFORE), &parse(&moved));
    assert!(plan.is_empty() && !plan.needs_restart());
    assert_eq!(plan.to_string(), "Nothing changes.\n");
}

#[test]
fn a_plan_says_what_changes() {
    let after = BEFORE
        .replace("127.0.0.1:8080", "127.0.0.1:9090")
        .replace("64MiB", "128MiB")
        .replace("x = 1", "y = 2")
        .replace("[routes.m]\nto = [{ plugin = \"local\" }]", "[routes.\"m-*\"]\nto = [{ plugin = \"other\", model = \"m\", degraded = true }]\n\n[plugins.other]\nkind = \"provider\"\nsource = { path = \"other\" }\n\n[keys.anna]\nsha256 = \"1111111111111111111111111111111111111111111111111111111111111111\"")
        .replace("0000000000000000000000000000000000000000000000000000000000000000", "2222222222222222222222222222222222222222222222222222222222222222");
    let plan = Plan::between(&parse(BEFORE), &parse(&after));
    insta::assert_snapshot!(plan.to_string());
    assert!(plan.needs_restart());
    let data = serde_json::to_value(&plan).unwrap();
    assert_eq!(data["changes"].as_array().unwrap().len(), plan.changes.len());
    assert!(
        plan.changes
            .iter()
            .all(|change| !change.needs_restart || change.name == "listen")
    );
}

#[test]
fn every_part_of_a_plugin_shows_in_a_plan() {
    let plan = |lines: &str| {
        let after = BEFORE.replace("limits = { memory = \"64MiB\" }", lines);
        assert_ne!(after, BEFORE, "{lines}");
        Plan::between(&parse(BEFORE), &parse(&after)).to_string()
    };
    let secret = "K = { host = \"a.example.com\", header = \"x-key\", value = \"{}\", reveal = true }";
    let shown = [
        plan("limits = { queue = 0, uses = 7 }"),
        plan("retry = { attempts = 3, first = \"100ms\", most = \"1s\" }"),
        plan("breaker = { failures = 0, window = \"1m\", pause = \"1s\", probes = 2 }"),
        plan(
            "allow = { http = [\"a.example.com:443\", { host = \"b.example.com:443\", path = \"/v1\", methods = [\"POST\", \"GET\"], private = true }] }",
        ),
        plan(&format!(
            "allow = {{ http = [\"a.example.com:443\"], secrets = {{ {secret} }} }}"
        )),
        plan("allow = { models = [\"m\"] }"),
        plan("instance = \"warm\""),
    ];
    insta::assert_snapshot!(shown.concat());
    for same in [
        "retry = { attempts = 2, first = \"200ms\", most = \"5s\" }",
        "breaker = { failures = 5, window = \"30s\", pause = \"10s\", probes = 1 }",
        "limits = { instances = 256, queue = 256 }",
        "retry = {}\nbreaker = {}\nallow = { http = [] }",
    ] {
        assert_eq!(plan(same), "Nothing changes.\n", "{same}");
    }
}

#[test]
fn a_provider_holds_half_of_the_requests_unless_the_operator_says_otherwise() {
    let sized = |in_flight: &str, lines: &str| {
        let text = BEFORE
            .replace("[server]", &format!("[server]\n{in_flight}"))
            .replace("limits = { memory = \"64MiB\" }", lines);
        let registry = parse(&text);
        let limits = &registry.plugin("local").unwrap().limits;
        let warned = registry
            .warnings
            .iter()
            .filter(|warning| warning.to_string().contains("may hold"));
        (limits.instances, limits.queue, warned.count())
    };
    assert_eq!(sized("", ""), (256, 256, 0));
    assert_eq!(sized("max_in_flight = 4096", ""), (256, 1_024, 0));
    assert_eq!(sized("max_in_flight = 16", ""), (4, 4, 0));
    assert_eq!(sized("max_in_flight = 1", ""), (1, 0, 0));
    assert_eq!(sized("", "limits = { instances = 64 }"), (64, 448, 0));
    assert_eq!(sized("max_in_flight = 16", "limits = { instances = 2 }"), (2, 6, 0));
    assert_eq!(sized("max_in_flight = 16", "limits = { queue = 6 }"), (4, 6, 1));
    assert_eq!(sized("", "limits = { instances = 1024 }"), (1_024, 0, 1));
    assert_eq!(sized("", "limits = { instances = 256, queue = 1024 }"), (256, 1_024, 1));
    // A storage is asked by the ledger, and an instrument by every call: neither keeps others from being asked.
    let store = parse(BEFORE).plugin("store").unwrap().limits.clone();
    assert_eq!((store.instances, store.queue), (256, 1_024));
    let greedy = BEFORE.replace(
        "limits = { memory = \"64MiB\" }",
        "limits = { instances = 900, queue = 200 }",
    );
    insta::assert_snapshot!(render(&parse(&greedy).warnings));
}

#[test]
fn one_line_that_moves_a_route_is_one_change() {
    let other = format!("{BEFORE}\n[plugins.stub]\nkind = \"provider\"\nsource = {{ path = \"stub\" }}\n");
    let moved = other.replace("to = [{ plugin = \"local\" }]", "to = [{ plugin = \"stub\" }]");
    let plan = Plan::between(&parse(&other), &parse(&moved));
    assert_eq!(
        plan.to_string(),
        "~ change the route `m`: to from [{\"plugin\":\"local\"}] to [{\"plugin\":\"stub\"}]\n"
    );
}

#[test]
fn a_plan_from_nothing_adds_everything() {
    let plan = Plan::from_nothing(&parse(BEFORE));
    assert!(!plan.needs_restart() && plan.changes.iter().all(|change| change.details.is_empty()));
    assert!(plan.to_string().contains("+ add the plugin `local`"));
}

#[test]
fn a_lock_is_written_and_read_in_one_order() {
    let registry = parse(BEFORE);
    let found = BTreeMap::from([("local".to_owned(), Digest::of(b"component"))]);
    let pins = Lock::default().updated(&registry, &found);
    assert!(pins.changed);
    assert_eq!(
        pins.notes,
        ["the plugin `store` is built from `store` and not pinned: compilers do not agree to the byte"]
    );
    insta::assert_snapshot!(pins.lock.to_toml());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.lock");
    assert_eq!(Lock::load(&path).unwrap(), Lock::default());
    pins.lock.save(&path).unwrap();
    assert_eq!(Lock::load(&path).unwrap(), pins.lock);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside the lock"
    );
    assert!(!pins.lock.updated(&registry, &found).changed);
    assert!(
        !pins.lock.updated(&registry, &BTreeMap::new()).changed,
        "a file that was not looked at stays pinned"
    );
}

#[test]
fn another_content_of_a_pinned_file_is_refused() {
    let registry = parse(BEFORE);
    let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
    let lock = Lock::default()
        .updated(&registry, &BTreeMap::from([("local".to_owned(), old)]))
        .lock;
    let plugin = registry.plugin("local").unwrap();
    assert_eq!(Lock::default().check_plugin(plugin, old), Ok(Pin::New));
    assert_eq!(lock.check_plugin(plugin, old), Ok(Pin::Matches));
    let refused = lock.check_plugin(plugin, new).unwrap_err();
    assert!(matches!(refused, LockError::Plugin { locked, found, .. } if locked == old && found == new));
    insta::assert_snapshot!(refused.to_string());
    assert_eq!(
        lock.check_plugin(registry.plugin("store").unwrap(), new),
        Ok(Pin::Unpinned)
    );
    let renamed = parse(&BEFORE.replace("local.wasm", "local-2.wasm"));
    assert_eq!(
        lock.check_plugin(renamed.plugin("local").unwrap(), new),
        Ok(Pin::New),
        "another file is another pin"
    );
}

#[test]
fn a_digest_in_the_registry_is_kept_to() {
    let declared = BEFORE.replace(
        "\"local.wasm\"",
        &format!("\"local.wasm\", sha256 = \"{}\"", Digest::of(b"right")),
    );
    let registry = parse(&declared);
    let plugin = registry.plugin("local").unwrap();
    assert_eq!(Lock::default().check_plugin(plugin, Digest::of(b"right")), Ok(Pin::New));
    let refused = Lock::default().check_plugin(plugin, Digest::of(b"wrong")).unwrap_err();
    insta::assert_snapshot!(refused.to_string());
}

#[test]
fn a_model_that_changed_is_refused() {
    let lock = Lock::default().updated(&parse(BEFORE), &BTreeMap::new()).lock;
    assert_eq!(lock.check_models(&parse(BEFORE)), Ok(()));
    let other = parse(&BEFORE.replace("0000000000", "1111111111"));
    let refused = lock.check_models(&other).unwrap_err();
    insta::assert_snapshot!(refused[0].to_string());
}

#[test]
fn a_broken_lock_is_shown() {
    let wrong = Lock::parse(
        "version = 2\n[plugins.a]\nfile = \"a\"\nsha = \"b\"\n[models.m]\n\"m.gguf\" = \"x\"\n",
        "registry.lock",
    );
    insta::assert_snapshot!(render(&wrong.unwrap_err()));
}

fn settings(flags: &Flags, environment: &[(&str, &str)], text: &str) -> Result<Settings, Vec<String>> {
    let environment: Environment = environment.iter().copied().collect();
    let settled = Settings::resolve(flags, &environment, &parse(text), Path::new("/etc/encaje"));
    settled.map_err(|wrong| wrong.iter().map(ToString::to_string).collect())
}

#[test]
fn flag_then_environment_then_registry_then_default() {
    let home = ("HOME", "/home/u");
    let variable = ("ENCAJE_LISTEN", "127.0.0.1:2");
    let flags = Flags {
        listen: Some("127.0.0.1:1".parse().unwrap()),
        ..Flags::default()
    };
    let listen = |flags: &Flags, environment: &[(&str, &str)], text: &str| {
        let listen = settings(flags, environment, text).unwrap().listen;
        (listen.value.port(), listen.origin)
    };
    assert_eq!(listen(&flags, &[home, variable], BEFORE), (1, Origin::Flag("--listen")));
    assert_eq!(
        listen(&Flags::default(), &[home, variable], BEFORE),
        (2, Origin::Environment("ENCAJE_LISTEN"))
    );
    let registered = BEFORE.replace("127.0.0.1:8080", "127.0.0.1:3");
    assert_eq!(
        listen(&Flags::default(), &[home], &registered),
        (3, Origin::Registry("registry.toml".into()))
    );
    let silent = BEFORE.replace("listen = \"127.0.0.1:8080\"", "");
    assert_eq!(listen(&Flags::default(), &[home], &silent), (8080, Origin::Default));
    assert_eq!(
        listen(&Flags::default(), &[home, ("ENCAJE_LISTEN", "")], &silent),
        (8080, Origin::Default)
    );
}

#[test]
fn every_setting_is_listed_with_its_origin() {
    let settled = settings(
        &Flags::default(),
        &[("HOME", "/home/u"), ("ENCAJE_DRAIN", "5s")],
        BEFORE,
    )
    .unwrap();
    let lines: Vec<String> = settled
        .list()
        .iter()
        .map(|each| format!("{} = {} ({})", each.name, each.value, each.origin))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn data_outlives_a_cache_and_follows_a_home_of_its_own() {
    let data = |environment: &[(&str, &str)], text: &str| {
        settings(&Flags::default(), environment, text)
            .unwrap()
            .data
            .value
            .display()
            .to_string()
    };
    assert_eq!(data(&[("HOME", "/u")], BEFORE), "/u/.local/share/encaje");
    assert_eq!(data(&[("HOME", "/u"), ("XDG_DATA_HOME", "/d")], BEFORE), "/d/encaje");
    assert_eq!(data(&[("HOME", "/u"), ("ENCAJE_HOME", "/e")], BEFORE), "/e/data");
    let registered = BEFORE.replace("timeout = \"60s\"", "data = \"kept\"");
    assert_eq!(
        data(&[("HOME", "/u"), ("ENCAJE_HOME", "/e")], &registered),
        "/etc/encaje/kept"
    );
    assert_eq!(data(&[("HOME", "/u"), ("ENCAJE_DATA", "/x")], &registered), "/x");
}

#[test]
fn settings_that_are_no_good_are_all_named() {
    let wrong = settings(
        &Flags::default(),
        &[
            ("ENCAJE_LISTEN", "here"),
            ("ENCAJE_TIMEOUT", "9"),
            ("ENCAJE_WHEN_STORAGE_FAILS", "cry"),
            ("ENCAJE_DATA", "rel"),
        ],
        BEFORE,
    );
    insta::assert_snapshot!(wrong.unwrap_err().join("\n"));
}

#[test]
fn variables_that_nothing_reads_are_named() {
    let environment: Environment = [
        ("ENCAJE_LISTN", "x"),
        ("ENCAJE_ZZZZZZZZZZZZ", "y"),
        ("ENCAJE_HOME", "/h"),
        ("PATH", "/"),
    ]
    .into_iter()
    .collect();
    insta::assert_snapshot!(environment.unknown().join("\n"));
}
