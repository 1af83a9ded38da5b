//! What an operator reads when `registry.toml` is wrong: one snapshot a mistake. The words are part of the product.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should say where"
)]

use encaje_registry::{Registry, render};

/// A registry that is right, so that a case holds its own mistake alone.
const RIGHT: &str = r#"
[plugins.store]
kind = "storage"
source = { path = "plugins/storage" }

[plugins.local]
kind = "provider"
source = { path = "plugins/local" }

[routes.small]
to = [{ plugin = "local" }]
"#;

fn wrong(text: &str) -> String {
    render(&Registry::parse(text, "registry.toml").expect_err("the registry is wrong"))
}

/// The case stands before the right part, so that its lines count from 1.
fn case(text: &str) -> String {
    wrong(&format!("{}\n{RIGHT}", text.trim_start()))
}

macro_rules! cases {
    ($($name:ident: $text:expr;)*) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), case($text));
        })*
    };
}

cases! {
    a_key_that_is_nearly_known: "[server]\nlisen = \"127.0.0.1:8080\"";
    a_key_that_nothing_is_near_to: "[server]\ncolour = \"red\"";
    a_key_of_another_name: "[server]\nport = 8080\n[databases.main]\nurl = \"sqlite:main.db\"";
    a_section_of_another_name: "[api_keys.a]\nx = 1";
    a_value_of_another_type: "[server]\nlisten = 8080\nmax_in_flight = \"many\"\ndata = [\"a\"]";
    all_mistakes_at_once: r#"
[server]
listen = "nowhere"
when_storage_fails = "refuze"
max_body = "16MB"
timeout = "0s"

[databases.main]
sqlite = "../main.db"

[models.m]
format = "onnx"
source = [{ pip = "m" }]

[plugins.x]
kind = "provder"
source = { path = "a", file = "b" }
allow = { kv = 1, sql = true }
limits = { memory = "8GiB", instances = 0, cpu = 2 }

[routes."gpt-*-mini"]
to = []
"#;
    broken_syntax: "[server\nlisten = \"127.0.0.1:8080\"";
    an_open_string: "[server]\nlisten = \"127.0.0.1:8080";
    a_key_twice: "[server]\nlisten = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\nstorge = \"store\"";
    a_table_twice: "[databases.main]\nsqlite = \"a.db\"\n[databases.main]\nsqlite = \"b.db\"";
    an_address_by_name: "[server]\nlisten = \"localhost:8080\"";
    open_to_others_without_a_key: "[server]\nlisten = \"0.0.0.0:8080\"";
    open_to_others_over_six: "[server]\nlisten = \"[::]:8080\"";
    a_key_in_clear: "[server]\nlisten = \"0.0.0.0:80\"\n[keys.anna]\nkey = \"sk-very-secret\"\n[keys.bert]\nsha256 = \"sk-very-secret\"";
    a_key_as_text: "[keys]\nanna = \"sk-very-secret\"";
    a_key_twice_under_two_names: "[keys.a]\nsha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n[keys.b]\nsha256 = \"E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855\"";
    the_tenant_of_the_server: "[keys.a]\nsha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\ntenant = \"encaje\"";
    a_secret_in_clear: r#"
[plugins.up]
kind = "provider"
source = { path = "up" }
[plugins.up.allow.secrets.UP_KEY]
host = "api.example.com"
header = "authorization"
value = "Bearer sk-very-secret"
"#;
    databases_outside_the_data_folder: "[databases.a]\nsqlite = \"/var/a.db\"\n[databases.b]\nsqlite = \"a/../../b.db\"\n[databases.c]\nsqlite = \"\"";
    databases_over_the_servers_own_files: "[databases.a]\nsqlite = \"kv.db\"\n[databases.b]\nsqlite = \"spool.new\"\n[databases.c]\nsqlite = \"main.db-wal\"";
    two_databases_in_one_file: "[databases.a]\nsqlite = \"a.db\"\n[databases.b]\nsqlite = \"a.db\"";
    a_hub_without_an_address: "[models.m]\nformat = \"gguf\"\nsha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\nsource = [{ hf = \"a/b\", file = \"m.gguf\" }]";
    a_hub_that_is_none: "[sources]\nhub = \"hub.example.com\"";
    a_model_without_its_parts: "[models.m]\nformat = \"sentence-transformer\"\nsource = [{ pip = \"m==1\", file = \"x\" }]";
    a_model_with_too_few_files: "[models.m]\nformat = \"sentence-transformer\"\nsha256 = \"e3b0\"\nfiles = { \"config.json\" = \"x\" }\nsource = [{ path = \"m\" }]";
    sources_that_are_unsafe: r#"
[models.m]
format = "gguf"
sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
source = [
  { pip = "--index-url=x==1", file = "m.gguf" },
  { hf = "../../x", file = "m.gguf" },
  { hf = "a/b", file = "../m.gguf", revision = "../x" },
  { pip = "a==1" },
  { pip = "a==1", hf = "a/b" },
  { path = "m.gguf", revision = "main" },
]
"#;
    a_plugin_without_its_parts: "[plugins.x]";
    a_plugin_as_text: "[plugins]\nx = \"provider\"";
    a_pinned_folder: "[plugins.x]\nkind = \"provider\"\nsource = { path = \"x\", sha256 = \"e3b0\" }";
    an_artifact_without_a_digest: "[plugins.x]\nkind = \"provider\"\nsource = { oci = \"reg/x:1\" }\n[plugins.y]\nkind = \"provider\"\nsource = { oci = \"reg/x:1\", digest = \"latest\" }";
    grants_that_name_nothing: "[plugins.x]\nkind = \"provider\"\nsource = { path = \"x\" }\nallow = { inference = [\"smal\"], sql = [\"main\"], models = [\"large\"], network = true, http = [\"https://a.b/c\"] }\n[models.small]";
    a_place_for_an_instrument_alone: "[plugins.x]\nkind = \"provider\"\nsource = { path = \"x\" }\non_error = \"skip\"";
    rules_that_are_none: "[plugins.x]\nkind = \"provider\"\nsource = { path = \"x\" }\nallow.http = [\n  { host = \"https://a.b\" },\n  { methods = [\"GET\"] },\n  { host = \"a.b:1\", method = \"GET\" },\n  { host = \"a.b:1\", colour = \"red\" },\n  { host = \"a.b:1\", private = \"yes\" },\n  5,\n  { host = \"a.b:1\", path = 5 },\n]";
    methods_that_are_none: "[plugins.x]\nkind = \"provider\"\nsource = { path = \"x\" }\nallow.http = [\n  { host = \"a.b:1\", methods = [\"get\", \"GE T\", \"POST\", \"POST\", 5] },\n  { host = \"a.b:1\", methods = [] },\n  { host = \"a.b:1\", methods = \"GET\" },\n]";
    paths_that_could_be_read_as_others: "[plugins.x]\nkind = \"provider\"\nsource = { path = \"x\" }\nallow.http = [\n  { host = \"a.b:1\", path = \"v1\" },\n  { host = \"a.b:1\", path = \"https://a.b/v1\" },\n  { host = \"a.b:1\", path = \"/v1/../admin\" },\n  { host = \"a.b:1\", path = \"/v1/%2E%2e/admin\" },\n  { host = \"a.b:1\", path = \"/v1%2fadmin\" },\n  { host = \"a.b:1\", path = \"/v1?a=b\" },\n  { host = \"a.b:1\", path = \"/v1/*\" },\n  { host = \"a.b:1\", path = \"/v 1\" },\n  { host = \"a.b:1\", path = \"\" },\n]";
    the_same_rule_twice: "[plugins.x]\nkind = \"provider\"\nsource = { path = \"x\" }\nallow.http = [\"a.b:1\", { host = \"A.b:1\" }, { host = \"a.b:1\", methods = [\"GET\", \"POST\"] }, { host = \"a.b:1\", methods = [\"POST\", \"GET\"] }, { host = \"a.b:1\", methods = [\"GET\"] }]";
    retries_that_are_none: "[plugins.x]\nkind = \"provider\"\nsource = { path = \"x\" }\nretries = 3\ncircuit_breaker = true\ncooldown = \"1s\"\nqueue = 5\nretry = { attempts = 0, first = \"0ms\", most = \"1h\", max_retries = 2, jitter = true, atempts = 1 }";
    retries_as_a_number: "[plugins.x]\nkind = \"provider\"\nsource = { path = \"x\" }\nretry = 3\nbreaker = false";
    a_first_pause_longer_than_the_longest: "[plugins.x]\nkind = \"provider\"\nsource = { path = \"x\" }\nretry = { first = \"10s\" }\n[plugins.y]\nkind = \"provider\"\nsource = { path = \"y\" }\nretry = { first = \"1s\", most = \"500ms\" }\n[plugins.z]\nkind = \"provider\"\nsource = { path = \"z\" }\nretry = { most = \"100ms\" }";
    a_breaker_that_is_none: "[plugins.x]\nkind = \"provider\"\nsource = { path = \"x\" }\nbreaker = { failures = 1001, window = \"0s\", pause = \"2h\", probes = 0, threshold = 5, reset_timeout = \"1s\", enabled = false }";
    retries_are_for_providers_alone: "[plugins.x]\nkind = \"evaluator\"\nsource = { path = \"x\" }\nretry = { attempts = 3 }\nbreaker = { failures = 3 }\n[plugins.y]\nkind = \"storage\"\nsource = { path = \"y\" }\nretry = { attempts = 3 }\nbreaker = { failures = 0 }\n[server]\nstorage = \"store\"";
    a_queue_that_is_none: "[plugins.x]\nkind = \"provider\"\nsource = { path = \"x\" }\nlimits = { queue = -1, max_queue = 5 }\n[plugins.y]\nkind = \"provider\"\nsource = { path = \"y\" }\nlimits = { queue = 65537 }";
    numbers_in_the_config_that_json_lacks: "[plugins.x]\nkind = \"provider\"\nsource = { path = \"x\" }\nconfig = { a = nan, b = 99999999999999999999 }";
    routes_to_nowhere: "[routes.a]\nto = [{ plugin = \"locl\" }, { plugin = \"store\" }, { model = \"x\" }]\n[routes.b]\nto = \"local\"\n[routes.c]\nto = [{ plugin = \"local\" }, { plugin = \"local\" }]";
    names_that_are_none: "[databases.\"a b\"]\nsqlite = \"a.db\"\n[plugins.\"../x\"]\nkind = \"provider\"\n[routes.\"*a\"]\nto = []\n[routes.\"a**\"]\nto = []";
    the_storage_is_a_provider: "[server]\nstorage = \"local\"";
    the_storage_is_not_declared: "[server]\nstorage = \"stor\"";
    two_storages_and_no_word: "[server]\n[plugins.other]\nkind = \"storage\"\nsource = { path = \"x\" }";
    escapes_are_not_passed_on: "[server]\n\"\\u001b[31mred\" = \"\\u001b[0m\"";
}

