//! Which rustc is in use, and what its sysroot has. Asks rustc; changes nothing.

use std::path::{Path, PathBuf};

use super::{GuestTargetError, TARGET};
use crate::{digest::Sha256, limits::QUESTION, process};

/// Part of every key of a sysroot that we build: counts up when the recipe changes, so that old ones are not used.
const RECIPE: u32 = 1;

/// A Rust toolchain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// All of `rustc -vV`: the version with its commit, the host, the LLVM.
    pub verbose_version: String,
    /// The version, such as `1.95.0`.
    pub release: String,
    /// The first digits of the compiler's commit, or `unknown`.
    pub commit: String,
    /// The host's target triple.
    pub host: String,
    /// The toolchain's folder.
    pub sysroot: PathBuf,
}

impl Toolchain {
    /// The one that `rustc` on the PATH stands for in this folder.
    ///
    /// # Errors
    /// [`GuestTargetError::NoCompiler`] when rustc is absent or answers otherwise than it should.
    pub fn in_use(folder: &Path) -> Result<Self, GuestTargetError> {
        let sysroot = ask(Path::new("rustc"), folder, &["--print", "sysroot"])?;
        // The toolchain's own binary answers sooner than rustup's stand-in, which the first question went to.
        let own = Path::new(sysroot.trim_end()).join("bin/rustc");
        let rustc = if own.is_file() {
            own.as_path()
        } else {
            Path::new("rustc")
        };
        let version = ask(rustc, folder, &["-vV"])?;
        Self::read(&version, &sysroot).ok_or_else(|| GuestTargetError::NoCompiler {
            reason: format!("it answered {version:?} and {sysroot:?}"),
        })
    }

    /// What rustc says of itself, with its sysroot.
    pub(super) fn read(version: &str, sysroot: &str) -> Option<Self> {
        let field = |name: &str| version.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let commit = field("commit-hash:").unwrap_or("unknown");
        let sysroot = PathBuf::from(sysroot.trim_end());
        sysroot.is_absolute().then_some(())?;
        Some(Self {
            verbose_version: version.trim_end().to_owned(),
            release: field("release:")?.to_owned(),
            commit: commit.get(..9).unwrap_or(commit).to_owned(),
            host: field("host:")?.to_owned(),
            sysroot,
        })
    }

    /// A folder name for exactly this compiler at this place.
    pub(crate) fn key(&self) -> String {
        let Self {
            release, commit, host, ..
        } = self;
        let place = Sha256::of(self.sysroot.as_os_str().as_encoded_bytes()).to_string();
        let place = place.get(..8).unwrap_or_default();
        format!("rust-{release}-{commit}-{host}-{place}-r{RECIPE}")
    }

    /// This toolchain's cargo, also where the working directory would choose another one.
    pub(crate) fn cargo(&self) -> PathBuf {
        let own = self.sysroot.join("bin/cargo");
        if own.is_file() { own } else { PathBuf::from("cargo") }
    }

    /// Whether the toolchain itself has the standard library for the target.
    pub(crate) fn has_target(&self) -> bool {
        has_std(&self.sysroot)
    }
}

/// Whether a sysroot has the target's standard library.
pub(super) fn has_std(sysroot: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(sysroot.join("lib/rustlib").join(TARGET).join("lib")) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}

fn ask(rustc: &Path, folder: &Path, arguments: &[&str]) -> Result<String, GuestTargetError> {
    let ended = process::run(process::clean(rustc, folder).args(arguments), QUESTION, None).map_err(|error| {
        GuestTargetError::NoCompiler {
            reason: error.to_string(),
        }
    })?;
    if !ended.succeeded() {
        return Err(GuestTargetError::NoCompiler { reason: ended.reason() });
    }
    Ok(ended.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\n\
        commit-hash: 59807616e1fa2540724bfbac14d7976d7e4a3860\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\n";

    #[test]
    fn the_answers_of_rustc_are_read() {
        let toolchain = Toolchain::read(ANSWER, "/opt/rust\n").unwrap();
        assert_eq!(
            (toolchain.release.as_str(), toolchain.commit.as_str()),
            ("1.95.0", "59807616e")
        );
        assert_eq!(toolchain.sysroot, Path::new("/opt/rust"));
        assert!(Toolchain::read("rustc 1.95.0", "/opt/rust\n").is_none());
        assert!(Toolchain::read(ANSWER, "error\n").is_none());
    }

    #[test]
    fn another_commit_host_or_place_is_another_key() {
        let one = Toolchain::read(ANSWER, "/opt/rust").unwrap();
        let commit = Toolchain {
            commit: "111111111".into(),
            ..one.clone()
        };
        let place = Toolchain {
            sysroot: "/opt/rust2".into(),
            ..one.clone()
        };
        assert_ne!(one.key(), commit.key());
        assert_ne!(one.key(), place.key());
    }

    #[test]
    fn the_compiler_of_these_tests_is_found() {
        let toolchain = Toolchain::in_use(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(toolchain.sysroot.join("lib/rustlib").is_dir(), "{toolchain:?}");
    }
}
