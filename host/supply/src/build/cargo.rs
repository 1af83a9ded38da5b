//! Runs cargo for guests: in a clean environment, with target folders of our own, never in the plugin's folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{BuildError, sources::Plugin};
use crate::{
    digest::Sha256,
    guest_target::{GuestTarget, TARGET},
    home::EncajeHome,
    limits::{COMPONENT_BYTES, PLUGIN_BUILD},
    process::{self, Ended},
    progress::{Progress, Work},
};

/// The target folder for a workspace: kept, so that plugins of one workspace share their dependencies. Packages that stand
/// alone, as new plugins do, share one: most of what is compiled for them is the SDK, and the same for all.
pub(super) fn target_folder(home: &EncajeHome, workspace: &Path, use_: &str) -> PathBuf {
    let all = home.build().join("target");
    if stands_alone(workspace) {
        return all.join(format!("alone-{use_}"));
    }
    let place = Sha256::of(workspace.as_os_str().as_encoded_bytes()).to_string();
    all.join(format!("{}-{use_}", place.get(..16).unwrap_or_default()))
}

/// Whether a workspace is one package and nothing else. Where that cannot be read, it is not, and cargo will say why.
fn stands_alone(workspace: &Path) -> bool {
    let manifest = fs::read_to_string(workspace.join("Cargo.toml")).ok();
    let manifest: Option<toml::Table> = manifest.and_then(|text| text.parse().ok());
    let members = |manifest: &toml::Table| manifest.get("workspace")?.get("members").cloned();
    manifest.is_some_and(|manifest| manifest.contains_key("package") && members(&manifest).is_none())
}

/// Removes what another plugin of the same name left where this one's component will be. Cargo tells packages apart by
/// their folders, but writes libraries of one name to one file: in a folder that both use it would take the second plugin
/// for built while the file is the first one's.
fn forget_namesake(plugin: &Plugin, folder: &Path) -> Result<(), BuildError> {
    let made = folder.join(TARGET).join("release");
    let file = format!("{}.wasm", plugin.library.replace('-', "_"));
    let owner = made.join(format!("{file}.of"));
    let folder = plugin.folder.as_os_str().as_encoded_bytes();
    if fs::read(&owner).is_ok_and(|last| last == folder) {
        return Ok(());
    }
    for path in [made.join("deps").join(&file), made.join(&file)] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(BuildError::file("remove", &path, error));
            }
            _ => {}
        }
    }
    fs::create_dir_all(&made).map_err(|error| BuildError::file("create", &made, error))?;
    fs::write(&owner, folder).map_err(|error| BuildError::file("write", &owner, error))
}

/// Chooses versions where none are chosen yet, so that what is built is what is hashed.
pub(super) fn write_lockfile(plugin: &Plugin) -> Result<(), BuildError> {
    if plugin.is_locked() {
        return Ok(());
    }
    let mut command = process::clean("cargo", &plugin.workspace);
    command.arg("generate-lockfile");
    let ended = process::run(&mut command, PLUGIN_BUILD, None)
        .map_err(|error| BuildError::file("run cargo in", &plugin.workspace, error))?;
    well("choosing the versions of its dependencies", ended).map(drop)
}

