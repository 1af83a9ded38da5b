//! Builds plugins that are not written in Rust: opens the folder, asks the language for tools and component, checks that
//! the component is one of its kind, puts the manifest in, and keeps the result by the hash of all that went
//! in. What a
//! language's tools are is not known here.

use std::{
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

use toml::{Table, Value};

use super::{
    BUILDER, BuildError, Built, MANIFEST_FILE,
    cache::Cache,
    component, finish,
    language::{self, Job, Language, Tools},
    outside::{self, Outside},
    read_manifest_file, sources, wit,
};
use crate::{digest::Sha256, home::EncajeHome, limits::BUILD_ATTEMPTS, lock, progress::Progress, staging};

/// A plugin folder, as far as its manifest decides the build.
#[derive(Debug)]
pub(super) struct Folder {
    /// Canonical.
    pub(super) path: PathBuf,
    /// What `build.language` says; `rust` where it says nothing.
    pub(super) language: String,
    manifest: Table,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, BuildError> {
        let path = path
            .canonicalize()
            .map_err(|error| BuildError::file("open", path, error))?;
        let manifest: Table =
            read_manifest_file(&path)?
                .parse()
                .map_err(|error: toml::de::Error| BuildError::NotAPlugin {
                    path: path.clone(),
                    reason: format!("{MANIFEST_FILE} is not TOML: {}", error.message()),
                })?;
        let language = manifest.get("build").and_then(|build| build.get("language"));
        let language = language.map_or("rust", |language| language.as_str().unwrap_or("(no text)"));
        Ok(Self {
            language: language.to_owned(),
            path,
            manifest,
        })
    }

    /// Who builds it.
    pub(super) fn tools(&self) -> Result<&'static dyn Language, BuildError> {
        language::of(&self.language).ok_or_else(|| BuildError::Language {
            path: self.path.clone(),
            language: self.language.clone(),
        })
    }

    fn not(&self, reason: String) -> BuildError {
        BuildError::NotAPlugin {
            path: self.path.clone(),
            reason,
        }
    }

    fn text(&self, key: &str) -> Result<&str, BuildError> {
        let found = self.manifest.get(key).and_then(Value::as_str);
        found.ok_or_else(|| self.not(format!("{MANIFEST_FILE} has no `{key} = \"…\"`")))
    }

    pub(super) fn kind(&self) -> Result<&'static str, BuildError> {
        let named = self.text("kind")?;
        wit::kind(named).ok_or_else(|| {
            let kinds = wit::kinds();
            self.not(format!("{MANIFEST_FILE} says `kind = {named:?}`; there are {kinds}"))
        })
    }

    /// `build.entry`: a file of the folder, by a path that cannot leave it.
    fn entry(&self) -> Result<Option<&str>, BuildError> {
        let Some(entry) = self.manifest.get("build").and_then(|build| build.get("entry")) else {
            return Ok(None);
        };
        let text = entry
            .as_str()
            .ok_or_else(|| self.not("`build.entry` must be a text".to_owned()))?;
        let plain = Path::new(text)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if text.is_empty() || !plain || !self.path.join(text).is_file() {
            return Err(self.not(format!("`build.entry = {text:?}` is no file of the folder")));
        }
        Ok(Some(text))
    }
}

