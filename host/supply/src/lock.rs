//! One process at a time makes a thing: an exclusive lock on a file beside it. The lock goes with the process, so that a
//! killed one leaves nothing behind; the empty file stays, because removing it would let two processes hold "the" lock.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
};

use crate::progress::Progress;

/// Held until dropped.
#[derive(Debug)]
pub(crate) struct Locked {
    _file: File,
}

/// Waits for the lock, and says so when another process holds it. `what` completes "another process is …".
pub(crate) fn acquire(path: &Path, what: &str, progress: &dyn Progress) -> io::Result<Locked> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress.say(&format!("waiting: another process is {what}"));
            file.lock()?;
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    Ok(Locked { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Remembered;
    use std::sync::{Arc, mpsc};

    #[test]
    fn a_second_holder_waits_and_says_for_what() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/x.lock");
        let first = acquire(&path, "building x", &Remembered::default()).unwrap();
        let heard = Arc::new(Remembered::default());
        let (sender, receiver) = mpsc::channel();
        let second = std::thread::spawn({
            let (path, heard) = (path.clone(), heard.clone());
            move || {
                let held = acquire(&path, "building x", heard.as_ref()).unwrap();
                sender.send(()).unwrap();
                drop(held);
            }
        });
        while heard.lines().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(heard.lines(), ["waiting: another process is building x"]);
        assert!(receiver.try_recv().is_err(), "the lock was given twice");
        drop(first);
        receiver.recv().unwrap();
        second.join().unwrap();
    }
}