/// Compiles the plugin and returns the component's bytes, without a manifest, and the sources that cargo read for them.
pub(super) fn build(
    plugin: &Plugin,
    target: &GuestTarget,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<(Vec<u8>, Vec<PathBuf>), BuildError> {
    forget_namesake(plugin, folder)?;
    let meter = progress.start(&format!("building plugin {}", plugin.name), Work::Open);
    let mut command = process::clean("cargo", &plugin.workspace);
    command
        .args(["build", "--release", "--target", TARGET, "-p", &plugin.name])
        .arg("--message-format=json-render-diagnostics")
        .env("CARGO_TARGET_DIR", folder)
        .envs(target.environment());
    let ended = process::run(&mut command, PLUGIN_BUILD, Some(meter.as_ref()))
        .map_err(|error| BuildError::file("run cargo in", &plugin.workspace, error))?;
    drop(meter);
    let ended = well(&plugin.what(), ended)?;
    let none = |reason: String| BuildError::NoComponent {
        what: plugin.what(),
        reason,
    };
    let path = artifact(&ended.stdout, &plugin.folder.join("Cargo.toml"))
        .ok_or_else(|| none("its Cargo.toml needs `crate-type = [\"cdylib\"]` under [lib]".to_owned()))?;
    let length = fs::metadata(&path)
        .map_err(|error| BuildError::file("read", &path, error))?
        .len();
    if length > COMPONENT_BYTES {
        return Err(none(format!(
            "the file has {length} bytes, more than {COMPONENT_BYTES}"
        )));
    }
    let component = fs::read(&path).map_err(|error| BuildError::file("read", &path, error))?;
    let list = path.with_extension("d");
    let list = fs::read_to_string(&list).map_err(|error| BuildError::file("read", &list, error))?;
    Ok((component, dependencies(&list)))
}

/// The files behind the first colon of a list in make's notation, where a blank in a name has a backslash before it.
fn dependencies(list: &str) -> Vec<PathBuf> {
    let first = list.lines().next().unwrap_or_default();
    let (_, names) = first.split_once(": ").unwrap_or_default();
    let names = names.replace("\\ ", "\0");
    let names = names.split(' ').filter(|name| !name.is_empty());
    names.map(|name| PathBuf::from(name.replace('\0', " "))).collect()
}

/// How a tool ended, where it ended well.
pub(super) fn well(what: &str, ended: Ended) -> Result<Ended, BuildError> {
    if ended.succeeded() {
        Ok(ended)
    } else {
        Err(failed(what, &ended))
    }
}

pub(super) fn failed(what: &str, ended: &Ended) -> BuildError {
    let late = if ended.status.is_none() {
        "it did not end within the time limit\n"
    } else {
        ""
    };
    BuildError::Compile {
        what: what.to_owned(),
        output: format!("{late}{}", ended.stderr.trim_end()),
    }
}

/// The `.wasm` file that cargo says it made of this package.
fn artifact(messages: &str, manifest: &Path) -> Option<PathBuf> {
    messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let ours = message.get("reason")?.as_str()? == "compiler-artifact"
            && Path::new(message.get("manifest_path")?.as_str()?) == manifest;
        let files = message.get("filenames").filter(|_| ours)?.as_array()?;
        files
            .iter()
            .filter_map(|file| file.as_str())
            .find(|file| file.ends_with(".wasm"))
            .map(PathBuf::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_that_cargo_read_are_those_behind_the_colon() {
        let list = "/t/my.wasm: /p/src/lib.rs /p/a\\ b.txt /q/shared.rs\n\n/p/src/lib.rs:\n";
        let read = ["/p/src/lib.rs", "/p/a b.txt", "/q/shared.rs"].map(PathBuf::from);
        assert_eq!(dependencies(list), read);
        assert!(dependencies("").is_empty());
    }

    #[test]
    fn packages_that_stand_alone_share_a_target_folder_and_workspaces_have_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let home = EncajeHome::at(folder.path().join("home")).unwrap();
        let target = |name: &str, manifest: &str| {
            let workspace = folder.path().join(name);
            fs::create_dir_all(&workspace).unwrap();
            fs::write(workspace.join("Cargo.toml"), manifest).unwrap();
            target_folder(&home, &workspace, "guest")
        };
        let alone = target("a", "[package]\nname = \"a\"\n[workspace]\n");
        assert!(alone.ends_with("build/target/alone-guest"), "{alone:?}");
        assert_eq!(target("b", "[package]\nname = \"b\"\n"), alone);
        let several = ["[workspace]\n", "[package]\n[workspace]\nmembers = [\"x\"]\n", "= what"];
        let mut found: Vec<_> = several
            .iter()
            .zip(["c", "d", "e"])
            .map(|(manifest, name)| target(name, manifest))
            .collect();
        found.push(alone);
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 4, "{found:?}");
    }

    #[test]
    fn the_artifact_is_that_of_the_plugin_and_not_of_a_dependency() {
        let line = |manifest: &str, file: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"{manifest}","filenames":["{file}.rlib","{file}.wasm"]}}"#
            )
        };
        let other = line("/b/Cargo.toml", "/t/b");
        let messages = format!(
            "{}\n{other}\nnot json\n{{\"reason\":\"build-finished\"}}\n",
            line("/a/Cargo.toml", "/t/a")
        );
        assert_eq!(
            artifact(&messages, Path::new("/a/Cargo.toml")),
            Some(PathBuf::from("/t/a.wasm"))
        );
        assert_eq!(artifact(&other, Path::new("/a/Cargo.toml")), None);
        let library = line("/a/Cargo.toml", "/t/a").replace(",\"/t/a.wasm\"", "");
        assert_eq!(artifact(&library, Path::new("/a/Cargo.toml")), None);
    }
}