#[test]
fn no_storage_at_all() {
    insta::assert_snapshot!(wrong(""));
}

#[test]
fn a_file_that_is_too_large() {
    insta::assert_snapshot!(wrong(&"#".repeat((1 << 20) + 1)));
}

#[test]
fn a_file_that_is_something_else_is_cut_short() {
    let text: String = (0..5_000)
        .map(|index| format!("strange_key_{index} = {index}\n"))
        .collect();
    let wrong = Registry::parse(&text, "registry.toml").unwrap_err();
    assert_eq!(wrong.len(), encaje_registry::limits::MAX_DIAGNOSTICS + 1);
    insta::assert_snapshot!(render(&wrong[wrong.len() - 2..]));
}

#[test]
fn a_very_long_line_is_cut_around_the_place() {
    let targets: String = (0..40)
        .map(|n| format!("{{ plugin = \"local\", model = \"m{n}\" }}, "))
        .collect();
    insta::assert_snapshot!(case(&format!(
        "[routes.a]\nto = [{targets}{{ plugin = \"locl\" }}, {{ plugin = \"local\" }}]"
    )));
    let long = format!("[databases.{}]\nsqlite = 1\n", "a".repeat(5_000));
    insta::assert_snapshot!("a_very_long_name", case(&long));
}

#[test]
fn a_file_that_is_not_there_or_not_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.toml");
    let missing = Registry::load(&path).unwrap_err();
    assert!(
        missing[0].message.starts_with("cannot read the registry: "),
        "{}",
        missing[0]
    );
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert_eq!(
        Registry::load(&path).unwrap_err()[0].message,
        "the registry is not UTF-8 text"
    );
}

