//! Puts a language's tools under `$ENCAJE_HOME/toolchains`: made once, behind a lock, finished by a marker file. What is
//! run to make them is the language's own matter.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::BuildError;
use crate::{digest::Sha256, home::EncajeHome, lock, progress::Progress};

/// Written last: a folder without it was left by a killed process and is made anew.
const FINISHED: &str = "finished";

/// What is installed.
#[derive(Clone, Copy)]
pub(super) struct Pins<'a> {
    /// Names and versions, for users.
    pub(super) shown: &'a str,
    /// All that decides what lies in the folder: another text, be it another digest alone, is another folder.
    pub(super) exact: &'a str,
}

/// Where these tools are, if they are.
pub(super) fn there(home: &EncajeHome, language: &str, pins: Pins<'_>) -> Option<PathBuf> {
    let folder = home.toolchains().join(name(language, pins));
    folder.join(FINISHED).is_file().then_some(folder)
}

fn name(language: &str, pins: Pins<'_>) -> String {
    let digest = Sha256::of(pins.exact.as_bytes()).to_string();
    format!("{language}-{}", digest.get(..16).unwrap_or_default())
}

/// The folder of these tools, made by `make` where it is not there yet. Tools such as virtual environments know their own path, so the folder is made in its final place and not renamed.
pub(super) fn once(
    home: &EncajeHome,
    language: &'static str,
    pins: Pins<'_>,
    progress: &dyn Progress,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, BuildError> {
    if let Some(folder) = there(home, language, pins) {
        return Ok(folder);
    }
    let name = name(language, pins);
    let folder = home.toolchains().join(&name);
    let finished = folder.join(FINISHED);
    let lock = home.toolchains().join(format!("{name}.lock"));
    let _held = lock::acquire(&lock, &format!("installing the tools for {language} plugins"), progress)
        .map_err(|error| BuildError::file("lock", &lock, error))?;
    if finished.is_file() {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| BuildError::file("remove", &folder, error))?;
    }
    fs::create_dir_all(&folder).map_err(|error| BuildError::file("create", &folder, error))?;
    make(&folder).map_err(|reason| BuildError::Tools { language, reason })?;
    fs::write(&finished, pins.shown).map_err(|error| BuildError::file("write", &finished, error))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Quiet;

    fn of(exact: &str) -> Pins<'_> {
        Pins { shown: "a==1", exact }
    }

    #[test]
    fn tools_are_made_once_and_again_after_a_failure_or_with_other_pins() {
        let folder = tempfile::tempdir().unwrap();
        let home = EncajeHome::at(folder.path()).unwrap();
        let made = std::cell::Cell::new(0);
        let make = |pins: &str, outcome: Result<(), String>| {
            once(&home, "python", of(pins), &Quiet, |folder| {
                made.set(made.get() + 1);
                assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "what was left is gone");
                fs::write(folder.join("half"), "").unwrap();
                outcome
            })
        };
        let error = make("a==1", Err("no line".into())).unwrap_err();
        assert_eq!(error.to_string(), "python plugins cannot be built here: no line");
        assert_eq!(there(&home, "python", of("a==1")), None);
        let first = make("a==1", Ok(())).unwrap();
        assert_eq!(there(&home, "python", of("a==1")), Some(first.clone()));
        assert_eq!(make("a==1", Ok(())).unwrap(), first);
        assert_eq!(made.get(), 2);
        assert_ne!(make("a==2", Ok(())).unwrap(), first);
    }
}
