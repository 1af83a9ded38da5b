//! The seam for languages other than Rust: what a language must do so that its plugins can be built, and which languages
//! there are. A language finds or installs its tools and makes a component; caching, the contracts, the manifest and the
//! check of the result are the same for all and lie in [`super::foreign`].

mod bundled;
mod c;
mod contract;
mod go;
mod install;
mod javascript;
mod python;
mod runner;
mod wheel_tools;

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::BuildError;
use crate::{home::EncajeHome, progress::Progress};

/// A language that plugins are written in.
pub(crate) trait Language: Sync {
    /// As `build.language` says it.
    fn name(&self) -> &'static str;

    /// The files of the SDK that plugins of this language use: relative paths and texts. They travel in this program; a
    /// job has them laid out. None where there is no SDK.
    fn sdk(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Whether the tools are here, or could be installed. Changes nothing; asks programs for their versions.
    fn look(&self, home: &EncajeHome) -> Tooling;

    /// Makes sure of the tools: pinned versions, under `$ENCAJE_HOME/toolchains`, behind a file lock, without root. Where
    /// it cannot, the error says exactly what is missing. Quick when they are there already.
    fn ensure(&self, home: &EncajeHome, progress: &dyn Progress) -> Result<Tools, BuildError>;

    /// Makes the component of the folder's sources. Writes nothing into the plugin's folder.
    fn compile(&self, tools: &Tools, job: &Job<'_>, progress: &dyn Progress) -> Result<Made, BuildError>;
}

/// What a compilation gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// The component, which lies in `job.work`.
    pub(crate) component: PathBuf,
    /// What the tool read beside the plugin's sources, as it says itself: a file, or a folder for all files in it. It may
    /// name the sources and the job's own folders too.
    pub(crate) read: Vec<PathBuf>,
}

/// How a machine stands to the tools of a language. Each text is one line, or lists what was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tooling {
    /// They are here: which, and where.
    Here(String),
    /// The first build installs them: which, and by what.
    ToInstall(String),
    /// They are not here and cannot be installed: what is missing, and what to do.
    Missing(String),
}

impl Tooling {
    /// Tools that were installed, or what of the two `else_` says.
    fn of(
        home: &EncajeHome,
        language: &str,
        pins: install::Pins<'_>,
        else_: impl FnOnce() -> Result<String, String>,
    ) -> Self {
        if let Some(folder) = install::there(home, language, pins) {
            return Self::Here(format!("{} in {}", pins.shown, folder.display()));
        }
        match else_() {
            Ok(by) => Self::ToInstall(format!("{}, {by}", pins.shown)),
            Err(reason) => Self::Missing(reason),
        }
    }
}

/// The tools of a language, as they were found or installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tools {
    /// Where they lie; for tools of the system, any folder that exists.
    pub(crate) folder: PathBuf,
    /// A text that differs whenever the made component might: versions of the tools, their options. Part of the cache
    /// key; the SDK and the contracts go into it without being named here.
    pub(crate) identity: String,
}

/// One plugin to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    /// The plugin's name, for messages.
    pub(crate) name: &'a str,
    /// The plugin's folder, canonical. To be read only.
    pub(crate) folder: &'a Path,
    /// What `build.entry` says: a plain relative path of a file that exists. Absent: the language's default.
    pub(crate) entry: Option<&'a str>,
    /// As the manifest says it, e.g. `evaluator`.
    pub(crate) kind: &'a str,
    /// A folder with the contracts as tools expect them: the kind's package at its top, the others under `deps/`.
    pub(crate) wit: &'a Path,
    /// The fully qualified world, e.g. `encaje:evaluator/plugin@0.1.0`.
    pub(crate) world: &'a str,
    /// A folder with the language's SDK.
    pub(crate) sdk: &'a Path,
    /// An empty scratch folder, removed afterwards.
    pub(crate) work: &'a Path,
}

impl Job<'_> {
    /// For messages.
    pub(crate) fn what(&self) -> String {
        format!("the build of {}", self.name)
    }

    /// The entry's path inside the plugin's folder: what the manifest says, or the first of `defaults` that is a file.
    pub(crate) fn entry_of(&self, defaults: &[&str]) -> Result<PathBuf, BuildError> {
        if let Some(entry) = self.entry {
            return Ok(PathBuf::from(entry));
        }
        let found = defaults.iter().find(|name| self.folder.join(name).is_file());
        found.map(PathBuf::from).ok_or_else(|| BuildError::NotAPlugin {
            path: self.folder.to_owned(),
            reason: format!(
                "it has no {}; add it, or name the file: `build = {{ language = …, entry = \"FILE\" }}`",
                defaults.join(" or ")
            ),
        })
    }
}

/// Writes a language's SDK into `folder`, which is made; nothing where the language has none.
pub(super) fn lay_out_sdk(language: &dyn Language, folder: &Path) -> Result<(), BuildError> {
    let failed = |error| BuildError::file("write into", folder, error);
    fs::create_dir_all(folder).map_err(failed)?;
    for (name, text) in language.sdk() {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::write(&path, text).map_err(failed)?;
    }
    Ok(())
}

/// Every language but Rust.
// One line a language.
static LANGUAGES: &[&dyn Language] = &[
    &python::PYTHON,
    &javascript::JAVASCRIPT,
    &javascript::TYPESCRIPT,
    &go::GO,
    &c::C,
];

/// The language of this name.
pub(crate) fn of(name: &str) -> Option<&'static dyn Language> {
    LANGUAGES.iter().copied().find(|language| language.name() == name)
}

/// The names of all languages, Rust's first.
#[must_use]
pub fn names() -> Vec<&'static str> {
    std::iter::once("rust")
        .chain(LANGUAGES.iter().map(|language| language.name()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_is_found_by_its_name_and_there_is_no_other() {
        for name in names().into_iter().skip(1) {
            assert_eq!(of(name).unwrap().name(), name);
        }
        assert!(of("rust").is_none() && of("cobol").is_none());
    }
}
