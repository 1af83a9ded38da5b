//! `registry.toml`: what must hold for any text.

use std::sync::LazyLock;

use encaje_registry::{Diagnostic, Manifest, Plan, Registry};

use crate::{manifest, told};

/// How the text is named; it must not matter.
const ORIGIN: &str = "registry.toml";

/// A registry to compare with: the one that a fresh checkout serves.
static RUNNING: LazyLock<Registry> = LazyLock::new(|| {
    let text = include_str!("../../registry.toml");
    Registry::parse(text, ORIGIN).expect("the checkout's own registry is right")
});

/// Plugins of each kind that a registry may name.
static MANIFESTS: LazyLock<Vec<Manifest>> = LazyLock::new(|| {
    [
        include_str!("../../plugins/provider-local/plugin.toml"),
        include_str!("../../plugins/provider-openai/plugin.toml"),
        include_str!("../../plugins/storage-sqlite/plugin.toml"),
        include_str!("../../plugins/evaluator-exact/plugin.toml"),
        include_str!("../../plugins/instrumentor-guard/plugin.toml"),
        include_str!("../../plugins/retriever-memory/plugin.toml"),
        include_str!("../../plugins/source-text/plugin.toml"),
    ]
    .map(|text| Manifest::parse(text, "plugin.toml").expect("the checkout's own manifests are right"))
    .into()
});

/// Any bytes: what is no UTF-8 is refused before it gets here.
///
/// # Panics
/// Where a property does not hold.
pub fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = Registry::parse(text, ORIGIN);
    let again = Registry::parse(text, ORIGIN);
    match (read, again) {
        (Err(wrong), Err(again)) => {
            assert_eq!(wrong, again, "the same text is refused in two ways");
            told::errors(text, &wrong);
            moved(text, &wrong);
        }
        (Ok(registry), Ok(again)) => {
            same(&registry, &again, "the same text is read in two ways");
            told::warnings(text, &registry.warnings);
            usable(text, &registry);
            rewritten(text, &registry);
        }
        (read, again) => panic!("once accepted and once not: {:?}, {:?}", read.err(), again.err()),
    }
}

fn same(one: &Registry, other: &Registry, what: &str) {
    let plan = Plan::between(one, other);
    assert!(plan.is_empty() && !plan.needs_restart(), "{what}: {plan}");
    assert_eq!(one.access(), other.access(), "{what}");
    assert_eq!(one.warnings.len(), other.warnings.len(), "{what}");
    let names = |registry: &Registry| {
        registry
            .plugins
            .iter()
            .map(|plugin| plugin.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(one), names(other), "{what}: instruments run in this order");
}

/// A line above moves every finding by one line, and changes no word of it.
fn moved(text: &str, wrong: &[Diagnostic]) {
    // A mark of the byte order may stand at the beginning alone, and one more line may be one too many.
    if text.starts_with('\u{feff}') || text.len() + 2 > max_bytes() {
        return;
    }
    let below = Registry::parse(&format!("#\n{text}"), ORIGIN).expect_err("a comment mends nothing");
    assert_eq!(wrong.len(), below.len());
    let sorted = |found: &[Diagnostic]| {
        let mut told: Vec<_> = found
            .iter()
            .map(|each| (each.message.clone(), each.line, each.column))
            .collect();
        told.sort();
        told
    };
    for (one, other) in sorted(wrong).into_iter().zip(sorted(&below)) {
        // What the file as a whole lacks is told at its beginning.
        let whole = (one.1, one.2) == (1, 1) && other == one;
        assert!(
            whole || other == (one.0.clone(), one.1 + 1, one.2),
            "{one:?} became {other:?}"
        );
    }
}

fn max_bytes() -> usize {
    usize::try_from(encaje_registry::limits::MAX_FILE_BYTES).unwrap_or(usize::MAX)
}

/// Everything that the server asks of a registry that it has taken.
fn usable(text: &str, registry: &Registry) {
    for plan in [
        Plan::from_nothing(registry),
        Plan::between(&RUNNING, registry),
        Plan::between(registry, &RUNNING),
    ] {
        told::plain(&plan.to_string());
        serde_json::to_string(&plan).expect("a plan is shown as JSON too");
    }
    told::located(text, &registry.unsupported());
    let storage = registry.storage().expect("a registry without a storage was accepted");
    assert_eq!(storage.name, registry.server.storage);
    let routes = registry.core_routes();
    for route in &registry.routes {
        for target in &route.to {
            assert!(registry.plugin(&target.plugin).is_some(), "a route leads nowhere");
        }
        let asked = route.pattern.trim_end_matches('*');
        let found = routes.find(asked).or_else(|| routes.find(&format!("{asked}x")));
        assert!(found.is_some(), "the route `{}` is never found", route.pattern);
    }
    for plugin in &registry.plugins {
        let error = registry
            .plugin_error(&plugin.name, "it fell", "lift it")
            .expect("it is declared");
        told::errors(text, std::slice::from_ref(&error));
        let error = registry.plugin_source_error(&plugin.name, "it fell", "lift it");
        told::errors(text, error.as_slice());
        for declared in MANIFESTS.iter().filter(|declared| declared.kind == plugin.kind) {
            manifest::resolved(text, registry, plugin, declared);
        }
    }
}

/// The same values in another layout mean the same.
fn rewritten(text: &str, registry: &Registry) {
    let table: toml::Table = toml::from_str(text).expect("what was accepted is TOML");
    let layout = toml::to_string(&table).expect("what was TOML is TOML again");
    // The other layout may be longer than a file may be.
    if layout.len() > max_bytes() {
        return;
    }
    match Registry::parse(&layout, ORIGIN) {
        Ok(again) => {
            let plan = Plan::between(registry, &again);
            assert!(plan.is_empty(), "another layout means something else: {plan}\n{layout}");
        }
        Err(wrong) => panic!(
            "another layout is refused: {}\n{layout}",
            encaje_registry::render(&wrong)
        ),
    }
}