/// Builds the folder's plugin with this language's tools, or takes it from the cache.
pub(super) fn build(
    home: &EncajeHome,
    folder: &Folder,
    language: &dyn Language,
    progress: &dyn Progress,
) -> Result<Built, BuildError> {
    let (name, kind, entry) = (folder.text("name")?, folder.kind()?, folder.entry()?);
    let tools = language.ensure(home, progress)?;
    let context = context(language, &tools, kind);
    let (cache, outside) = (Cache::new(home), Outside::new(home));
    let find = || -> Result<(String, Option<Built>), BuildError> {
        let key = sources::key_of_folder(&folder.path, &context)?;
        let whole = outside.key(&key)?;
        Ok((key, whole.and_then(|whole| cache.get(&whole))))
    };
    if let (_, Some(built)) = find()? {
        return Ok(built);
    }
    let _held = lock(home, &folder.path, progress)?;
    for _ in 0..BUILD_ATTEMPTS {
        let (key, built) = find()?;
        if let Some(built) = built {
            return Ok(built);
        }
        let began = SystemTime::now();
        let parent = home.build().join("work");
        let scratch = staging::folder_in(&parent).map_err(|error| BuildError::file("write into", &parent, error))?;
        let [wit, sdk, work] = ["wit", "sdk", "work"].map(|name| scratch.path().join(name));
        language::lay_out_sdk(language, &sdk)?;
        wit::lay_out(kind, &wit).map_err(|error| BuildError::file("write into", &wit, error))?;
        std::fs::create_dir(&work).map_err(|error| BuildError::file("create", &work, error))?;
        let job = Job {
            name,
            folder: &folder.path,
            entry,
            kind,
            wit: &wit,
            world: &wit::world(kind),
            sdk: &sdk,
            work: &work,
        };
        let made = language
            .compile(&tools, &job, progress)
            .map_err(|error| hinted(error, kind))?;
        let bytes = component::read_file(&made.component).map_err(|error| BuildError::NoComponent {
            what: job.what(),
            reason: error.to_string(),
        })?;
        let bytes = finish(&job.what(), kind, &bytes, &read_manifest_file(&folder.path)?)?;
        let read = outside::beyond(made.read, scratch.path());
        let whole = outside.keep(&key, &read)?;
        // What was edited meanwhile may or may not be in it: kept under this key it would be served for ever.
        if sources::key_of_folder(&folder.path, &context)? == key && !outside::changed_since(&read, began) {
            return cache.put(&whole, &bytes);
        }
        progress.say(&format!("{name} changed while it was compiled: compiling again"));
    }
    Err(BuildError::Unsettled(folder.path.clone()))
}

/// A compiler that does not find the SDK of another kind names a file that the author never wrote: what to look at is
/// said beside it.
fn hinted(error: BuildError, kind: &str) -> BuildError {
    let BuildError::Compile { what, mut output } = error else {
        return error;
    };
    let names = |other: &str| {
        [
            format!("encaje_{other}.h"),
            format!("encaje/{other}"),
            format!("encaje_{other}_{other}"),
        ]
    };
    let missing = |line: &str| line.contains("not found") || line.contains("is not in std");
    let other = wit::KIND_NAMES.iter().find(|other| {
        let mut lines = output.lines().filter(|line| missing(line));
        **other != kind && lines.any(|line| names(other).iter().any(|name| line.contains(name)))
    });
    if let Some(other) = other {
        output.push_str(&format!(
            "\nThe sources use the SDK of kind `{other}`, and {MANIFEST_FILE} says `kind = \"{kind}\"`: one of them is wrong."
        ));
    }
    BuildError::Compile { what, output }
}

/// All that goes into a component beside the folder.
fn context(language: &dyn Language, tools: &Tools, kind: &str) -> String {
    let mut text = format!(
        "{BUILDER}\n{}\n{}\n{}",
        language.name(),
        tools.identity,
        wit::identity(kind)
    );
    for (name, content) in language.sdk() {
        text.push_str(&format!("\n{name}\n{content}"));
    }
    text
}

/// One build of a folder at a time.
fn lock(home: &EncajeHome, folder: &Path, progress: &dyn Progress) -> Result<lock::Locked, BuildError> {
    let place = Sha256::of(folder.as_os_str().as_encoded_bytes()).to_string();
    let name = format!("{}.lock", place.get(..16).unwrap_or_default());
    let path = home.build().join("work").join(name);
    lock::acquire(&path, &format!("building {}", folder.display()), progress)
        .map_err(|error| BuildError::file("lock", &path, error))
}

#[cfg(test)]
mod tests;
