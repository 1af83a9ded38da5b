//! The part of `doctor` that looks at what plugins are built with: for the languages of the registry's plugins whatever is
//! missing is wrong, for the others it is worth knowing.

use std::collections::BTreeMap;
use std::path::Path;

use encaje_registry::{PluginSource, Registry};
use encaje_supply::build::{self, Tooling};
use encaje_supply::{EncajeHome, guest_target};

use super::{Doctor, Found, version};

/// The languages of the plugins that a registry has built, each with its plugins.
pub(super) fn needed(registry: &Registry, folder: &Path) -> BTreeMap<String, Vec<String>> {
    let mut needed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for plugin in &registry.plugins {
        let PluginSource::Path(path) = &plugin.source else {
            continue;
        };
        // A folder that is no plugin is told where the plugin is looked at.
        if let Ok(language) = build::language_of(&folder.join(path)) {
            needed.entry(language).or_default().push(plugin.name.clone());
        }
    }
    needed
}

/// Every language, and what Rust needs beside its target.
pub(super) fn look(doctor: &mut Doctor, home: &EncajeHome, folder: &Path, needed: &BTreeMap<String, Vec<String>>) {
    let settings = guest_target::Settings::from_environment();
    for language in build::languages() {
        let plugins = needed.get(language);
        let Some(tooling) = build::look(home, folder, &settings, language) else {
            continue;
        };
        doctor.says(&format!("plugins in {language}"), judged(tooling, plugins));
        if language == "rust" {
            for (program, fix) in [
                ("cargo", "install Rust from https://rustup.rs"),
                (
                    "gcc",
                    "macros and build scripts link with it: install the package `gcc`",
                ),
            ] {
                let tooling = match version(program, "--version") {
                    Some(version) => Tooling::Here(version),
                    None => Tooling::Missing(format!("not found; {fix}")),
                };
                doctor.says(program, judged(tooling, plugins));
            }
        }
    }
}

fn judged(tooling: Tooling, plugins: Option<&Vec<String>>) -> Found {
    match (tooling, plugins) {
        (Tooling::Here(what), _) => Found::Well(what),
        (Tooling::ToInstall(what), _) => Found::Well(format!("the first build installs {what}")),
        (Tooling::Missing(what), None) => Found::Doubt(format!("{what}\nNo plugin of the registry needs it.")),
        (Tooling::Missing(what), Some(plugins)) => Found::Wrong(format!(
            "{what}\nThe registry has plugins that are built with it: {}.",
            plugins.join(", ")
        )),
    }
}
