//! Built components by the hash of what they were built from: one folder a key, published by a rename. Knows nothing of
//! how they are built.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{BuildError, Built};
use crate::{digest::Sha256, home::EncajeHome, limits::BUILDS_KEPT, staging};

const COMPONENT: &str = "plugin.wasm";
/// Holds the component's digest; touched at each use, so that its time says which builds are in use.
const DIGEST: &str = "sha256";

pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    pub(super) fn new(home: &EncajeHome) -> Self {
        Self {
            folder: home.build().join("components"),
        }
    }

    /// A build whose bytes are still what they were; anything else counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<Built> {
        let folder = self.folder.join(key);
        let expected: Sha256 = fs::read_to_string(folder.join(DIGEST)).ok()?.trim().parse().ok()?;
        let built = describe(&folder.join(COMPONENT), true).ok()?;
        if built.sha256 != expected.to_string() {
            return None;
        }
        if let Ok(file) = fs::File::options().write(true).open(folder.join(DIGEST)) {
            // Only the order of removal hangs on it.
            let _ = file.set_modified(SystemTime::now());
        }
        Some(built)
    }

    pub(super) fn put(&self, key: &str, bytes: &[u8]) -> Result<Built, BuildError> {
        let failed = |what: &'static str, path: &Path| {
            let path = path.to_owned();
            move |error| BuildError::File { what, path, error }
        };
        let made = staging::folder_in(&self.folder).map_err(failed("write into", &self.folder))?;
        let component = made.path().join(COMPONENT);
        fs::write(&component, bytes).map_err(failed("write", &component))?;
        let digest = made.path().join(DIGEST);
        fs::write(&digest, Sha256::of(bytes).to_string()).map_err(failed("write", &digest))?;
        let folder = self.folder.join(key);
        if folder.exists() {
            // Damaged, or it would have been found.
            fs::remove_dir_all(&folder).map_err(failed("remove", &folder))?;
        }
        fs::rename(made.keep(), &folder).map_err(failed("put into place", &folder))?;
        self.prune(BUILDS_KEPT);
        describe(&folder.join(COMPONENT), false)
    }

    /// Removes the builds unused for longest. What cannot be removed stays; the next build tries again.
    fn prune(&self, keep: usize) {
        let used = |path: &Path| fs::metadata(path.join(DIGEST)).and_then(|found| found.modified()).ok();
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        let paths = entries.flatten().map(|entry| entry.path());
        // A folder without a digest is being made by another process.
        let mut builds: Vec<(SystemTime, PathBuf)> = paths.filter_map(|path| Some((used(&path)?, path))).collect();
        builds.sort();
        let surplus = builds.len().saturating_sub(keep);
        for (_, path) in builds.into_iter().take(surplus) {
            let _ = fs::remove_dir_all(path);
        }
    }
}

fn describe(path: &Path, cached: bool) -> Result<Built, BuildError> {
    let read = |error| BuildError::file("read", path, error);
    let size = fs::metadata(path).map_err(read)?.len();
    let sha256 = Sha256::of_file(path)
        .map_err(|error| BuildError::file("read", path, error))?
        .to_string();
    Ok(Built {
        wasm: path.to_owned(),
        sha256,
        size,
        cached,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_comes_back_and_a_damaged_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(&EncajeHome::at(folder.path()).unwrap());
        assert_eq!(cache.get("k"), None);
        let built = cache.put("k", b"component").unwrap();
        assert_eq!(
            cache.get("k"),
            Some(Built {
                cached: true,
                ..built.clone()
            })
        );
        fs::write(&built.wasm, b"c0mponent").unwrap();
        assert_eq!(cache.get("k"), None);
        assert_eq!(cache.put("k", b"component").unwrap(), built);
        assert!(cache.get("k").is_some());
    }

    #[test]
    fn the_builds_unused_for_longest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(&EncajeHome::at(folder.path()).unwrap());
        for (age, key) in [(30, "old"), (20, "used"), (10, "new")] {
            cache.put(key, key.as_bytes()).unwrap();
            let file = fs::File::options()
                .write(true)
                .open(cache.folder.join(key).join(DIGEST))
                .unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age))
                .unwrap();
        }
        cache.get("used").unwrap();
        cache.prune(2);
        assert!(cache.get("old").is_none());
        assert!(cache.get("used").is_some() && cache.get("new").is_some());
    }
}
