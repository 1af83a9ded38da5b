//! The decision of where the guest target comes from: a pure function of what is known. It looks at nothing and does
//! nothing itself, so that every case is a line in a test.

use std::{fmt, path::PathBuf};

/// Where a standard library for the target was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The toolchain's own sysroot has it.
    InToolchain,
    /// A sysroot that we built for exactly this rustc.
    OwnSysroot(PathBuf),
    /// Another compiler, used for guests alone: a folder with an executable `rustc`.
    OwnCompiler(PathBuf),
}

/// A way to get the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A sysroot of our own from the packages in a folder that the operator named.
    PackageFolder,
    /// `rustup target add`.
    Rustup,
    /// A sysroot of our own from packages that apt downloads.
    Apt,
    /// Debian's `rustc-web`, a newer compiler for an older Debian, unpacked for guests alone.
    WebCompiler,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PackageFolder => "packages in ENCAJE_DEB_DIR",
            Self::Rustup => "rustup",
            Self::Apt => "Debian's sources of this version",
            Self::WebCompiler => "Debian's rustc-web",
        })
    }
}

/// What is known. A way is open (`Ok`), or closed for the reason given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The target, where it is there already.
    pub found: Option<Found>,
    /// Whether a folder was named that holds what this rustc needs; None: no folder was named.
    pub package_folder: Option<Result<(), String>>,
    /// Whether rustup is there and may be used.
    pub rustup: Result<(), String>,
    /// Whether this is a Debian with apt and a mirror among its sources.
    pub debian: Result<(), String>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The target is there.
    Done(Found),
    /// Take this way.
    Take(Way),
    /// None is left; each with its reason, in the order of preference.
    GiveUp(Vec<(Way, String)>),
}

/// What to do next, given what is known and what was tried in vain.
///
/// The order: what is there; the folder that the operator named, which needs no download and leaves the toolchain as it
/// is; rustup, the usual way; Debian's sources of exactly this version; Debian's other compiler.
#[must_use]
pub fn next_step(facts: &Facts, failed: &[(Way, String)]) -> Step {
    if let Some(found) = &facts.found {
        return Step::Done(found.clone());
    }
    let ways = [
        facts.package_folder.clone().map(|state| (Way::PackageFolder, state)),
        Some((Way::Rustup, facts.rustup.clone())),
        Some((Way::Apt, facts.debian.clone())),
        Some((Way::WebCompiler, facts.debian.clone())),
    ];
    let mut closed = Vec::new();
    for (way, state) in ways.into_iter().flatten() {
        let tried = failed
            .iter()
            .find(|(tried, _)| *tried == way)
            .map(|(_, reason)| reason.clone());
        match tried.or(state.err()) {
            Some(reason) => closed.push((way, reason)),
            None => return Step::Take(way),
        }
    }
    Step::GiveUp(closed)
}
