//! The contracts, which travel in this program so that a plugin folder needs none of its own, laid out the way component
//! tools read them: the kind's package at the top, what it uses under `deps/`. Parsed they are only to be
//! compared with a component's own.

use std::{fs, io, path::Path};

use anyhow::Context as _;
use wit_bindgen_core::wit_parser::{Resolve, WorldId};

/// The version of every package of the family.
const VERSION: &str = "0.1.0";

/// Names and texts. Every kind's package uses `common` and `host` and no other kind's.
const COMMON: (&str, &str) = ("common", include_str!("../../../../wit/common/common.wit"));
const HOST: (&str, &str) = ("host", include_str!("../../../../wit/host/host.wit"));
const KINDS: [(&str, &str); 6] = [
    ("provider", include_str!("../../../../wit/provider/provider.wit")),
    ("storage", include_str!("../../../../wit/storage/storage.wit")),
    ("evaluator", include_str!("../../../../wit/evaluator/evaluator.wit")),
    (
        "instrumentor",
        include_str!("../../../../wit/instrumentor/instrumentor.wit"),
    ),
    ("retriever", include_str!("../../../../wit/retriever/retriever.wit")),
    ("source", include_str!("../../../../wit/source/source.wit")),
];

/// The names of all kinds.
pub(super) const KIND_NAMES: [&str; 6] = [
    "provider",
    "storage",
    "evaluator",
    "instrumentor",
    "retriever",
    "source",
];

/// The name of this kind as the contracts have it; none where there is no such kind.
pub(super) fn kind(name: &str) -> Option<&'static str> {
    KINDS.iter().map(|(kind, _)| *kind).find(|kind| *kind == name)
}

/// All kinds, for messages.
pub(super) fn kinds() -> String {
    KIND_NAMES.join(", ")
}

/// The fully qualified world of a kind.
pub(super) fn world(kind: &str) -> String {
    format!("encaje:{kind}/plugin@{VERSION}")
}

/// What a component of this kind must export, in whatever version.
pub(super) fn exports(kind: &str) -> [String; 2] {
    ["encaje:common/lifecycle".to_owned(), format!("encaje:{kind}/{kind}")]
}

/// A text that differs when any contract of the kind does.
pub(super) fn identity(kind: &str) -> String {
    texts(kind).map(|(_, text)| text).collect::<Vec<_>>().join("\n")
}

/// Writes the kind's package and its dependencies into `folder`, which is made.
pub(super) fn lay_out(kind: &str, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, text) in texts(kind) {
        let place = if name == kind {
            folder.to_owned()
        } else {
            folder.join("deps").join(name)
        };
        fs::create_dir_all(&place)?;
        fs::write(place.join(format!("{name}.wit")), text)?;
    }
    Ok(())
}

/// The kind's world among its types.
pub(super) fn resolve(kind: &str) -> anyhow::Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    let mut own = None;
    for (name, text) in texts(kind) {
        own = Some(resolve.push_str(format!("{name}.wit"), text)?);
    }
    let package = own.filter(|_| self::kind(kind).is_some());
    let package = package.with_context(|| format!("there is no kind {kind:?}"))?;
    let world = resolve.select_world(&[package], Some(&world(kind)))?;
    Ok((resolve, world))
}

/// Each package after those that it uses.
fn texts(kind: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let own = KINDS.into_iter().find(|(name, _)| *name == kind);
    [COMMON, HOST].into_iter().chain(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_has_the_version_that_worlds_and_exports_are_named_by() {
        for (name, text) in KINDS.into_iter().chain([COMMON, HOST]) {
            assert!(text.contains(&format!("package encaje:{name}@{VERSION};")), "{name}");
        }
    }

    #[test]
    fn a_kind_lies_at_the_top_and_all_that_it_uses_under_deps() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(KINDS.map(|(kind, _)| kind), KIND_NAMES);
        for (kind, text) in KINDS {
            let wit = folder.path().join(kind);
            lay_out(kind, &wit).unwrap();
            assert!(
                text.contains("world plugin {") && text.contains(&format!("export {kind};")),
                "{kind}"
            );
            assert_eq!(fs::read_to_string(wit.join(format!("{kind}.wit"))).unwrap(), text);
            for used in KIND_NAMES {
                assert!(
                    used == kind || !text.contains(&format!("encaje:{used}/")),
                    "{kind} uses {used}"
                );
            }
            assert!(wit.join("deps/common/common.wit").is_file() && wit.join("deps/host/host.wit").is_file());
        }
    }
}