#[test]
fn warnings_do_not_refuse() {
    let text = format!(
        "{RIGHT}\n[databases.unused]\nsqlite = \"u.db\"\n[plugins.idle]\nkind = \"provider\"\nsource = {{ path = \"x\" }}\n[models.idle]\nformat = \"gguf\"\nsha256 = \"{}\"\nsource = [{{ path = \"m.gguf\" }}]\n",
        "0".repeat(64)
    );
    insta::assert_snapshot!(render(&Registry::parse(&text, "registry.toml").unwrap().warnings));
}

#[test]
fn a_secret_that_no_request_can_carry_is_a_warning() {
    let text = format!(
        r#"{RIGHT}
[plugins.x]
kind = "evaluator"
source = {{ path = "x" }}
[plugins.x.allow]
http = ["127.0.0.1:11434", "api.example.com:443"]
[plugins.x.allow.secrets]
SENT = {{ host = "api.example.com", header = "authorization", value = "Bearer {{}}" }}
LOST = {{ host = "api.exampel.com", header = "authorization", value = "Bearer {{}}" }}
SHOWN = {{ host = "db.example.com", header = "authorization", value = "Bearer {{}}", reveal = true }}
"#
    );
    insta::assert_snapshot!(render(&Registry::parse(&text, "registry.toml").unwrap().warnings));
}

