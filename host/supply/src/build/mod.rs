//! Builds a plugin folder (`plugin.toml` and source) into one component file with the manifest inside, and keeps the
//! result by the hash of all that went in. The manifest is opaque text here: what it means is the registry's matter, but
//! for the language and the entry of the build, the kind, and for other languages than Rust the name. Nothing is run
//! that the language's own build does not run.

mod cache;
mod cargo;
pub mod component;
pub mod fit;
mod foreign;
mod language;
mod native_tests;
mod outside;
mod rust_sdk;
mod sources;
mod wit;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

pub use language::{Tooling, names as languages};
pub use native_tests::{TestReport, run_native_tests};

use crate::{
    digest::Sha256,
    guest_target::{self, GuestTargetError, Settings},
    home::EncajeHome,
    limits::{BUILD_ATTEMPTS, MANIFEST_BYTES},
    lock,
    progress::Progress,
};
use foreign::Folder;
use outside::Outside;
use sources::Plugin;

/// The file that makes a folder a plugin.
pub const MANIFEST_FILE: &str = "plugin.toml";

/// Part of every cache key: counts up when this builder makes something else of the same sources.
const BUILDER: &str = concat!("encaje-supply ", env!("CARGO_PKG_VERSION"), " builder 1");

/// A built plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The component. It stays where it is until newer builds push it out of the cache: copy it to keep it.
    pub wasm: PathBuf,
    /// Of the whole file, lower-case hexadecimal.
    pub sha256: String,
    /// The file's length in bytes.
    pub size: u64,
    /// Whether nothing had to be compiled.
    pub cached: bool,
}

/// Why a plugin was not built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A file or folder cannot be used.
    #[error("cannot {what} {path:?}: {error}")]
    File {
        /// What was tried, such as `read`.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The folder is not what it should be; the text says what is missing.
    #[error("{path:?} is not a plugin that can be built: {reason}")]
    NotAPlugin {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The manifest names a language that this builder does not know.
    #[error(
        "{path:?} is written in {language:?}; the languages that can be built here are {}. Build it with its own tools and name the .wasm file",
        language::names().join(", ")
    )]
    Language {
        /// The folder.
        path: PathBuf,
        /// What `build.language` says.
        language: String,
    },
    /// The sources are more than the limits allow.
    #[error("the sources of {path:?} are too many to hash: {reason}")]
    TooLarge {
        /// The folder.
        path: PathBuf,
        /// Which limit.
        reason: String,
    },
    /// The language's tools are not here and cannot be installed; the reason says what is missing and what to do.
    #[error("{language} plugins cannot be built here: {reason}")]
    Tools {
        /// As `build.language` says it.
        language: &'static str,
        /// What is missing.
        reason: String,
    },
    /// No compiler or no guest target.
    #[error(transparent)]
    Target(#[from] GuestTargetError),
    /// The compiler refused.
    #[error("{what} failed:\n{output}")]
    Compile {
        /// What was built, such as "the build of a plugin".
        what: String,
        /// The last of what the compiler wrote.
        output: String,
    },
    /// The tools ended well, but there is no component.
    #[error("{what} made no component: {reason}")]
    NoComponent {
        /// What was built.
        what: String,
        /// What was found instead.
        reason: String,
    },
    /// The sources changed each time while they were compiled.
    #[error("the sources of {0:?} kept changing while they were compiled: try again when they rest")]
    Unsettled(PathBuf),
}

impl BuildError {
    pub(crate) fn file(what: &'static str, path: &Path, error: io::Error) -> Self {
        Self::File {
            what,
            path: path.to_owned(),
            error,
        }
    }
}

/// How this machine stands to the tools of a language, for a plugin or registry in `folder`; none where nobody knows the
/// language. Changes nothing.
#[must_use]
pub fn look(home: &EncajeHome, folder: &Path, settings: &Settings, language: &str) -> Option<Tooling> {
    match language {
        "rust" => Some(guest_target::look(home, folder, settings)),
        other => Some(language::of(other)?.look(home)),
    }
}

/// The language of the plugin in `folder`, as its manifest says.
///
/// # Errors
/// [`BuildError`] when there is no manifest, or it is not TOML.
pub fn language_of(folder: &Path) -> Result<String, BuildError> {
    Ok(Folder::open(folder)?.language)
}

