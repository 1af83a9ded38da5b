//! Manifests, and what becomes of one together with the registry: grants, config, refusals.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should say where"
)]

use encaje_registry::{
    Diagnostic, Grants, Instance, Language, Manifest, MetricKind, Need, Registry, Resolved, Scope, render,
};
use serde_json::json;

const HEAD: &str = r#"name = "provider-x"
version = "1.2.3"
kind = "provider"
publisher = "acme"
license = "MIT"
description = "Answers"
wit = "0.1"
build = { language = "rust" }
"#;

fn manifest(rest: &str) -> Manifest {
    Manifest::parse(&format!("{HEAD}{rest}"), "plugin.toml").unwrap_or_else(|wrong| panic!("{}", render(&wrong)))
}

fn refused(text: &str) -> String {
    render(&Manifest::parse(text, "plugin.toml").expect_err("the manifest is wrong"))
}

/// A registry whose plugin `x` has these lines.
fn registry(lines: &str) -> Registry {
    let text = format!(
        r#"[plugins.x]
kind = "provider"
source = {{ path = "x" }}
{lines}
[plugins.store]
kind = "storage"
source = {{ path = "store" }}

[databases.main]
sqlite = "main.db"

[models.small]
format = "gguf"
sha256 = "{}"
source = [{{ path = "small.gguf" }}]

[routes."*"]
to = [{{ plugin = "x" }}]
"#,
        "0".repeat(64)
    );
    Registry::parse(&text, "registry.toml").unwrap_or_else(|wrong| panic!("{}", render(&wrong)))
}

fn resolve(lines: &str, rest: &str) -> Result<Resolved, Vec<Diagnostic>> {
    let registry = registry(lines);
    registry.resolve(registry.plugin("x").unwrap(), &manifest(rest))
}

fn unresolved(lines: &str, rest: &str) -> String {
    render(&resolve(lines, rest).expect_err("must not resolve"))
}

#[test]
fn a_manifest_is_read() {
    let manifest = manifest(
        r#"instance = "warm"
[requires]
inference = true
sql = ["main"]
kv = true
metrics = true
[metrics]
hits = { kind = "counter", labels = ["outcome"], help = "Answers from the cache" }
took_ms = { kind = "histogram" }
"#,
    );
    assert_eq!(
        (manifest.name.as_str(), manifest.version.as_str()),
        ("provider-x", "1.2.3")
    );
    assert_eq!(manifest.instance, Instance::Warm);
    assert_eq!(manifest.build.as_ref().unwrap().language, Language::Rust);
    assert_eq!(manifest.requires.inference, Need::Any);
    assert_eq!(manifest.requires.sql, Need::Names(vec!["main".into()]));
    assert!(manifest.requires.kv && manifest.requires.metrics);
    let kinds: Vec<_> = manifest
        .metrics
        .iter()
        .map(|metric| (metric.name.as_str(), metric.kind))
        .collect();
    assert_eq!(
        kinds,
        [("hits", MetricKind::Counter), ("took_ms", MetricKind::Histogram)]
    );
}

#[test]
fn an_empty_manifest() {
    insta::assert_snapshot!(refused(""));
}

#[test]
fn a_manifest_full_of_mistakes() {
    insta::assert_snapshot!(refused(
        r#"name = "no name"
version = "1.2"
kind = "evaluater"
author = "acme"
licence = "MIT"
description = ""
wit = "0.2"
build = { language = "fortran" }
instance = "hot"

[requires]
kv = "yes"
network = true
sql = ["main", "main"]

[metrics]
Hits = { kind = "counter" }
misses = { kind = "gauge", labels = ["a-b"] }

[config]
type = "array"
"#
    ));
}

#[test]
fn metrics_and_requires_agree() {
    insta::assert_snapshot!(
        "metrics_unasked",
        refused(&format!("{HEAD}[metrics]\nhits = {{ kind = \"counter\" }}\n"))
    );
    insta::assert_snapshot!(
        "metrics_undeclared",
        refused(&format!("{HEAD}[requires]\nmetrics = true\n"))
    );
}

#[test]
fn what_could_rewrite_a_terminal_or_the_metrics_is_refused() {
    insta::assert_snapshot!(refused(
        &HEAD
            .replace("acme", "a\\u001b[2Jb")
            .replace("\"Answers\"", "\"\"\"\nAnswers\nmore\"\"\"")
    ));
    let help = "[requires]\nmetrics = true\n[metrics]\nhits = { kind = \"counter\", help = \"a\\n# EOF\" }\n";
    let told = refused(&format!("{HEAD}{help}"));
    assert!(told.contains("`metrics.hits.help` has line breaks"), "{told}");
}

#[test]
fn a_schema_that_is_none() {
    insta::assert_snapshot!(refused(&format!("{HEAD}[config.properties.a]\ntype = \"strng\"\n")));
    insta::assert_snapshot!(
        "a_pattern_that_is_none",
        refused(&format!("{HEAD}[config.properties.a]\npattern = \"(\"\n"))
    );
}

#[test]
fn a_schema_cannot_reach_outside() {
    let text = format!("{HEAD}[config.properties.a]\n\"$ref\" = \"https://example.com/schema.json\"\n");
    assert!(refused(&text).contains("no valid JSON Schema"));
    let text = format!("{HEAD}[config.properties.a]\n\"$ref\" = \"file:///etc/passwd\"\n");
    assert!(refused(&text).contains("no valid JSON Schema"));
}

