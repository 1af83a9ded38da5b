//! What a plugin's build reads beside the plugin's folder: a header one folder up, a package in `node_modules`, a module
//! that `go.mod` replaces. The language's tool names those files after a build; here their names are kept under the
//! folder's own key, and the key of the component covers their content too. Which files they are is not decided here.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    io::Write as _,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{BuildError, sources};
use crate::{home::EncajeHome, limits::BUILDS_KEPT};

/// Between two names: no path has it.
const BETWEEN: u8 = 0;

/// The lists, one file a key.
pub(super) struct Outside {
    folder: PathBuf,
}

impl Outside {
    pub(super) fn new(home: &EncajeHome) -> Self {
        Self {
            folder: home.build().join("outside"),
        }
    }

    /// The key of a component that was made of the folder with this key, and of what its build read beside it, as that
    /// is now; none where no build has told yet.
    pub(super) fn key(&self, key: &str) -> Result<Option<String>, BuildError> {
        let path = self.folder.join(key);
        let Ok(list) = fs::read(&path) else { return Ok(None) };
        if let Ok(file) = fs::File::options().write(true).open(&path) {
            // Only the order of removal hangs on it.
            let _ = file.set_modified(SystemTime::now());
        }
        let read = list
            .split(|byte| *byte == BETWEEN)
            .filter(|name| !name.is_empty())
            .map(|name| PathBuf::from(OsString::from_vec(name.to_vec())))
            .collect();
        sources::key_of_files(&read, key).map(Some)
    }

    /// Keeps what a build read, and returns the key of what it made.
    pub(super) fn keep(&self, key: &str, read: &BTreeSet<PathBuf>) -> Result<String, BuildError> {
        let whole = sources::key_of_files(read, key)?;
        let failed = |error| BuildError::file("write into", &self.folder, error);
        fs::create_dir_all(&self.folder).map_err(failed)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(failed)?;
        for path in read {
            file.write_all(path.as_os_str().as_encoded_bytes()).map_err(failed)?;
            file.write_all(&[BETWEEN]).map_err(failed)?;
        }
        file.persist(self.folder.join(key))
            .map_err(|error| failed(error.error))?;
        self.prune(BUILDS_KEPT);
        Ok(whole)
    }

    /// Removes the lists unused for longest; the builds that they stand for are made again.
    fn prune(&self, keep: usize) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        let paths = entries.flatten().map(|entry| entry.path());
        let used = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
        let mut lists: Vec<(SystemTime, PathBuf)> = paths.filter_map(|path| Some((used(&path)?, path))).collect();
        lists.sort();
        let surplus = lists.len().saturating_sub(keep);
        for (_, path) in lists.into_iter().take(surplus) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Of the paths that a tool named, those that count: not what the build itself laid out in `scratch`.
pub(super) fn beyond(named: Vec<PathBuf>, scratch: &Path) -> BTreeSet<PathBuf> {
    // Tools name real paths, and the way to the scratch folder may lead over a link.
    let real = scratch.canonicalize().unwrap_or_else(|_| scratch.to_owned());
    named
        .into_iter()
        // A path that is not there counts as it is: when it appears, the build becomes another.
        .map(|path| path.canonicalize().unwrap_or(path))
        .filter(|path| !path.starts_with(&real) && !path.starts_with(scratch))
        .collect()
}

/// Whether one of the files was written since the build began. A time in the future, which a clock that was set back
/// leaves, says nothing.
pub(super) fn changed_since(read: &BTreeSet<PathBuf>, began: SystemTime) -> bool {
    let now = SystemTime::now();
    read.iter()
        .filter_map(|path| fs::metadata(path).and_then(|found| found.modified()).ok())
        .any(|written| written >= began && written <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_follows_what_lies_outside_and_is_unknown_before_the_first_build() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let outside = Outside::new(&EncajeHome::at(root.join("home")).unwrap());
        let (header, package, absent) = (root.join("z.h"), root.join("package"), root.join("absent"));
        fs::write(&header, "1").unwrap();
        fs::create_dir(&package).unwrap();
        fs::write(package.join("a.go"), "a").unwrap();
        assert_eq!(outside.key("k").unwrap(), None);
        let read = [header.clone(), package.clone(), absent.clone()].into();
        let mut last = outside.keep("k", &read).unwrap();
        assert_eq!(outside.key("k").unwrap().unwrap(), last);
        assert_ne!(outside.keep("other", &read).unwrap(), last);
        for (path, text) in [(header, "2"), (package.join("b.go"), "b"), (absent, "now")] {
            fs::write(&path, text).unwrap();
            let next = outside.key("k").unwrap().unwrap();
            assert_ne!(next, last, "{}", path.display());
            last = next;
        }
    }

    #[test]
    fn what_the_build_laid_out_itself_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("work/sdk")).unwrap();
        fs::write(root.join("work/sdk/a.h"), "").unwrap();
        fs::write(root.join("b.h"), "").unwrap();
        std::os::unix::fs::symlink(root.join("work"), root.join("link")).unwrap();
        let named = vec![root.join("work/sdk/a.h"), root.join("work/../b.h"), root.join("none")];
        let found = beyond(named, &root.join("link"));
        assert_eq!(found, [root.join("b.h"), root.join("none")].into());
    }

    #[test]
    fn a_file_written_while_a_build_ran_is_seen() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read: BTreeSet<PathBuf> = [file.path().to_owned()].into();
        let second = std::time::Duration::from_secs(1);
        assert!(changed_since(&read, SystemTime::now() - second));
        assert!(!changed_since(&read, SystemTime::now() + second));
        file.as_file().set_modified(SystemTime::now() + 60 * second).unwrap();
        assert!(!changed_since(&read, SystemTime::now() - second));
    }

    #[test]
    fn the_lists_unused_for_longest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let outside = Outside::new(&EncajeHome::at(folder.path()).unwrap());
        for (age, key) in [(30, "old"), (20, "used"), (10, "new")] {
            outside.keep(key, &BTreeSet::new()).unwrap();
            let file = fs::File::options().write(true).open(outside.folder.join(key)).unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age))
                .unwrap();
        }
        outside.key("used").unwrap();
        outside.prune(2);
        assert_eq!(outside.key("old").unwrap(), None);
        assert!(outside.key("used").unwrap().is_some() && outside.key("new").unwrap().is_some());
    }
}
