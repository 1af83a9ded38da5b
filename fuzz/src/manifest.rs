//! A manifest, `plugin.toml`: what must hold for any text that a publisher wrote.

use encaje_registry::{Grants, Manifest, Plugin, Registry};
use serde_json::Value;

use crate::told;

/// How the text is named; it must not matter.
const ORIGIN: &str = "plugin.toml";

/// Any bytes: what is no UTF-8 is refused before it gets here.
///
/// # Panics
/// Where a property does not hold.
pub fn holds(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        checked(text);
    }
}

/// The manifest, where the text is one.
pub(crate) fn checked(text: &str) -> Option<Manifest> {
    match (Manifest::parse(text, ORIGIN), Manifest::parse(text, ORIGIN)) {
        (Err(wrong), Err(again)) => {
            assert_eq!(wrong, again, "the same text is refused in two ways");
            told::errors(text, &wrong);
            None
        }
        (Ok(manifest), Ok(again)) => {
            assert_eq!(
                format!("{manifest:?}"),
                format!("{again:?}"),
                "the same text is read in two ways"
            );
            readable(&manifest);
            rewritten(text, &manifest);
            configured(&manifest);
            granted(&manifest);
            Some(manifest)
        }
        (read, again) => panic!("once accepted and once not: {:?}, {:?}", read.err(), again.err()),
    }
}

/// It is shown to operators before they trust it.
fn readable(manifest: &Manifest) {
    let texts = [
        &manifest.name,
        &manifest.version,
        &manifest.publisher,
        &manifest.license,
        &manifest.description,
    ];
    let helps = manifest.metrics.iter().map(|metric| &metric.help);
    for text in texts.into_iter().chain(helps) {
        told::plain(text);
        assert!(!text.contains('\n'), "more than one line: {text:?}");
        assert!(text.chars().count() <= encaje_registry::limits::MAX_TEXT);
    }
    assert!(manifest.config_schema.is_object());
    assert_eq!(manifest.requires.metrics, !manifest.metrics.is_empty());
}

/// The same values in another layout mean the same.
fn rewritten(text: &str, manifest: &Manifest) {
    let table: toml::Table = toml::from_str(text).expect("what was accepted is TOML");
    let layout = toml::to_string(&table).expect("what was TOML is TOML again");
    if layout.len() as u64 > encaje_registry::limits::MAX_FILE_BYTES {
        return;
    }
    let again = match Manifest::parse(&layout, ORIGIN) {
        Ok(again) => again,
        Err(wrong) => panic!(
            "another layout is refused: {}\n{layout}",
            encaje_registry::render(&wrong)
        ),
    };
    let told = |manifest: &Manifest| {
        let words = [
            &manifest.name,
            &manifest.version,
            &manifest.publisher,
            &manifest.license,
            &manifest.description,
        ];
        let words = words.map(String::clone);
        (
            words,
            manifest.kind,
            manifest.build.clone(),
            manifest.instance,
            manifest.requires.clone(),
        )
    };
    assert_eq!(told(manifest), told(&again), "{layout}");
    assert_eq!(manifest.config_schema, again.config_schema, "{layout}");
    let sorted = |manifest: &Manifest| {
        let mut metrics = manifest.metrics.clone();
        metrics.sort_by(|one, other| one.name.cmp(&other.name));
        metrics
    };
    assert_eq!(sorted(manifest), sorted(&again), "{layout}");
}

/// Defaults are filled in once and for all, or the schema says in words why nothing fits.
fn configured(manifest: &Manifest) {
    for config in [r"{}", r#"{"a": 1, "words": ["b"]}"#, r#"{"\u001b": {"x": null}}"#] {
        let config: Value = serde_json::from_str(config).expect("it is JSON");
        match manifest.configured(config.clone()) {
            Ok(filled) => assert_eq!(manifest.configured(filled.clone()).as_ref(), Ok(&filled)),
            Err(why) => assert!(!why.is_empty(), "{config} is refused without a word"),
        }
    }
}

/// A registry in which everything stands that a plugin can be granted.
fn registry(manifest: &Manifest, lines: &str) -> String {
    let kind = manifest.kind.as_str();
    format!(
        "[plugins.x]\nkind = \"{kind}\"\nsource = {{ path = \"x\" }}\n{lines}\n\
         [plugins.store]\nkind = \"storage\"\nsource = {{ path = \"store\" }}\n\
         [server]\nstorage = \"store\"\n[databases.main]\nsqlite = \"main.db\"\n\
         [models.small]\nformat = \"gguf\"\nsource = [{{ path = \"small.gguf\" }}]\nsha256 = \"{}\"\n",
        "0".repeat(64)
    )
}

/// What it requires is refused with the line that allows it; with that line, it is allowed.
fn granted(manifest: &Manifest) {
    let text = registry(manifest, "");
    let bare = match Registry::parse(&text, "registry.toml") {
        Ok(bare) => bare,
        Err(wrong) => panic!("{}", encaje_registry::render(&wrong)),
    };
    let plugin = bare.plugin("x").expect("it is declared");
    let Some(line) = resolved(&text, &bare, plugin, manifest) else {
        return;
    };
    let table: toml::Table = toml::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
    assert!(table.contains_key("allow"), "{line}");
    let text = registry(manifest, &line);
    // Names that the registry does not know are refused there; what is left must be granted.
    if let Ok(allowing) = Registry::parse(&text, "registry.toml") {
        let plugin = allowing.plugin("x").expect("it is declared");
        // Where the line holds a name to fill in, it is a pattern and not the answer.
        if !line.contains("NAME") && !line.contains("HOST") {
            let more = resolved(&text, &allowing, plugin, manifest);
            assert_eq!(more, None, "the line that was to be added does not do: {line}");
        }
    }
}

/// What becomes of a manifest under a registry; the line that would allow more, where some is missing.
pub(crate) fn resolved(text: &str, registry: &Registry, plugin: &Plugin, manifest: &Manifest) -> Option<String> {
    match registry.resolve(plugin, manifest) {
        Ok(resolved) => {
            told::warnings(text, &resolved.warnings);
            assert!(resolved.config.is_object());
            within(&resolved.grants, plugin, manifest);
            None
        }
        Err(wrong) => {
            told::errors(text, &wrong);
            let fixes = wrong.iter().filter_map(|each| each.fix.as_deref());
            let line = |fix: &str| {
                let start = fix.find("`allow = ")? + 1;
                let end = fix.find("` under `[plugins.")?;
                fix.get(start..end).map(str::to_owned)
            };
            fixes.filter_map(line).next()
        }
    }
}

/// Granted is what is required and allowed, and no more.
fn within(grants: &Grants, plugin: &Plugin, manifest: &Manifest) {
    let (requires, allow) = (&manifest.requires, &plugin.allow);
    assert!(!grants.kv || (requires.kv && allow.kv));
    assert!(grants.metrics.is_empty() || (requires.metrics && allow.metrics));
    assert!(
        grants
            .inference
            .iter()
            .all(|name| requires.inference.is_some() && allow.inference.contains(name))
    );
    assert!(
        grants
            .sql
            .iter()
            .all(|name| requires.sql.is_some() && allow.sql.contains(name))
    );
    assert!(
        grants
            .http
            .iter()
            .all(|rule| requires.http.is_some() && allow.http.contains(rule))
    );
    assert!(
        grants
            .secrets
            .keys()
            .all(|name| requires.secrets.is_some() && allow.secrets.contains_key(name))
    );
}
