//! The contracts: every package resolves, and every item says what it is. That they bind is `encaje-bindings` itself.

use std::collections::BTreeMap;

use wit_parser::{Docs, Resolve, TypeDefKind, WorldItem};

use crate::support::root;

const PACKAGES: [&str; 8] = [
    "common",
    "host",
    "provider",
    "storage",
    "evaluator",
    "instrumentor",
    "retriever",
    "source",
];

fn resolved() -> Resolve {
    let mut resolve = Resolve::default();
    for package in PACKAGES {
        let folder = root().join("wit").join(package);
        resolve
            .push_dir(&folder)
            .unwrap_or_else(|error| panic!("{package}: {error:#}"));
    }
    resolve
}

#[test]
fn every_package_resolves_and_there_is_no_other() {
    let resolve = resolved();
    let mut names: Vec<_> = resolve
        .packages
        .iter()
        .map(|(_, package)| package.name.to_string())
        .collect();
    names.sort();
    let mut expected: Vec<_> = PACKAGES.iter().map(|name| format!("encaje:{name}@0.1.0")).collect();
    expected.sort();
    assert_eq!(names, expected);
    let folders = std::fs::read_dir(root().join("wit")).unwrap();
    let mut folders: Vec<_> = folders
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let mut expected: Vec<_> = PACKAGES.into_iter().chain(["previous"]).collect();
    expected.sort();
    assert_eq!(folders, expected);
}

/// A package's interfaces by name, without comments and with one space between words.
fn interfaces(folder: &str) -> BTreeMap<String, String> {
    let name = folder.rsplit('/').next().unwrap();
    let text = std::fs::read_to_string(root().join("wit").join(folder).join(format!("{name}.wit"))).unwrap();
    let bare: Vec<_> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(str::split_whitespace)
        .collect();
    let bare = bare.join(" ").replace("0.0.1", "0.1.0");
    let (bare, _) = bare.split_once(" world ").unwrap_or((&bare, ""));
    let interfaces = bare.split("interface ").skip(1);
    interfaces
        .map(|interface| {
            let (name, body) = interface.split_once(' ').unwrap();
            (name.to_owned(), body.trim().to_owned())
        })
        .collect()
}

/// The host takes an interface of the previous version for the current one where nothing has changed.
#[test]
fn what_the_previous_version_shares_with_the_current_one_is_the_same() {
    for (package, changed) in [("common", &[][..]), ("host", &["log"]), ("provider", &["provider"])] {
        let (previous, current) = (interfaces(&format!("previous/{package}")), interfaces(package));
        assert!(!previous.is_empty());
        for (name, body) in previous {
            let same = current.get(&name) == Some(&body);
            assert_eq!(same, !changed.contains(&name.as_str()), "{package}/{name}: {body}");
        }
    }
}

/// Fields and cases of a type.
fn parts(kind: &TypeDefKind) -> Vec<(&str, &Docs)> {
    match kind {
        TypeDefKind::Record(record) => record
            .fields
            .iter()
            .map(|field| (field.name.as_str(), &field.docs))
            .collect(),
        TypeDefKind::Variant(variant) => variant
            .cases
            .iter()
            .map(|case| (case.name.as_str(), &case.docs))
            .collect(),
        TypeDefKind::Enum(names) => names
            .cases
            .iter()
            .map(|case| (case.name.as_str(), &case.docs))
            .collect(),
        TypeDefKind::Flags(flags) => flags
            .flags
            .iter()
            .map(|flag| (flag.name.as_str(), &flag.docs))
            .collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_item_has_prose() {
    let resolve = resolved();
    let mut silent = Vec::new();
    let mut check = |what: String, docs: &Docs| {
        if docs.contents.as_deref().unwrap_or_default().trim().is_empty() {
            silent.push(what);
        }
    };
    for (_, interface) in &resolve.interfaces {
        let name = interface.name.clone().unwrap_or_default();
        check(format!("interface {name}"), &interface.docs);
        for (function, definition) in &interface.functions {
            check(format!("{name}/{function}"), &definition.docs);
        }
        for (type_name, id) in &interface.types {
            let definition = &resolve.types[*id];
            if matches!(definition.kind, TypeDefKind::Type(wit_parser::Type::Id(_))) {
                continue; // a `use` of another interface's type
            }
            check(format!("{name}/{type_name}"), &definition.docs);
            for (part, docs) in parts(&definition.kind) {
                check(format!("{name}/{type_name}.{part}"), docs);
            }
        }
    }
    for (_, package) in &resolve.packages {
        check(package.name.to_string(), &package.docs);
    }
    assert!(silent.is_empty(), "without prose: {silent:#?}");
}

#[test]
fn every_kind_of_plugin_has_its_lifecycle_and_the_whole_host() {
    let resolve = resolved();
    for (_, package) in &resolve.packages {
        let Some(world) = package.worlds.get("plugin") else {
            continue;
        };
        let world = &resolve.worlds[*world];
        let exports: Vec<_> = world.exports.values().collect();
        assert_eq!(exports.len(), 2, "{}: its kind and the lifecycle", package.name);
        let imports = world
            .imports
            .values()
            .filter(|item| matches!(item, WorldItem::Interface { .. }))
            .count();
        assert!(imports >= 12, "{}: {imports} imports", package.name);
    }
}
