//! `plugin doctor`: why a component does not fit this host, in words, and what to do about it. Names, versions and types are
//! compared first, since there the words are best; a component that passes is then compiled, linked and instantiated, and
//! none of its functions is called.

use std::path::Path;

use anyhow::{Result, bail};
use encaje_core::trace::PluginKind;
use encaje_registry::{Manifest, PREVIOUS_WIT_VERSION as PREVIOUS, WIT_VERSION as SERVED, render};
use encaje_runtime::engine::Allocation;
use encaje_runtime::{Runtime, fit};
use encaje_supply::EncajeHome;
use encaje_supply::build::component::{self, Outside};
use encaje_supply::build::fit as supply_fit;

pub(crate) async fn run(home: &EncajeHome, file: &Path) -> Result<()> {
    let wasm = component::read_file(file)?;
    let Found { mut wrong, kind } = findings(&wasm);
    if let (Some(kind), true) = (kind, wrong.is_empty()) {
        wrong.extend(unfit(home, kind, wasm).await?);
    }
    if wrong.is_empty() {
        println!(
            "{}: nothing is wrong with it as far as it can be seen without calling it",
            file.display()
        );
        println!(
            "run the conformance kit over it with   encaje plugin test {}",
            file.display()
        );
        return Ok(());
    }
    for one in &wrong {
        println!("- {one}");
    }
    bail!("{} is not a plugin that this host can run", file.display());
}

/// What keeps an instance of it from being made.
async fn unfit(home: &EncajeHome, kind: PluginKind, wasm: Vec<u8>) -> Result<Option<String>> {
    let runtime = Runtime::new(home.root().join("compiled"), Allocation::OnDemand)?;
    let Err(problem) = fit::check(&runtime, kind, wasm).await else {
        return Ok(None);
    };
    let detail = problem.log_detail.as_deref().unwrap_or_default();
    Ok(Some(format!(
        "This host cannot make an instance of it: {}\n  {}\n  Build it again with this host's `wit` folder (`encaje plugin \
         build` does).",
        problem.message,
        detail.trim_end().replace('\n', "\n  ")
    )))
}

/// What came of the look at the file.
struct Found {
    wrong: Vec<String>,
    kind: Option<PluginKind>,
}

impl Found {
    fn only(wrong: String) -> Self {
        Self {
            wrong: vec![wrong],
            kind: None,
        }
    }
}

/// Everything that keeps a file from being a plugin.
fn findings(wasm: &[u8]) -> Found {
    if !wasm.starts_with(b"\0asm") {
        let what = match wasm {
            [0x7f, b'E', b'L', b'F', ..] => "native code, which is never accepted",
            [b'#', b'!', ..] | [b'(', ..] => "text",
            [] => "empty",
            _ => "something else",
        };
        return Found::only(format!(
            "The file is {what}, not WebAssembly: name the .wasm file that `encaje plugin build` made."
        ));
    }
    if wasm.get(4..8) == Some(&[1, 0, 0, 0]) {
        return Found::only(
            "The file is a core module, not a component: build it with `encaje plugin build`, which makes a component of it."
                .to_owned(),
        );
    }
    let outside = match component::inspect(wasm) {
        Ok(outside) => outside,
        Err(error) => return Found::only(format!("The file is damaged: {error}. Build it again.")),
    };
    let mut wrong = Vec::new();
    let kind = manifest(&outside, &mut wrong);
    exports(&outside, kind, &mut wrong);
    imports(&outside, &mut wrong);
    if let (Some(kind), true) = (kind, wrong.is_empty()) {
        types(wasm, kind, &mut wrong);
    }
    Found { wrong, kind }
}

/// Functions and types under the right names that are not this host's.
fn types(wasm: &[u8], kind: PluginKind, wrong: &mut Vec<String>) {
    match supply_fit::mismatches(wasm, kind.as_str()) {
        Err(error) => wrong.push(format!("{error}.")),
        Ok(differ) if differ.is_empty() => {}
        Ok(differ) => wrong.push(format!(
            "It was built for other contracts than this host's, under the same version:\n  {}\n  Build it again with this \
             host's `wit` folder (`encaje plugin build` does).",
            differ.join("\n  ")
        )),
    }
}

