//! The file that a download grows in until it is complete.
//!
//! It is locked while it is written, so that two processes do not mix their bytes. It knows nothing of HTTP.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use encaje_core::Problem;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use crate::limits;

pub(super) struct Part {
    file: tokio::fs::File,
    path: PathBuf,
    into: PathBuf,
    bytes: u64,
}

impl Part {
    /// Opens what an earlier try has left; `None` when another process has completed the file meanwhile.
    pub(super) async fn open(into: &Path) -> Result<Option<Self>, Problem> {
        let name = into
            .file_name()
            .ok_or_else(|| Problem::internal("a download needs the name of a file"))?;
        let mut name = name.to_owned();
        name.push(".part");
        let path = into.with_file_name(name);
        if let Some(folder) = into.parent() {
            tokio::fs::create_dir_all(folder)
                .await
                .map_err(|error| disk(&path, &error))?;
        }
        let before = identity(into);
        loop {
            // Whoever held the lock has completed the file.
            if identity(into) != before {
                return Ok(None);
            }
            let options = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .clone();
            let file = options.open(&path).map_err(|error| disk(&path, &error))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    tokio::time::sleep(limits::LOCK_PAUSE).await;
                    continue;
                }
                Err(TryLockError::Error(error)) => return Err(disk(&path, &error)),
            }
            // Between opening and locking it may have been renamed away.
            let open = file.metadata().map_err(|error| disk(&path, &error))?;
            if identity(&path) == Some((open.dev(), open.ino())) {
                return Self::resume(file, path, into).await.map(Some);
            }
        }
    }

    async fn resume(file: File, path: PathBuf, into: &Path) -> Result<Self, Problem> {
        let mut file = tokio::fs::File::from_std(file);
        let bytes = file
            .seek(std::io::SeekFrom::End(0))
            .await
            .map_err(|error| disk(&path, &error))?;
        Ok(Self {
            file,
            path,
            into: into.to_owned(),
            bytes,
        })
    }

    /// What is there.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) async fn append(&mut self, piece: &[u8]) -> Result<(), Problem> {
        self.file
            .write_all(piece)
            .await
            .map_err(|error| disk(&self.path, &error))?;
        self.bytes += piece.len() as u64;
        Ok(())
    }

    /// Throws away what is there.
    pub(super) async fn restart(&mut self) -> Result<(), Problem> {
        if self.bytes == 0 {
            return Ok(());
        }
        self.bytes = 0;
        let emptied = async {
            self.file.flush().await?;
            self.file.set_len(0).await?;
            self.file.rewind().await.map(|_| ())
        };
        emptied.await.map_err(|error| disk(&self.path, &error))
    }

    /// Leaves what is there for a later try.
    pub(super) async fn keep(&mut self) -> Result<(), Problem> {
        self.file.flush().await.map_err(|error| disk(&self.path, &error))
    }

    /// Syncs the file and gives it its name.
    pub(super) async fn finish(mut self) -> Result<(), Problem> {
        let done = async {
            self.file.flush().await?;
            self.file.sync_all().await?;
            tokio::fs::rename(&self.path, &self.into).await
        };
        done.await.map_err(|error| disk(&self.into, &error))
    }
}

/// Which file has this name now, if any.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

fn disk(path: &Path, error: &std::io::Error) -> Problem {
    Problem::internal(format_args!("{}: {error}", path.display()))
}
