//! What a plugin may send, which secrets and which routed models it gets: what the manifest requires and the operator
//! allows, both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should say where"
)]

use std::collections::BTreeSet;

use encaje_registry::{Diagnostic, HttpRule, Instance, Manifest, Registry, Resolved, Scope, render};

const SECRET: &str = "UP_KEY = { host = \"api.example.com\", header = \"authorization\", value = \"Bearer {}\" }";

fn manifest(kind: &str, rest: &str) -> Manifest {
    let text = format!(
        r#"name = "plugin-x"
version = "1.2.3"
kind = "{kind}"
publisher = "acme"
license = "MIT"
description = "Works"
wit = "0.1"
{rest}"#
    );
    Manifest::parse(&text, "plugin.toml").unwrap_or_else(|wrong| panic!("{}", render(&wrong)))
}

/// A registry whose plugin `x` has these lines.
fn registry(kind: &str, lines: &str) -> Registry {
    let text = format!(
        r#"[plugins.x]
kind = "{kind}"
source = {{ path = "x" }}
{lines}
[plugins.store]
kind = "storage"
source = {{ path = "store" }}

[plugins.up]
kind = "provider"
source = {{ path = "up" }}

[routes."*"]
to = [{{ plugin = "up" }}]
"#
    );
    Registry::parse(&text, "registry.toml").unwrap_or_else(|wrong| panic!("{}", render(&wrong)))
}

fn resolve(lines: &str, requires: &str) -> Result<Resolved, Vec<Diagnostic>> {
    let registry = registry("provider", lines);
    let manifest = manifest("provider", &format!("[requires]\n{requires}\n"));
    registry.resolve(registry.plugin("x").unwrap(), &manifest)
}

fn unresolved(lines: &str, requires: &str) -> String {
    render(&resolve(lines, requires).expect_err("must not resolve"))
}

fn rules(rules: &[HttpRule]) -> Vec<String> {
    rules.iter().map(HttpRule::to_toml).collect()
}