/// Builds the plugin in `folder`, or takes it from the cache when nothing that goes into it has changed (a few
/// milliseconds, and for Rust two questions to rustc). Blocking. Parallel callers, in this process or others, share one build.
///
/// # Errors
/// [`BuildError`]. That of a failed compilation has the end of the compiler's output, which is said nowhere else.
pub fn build_plugin(
    home: &EncajeHome,
    folder: &Path,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Built, BuildError> {
    let opened = Folder::open(folder)?;
    if opened.language == "rust" {
        return build_rust(home, &opened, settings, progress);
    }
    foreign::build(home, &opened, opened.tools()?, progress)
}

fn build_rust(
    home: &EncajeHome,
    opened: &Folder,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Built, BuildError> {
    let (plugin, kind) = (Plugin::open(&opened.path)?, opened.kind()?);
    rust_sdk::check(&plugin)?;
    let target = guest_target::ensure(home, &plugin.workspace, settings, progress)?;
    let context = format!("{BUILDER}\n{}", target.identity());
    let (cache, outside) = (cache::Cache::new(home), Outside::new(home));
    let find = || -> Result<(String, Option<Built>), BuildError> {
        let key = sources::key(&plugin, &context)?;
        let whole = outside.key(&key)?;
        Ok((key, whole.and_then(|whole| cache.get(&whole))))
    };
    let sdk_is_current = !rust_sdk::is_own(&plugin)? || rust_sdk::is_current(&plugin.folder);
    if plugin.is_locked()
        && sdk_is_current
        && let (_, Some(built)) = find()?
    {
        return Ok(built);
    }
    let folders = cargo::target_folder(home, &plugin.workspace, "guest");
    let lock = folders.with_extension("lock");
    let _held = lock::acquire(
        &lock,
        &format!("building plugins of {}", plugin.workspace.display()),
        progress,
    )
    .map_err(|error| BuildError::file("lock", &lock, error))?;
    if !sdk_is_current {
        rust_sdk::lay_out(&plugin.folder)?;
    }
    cargo::write_lockfile(&plugin)?;
    for _ in 0..BUILD_ATTEMPTS {
        let (key, built) = find()?;
        if let Some(built) = built {
            return Ok(built);
        }
        let began = SystemTime::now();
        let (compiled, read) = cargo::build(&plugin, &target, &folders, progress)?;
        let read = outside::beyond(read, &folders);
        let whole = outside.keep(&key, &read)?;
        // What was edited meanwhile may or may not be in it: kept under this key it would be served for ever.
        if sources::key(&plugin, &context)? == key && !outside::changed_since(&read, began) {
            let manifest = read_manifest_file(&plugin.folder)?;
            let bytes = finish(&plugin.what(), kind, &compiled, &manifest)?;
            return cache.put(&whole, &bytes);
        }
        progress.say(&format!(
            "{} changed while it was compiled: compiling again",
            plugin.name
        ));
    }
    Err(BuildError::Unsettled(plugin.folder))
}

/// The component with its manifest, once it is known to be one of its kind. Of which version of the contracts is the
/// host's to judge: a plugin may have its own `wit` folder.
fn finish(what: &str, kind: &str, component: &[u8], manifest: &str) -> Result<Vec<u8>, BuildError> {
    let none = |reason: String| BuildError::NoComponent {
        what: what.to_owned(),
        reason,
    };
    let outside = component::inspect(component).map_err(|error| none(error.to_string()))?;
    let exports: Vec<&str> = outside.exports.iter().map(|item| item.name.as_str()).collect();
    let wanted = wit::exports(kind);
    let lacks: Vec<&str> = wanted
        .iter()
        .filter(|name| {
            !exports
                .iter()
                .any(|export| export.rsplit_once('@').map(|(name, _)| name) == Some(*name))
        })
        .map(String::as_str)
        .collect();
    if lacks.is_empty() {
        return component::embed_manifest(component, manifest).map_err(|error| none(error.to_string()));
    }
    let other = wit::KIND_NAMES.iter().find(|other| {
        exports
            .iter()
            .any(|export| export.starts_with(&format!("encaje:{other}/{other}@")))
    });
    let hint = match other {
        Some(other) if *other != kind => format!("; it exports a {other}: is `kind` in {MANIFEST_FILE} right?"),
        _ => String::new(),
    };
    Err(none(format!(
        "a plugin of kind `{kind}` exports {}, and this one does not{hint}",
        lacks.join(" and ")
    )))
}

/// Where a plugin folder keeps the SDK of its language for editors and for unit tests without a build; kept with the
/// plugin, so that a fresh checkout of it can be tested. Each build brings its own: Rust's is written here anew where it is
/// not this program's, since cargo takes it from here; the others' builds do not look here.
pub const SDK_FOLDER: &str = ".encaje/sdk";

/// Writes the SDK of the language that the folder's manifest names into [`SDK_FOLDER`] there, so that unit tests and editors
/// find it. Whether there was one to write: a Rust plugin may take its SDK from elsewhere.
///
/// # Errors
/// [`BuildError`] when the folder is no plugin or cannot be written, or nobody knows the language.
pub fn lay_out_sdk(folder: &Path) -> Result<bool, BuildError> {
    let opened = Folder::open(folder)?;
    if opened.language == "rust" {
        let own = rust_sdk::is_own(&Plugin::open(&opened.path)?)?;
        if own {
            rust_sdk::lay_out(&opened.path)?;
        }
        return Ok(own);
    }
    let language = opened.tools()?;
    if language.sdk().is_empty() {
        return Ok(false);
    }
    language::lay_out_sdk(language, &opened.path.join(SDK_FOLDER))?;
    Ok(true)
}

/// The text of a folder's `plugin.toml`.
fn read_manifest_file(folder: &Path) -> Result<String, BuildError> {
    let path = folder.join(MANIFEST_FILE);
    let not = |reason: String| BuildError::NotAPlugin {
        path: folder.to_owned(),
        reason,
    };
    let length = match fs::metadata(&path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not(format!("it has no {MANIFEST_FILE}"))),
        Err(error) => return Err(BuildError::file("read", &path, error)),
    };
    if length > MANIFEST_BYTES {
        return Err(not(format!(
            "{MANIFEST_FILE} has {length} bytes, more than {MANIFEST_BYTES}"
        )));
    }
    let bytes = fs::read(&path).map_err(|error| BuildError::file("read", &path, error))?;
    String::from_utf8(bytes).map_err(|_| not(format!("{MANIFEST_FILE} is not UTF-8 text")))
}

/// The digest that [`Built::sha256`] shows, for files built elsewhere.
///
/// # Errors
/// [`BuildError::File`] when the file cannot be read.
pub fn digest_of(wasm: &Path) -> Result<Sha256, BuildError> {
    Sha256::of_file(wasm).map_err(|error| BuildError::file("read", wasm, error))
}

#[cfg(test)]
mod tests;
