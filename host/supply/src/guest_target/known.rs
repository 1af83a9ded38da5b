//! What rustc said of itself the last time, kept so that a start asks it nothing: each question costs some 20 ms, and every
//! plugin has two. It counts for as long as everything that decides the answer is as it was.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use super::toolchain::Toolchain;
use crate::{digest::Sha256, home::EncajeHome, limits::ANSWERS_KEPT, staging};

/// Files by which a folder chooses its toolchain, in it or in a folder above.
const CHOICES: [&str; 2] = ["rust-toolchain", "rust-toolchain.toml"];

/// Variables by which rustup chooses one.
const VARIABLES: [&str; 3] = ["RUSTUP_TOOLCHAIN", "RUSTUP_HOME", "HOME"];

/// An answer of rustc, and where it is kept.
pub(super) struct Known {
    place: PathBuf,
    /// The file that is asked, without links.
    rustc: PathBuf,
    /// Whether it is rustup's stand-in. What another stand-in chooses by, nobody here knows.
    is_rustup: bool,
}

impl Known {
    /// Where the answer for a folder lies; `None` where there is no rustc to look at.
    pub(super) fn of(home: &EncajeHome, folder: &Path) -> Option<Self> {
        let path = std::env::var_os("PATH")?;
        let mut rustc = std::env::split_paths(&path).map(|folder| folder.join("rustc"));
        let rustc = rustc.find(|file| file.is_file())?;
        let real = rustc.canonicalize().ok()?;
        let variables = VARIABLES.map(|name| std::env::var_os(name).unwrap_or_default());
        let [_, rustup, user] = &variables;
        let rustup = if rustup.is_empty() {
            Path::new(user).join(".rustup")
        } else {
            PathBuf::from(rustup)
        };
        let chosen = folder
            .ancestors()
            .flat_map(|folder| CHOICES.map(|name| folder.join(name)));
        let files = [rustc, rustup.join("settings.toml")].into_iter().chain(chosen);
        let files: Vec<_> = files.filter_map(|file| Some((seen(&file)?, file))).collect();
        let key = Sha256::of(format!("{folder:?} {variables:?} {files:?}").as_bytes());
        Some(Self {
            place: home.toolchains().join("known").join(key.to_string()),
            is_rustup: is_rustup(&real),
            rustc: real,
        })
    }

    /// The answer, unless the compiler that gave it is another by now.
    pub(super) fn recall(&self) -> Option<Toolchain> {
        let text = fs::read_to_string(&self.place).ok()?;
        let (sysroot, rest) = text.split_once('\n')?;
        let own = Path::new(sysroot).join("bin/rustc").canonicalize().ok();
        if !self.is_rustup && own.as_ref() != Some(&self.rustc) {
            return None;
        }
        let (compiler, version) = rest.split_once('\n')?;
        (compiler == of_compiler(Path::new(sysroot))).then(|| Toolchain::read(version, sysroot))?
    }

    /// Keeps an answer. Where that fails it is asked for again.
    pub(super) fn remember(&self, toolchain: &Toolchain) {
        let Toolchain {
            sysroot,
            verbose_version,
            ..
        } = toolchain;
        // A path with a line break would be read as another one.
        let Some(place) = sysroot.to_str().filter(|place| !place.contains('\n')) else {
            return;
        };
        let text = format!("{place}\n{}\n{verbose_version}", of_compiler(sysroot));
        let _ = self.put(&text);
    }

    fn put(&self, text: &str) -> io::Result<()> {
        let Some(folder) = self.place.parent() else {
            return Ok(());
        };
        if fs::read_dir(folder).is_ok_and(|answers| answers.count() >= ANSWERS_KEPT) {
            fs::remove_dir_all(folder)?;
        }
        // A reader sees this answer or the one before, whole.
        let beside = staging::folder_in(folder)?;
        let file = beside.path().join("answer");
        fs::write(&file, text)?;
        fs::rename(&file, &self.place)
    }
}

/// rustup's stand-ins are links to it, hard ones too, or copies of it.
fn is_rustup(rustc: &Path) -> bool {
    let length = |file: &Path| seen(file).map(|(length, _)| length);
    let rustup = rustc.with_file_name("rustup");
    rustc == rustup || length(&rustup).is_some_and(|other| length(rustc) == Some(other))
}

/// Length and time of change of a file that is there.
fn seen(file: &Path) -> Option<(u64, u128)> {
    let found = fs::metadata(file).ok().filter(fs::Metadata::is_file)?;
    let changed = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((found.len(), changed.as_nanos()))
}

/// A toolchain that was updated in place has another compiler.
fn of_compiler(sysroot: &Path) -> String {
    format!("{:?}", seen(&sysroot.join("bin/rustc")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolchain(sysroot: &Path) -> Toolchain {
        let version = "rustc 1.95.0\ncommit-hash: 59807616e1fa\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0";
        Toolchain::read(version, sysroot.to_str().unwrap()).unwrap()
    }

    /// A folder with a home and a toolchain, and what would be known of it.
    fn known(folder: &Path, is_rustup: bool) -> Known {
        let rustc = folder.join("bin/rustc");
        fs::create_dir(rustc.parent().unwrap()).unwrap();
        fs::write(&rustc, "one").unwrap();
        let home = EncajeHome::at(folder.join("home")).unwrap();
        Known {
            is_rustup,
            ..Known::of(&home, folder).unwrap()
        }
    }

    #[test]
    fn an_answer_counts_until_its_compiler_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let known = known(folder.path(), true);
        assert_eq!(known.recall(), None);
        known.remember(&toolchain(folder.path()));
        assert_eq!(known.recall(), Some(toolchain(folder.path())));
        fs::write(folder.path().join("bin/rustc"), "another").unwrap();
        assert_eq!(known.recall(), None);
    }

    #[test]
    fn a_stand_in_that_nobody_knows_is_asked_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let shim = known(folder.path(), false);
        shim.remember(&toolchain(folder.path()));
        assert_eq!(shim.recall(), None);
        let direct = Known {
            rustc: folder.path().join("bin/rustc").canonicalize().unwrap(),
            ..shim
        };
        assert_eq!(direct.recall(), Some(toolchain(folder.path())));
    }

    #[test]
    fn a_folder_that_chooses_another_toolchain_is_asked_for_anew() {
        let folder = tempfile::tempdir().unwrap();
        let home = EncajeHome::at(folder.path().join("home")).unwrap();
        let inner = folder.path().join("plugins/one");
        let place = || Known::of(&home, &inner).unwrap().place;
        let before = place();
        assert_eq!(before, place());
        fs::create_dir_all(&inner).unwrap();
        let choice = "[toolchain]\nchannel = \"1.94\"\n";
        fs::write(folder.path().join("rust-toolchain.toml"), choice).unwrap();
        assert_ne!(before, place());
        assert_ne!(Known::of(&home, folder.path()).unwrap().place, place());
    }

    #[test]
    fn what_is_torn_is_no_answer() {
        let folder = tempfile::tempdir().unwrap();
        let known = known(folder.path(), true);
        known.remember(&toolchain(folder.path()));
        let whole = fs::read_to_string(&known.place).unwrap();
        for end in 0..whole.len() - 20 {
            fs::write(&known.place, &whole[..end]).unwrap();
            assert_eq!(known.recall(), None, "{end}");
        }
    }
}