/// The kind that the manifest names.
fn manifest(outside: &Outside, wrong: &mut Vec<String>) -> Option<PluginKind> {
    let Some(text) = &outside.manifest else {
        wrong.push(
            "It carries no manifest, so nothing says what it is and what it needs: build it with `encaje plugin build`, \
             which embeds `plugin.toml`."
                .to_owned(),
        );
        return None;
    };
    match Manifest::parse(text, "its manifest") {
        Ok(manifest) => Some(manifest.kind),
        Err(diagnostics) => {
            wrong.push(format!("Its manifest is not sound:\n{}", render(&diagnostics)));
            None
        }
    }
}

fn kinds() -> impl Iterator<Item = &'static str> {
    PluginKind::ALL.into_iter().map(PluginKind::as_str)
}

/// `encaje:provider/provider@0.1.0` as package, interface and version.
fn parts(name: &str) -> Option<(&str, &str, &str)> {
    let (path, version) = name.strip_prefix("encaje:")?.rsplit_once('@')?;
    let (package, interface) = path.split_once('/')?;
    Some((package, interface, version))
}

/// Whether `0.1.3` is of `0.1`.
fn is_of(version: &str, minor: &str) -> bool {
    version.strip_prefix(minor).is_some_and(|rest| rest.starts_with('.'))
}

/// Of the previous version there are providers alone, and what they share with the host.
fn serves(package: &str, version: &str) -> bool {
    is_of(version, SERVED) || is_of(version, PREVIOUS) && ["provider", "common", "host"].contains(&package)
}

fn exports(outside: &Outside, kind: Option<PluginKind>, wrong: &mut Vec<String>) {
    let own: Vec<(&str, &str)> = outside
        .exports
        .iter()
        .filter_map(|item| parts(&item.name))
        .filter(|(package, interface, _)| package == interface && kinds().any(|kind| kind == *package))
        .map(|(package, _, version)| (package, version))
        .collect();
    match own.as_slice() {
        [] => wrong.push(format!(
            "It exports none of the plugin interfaces ({}): it was not built for a world of this host's `wit` folder.",
            kinds()
                .map(|kind| format!("`encaje:{kind}/{kind}@{SERVED}.0`"))
                .collect::<Vec<_>>()
                .join(", ")
        )),
        [(built, version)] if !serves(built, version) => wrong.push(format!(
            "It was built for {built} {version}, and this host serves {built} {SERVED}: build it again with this host's \
             `wit` folder (`encaje plugin build` does)."
        )),
        [(built, _)] if kind.is_some_and(|kind| kind.as_str() != *built) => wrong.push(format!(
            "Its manifest calls it a {}, and it exports `encaje:{built}/{built}`: correct `kind` in plugin.toml, or build it \
             for the other world.",
            kind.map(PluginKind::as_str).unwrap_or_default()
        )),
        [_] => {}
        several => wrong.push(format!(
            "It exports {} plugin interfaces at once; a plugin is of one kind: build one for each.",
            several.len()
        )),
    }
    let lifecycle = outside.exports.iter().filter_map(|item| parts(&item.name));
    let lifecycle = lifecycle.filter(|(package, interface, _)| (*package, *interface) == ("common", "lifecycle"));
    if !own.is_empty() && lifecycle.count() == 0 {
        wrong.push(format!(
            "It lacks `encaje:common/lifecycle@{SERVED}.0`, by which a plugin is checked before it serves: export `check`."
        ));
    }
}

fn imports(outside: &Outside, wrong: &mut Vec<String>) {
    for item in &outside.imports {
        let name = &item.name;
        match parts(name) {
            Some((package @ ("host" | "common"), _, version)) if !serves(package, version) => wrong.push(format!(
                "It imports `{name}`, and this host serves {SERVED}: build it again with this host's `wit` folder."
            )),
            Some(("host" | "common", _, _)) => {}
            Some(_) => wrong.push(format!("It imports `{name}`, which a plugin exports and no host offers.")),
            // Told once below.
            None if name.starts_with("wasi:") => {}
            None => wrong.push(format!(
                "It imports `{name}`, which this host does not offer: a plugin imports `encaje:host/…` and `wasi:…` 0.2 alone."
            )),
        }
    }
    let imports = || outside.imports.iter().filter_map(|item| parts(&item.name));
    if imports().any(|(_, _, version)| is_of(version, SERVED))
        && imports().any(|(_, _, version)| is_of(version, PREVIOUS))
    {
        wrong.push(format!(
            "It imports both version {SERVED} and version {PREVIOUS} of the plugin contracts: build it against one of them."
        ));
    }
    if let Some(item) = outside.imports.iter().find(|item| item.name.starts_with("wasi:http/")) {
        wrong.push(format!(
            "It imports `{}`, which this host does not link: requests go through `encaje:host/http`, which the operator \
             grants host by host.",
            item.name
        ));
    }
}

