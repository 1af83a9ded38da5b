//! Where downloads and builds are kept: `ENCAJE_HOME`, or `~/.cache/encaje`. Creates folders; reads nothing in them.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

/// Why there is no home folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// Neither variable is set.
    #[error("no folder for downloads and builds: set ENCAJE_HOME to one (HOME is not set either)")]
    Unknown,
    /// A relative path would mean another folder in every working directory.
    #[error("ENCAJE_HOME is {0:?}, a relative path: give an absolute one")]
    Relative(PathBuf),
    /// The folder cannot be made.
    #[error("cannot create the folder {path:?}: {error}")]
    Create {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// The folder that holds everything fetched or built. Its whole content may be deleted at any time while nothing runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncajeHome {
    root: PathBuf,
}

impl EncajeHome {
    /// From the environment: `ENCAJE_HOME`, else `~/.cache/encaje`. The folder is created.
    ///
    /// # Errors
    /// [`HomeError`] when neither variable is set, the path is relative, or the folder cannot be made.
    pub fn from_environment() -> Result<Self, HomeError> {
        Self::at(choose(std::env::var_os("ENCAJE_HOME"), std::env::var_os("HOME"))?)
    }

    /// At a given absolute path. The folder is created.
    ///
    /// # Errors
    /// [`HomeError`] when the path is relative or the folder cannot be made.
    pub fn at(root: impl Into<PathBuf>) -> Result<Self, HomeError> {
        let root = root.into();
        if !root.is_absolute() {
            return Err(HomeError::Relative(root));
        }
        fs::create_dir_all(&root).map_err(|error| HomeError::Create {
            path: root.clone(),
            error,
        })?;
        // Compilers and symbolic links must see one spelling of the path, whatever way a caller took to it.
        let root = root.canonicalize().map_err(|error| HomeError::Create {
            path: root.clone(),
            error,
        })?;
        Ok(Self { root })
    }

    /// At a given absolute path, of which nothing is made: to look at only.
    ///
    /// # Errors
    /// [`HomeError::Relative`].
    pub fn to_look_at(root: impl Into<PathBuf>) -> Result<Self, HomeError> {
        let root = root.into();
        if !root.is_absolute() {
            return Err(HomeError::Relative(root));
        }
        Ok(Self {
            root: root.canonicalize().unwrap_or(root),
        })
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Guest sysroots and compilers of our own, one folder a compiler version.
    #[must_use]
    pub fn toolchains(&self) -> PathBuf {
        self.root.join("toolchains")
    }

    /// Cargo's target folders and the cache of built components.
    #[must_use]
    pub fn build(&self) -> PathBuf {
        self.root.join("build")
    }

    /// Model artifacts, one folder a digest.
    #[must_use]
    pub fn models(&self) -> PathBuf {
        self.root.join("models")
    }
}

fn choose(own: Option<OsString>, user: Option<OsString>) -> Result<PathBuf, HomeError> {
    let set = |value: Option<OsString>| value.filter(|value| !value.is_empty()).map(PathBuf::from);
    match (set(own), set(user)) {
        (Some(own), _) => Ok(own),
        (None, Some(user)) => Ok(user.join(".cache").join("encaje")),
        (None, None) => Err(HomeError::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_variable_comes_first_and_empty_counts_as_unset() {
        let text = |text: &str| Some(OsString::from(text));
        assert_eq!(choose(text("/a"), text("/u")).unwrap(), PathBuf::from("/a"));
        assert_eq!(choose(text(""), text("/u")).unwrap(), PathBuf::from("/u/.cache/encaje"));
        assert!(matches!(choose(None, text("")), Err(HomeError::Unknown)));
    }

    #[test]
    fn a_relative_home_is_refused() {
        assert!(matches!(EncajeHome::at("cache"), Err(HomeError::Relative(_))));
    }

    #[test]
    fn a_look_makes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let home = EncajeHome::to_look_at(folder.path().join("a")).unwrap();
        assert!(!home.root().exists());
        assert!(matches!(EncajeHome::to_look_at("a"), Err(HomeError::Relative(_))));
    }

    #[test]
    fn the_folder_is_made_and_its_parts_lie_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = EncajeHome::at(folder.path().join("a/b")).unwrap();
        assert!(home.root().is_dir());
        assert!(home.models().starts_with(home.root()));
        assert_ne!(home.build(), home.toolchains());
    }
}
