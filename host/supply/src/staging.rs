//! Temporary folders beside the place where their content will be renamed to. A killed process leaves its own behind;
//! the next one to work in the same folder removes those that are old.

use std::{fs, io, path::Path, time::SystemTime};

use crate::limits::LEFTOVER;

/// Every temporary folder's name begins so.
const PREFIX: &str = ".making-";

/// A new folder in `parent`, which is created; removed when dropped, unless it is kept.
pub(crate) fn folder_in(parent: &Path) -> io::Result<tempfile::TempDir> {
    fs::create_dir_all(parent)?;
    sweep(parent, SystemTime::now());
    tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)
}

/// Removes what is older than any work may take. What cannot be removed stays for the next time.
fn sweep(parent: &Path, now: SystemTime) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let modified = entry.metadata().and_then(|found| found.modified());
        let old = modified.is_ok_and(|time| now.duration_since(time).is_ok_and(|age| age > LEFTOVER));
        if ours && old {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_once_it_is_old() {
        let parent = tempfile::tempdir().unwrap();
        let left = folder_in(parent.path()).unwrap().keep();
        let published = parent.path().join("published");
        fs::create_dir(&published).unwrap();
        sweep(parent.path(), SystemTime::now() + LEFTOVER / 2);
        assert!(left.exists());
        sweep(parent.path(), SystemTime::now() + LEFTOVER * 2);
        assert!(!left.exists() && published.exists());
    }
}
