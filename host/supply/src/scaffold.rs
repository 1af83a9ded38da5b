//! New plugins: a template's files with the name filled in, and the guest SDK that they stand on.
//!
//! Templates and SDK are part of this program, so that a plugin can be begun without a checkout. The SDK is laid out under
//! `$ENCAJE_HOME/sdk`, in a folder named by its content, so that another version never changes what a plugin was begun with.

use std::fs;
use std::path::{Path, PathBuf};

use include_dir::{Dir, DirEntry, include_dir};

use crate::build::{self, BuildError};
use crate::digest::Sha256;
use crate::home::EncajeHome;
use crate::staging;

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../sdk/templates");
static SDK_SOURCE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../sdk/rust/src");
static WIT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../wit");
const SDK_MANIFEST: &str = include_str!("../../../sdk/rust/Cargo.toml");
const SDK_LOCK: &str = include_str!("../../../sdk/rust/Cargo.lock");

/// What may stand between the braces of a template.
const NAME: &str = "{{name}}";
const SDK: &str = "{{sdk}}";

/// Why a plugin was not begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScaffoldError {
    /// The name cannot be a plugin's.
    #[error("`{0}` cannot be a plugin's name: use 2 to 64 lower-case letters, digits and `-`, beginning with a letter")]
    Name(String),
    /// There is no template of this kind in this language.
    #[error("there is no template of a {kind} in {language}; there is: {there_is}")]
    NoTemplate {
        /// What was asked for.
        kind: String,
        /// What was asked for.
        language: String,
        /// Every template, in words.
        there_is: String,
    },
    /// Something is there already.
    #[error("{0:?} is there already and not empty: name another folder")]
    NotEmpty(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {path:?}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The SDK of its language cannot be put beside it.
    #[error(transparent)]
    Sdk(#[from] BuildError),
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> ScaffoldError {
    let path = path.to_owned();
    move |error| ScaffoldError::File { path, error }
}

/// Every template there is: a language and a kind.
#[must_use]
pub fn templates() -> Vec<(String, String)> {
    let folders = |dir: &'static Dir<'static>| {
        dir.dirs()
            .filter_map(|dir| Some((dir.path().file_name()?.to_str()?.to_owned(), dir)))
    };
    let mut all: Vec<_> = folders(&TEMPLATES)
        .flat_map(|(language, dir)| folders(dir).map(move |(kind, _)| (language.clone(), kind)))
        .collect();
    all.sort();
    all
}

/// Writes a new plugin into `folder`, which must be empty or absent.
///
/// # Errors
/// [`ScaffoldError`]; then nothing of the plugin was written.
pub fn new_plugin(
    home: &EncajeHome,
    name: &str,
    kind: &str,
    language: &str,
    folder: &Path,
) -> Result<(), ScaffoldError> {
    check_name(name)?;
    let template = TEMPLATES.get_dir(format!("{language}/{kind}")).ok_or_else(|| {
        let all = templates()
            .into_iter()
            .map(|(language, kind)| format!("{language} {kind}"));
        ScaffoldError::NoTemplate {
            kind: kind.to_owned(),
            language: language.to_owned(),
            there_is: all.collect::<Vec<_>>().join(", "),
        }
    })?;
    let occupied = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if occupied || folder.is_file() {
        return Err(ScaffoldError::NotEmpty(folder.to_owned()));
    }
    let sdk = lay_out_sdk(home)?;
    let fill = |text: &str| text.replace(NAME, name).replace(SDK, &sdk.display().to_string());
    write(template, template.path(), folder, &fill)?;
    // The tests of the other languages read their SDK from the plugin's own folder.
    Ok(build::lay_out_sdk(folder).map(drop)?)
}

fn check_name(name: &str) -> Result<(), ScaffoldError> {
    let fits = (2..=64).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && !name.contains("--")
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    fits.then_some(()).ok_or_else(|| ScaffoldError::Name(name.to_owned()))
}

/// Writes a folder's files, with `fill` over those that are text.
fn write(dir: &Dir<'_>, base: &Path, into: &Path, fill: &dyn Fn(&str) -> String) -> Result<(), ScaffoldError> {
    fs::create_dir_all(into).map_err(failed(into))?;
    for entry in dir.entries() {
        let inside = entry.path().strip_prefix(base).unwrap_or(entry.path());
        let path = into.join(inside);
        match entry {
            DirEntry::Dir(dir) => {
                fs::create_dir_all(&path).map_err(failed(&path))?;
                write(dir, base, into, fill)?;
            }
            DirEntry::File(file) => {
                let content = match file.contents_utf8() {
                    Some(text) => fill(text).into_bytes(),
                    None => file.contents().to_vec(),
                };
                fs::write(&path, content).map_err(failed(&path))?;
            }
        }
    }
    Ok(())
}

/// The folder of the Rust SDK, written where it is not there yet.
fn lay_out_sdk(home: &EncajeHome) -> Result<PathBuf, ScaffoldError> {
    let mut content = String::from(SDK_MANIFEST);
    for dir in [&SDK_SOURCE, &WIT] {
        gather(dir, &mut content);
    }
    let key: String = Sha256::of(content.as_bytes()).to_string().chars().take(16).collect();
    let all = home.root().join("sdk");
    let folder = all.join(key);
    let sdk = folder.join("sdk/rust");
    if sdk.join("Cargo.toml").is_file() {
        return Ok(sdk);
    }
    let staged = staging::folder_in(&all).map_err(failed(&all))?;
    let as_it_is = |text: &str| text.to_owned();
    let own = staged.path().join("sdk/rust");
    write(&SDK_SOURCE, SDK_SOURCE.path(), &own.join("src"), &as_it_is)?;
    write(&WIT, WIT.path(), &staged.path().join("wit"), &as_it_is)?;
    for (file, text) in [("Cargo.toml", SDK_MANIFEST), ("Cargo.lock", SDK_LOCK)] {
        let path = own.join(file);
        fs::write(&path, text).map_err(failed(&path))?;
    }
    match fs::rename(staged.keep(), &folder) {
        Ok(()) => Ok(sdk),
        // Another process was quicker.
        Err(_) if sdk.join("Cargo.toml").is_file() => Ok(sdk),
        Err(error) => Err(failed(&folder)(error)),
    }
}

fn gather(dir: &Dir<'_>, into: &mut String) {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(dir) => gather(dir, into),
            DirEntry::File(file) => {
                into.push_str(&file.path().to_string_lossy());
                into.push_str(file.contents_utf8().unwrap_or_default());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, EncajeHome) {
        let folder = tempfile::tempdir().unwrap();
        let home = EncajeHome::at(folder.path().join("home")).unwrap();
        (folder, home)
    }

    #[test]
    fn a_template_is_filled_in_and_stands_on_the_sdk() {
        let (folder, home) = home();
        let plugin = folder.path().join("here/my-plugin");
        new_plugin(&home, "my-plugin", "provider", "rust", &plugin).unwrap();
        let manifest = fs::read_to_string(plugin.join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains("name = \"my-plugin\"") && !manifest.contains("{{"),
            "{manifest}"
        );
        let line = manifest.lines().find(|line| line.starts_with("encaje-sdk")).unwrap();
        let sdk = PathBuf::from(line.split('"').nth(1).unwrap());
        assert!(sdk.join("src/lib.rs").is_file() && sdk.join("../../wit/common").is_dir());
        let again = new_plugin(&home, "my-plugin", "provider", "rust", &plugin).unwrap_err();
        assert!(matches!(again, ScaffoldError::NotEmpty(_)), "{again}");
        let other = folder.path().join("other");
        new_plugin(&home, "other", "evaluator", "rust", &other).unwrap();
        let sdks = fs::read_dir(home.root().join("sdk")).unwrap().count();
        assert_eq!(sdks, 1, "both stand on the same");
    }

    #[test]
    fn there_is_one_of_each_kind_in_rust_and_what_there_is_not_is_told() {
        let (folder, home) = home();
        for kind in [
            "provider",
            "storage",
            "evaluator",
            "instrumentor",
            "retriever",
            "source",
        ] {
            assert!(templates().contains(&("rust".to_owned(), kind.to_owned())), "{kind}");
        }
        let missing = new_plugin(&home, "x1", "taster", "rust", &folder.path().join("x")).unwrap_err();
        assert!(missing.to_string().contains("rust provider"), "{missing}");
        for name in [
            "",
            "x",
            "My-Plugin",
            "1st",
            "a--b",
            "a-",
            "../x",
            "a/b",
            &"a".repeat(65),
        ] {
            let refused = new_plugin(&home, name, "provider", "rust", &folder.path().join("y"));
            assert!(matches!(refused, Err(ScaffoldError::Name(_))), "{name}");
        }
        assert!(!folder.path().join("x").exists() && !folder.path().join("y").exists());
    }
}