#[test]
fn the_rules_are_the_operators_and_the_hosts_are_both() {
    let narrow = r#"{ host = "api.example.com:443", methods = ["GET", "POST"], path = "/v1" }"#;
    let other = r#"{ host = "b.example.com:8443", private = true }"#;
    let lines = format!(r#"allow = {{ http = ["a.example.com:443", {narrow}, {other}] }}"#);
    let any = resolve(&lines, "http = true").unwrap();
    assert_eq!(rules(&any.grants.http), ["\"a.example.com:443\"", narrow, other]);
    assert_eq!(render(&any.warnings), "");
    let one = resolve(&lines, "http = [\"API.example.com:443\"]").unwrap();
    assert_eq!(rules(&one.grants.http), [narrow]);
    insta::assert_snapshot!("hosts_allowed_and_not_required", render(&one.warnings));
    insta::assert_snapshot!(
        "hosts_required_and_not_allowed",
        unresolved(
            &lines,
            "http = [\"c.example.com:443\", \"api.example.com:443\", \"api.example.com:80\"]"
        )
    );
    insta::assert_snapshot!("no_host_allowed", unresolved("", "http = true"));
    assert!(resolve(&lines, "").unwrap().grants.http.is_empty());
}

#[test]
fn several_rules_for_a_host_are_granted_together() {
    let read = r#"{ host = "a.example.com:443", methods = ["GET"] }"#;
    let write = r#"{ host = "a.example.com:443", methods = ["POST"], path = "/v1/chat" }"#;
    let lines = format!("allow = {{ http = [{read}, {write}] }}");
    let resolved = resolve(&lines, "http = [\"a.example.com:443\"]").unwrap();
    assert_eq!(rules(&resolved.grants.http), [read, write]);
    assert_eq!(resolved.warnings, []);
}

#[test]
fn a_provider_of_the_previous_contracts_is_served_with_a_warning_and_no_other_kind_is() {
    let text = |kind: &str| {
        format!(
            "name = \"plugin-x\"\nversion = \"1.2.3\"\nkind = \"{kind}\"\npublisher = \"acme\"\nlicense = \"MIT\"\n\
             description = \"Works\"\nwit = \"0.0\"\n"
        )
    };
    let old = Manifest::parse(&text("provider"), "plugin.toml").unwrap();
    assert_eq!(old.wit, "0.0");
    let registry = registry("provider", "");
    let resolved = registry.resolve(registry.plugin("x").unwrap(), &old).unwrap();
    let warned = render(&resolved.warnings);
    assert!(
        warned.contains("was built for version 0.0") && warned.contains("against 0.1"),
        "{warned}"
    );
    let refused = render(&Manifest::parse(&text("storage"), "plugin.toml").unwrap_err());
    assert!(
        refused.contains("version 0.0 of the contracts had no storage"),
        "{refused}"
    );
}

#[test]
fn secrets_are_those_that_are_required_and_bound() {
    let other = "OTHER = { host = \"[::1]\", header = \"X-Key\", value = \"{}\", reveal = true }";
    let lines = format!("allow = {{ http = [\"api.example.com:443\"], secrets = {{ {SECRET}, {other} }} }}");
    let http = "http = true\n";
    let all = resolve(&lines, &format!("{http}secrets = true"))
        .unwrap()
        .grants
        .secrets;
    assert_eq!(all.keys().collect::<Vec<_>>(), ["OTHER", "UP_KEY"]);
    assert!(all["OTHER"].reveal && !all["UP_KEY"].reveal);
    assert_eq!(
        (all["OTHER"].host.as_str(), all["OTHER"].header.as_str()),
        ("::1", "x-key")
    );
    let one = resolve(&lines, &format!("{http}secrets = [\"UP_KEY\"]")).unwrap();
    assert_eq!(one.grants.secrets.keys().collect::<Vec<_>>(), ["UP_KEY"]);
    insta::assert_snapshot!("secrets_bound_and_not_required", render(&one.warnings));
    assert!(resolve(&lines, http).unwrap().grants.secrets.is_empty());
}

#[test]
fn a_secret_that_is_not_bound_names_the_line() {
    insta::assert_snapshot!("no_secret_bound", unresolved("", "secrets = true"));
    let lines = format!("allow = {{ http = [\"api.example.com:443\"], secrets = {{ {SECRET} }} }}");
    insta::assert_snapshot!(
        "a_secret_is_not_bound",
        unresolved(&lines, "http = true\nsecrets = [\"UP_KEY\", \"UP_ORG\"]")
    );
}

#[test]
fn routed_models_are_granted_by_name_and_by_pattern() {
    let models = |lines: &str, requires: &str| resolve(lines, requires).unwrap().grants.models;
    let only = |names: &[&str]| Scope::Only(names.iter().map(|&name| name.to_owned()).collect());
    let (all, some) = (
        "allow = { models = true }",
        "allow = { models = [\"gpt-*\", \"small\"] }",
    );
    assert_eq!(models(all, "models = true"), Scope::All);
    assert_eq!(models(all, "models = [\"small\", \"a*\"]"), only(&["small", "a*"]));
    assert_eq!(models(some, "models = true"), only(&["gpt-*", "small"]));
    assert_eq!(
        models(some, "models = [\"gpt-4o\", \"small\"]"),
        only(&["gpt-4o", "small"])
    );
    assert_eq!(
        models(some, "models = [\"gpt-4*\", \"small\"]"),
        only(&["gpt-4*", "small"])
    );
    assert_eq!(models(some, ""), Scope::None);
    insta::assert_snapshot!(
        "models_allowed_and_not_required",
        render(&resolve(some, "models = [\"small\"]").unwrap().warnings)
    );
    insta::assert_snapshot!("no_model_allowed", unresolved("", "models = true"));
    insta::assert_snapshot!(
        "models_of_an_empty_list",
        unresolved("allow = { models = [] }", "models = true")
    );
    insta::assert_snapshot!(
        "models_required_and_not_allowed",
        unresolved(some, "models = [\"gpt-4o\", \"g*\", \"large\"]")
    );
}

#[test]
fn every_line_that_is_named_is_one_that_helps() {
    for requires in [
        "http = true",
        "http = [\"a.example.com:443\", \"[::1]:80\"]",
        "http = [\"a.example.com:443\"]\nsecrets = [\"A\", \"B\"]",
        "http = true\nsecrets = true",
        "models = true",
        "models = [\"gpt-*\", \"small\"]",
        "http = true\nsecrets = true\nmodels = true\nkv = true",
    ] {
        let fix = resolve("", requires).unwrap_err()[0].fix.clone().unwrap();
        let line = fix.split('`').nth(1).unwrap();
        resolve(line, requires).unwrap_or_else(|wrong| panic!("{line}\n{}", render(&wrong)));
    }
}

#[test]
fn nothing_of_it_is_granted_unasked() {
    let lines = format!(
        "allow = {{ http = [\"api.example.com:443\"], secrets = {{ {SECRET} }}, models = true, vectors = true }}"
    );
    let resolved = resolve(&lines, "").unwrap();
    assert_eq!(resolved.grants, encaje_registry::Grants::default());
    insta::assert_snapshot!(render(&resolved.warnings));
}

#[test]
fn what_is_optional_is_granted_where_it_is_allowed() {
    let requires = "http = true\nsecrets = \"optional\"\nmodels = \"optional\"";
    let host = "http = [\"api.example.com:443\"]";
    let without = resolve(&format!("allow = {{ {host} }}"), requires).unwrap();
    assert!(without.grants.secrets.is_empty() && without.grants.models.is_none());
    let allow = format!("allow = {{ {host}, secrets = {{ {SECRET} }}, models = [\"m\"] }}");
    let with = resolve(&allow, requires).unwrap();
    assert!(with.grants.secrets.contains_key("UP_KEY") && with.grants.models.has("m"));
    assert_eq!(with.warnings.len(), 0);
}

#[test]
fn hosts_that_are_none_are_told_to_the_publisher() {
    let text = r#"name = "plugin-x"
version = "1.2.3"
kind = "provider"
publisher = "acme"
license = "MIT"
description = "Works"
wit = "0.1"
[requires]
http = ["https://a.b/c", "a.b:1", "A.b:1", 5]
reveal = ["A"]
"#;
    insta::assert_snapshot!(render(&Manifest::parse(text, "plugin.toml").unwrap_err()));
}

#[test]
fn plugins_of_every_kind_are_loaded_and_kept_warm() {
    for kind in [
        "provider",
        "storage",
        "evaluator",
        "instrumentor",
        "retriever",
        "source",
    ] {
        let lines = "instance = \"warm\"\n[server]\nstorage = \"store\"";
        let registry = registry(kind, lines);
        assert_eq!(render(&registry.unsupported()), "", "{kind}");
        let plugin = registry.plugin("x").unwrap();
        let resolved = registry.resolve(plugin, &manifest(kind, "")).unwrap();
        assert_eq!(resolved.instance, Instance::Warm);
        let warm = manifest(kind, "instance = \"warm\"\n");
        assert_eq!(registry.resolve(plugin, &warm).unwrap().instance, Instance::Warm);
    }
}

#[test]
fn the_secrets_of_all_plugins_are_asked_for_once() {
    let allow = format!("allow = {{ http = [\"api.example.com:443\"], secrets = {{ {SECRET} }} }}");
    let other = allow.replace("UP_KEY", "ALSO");
    let text = format!(
        "{allow}\n[plugins.y]\nkind = \"source\"\nsource = {{ path = \"y\" }}\n{other}\n[plugins.z]\nkind = \"retriever\"\nsource = {{ path = \"z\" }}\n{allow}"
    );
    let registry = registry("evaluator", &text);
    assert_eq!(registry.secret_names(), BTreeSet::from(["ALSO", "UP_KEY"]));
}
