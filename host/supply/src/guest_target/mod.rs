//! Makes sure that Rust plugins can be compiled: finds or provides the target `wasm32-wasip2` for the rustc that is in
//! use, and says in one line what it does and why. The order is decided by a pure function ([`decide::next_step`]) from
//! what is known; this file looks, acts, and asks again. It never touches the user's toolchain by itself: only `rustup`
//! may add to it, and what we build lies under `$ENCAJE_HOME/toolchains`.

mod apt;
mod debian;
mod decide;
mod known;
mod sysroot;
mod system;
mod toolchain;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use decide::{Facts, Found, Step, Way, next_step};
pub use toolchain::Toolchain;

use crate::{
    build::Tooling,
    home::EncajeHome,
    lock,
    progress::{Progress, Quiet},
};
use known::Known;
use system::System;

/// The target that guests are compiled for.
pub const TARGET: &str = "wasm32-wasip2";

/// What the operator chose about the guest target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A folder that holds `rust-src_*.deb` and `wasi-libc_*.deb`. Where it is set it is used before any download, since
    /// it is the operator's own word.
    pub package_folder: Option<PathBuf>,
    /// Whether `rustup target add` may be run; it adds about 100 MB to the user's toolchain.
    pub rustup: bool,
}

impl Settings {
    /// `ENCAJE_DEB_DIR` names the package folder; `ENCAJE_RUSTUP=off` keeps rustup out of it.
    #[must_use]
    pub fn from_environment() -> Self {
        Self {
            package_folder: std::env::var_os("ENCAJE_DEB_DIR")
                .filter(|value| !value.is_empty())
                .map(PathBuf::from),
            rustup: std::env::var_os("ENCAJE_RUSTUP").is_none_or(|value| value != "off"),
        }
    }
}

/// A compiler that can build guests, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestTarget {
    /// The toolchain that is in use in the workspace.
    pub toolchain: Toolchain,
    /// Where its standard library for the target lies.
    pub found: Found,
}

impl GuestTarget {
    /// What a `cargo build --target wasm32-wasip2` needs in its environment.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        match &self.found {
            Found::InToolchain => Vec::new(),
            Found::OwnSysroot(path) => {
                // Cargo splits the plain variable at white space; the encoded one replaces more, so it is the exception.
                let flag = format!("--sysroot={}", path.display());
                let plain = !flag.contains(char::is_whitespace);
                let name = if plain {
                    "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS"
                } else {
                    "CARGO_ENCODED_RUSTFLAGS"
                };
                vec![(name, flag)]
            }
            Found::OwnCompiler(path) => vec![("RUSTC", path.join("rustc").display().to_string())],
        }
    }

    /// A text that differs whenever the compiled code might: part of a build's cache key.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{}\n{:?}", self.toolchain.verbose_version, self.found)
    }
}

