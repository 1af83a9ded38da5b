//! Builds plugins that are not written in Rust: opens the folder, asks the language for tools and component, checks that
//! the component is one of its kind, puts the manifest in, and keeps the result by the hash of all that went in. What a
//! language's tools are is not known here.

use std::path::{Component, Path, PathBuf};

use toml::{Table, Value};

use super::{
    BUILDER, BuildError, Built, MANIFEST_FILE,
    cache::Cache,
    component,
    language::{self, Job, Language, Tools},
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

    fn kind(&self) -> Result<&'static str, BuildError> {
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
    let cache = Cache::new(home);
    if let Some(built) = cache.get(&sources::key_of_folder(&folder.path, &context)?) {
        return Ok(built);
    }
    let _held = lock(home, &folder.path, progress)?;
    for _ in 0..BUILD_ATTEMPTS {
        let key = sources::key_of_folder(&folder.path, &context)?;
        if let Some(built) = cache.get(&key) {
            return Ok(built);
        }
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
        let made = language.compile(&tools, &job, progress).inspect_err(|error| {
            if matches!(error, BuildError::Compile { .. }) {
                progress.say(&error.to_string());
            }
        })?;
        // What was edited meanwhile may or may not be in it: kept under this key it would be served for ever.
        if sources::key_of_folder(&folder.path, &context)? == key {
            return cache.put(&key, &finish(&job, &made, &read_manifest_file(&folder.path)?)?);
        }
        progress.say(&format!("{name} changed while it was compiled: compiling again"));
    }
    Err(BuildError::Unsettled(folder.path.clone()))
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

/// The component with its manifest, once it is known to be one of its kind.
fn finish(job: &Job<'_>, made: &Path, manifest: &str) -> Result<Vec<u8>, BuildError> {
    let none = |reason: String| BuildError::NoComponent {
        what: job.what(),
        reason,
    };
    let bytes = component::read_file(made).map_err(|error| none(error.to_string()))?;
    let outside = component::inspect(&bytes).map_err(|error| none(error.to_string()))?;
    let wanted = wit::exports(job.kind);
    let lacks: Vec<&str> = wanted
        .iter()
        .filter(|name| !outside.exports.iter().any(|item| item.name == **name))
        .map(String::as_str)
        .collect();
    if !lacks.is_empty() {
        return Err(none(format!(
            "a plugin of kind `{}` exports {}, and this one does not",
            job.kind,
            lacks.join(" and ")
        )));
    }
    component::embed_manifest(&bytes, manifest).map_err(|error| none(error.to_string()))
}

#[cfg(test)]
mod tests;
