//! New plugins: a template's files with the name filled in, and the SDK of the language beside them.
//!
//! Templates and SDKs are part of this program, so that a plugin can be begun without a checkout; the new folder names
//! nothing outside itself, so that it can be moved and shared.

use std::fs;
use std::path::{Path, PathBuf};

use include_dir::{Dir, DirEntry, include_dir};

use crate::build::{self, BuildError};

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../sdk/templates");

/// What may stand between the braces of a template.
const NAME: &str = "{{name}}";

/// Why a plugin was not begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScaffoldError {
    /// The name cannot be a plugin's.
    #[error("`{0}` cannot be a plugin's name: use 2 to 64 lower-case letters, digits and `-`, beginning with a letter")]
    Name(String),
    /// A tool of its language has a meaning for the name.
    #[error("`{name}` cannot be the name of a plugin in {language}, where it means something already: choose another")]
    Reserved {
        /// The name.
        name: String,
        /// The language.
        language: String,
    },
    /// There is no template of this kind in this language.
    #[error("there is no template for the kind {kind} in {language}; {there_is}")]
    NoTemplate {
        /// What was asked for.
        kind: String,
        /// What was asked for.
        language: String,
        /// The nearest to it, in words.
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
pub fn new_plugin(name: &str, kind: &str, language: &str, folder: &Path) -> Result<(), ScaffoldError> {
    check_name(name)?;
    if is_reserved(language, name) {
        return Err(ScaffoldError::Reserved {
            name: name.to_owned(),
            language: language.to_owned(),
        });
    }
    let template = TEMPLATES
        .get_dir(format!("{language}/{kind}"))
        .ok_or_else(|| ScaffoldError::NoTemplate {
            kind: kind.to_owned(),
            language: language.to_owned(),
            there_is: nearest(kind, language),
        })?;
    let occupied = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if occupied || folder.is_file() {
        return Err(ScaffoldError::NotEmpty(folder.to_owned()));
    }
    let fill = |text: &str| text.replace(NAME, name);
    write(template, template.path(), folder, &fill)?;
    Ok(build::lay_out_sdk(folder).map(drop)?)
}

/// What there is of the kind, and in the language.
fn nearest(kind: &str, language: &str) -> String {
    let all = templates();
    let of = |what: &str, found: Vec<&str>| match found.is_empty() {
        true => format!("there is no {what}"),
        false => format!("{what} there is {}", found.join(", ")),
    };
    let kinds = all
        .iter()
        .filter(|(other, _)| other == language)
        .map(|(_, kind)| kind.as_str());
    let languages = all
        .iter()
        .filter(|(_, other)| other == kind)
        .map(|(language, _)| language.as_str());
    let in_language = of(&format!("in {language}"), kinds.collect());
    let of_kind = of(&format!("of the kind {kind}"), languages.collect());
    format!("{in_language}; {of_kind}")
}

/// Folders of Go's standard library, the commands' and the SDK's module: they are looked for before the plugin.
const GO_NAMES: &str = "archive bufio builtin bytes cmd cmp compress container context crypto database debug embed encaje encoding \
    errors expvar flag fmt go hash html image index internal io iter log main maps math mime net os path plugin \
    reflect regexp runtime slices sort std strconv strings structs sync syscall testing text time unicode unique \
    unsafe vendor weak";

/// Crates that come with Rust's compiler, the SDK and what the templates use, and the language's own words.
const RUST_NAMES: &str = "abstract alloc as async await become box break const continue core crate do dyn else encaje-sdk enum extern \
    false final fn for gen if impl in let loop macro match mod move mut override priv proc-macro pub ref return self \
    serde serde-json static std struct super test thiserror trait true try type typeof unsafe unsized use virtual \
    where while wit-bindgen yield";

/// Whether a plugin's own module or crate cannot have this name, since a tool takes it for something else.
fn is_reserved(language: &str, name: &str) -> bool {
    let names = match language {
        "go" => GO_NAMES,
        "rust" => RUST_NAMES,
        _ => "",
    };
    names.split(' ').any(|reserved| reserved == name)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_in_and_stands_on_the_sdk() {
        let folder = tempfile::tempdir().unwrap();
        let plugin = folder.path().join("here/my-plugin");
        new_plugin("my-plugin", "provider", "rust", &plugin).unwrap();
        let manifest = fs::read_to_string(plugin.join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains("name = \"my-plugin\"") && !manifest.contains("{{"),
            "{manifest}"
        );
        assert!(
            manifest.contains("encaje-sdk = { path = \".encaje/sdk/rust\""),
            "{manifest}"
        );
        assert!(plugin.join(".encaje/sdk/rust/src/lib.rs").is_file() && plugin.join(".encaje/wit/common").is_dir());
        let again = new_plugin("my-plugin", "provider", "rust", &plugin).unwrap_err();
        assert!(matches!(again, ScaffoldError::NotEmpty(_)), "{again}");
    }

    /// What is begun here can be built on another machine, and by whoever clones it.
    #[test]
    fn no_template_leads_out_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        for (language, kind) in templates() {
            let here = folder.path().join(format!("{language}-{kind}"));
            new_plugin("my-plugin", &kind, &language, &here).unwrap();
            assert!(here.join(build::SDK_FOLDER).is_dir(), "{language} {kind}");
            let mut open = vec![here.clone()];
            while let Some(path) = open.pop() {
                if path.is_dir() {
                    open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                    continue;
                }
                let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                let leads_out = text.contains("path = \"/") || text.contains(NAME);
                let own = !path.starts_with(here.join(".encaje"));
                assert!(!(own && leads_out), "{}", path.display());
            }
        }
    }

    #[test]
    fn there_is_one_of_each_kind_in_rust_and_what_there_is_not_is_told() {
        let folder = tempfile::tempdir().unwrap();
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
        let missing = new_plugin("x1", "taster", "rust", &folder.path().join("x")).unwrap_err();
        assert!(
            missing
                .to_string()
                .contains("in rust there is evaluator, instrumentor, provider"),
            "{missing}"
        );
        let missing = new_plugin("x1", "retriever", "go", &folder.path().join("x")).unwrap_err();
        assert!(
            missing.to_string().ends_with("of the kind retriever there is rust"),
            "{missing}"
        );
        for (name, language) in [
            ("fmt", "go"),
            ("encaje", "go"),
            ("encaje-sdk", "rust"),
            ("async", "rust"),
        ] {
            let refused = new_plugin(name, "provider", language, &folder.path().join("y")).unwrap_err();
            assert!(matches!(refused, ScaffoldError::Reserved { .. }), "{refused}");
            new_plugin(name, "provider", "c", &folder.path().join("in-c").join(name)).unwrap();
        }
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
            let refused = new_plugin(name, "provider", "rust", &folder.path().join("y"));
            assert!(matches!(refused, Err(ScaffoldError::Name(_))), "{name}");
        }
        assert!(!folder.path().join("x").exists() && !folder.path().join("y").exists());
    }
}