/// Why guests cannot be compiled here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuestTargetError {
    /// There is no rustc, or it does not answer.
    #[error(
        "cannot ask rustc for its version ({reason}). Rust plugins need a Rust toolchain: install one and put it on the PATH"
    )]
    NoCompiler {
        /// What happened instead.
        reason: String,
    },
    /// Every way was tried or cannot be taken.
    #[error("{}", unavailable(.release, .tried))]
    Unavailable {
        /// The compiler's version, such as `1.95.0`.
        release: String,
        /// Each way and why it did not lead there, in the order tried.
        tried: Vec<(Way, String)>,
    },
    /// The folder under `$ENCAJE_HOME` cannot be used.
    #[error("cannot use {path:?}: {error}")]
    Folder {
        /// The path.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

fn unavailable(release: &str, tried: &[(Way, String)]) -> String {
    let mut text = format!("rustc {release} has no standard library for {TARGET}, and no way to get one worked:\n");
    for (way, reason) in tried {
        text.push_str(&format!("  - {way}: {reason}\n"));
    }
    text.push_str(&format!(
        "To fix it, do one of these: run `rustup target add {TARGET}`; or set ENCAJE_DEB_DIR to a folder that holds \
         Debian's packages rust-src (version {release}) and wasi-libc."
    ));
    text
}

/// What the steps do to the world; the tests put a fake here.
pub(crate) trait Ways {
    /// Looks at what is there now.
    fn look(&self) -> Facts;
    /// Takes one way; the text says why it did not lead there.
    fn take(&self, way: Way) -> Result<(), String>;
}

/// Finds or provides the target for the rustc that is in use in `workspace` (a `rust-toolchain.toml` there counts).
/// Blocking; the first time it may take a minute. Parallel callers, in this process or others, share one result.
///
/// # Errors
/// [`GuestTargetError`]: no compiler, nothing worked (each way with its reason, and the fix), or a folder that cannot be
/// written.
pub fn ensure(
    home: &EncajeHome,
    workspace: &Path,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<GuestTarget, GuestTargetError> {
    let toolchain = toolchain(home, workspace)?;
    let system = System::new(home, workspace, settings, toolchain.clone(), progress);
    if let Some(found) = system.found() {
        return Ok(GuestTarget { toolchain, found });
    }
    let folder = home.toolchains();
    let lock = folder.join(format!("{}.lock", toolchain.key()));
    let _held =
        lock::acquire(&lock, "making the Rust guest target", progress).map_err(|error| GuestTargetError::Folder {
            path: lock.clone(),
            error,
        })?;
    let found = provide(&system, &toolchain.release, progress)?;
    Ok(GuestTarget { toolchain, found })
}

/// The toolchain that is in use in a folder, as it was asked before where nothing has changed since.
fn toolchain(home: &EncajeHome, folder: &Path) -> Result<Toolchain, GuestTargetError> {
    let known = Known::of(home, folder);
    if let Some(toolchain) = known.as_ref().and_then(Known::recall) {
        return Ok(toolchain);
    }
    let toolchain = Toolchain::in_use(folder)?;
    if let Some(known) = known {
        known.remember(&toolchain);
    }
    Ok(toolchain)
}

/// How this machine stands to the target for the rustc that is in use in `workspace`. Changes nothing.
#[must_use]
pub fn look(home: &EncajeHome, workspace: &Path, settings: &Settings) -> Tooling {
    let toolchain = match Toolchain::in_use(workspace) {
        Ok(toolchain) => toolchain,
        Err(error) => return Tooling::Missing(error.to_string()),
    };
    let release = toolchain.release.clone();
    standing(
        &System::new(home, workspace, settings, toolchain, &Quiet).look(),
        &release,
    )
}

fn standing(facts: &Facts, release: &str) -> Tooling {
    match next_step(facts, &[]) {
        Step::Done(Found::InToolchain) => Tooling::Here(format!("rustc {release} has {TARGET}")),
        Step::Done(Found::OwnSysroot(path) | Found::OwnCompiler(path)) => {
            Tooling::Here(format!("{TARGET} for rustc {release} in {}", path.display()))
        }
        Step::Take(way) => Tooling::ToInstall(format!("{TARGET} for rustc {release}, by {way}")),
        Step::GiveUp(tried) => Tooling::Missing(unavailable(release, &tried)),
    }
}

/// Asks the decision, acts, looks again: each way is taken once at most, so that it ends.
pub(crate) fn provide(ways: &dyn Ways, release: &str, progress: &dyn Progress) -> Result<Found, GuestTargetError> {
    let mut failed: Vec<(Way, String)> = Vec::new();
    loop {
        let facts = ways.look();
        match next_step(&facts, &failed) {
            Step::Done(found) => return Ok(found),
            Step::GiveUp(tried) => {
                return Err(GuestTargetError::Unavailable {
                    release: release.to_owned(),
                    tried,
                });
            }
            Step::Take(way) => {
                progress.say(&announce(way, release));
                let reason = match ways.take(way) {
                    Ok(()) if ways.look().found.is_some() => continue,
                    Ok(()) => "it ended well, but the target is still not there".to_owned(),
                    Err(reason) => reason,
                };
                progress.say(&format!("guest target: {way}: {reason}"));
                failed.push((way, reason));
            }
        }
    }
}

/// The one line that says what is done and why.
fn announce(way: Way, release: &str) -> String {
    let what = match way {
        Way::PackageFolder => "building one from the Debian packages in ENCAJE_DEB_DIR (about a minute, once)",
        Way::Rustup => "adding it with rustup (about 100 MB on disk)",
        Way::Apt => "building one from Debian's sources of exactly this version (46 MB and about a minute, once)",
        Way::WebCompiler => {
            "unpacking Debian's rustc-web for plugins alone (about 140 MB to download, 550 MB on disk, some minutes, once)"
        }
    };
    format!("guest target: plugins compile to {TARGET}, which rustc {release} lacks: {what}")
}

#[cfg(test)]
mod tests;