#[test]
fn granted_is_what_is_required_and_allowed() {
    let resolved = resolve(
        "allow = { inference = [\"small\"], sql = [\"main\"], kv = true }",
        "[requires]\ninference = true\nsql = [\"main\"]\n",
    )
    .unwrap();
    let expected = Grants {
        inference: vec!["small".into()],
        sql: vec!["main".into()],
        ..Grants::default()
    };
    assert_eq!(resolved.grants, expected);
    insta::assert_snapshot!(render(&resolved.warnings));
}

#[test]
fn nothing_is_granted_unasked() {
    let resolved = resolve(
        "allow = { inference = [\"small\"], sql = [\"main\"], kv = true, metrics = true }",
        "",
    )
    .unwrap();
    assert_eq!(resolved.grants, Grants::default());
    assert_eq!(resolved.warnings.len(), 4);
    assert_eq!(resolved.grants.models, Scope::None);
}

#[test]
fn metrics_are_granted_as_declared() {
    let rest = "[requires]\nmetrics = true\n[metrics]\nhits = { kind = \"counter\" }\n";
    assert_eq!(
        resolve("allow = { metrics = true }", rest).unwrap().grants.metrics[0].name,
        "hits"
    );
    assert!(resolve("", rest).is_err());
}

#[test]
fn what_is_required_and_not_allowed_names_the_line() {
    insta::assert_snapshot!(
        "nothing_allowed",
        unresolved("", "[requires]\nkv = true\ninference = true\nsql = true\n")
    );
    insta::assert_snapshot!(
        "something_else_allowed",
        unresolved(
            "allow = { kv = true }",
            "[requires]\nkv = true\nsql = [\"main\", \"other\"]\n"
        )
    );
}

#[test]
fn the_line_that_is_named_is_the_line_that_helps() {
    let wrong = resolve("", "[requires]\ninference = true\n").unwrap_err();
    let fix = wrong[0].fix.clone().unwrap();
    let line = fix.split('`').nth(1).unwrap();
    assert_eq!(line, "allow = { inference = [\"small\"] }");
    assert_eq!(
        resolve(line, "[requires]\ninference = true\n")
            .unwrap()
            .grants
            .inference,
        ["small"]
    );
}

#[test]
fn what_this_version_does_not_serve_is_not_loaded() {
    insta::assert_snapshot!(unresolved("allow = { vectors = true }", "[requires]\nvectors = true\n"));
}

#[test]
fn a_plugin_declared_as_another_kind_is_not_loaded() {
    let registry = registry("");
    let text = HEAD.replace("\"provider\"", "\"storage\"");
    let manifest = Manifest::parse(&text, "plugin.toml").unwrap();
    let wrong = registry.resolve(registry.plugin("x").unwrap(), &manifest).unwrap_err();
    insta::assert_snapshot!(render(&wrong));
}

const SCHEMA: &str = r#"
[config]
type = "object"
required = ["base_url"]
[config.properties.base_url]
type = "string"
description = "Where requests go"
[config.properties.retries]
type = "integer"
minimum = 0
maximum = 9
default = 3
description = "Tries after the first, 0 to 9"
[config.properties.nested]
type = "object"
default = {}
[config.properties.nested.properties.mode]
enum = ["a", "b"]
default = "a"
[config.properties.list]
type = "array"
items = { type = "object", properties = { name = { type = "string" } } }
"#;

#[test]
fn defaults_are_filled_in() {
    let resolved = resolve("config = { base_url = \"u\", list = [{ name = \"n\" }] }", SCHEMA).unwrap();
    let expected = json!({ "base_url": "u", "retries": 3, "nested": { "mode": "a" }, "list": [{ "name": "n" }] });
    assert_eq!(resolved.config, expected);
    assert_eq!(resolved.instance, Instance::PerCall);
    assert_eq!(
        resolve("config = { base_url = \"u\" }\ninstance = \"warm\"", SCHEMA)
            .unwrap()
            .instance,
        Instance::Warm
    );
}

#[test]
fn a_config_that_does_not_fit() {
    insta::assert_snapshot!("config_missing", unresolved("", SCHEMA));
    insta::assert_snapshot!(
        "config_wrong",
        unresolved(
            "[plugins.x.config]\nbase_ulr = \"u\"\nbase_url = 1\nretries = 12\nlist = [{ name = \"n\" }, { nam = 1 }]\n[plugins.x.config.nested]\nmode = \"c\"\nzzz = 1",
            SCHEMA
        )
    );
    insta::assert_snapshot!("config_unwanted", unresolved("config = { a = 1 }", ""));
}

#[test]
fn a_denied_call_is_told_the_line() {
    for capability in [
        "inference",
        "sql",
        "kv",
        "metrics",
        "http",
        "secrets",
        "models",
        "vectors",
    ] {
        let text = Grants::denied("my.plugin", capability);
        assert!(
            text.contains("[plugins.\"my.plugin\"]") && text.contains("allow"),
            "{text}"
        );
    }
    insta::assert_snapshot!(Grants::denied("local", "inference"));
}
