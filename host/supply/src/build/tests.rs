//! What changes a build's key, what does not, and one real build for the host's own guest target is left to tests/it:
//! here cargo itself is not run but for native tests of a crate without dependencies.

use std::{fs, path::Path};

use super::*;
use crate::progress::{Quiet, Remembered};

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A workspace of one plugin, with an SDK and contracts beside it, as this repository has.
fn tree() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    write(&root.join("wit/common/common.wit"), "package a:b;");
    write(
        &root.join("sdk/rust/Cargo.toml"),
        "[package]\nname = \"sdk\"\nversion = \"0.1.0\"\n",
    );
    write(&root.join("sdk/rust/src/lib.rs"), "");
    write(
        &root.join("plugins/Cargo.toml"),
        "[workspace]\nmembers = [\"one\"]\n[workspace.dependencies]\nsdk = { path = \"../sdk/rust\" }\n",
    );
    write(&root.join("plugins/Cargo.lock"), "version = 4\n");
    write(
        &root.join("plugins/one/Cargo.toml"),
        "[package]\nname = \"provider-one\"\nversion = \"0.1.0\"\n[dependencies]\nsdk.workspace = true\n",
    );
    write(&root.join("plugins/one/plugin.toml"), "name = \"one\"\n");
    write(&root.join("plugins/one/src/lib.rs"), "");
    write(&root.join("plugins/two/src/lib.rs"), "");
    (folder, root)
}

fn key_of(root: &Path) -> String {
    sources::key(&Plugin::open(&root.join("plugins/one")).unwrap(), "context").unwrap()
}

#[test]
fn the_key_follows_everything_that_goes_in_and_nothing_else() {
    let (_folder, root) = tree();
    let first = key_of(&root);
    for outside in [
        "plugins/two/src/lib.rs",
        "plugins/one/target/CACHEDIR.TAG",
        "plugins/one/target/x",
        "plugins/one/.git/x",
        "README.md",
    ] {
        write(&root.join(outside), "changed");
        assert_eq!(key_of(&root), first, "{outside}");
    }
    let mut last = first;
    let inside = [
        // Only what cargo has marked as its own is no source.
        ("plugins/one/src/target/mod.rs", "mod inner;"),
        ("wit/common/common.wit", "package a:c;"),
        ("sdk/rust/src/lib.rs", "//"),
        ("sdk/rust/src/new.rs", ""),
        ("plugins/one/src/lib.rs", "//"),
        ("plugins/one/plugin.toml", "name = \"uno\"\n"),
        ("plugins/Cargo.lock", "version = 4\n#\n"),
        ("plugins/.cargo/config.toml", "[build]\n"),
        ("rust-toolchain.toml", "[toolchain]\n"),
    ];
    for (path, text) in inside {
        write(&root.join(path), text);
        let next = key_of(&root);
        assert_ne!(next, last, "{path}");
        last = next;
    }
    let plugin = Plugin::open(&root.join("plugins/one")).unwrap();
    assert_ne!(sources::key(&plugin, "another compiler").unwrap(), last);
}

#[test]
fn a_plugin_is_opened_with_its_package_and_workspace() {
    let (_folder, root) = tree();
    let plugin = Plugin::open(&root.join("plugins/../plugins/one")).unwrap();
    assert_eq!(
        (plugin.name.as_str(), plugin.workspace),
        ("provider-one", root.join("plugins"))
    );
    write(
        &root.join("alone/Cargo.toml"),
        "[package]\nname = \"alone\"\n[workspace]\n",
    );
    write(&root.join("alone/plugin.toml"), "build = { language = \"rust\" }\n");
    assert_eq!(Plugin::open(&root.join("alone")).unwrap().workspace, root.join("alone"));
}

#[test]
fn what_is_no_rust_plugin_is_named() {
    let (_folder, root) = tree();
    let opened = |path: &str| Plugin::open(&root.join(path)).unwrap_err();
    assert!(matches!(opened("absent"), BuildError::File { .. }));
    assert!(opened("sdk/rust").to_string().contains("has no plugin.toml"));
    write(&root.join("py/plugin.toml"), "[build]\nlanguage = \"python\"\n");
    assert!(matches!(opened("py"), BuildError::Language { language, .. } if language == "python"));
    write(&root.join("bare/plugin.toml"), "");
    assert!(opened("bare").to_string().contains("no Cargo.toml"));
    write(&root.join("bare/Cargo.toml"), "[package]\n");
    assert!(opened("bare").to_string().contains("no package.name"));
    write(&root.join("bare/plugin.toml"), "= what");
    assert!(opened("bare").to_string().contains("plugin.toml is not TOML"));
}

#[test]
fn a_symbolic_link_to_its_own_folder_ends_as_an_error_and_not_never() {
    let (_folder, root) = tree();
    std::os::unix::fs::symlink(root.join("plugins/one/src"), root.join("plugins/one/src/again")).unwrap();
    let plugin = Plugin::open(&root.join("plugins/one")).unwrap();
    assert!(matches!(sources::key(&plugin, ""), Err(BuildError::TooLarge { .. })));
}

#[test]
fn the_unit_tests_of_a_guest_workspace_are_run_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let home = EncajeHome::at(folder.path().join("home")).unwrap();
    let guest = folder.path().join("guest");
    write(
        &guest.join("Cargo.toml"),
        "[package]\nname = \"guest\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n",
    );
    let test = |sum: u32| format!("#[test]\nfn adds() {{ assert_eq!(1 + 1, {sum}, \"wrong sum\"); }}\n");
    write(&guest.join("src/lib.rs"), &test(2));
    let report = run_native_tests(&home, &guest, &Quiet).unwrap();
    assert_eq!(report, TestReport { passed: 1, ignored: 0 });
    assert!(!guest.join("target").exists());
    write(&guest.join("src/lib.rs"), &test(3));
    let said = Remembered::default();
    let error = run_native_tests(&home, &guest, &said).unwrap_err();
    assert!(
        matches!(&error, BuildError::Compile { output, .. } if output.contains("wrong sum")),
        "{error}"
    );
    assert!(said.lines().iter().any(|line| line.contains("wrong sum")));
    write(&guest.join("src/lib.rs"), "fn broken(");
    assert!(
        run_native_tests(&home, &guest, &Quiet)
            .unwrap_err()
            .to_string()
            .contains("error")
    );
}
