//! The SDK of Rust plugins and the contracts that it binds. Both travel in this program; they are written into the plugin's
//! own folder, so that it builds wherever it is copied, with this program and with cargo alone. Folders that take the SDK
//! from elsewhere are left as they are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use include_dir::{Dir, DirEntry, include_dir};

use super::{BuildError, SDK_FOLDER, sources::Plugin};

static SOURCE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../sdk/rust/src");
static WIT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../wit");
const MANIFEST: &str = include_str!("../../../../sdk/rust/Cargo.toml");
const LOCK: &str = include_str!("../../../../sdk/rust/Cargo.lock");

/// The crate's name.
const CRATE: &str = "encaje-sdk";
/// Where the crate lies in [`SDK_FOLDER`], and the contracts beside that: `../../wit`, as its bindings say.
const PLACE: &str = "rust";
const CONTRACTS: &str = "wit";

/// Whether this plugin takes the SDK from its own folder.
pub(super) fn is_own(plugin: &Plugin) -> Result<bool, BuildError> {
    let place = plugin.folder.join(SDK_FOLDER).join(PLACE);
    Ok(plugin.path_dependencies()?.iter().any(|(_, path)| *path == place))
}

/// Refuses a plugin whose SDK lies where nothing is, with what to write instead.
pub(super) fn check(plugin: &Plugin) -> Result<(), BuildError> {
    if is_own(plugin)? {
        return Ok(());
    }
    let paths = plugin.path_dependencies()?;
    match paths.iter().find(|(name, path)| name == CRATE && !path.is_dir()) {
        None => Ok(()),
        Some((_, path)) => Err(BuildError::NotAPlugin {
            path: plugin.folder.clone(),
            reason: format!(
                "its Cargo.toml looks for {CRATE} in {}, which is not there. Write `{CRATE} = {{ path = \
                 \"{SDK_FOLDER}/{PLACE}\", … }}`, where this command puts it, and `exclude = [\".encaje\"]` under [workspace]",
                path.display()
            ),
        }),
    }
}

/// Whether the folder has exactly this program's SDK.
pub(super) fn is_current(folder: &Path) -> bool {
    let files = files(folder);
    strangers(folder, &files).is_empty()
        && files
            .iter()
            .all(|(path, content)| fs::read(path).is_ok_and(|there| there == *content))
}

/// What lies among the files and is none of them: another version's, which would be compiled with these.
fn strangers(folder: &Path, files: &[(PathBuf, &'static [u8])]) -> Vec<PathBuf> {
    let sdk = folder.join(SDK_FOLDER);
    let mut folders = vec![sdk.join(PLACE).join("src"), sdk.with_file_name(CONTRACTS)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if !files.iter().any(|(known, _)| *known == path) {
                found.push(path);
            }
        }
    }
    found
}

/// Writes what is not there yet, or is another version's. What is as it should be is not touched, so that cargo does not
/// compile it again.
pub(super) fn lay_out(folder: &Path) -> Result<(), BuildError> {
    let files = files(folder);
    for path in strangers(folder, &files) {
        fs::remove_file(&path).map_err(|error| BuildError::file("remove", &path, error))?;
    }
    for (path, content) in files {
        if fs::read(&path).is_ok_and(|there| there == content) {
            continue;
        }
        let failed = |error| BuildError::file("write", &path, error);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::write(&path, content).map_err(failed)?;
    }
    Ok(())
}

/// Every file, where it lies in a plugin's folder.
fn files(folder: &Path) -> Vec<(PathBuf, &'static [u8])> {
    let sdk = folder.join(SDK_FOLDER);
    let own = sdk.join(PLACE);
    let wit = sdk.with_file_name(CONTRACTS);
    let mut found = Vec::new();
    gather(&WIT, &wit, &mut found);
    gather(&SOURCE, &own.join("src"), &mut found);
    found.push((own.join("Cargo.lock"), LOCK.as_bytes()));
    found.push((own.join("Cargo.toml"), MANIFEST.as_bytes()));
    found
}

fn gather(dir: &'static Dir<'static>, into: &Path, found: &mut Vec<(PathBuf, &'static [u8])>) {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(dir) => gather(dir, into, found),
            DirEntry::File(file) => found.push((into.join(file.path()), file.contents())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(sdk: &str) -> (tempfile::TempDir, Plugin) {
        let folder = tempfile::tempdir().unwrap();
        let cargo =
            format!("[package]\nname = \"x\"\n[dependencies]\nencaje-sdk = {{ path = {sdk:?} }}\n[workspace]\n");
        fs::write(folder.path().join("Cargo.toml"), cargo).unwrap();
        fs::write(folder.path().join("plugin.toml"), "").unwrap();
        let plugin = Plugin::open(folder.path()).unwrap();
        (folder, plugin)
    }

    #[test]
    fn what_another_version_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        lay_out(folder.path()).unwrap();
        assert!(is_current(folder.path()));
        let left = folder
            .path()
            .join(SDK_FOLDER)
            .with_file_name(CONTRACTS)
            .join("common/old.wit");
        fs::write(&left, "package encaje:common@0.1.0;").unwrap();
        assert!(!is_current(folder.path()));
        lay_out(folder.path()).unwrap();
        assert!(is_current(folder.path()) && !left.exists());
    }

    #[test]
    fn the_sdk_is_brought_into_the_folder_and_kept_current() {
        let (_folder, plugin) = plugin("./.encaje/sdk/rust");
        assert!(is_own(&plugin).unwrap() && !is_current(&plugin.folder));
        lay_out(&plugin.folder).unwrap();
        let library = plugin.folder.join(".encaje/sdk/rust/src/lib.rs");
        assert!(library.is_file() && plugin.folder.join(".encaje/wit/common/common.wit").is_file());
        assert!(
            plugin.folder.join(".encaje/sdk/rust/../../wit/host").is_dir(),
            "as the bindings look for it"
        );
        let written = fs::metadata(&library).unwrap().modified().unwrap();
        lay_out(&plugin.folder).unwrap();
        assert_eq!(fs::metadata(&library).unwrap().modified().unwrap(), written);
        fs::write(&library, "// of another version").unwrap();
        assert!(!is_current(&plugin.folder));
        lay_out(&plugin.folder).unwrap();
        assert!(is_current(&plugin.folder));
    }

    #[test]
    fn an_sdk_that_went_away_is_told_with_what_to_write_instead() {
        let (_folder, elsewhere) = plugin("../gone");
        assert!(!is_own(&elsewhere).unwrap());
        let error = check(&elsewhere).unwrap_err().to_string();
        assert!(
            error.contains("gone, which is not there") && error.contains("path = \".encaje/sdk/rust\""),
            "{error}"
        );
        let (_folder, own) = plugin(".encaje/sdk/rust");
        check(&own).unwrap();
    }
}