#[test]
fn what_this_version_cannot_do() {
    let text = format!(
        r#"{RIGHT}cost_mode = "byo_key"

[plugins.judge]
kind = "evaluator"
source = {{ oci = "reg.example.com/acme/judge:1.2", digest = "sha256:{}" }}
allow = {{ http = ["api.example.com:443"], models = true, vectors = true }}
"#,
        "ab".repeat(32)
    );
    insta::assert_snapshot!(render(&Registry::parse(&text, "registry.toml").unwrap().unsupported()));
}

#[test]
fn a_failed_load_is_shown_at_the_plugin() {
    let registry = Registry::parse(RIGHT, "registry.toml").unwrap();
    let at = registry
        .plugin_error("local", "the component exports no provider", "build it anew")
        .unwrap();
    insta::assert_snapshot!(at.to_string());
    assert_eq!(registry.plugin_source_error("local", "x", "y").unwrap().line, 8);
    assert!(registry.plugin_error("nobody", "x", "y").is_none());
}

#[test]
fn an_open_address_from_elsewhere_is_refused_too() {
    let registry = Registry::parse(RIGHT, "registry.toml").unwrap();
    assert!(registry.refuse_open_listen("127.0.0.1:1".parse().unwrap()).is_ok());
    assert!(registry.refuse_open_listen("[::1]:1".parse().unwrap()).is_ok());
    assert!(
        registry
            .refuse_open_listen("[::ffff:127.0.0.1]:1".parse().unwrap())
            .is_ok()
    );
    let refusal = registry
        .refuse_open_listen("192.168.1.2:80".parse().unwrap())
        .unwrap_err();
    assert!(refusal.message.contains("refuses to start"));
    let keyed = format!("{RIGHT}\n[keys.a]\nsha256 = \"{}\"\n", "1".repeat(64));
    let keyed = Registry::parse(&keyed, "registry.toml").unwrap();
    assert!(keyed.refuse_open_listen("192.168.1.2:80".parse().unwrap()).is_ok());
}

#[test]
fn no_secret_is_shown() {
    for text in [
        "[keys.anna]\nkey = \"sk-very-secret\"",
        "[keys.anna]\nsha256 = \"sk-very-secret\"",
        "[keys.anna]\nsha256 = [\"sk-very-secret\"]",
        "[keys]\nanna = \"sk-very-secret\"",
        "keys = \"sk-very-secret\"",
        "[plugins.x.allow.secrets]\nK = \"sk-very-secret\"",
        "[plugins.x.allow.secrets.K]\nvalue = \"sk-very-secret\"",
        "[plugins.x.allow.secrets.K]\nsecret = \"sk-very-secret\"",
        "[plugins.x.allow]\nsecrets = \"sk-very-secret\"",
        "[plugins.x.allow.secrets.K]\nhost = \"sk-very-secret:\"\nheader = \"a\"\nvalue = \"{}\"",
    ] {
        let shown = case(text);
        assert!(!shown.contains("sk-very"), "{text}\n{shown}");
    }
}