#[cfg(test)]
mod tests {
    use encaje_supply::build::component::Item;

    use super::*;

    fn outside(imports: &[&str], exports: &[&str], kind: Option<&str>) -> Outside {
        let item = |name: &&str| Item {
            name: (*name).to_owned(),
            kind: "instance",
        };
        let manifest = kind.map(|kind| {
            format!(
                "name = \"plugin-x\"\nversion = \"1.0.0\"\nkind = \"{kind}\"\npublisher = \"acme\"\nlicense = \"MIT\"\n\
                 description = \"Works\"\nwit = \"0.1\"\n"
            )
        });
        Outside {
            imports: imports.iter().map(item).collect(),
            exports: exports.iter().map(item).collect(),
            manifest,
            ..Outside::default()
        }
    }

    fn said(outside: &Outside) -> String {
        let mut wrong = Vec::new();
        let kind = manifest(outside, &mut wrong);
        exports(outside, kind, &mut wrong);
        imports(outside, &mut wrong);
        wrong.join("\n")
    }

    const LIFECYCLE: &str = "encaje:common/lifecycle@0.1.0";

    #[test]
    fn a_plugin_that_fits_is_left_alone() {
        let fits = outside(
            &[
                "encaje:host/log@0.1.0",
                "encaje:common/chat@0.1.3",
                "wasi:io/streams@0.2.6",
            ],
            &[LIFECYCLE, "encaje:provider/provider@0.1.0"],
            Some("provider"),
        );
        assert_eq!(said(&fits), "");
        let older = outside(
            &["encaje:host/log@0.0.1", "encaje:common/chat@0.0.1"],
            &["encaje:common/lifecycle@0.0.1", "encaje:provider/provider@0.0.1"],
            Some("provider"),
        );
        assert_eq!(said(&older), "");
    }

    #[test]
    fn each_mismatch_is_told_with_its_remedy() {
        let provider = "encaje:provider/provider@0.1.0";
        for (case, word) in [
            (outside(&[], &[LIFECYCLE, provider], None), "no manifest"),
            (
                outside(&[], &[LIFECYCLE, "encaje:provider/provider@0.2.0"], Some("provider")),
                "built for provider 0.2.0, and this host serves provider 0.1",
            ),
            (
                outside(&[], &[LIFECYCLE, "encaje:storage/storage@0.0.1"], Some("storage")),
                "built for storage 0.0.1, and this host serves storage 0.1",
            ),
            (
                outside(
                    &["encaje:host/log@0.0.1", "encaje:host/kv@0.1.0"],
                    &[LIFECYCLE, provider],
                    Some("provider"),
                ),
                "both version 0.1 and version 0.0",
            ),
            (
                outside(&[], &[provider], Some("provider")),
                "lacks `encaje:common/lifecycle@0.1.0`",
            ),
            (
                outside(&[], &[LIFECYCLE, provider], Some("storage")),
                "calls it a storage",
            ),
            (
                outside(&[], &["score"], Some("evaluator")),
                "exports none of the plugin interfaces",
            ),
            (
                outside(
                    &["wasi:http/outgoing-handler@0.2.0"],
                    &[LIFECYCLE, provider],
                    Some("provider"),
                ),
                "requests go through `encaje:host/http`",
            ),
            (
                outside(&["encaje:host/log@0.3.0"], &[LIFECYCLE, provider], Some("provider")),
                "imports `encaje:host/log@0.3.0`, and this host serves 0.1",
            ),
            (
                outside(&["acme:magic/wand@1.0.0"], &[LIFECYCLE, provider], Some("provider")),
                "does not offer",
            ),
        ] {
            let said = said(&case);
            assert!(said.contains(word), "{word}:\n{said}");
            assert_eq!(said.lines().filter(|line| line.starts_with("It")).count(), 1, "{said}");
        }
    }

    #[test]
    fn files_that_are_no_components_are_named() {
        for (bytes, word) in [
            (&b"\x7fELF\x02\x01"[..], "native code"),
            (b"(component)", "text"),
            (b"", "empty"),
            (b"\0asm\x01\0\0\0", "core module"),
            (b"\0asm\x0d\0\x01\0garbage", "damaged"),
        ] {
            let said = findings(bytes).wrong.join("\n");
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}
