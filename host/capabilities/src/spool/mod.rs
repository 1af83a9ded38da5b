//! Batches that wait in a file while the storage is down: the port [`Spool`].
//!
//! An append-only file of framed records, each checked by a digest, with the forgotten position in its head. A record is in
//! the operating system's hands when `append` returns, so it survives the death of the server; it is not synced, as the
//! traces in it are `process` writes. A torn end is cut at opening; damage in the middle costs the records that it touches.

mod frame;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use encaje_core::ports::Spool;
use encaje_core::storage::Mutation;
use encaje_core::{Problem, ProblemKind};

use self::frame::{FRAME_BYTES, Found, HEAD_BYTES, Head};
use crate::limits;

/// A spool in one file, which it holds locked.
#[derive(Debug)]
pub struct FileSpool {
    state: Mutex<State>,
    path: PathBuf,
    cap: u64,
}

#[derive(Debug)]
struct State {
    file: File,
    head: Head,
    waiting: VecDeque<Record>,
    /// Where the next record goes.
    end: u64,
    /// The position of the last record that was ever appended.
    last: u64,
}

/// A record's place in the file.
#[derive(Debug, Clone, Copy)]
struct Record {
    position: u64,
    offset: u64,
    bytes: u32,
}

impl FileSpool {
    /// Opens the spool, or makes an empty one; `cap` is what the file may have on disk.
    ///
    /// # Errors
    /// `Misconfigured` when another process has it open, when a later version wrote it, when it is no spool or cannot be
    /// opened.
    pub fn open(path: &Path, cap: u64) -> Result<Self, Problem> {
        let file = open_locked(path)?;
        let bytes = file.metadata().map_err(|error| cannot_open(path, &error))?.len();
        let state = if bytes < HEAD_BYTES {
            create(file)
        } else {
            recover(file, bytes, path)
        };
        let state = state.map_err(|error| cannot_open(path, &error))?;
        Ok(Self {
            state: Mutex::new(state),
            path: path.to_owned(),
            cap,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rewrites the file without its forgotten front.
    fn compact(&self, state: &mut State) -> io::Result<()> {
        let fresh_path = self.path.with_extension("new");
        let fresh = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&fresh_path)?;
        fresh.try_lock().map_err(io::Error::from)?;
        let mut head = Head::default();
        head.forget(&fresh, state.head.forgotten())?;
        let mut waiting = VecDeque::with_capacity(state.waiting.len());
        let (mut end, mut buffer) = (HEAD_BYTES, Vec::new());
        for record in &state.waiting {
            buffer.resize(FRAME_BYTES + record.bytes as usize, 0);
            state.file.read_exact_at(&mut buffer, record.offset)?;
            fresh.write_all_at(&buffer, end)?;
            waiting.push_back(Record { offset: end, ..*record });
            end += buffer.len() as u64;
        }
        // The rename must not reach the disk before what it names.
        fresh.sync_data()?;
        std::fs::rename(&fresh_path, &self.path)?;
        *state = State {
            file: fresh,
            head,
            waiting,
            end,
            last: state.last,
        };
        Ok(())
    }
}

impl Spool for FileSpool {
    fn append(&self, batch: &[Mutation]) -> Result<(), Problem> {
        let mut state = self.lock();
        let position = state.last + 1;
        let record = frame::encode(position, batch)?;
        let bytes = record.len() as u64;
        if state.end + bytes > self.cap && state.forgotten_bytes() > 0 {
            self.compact(&mut state)
                .map_err(|error| disk("compacting the spool", &error))?;
        }
        if state.end + bytes > self.cap {
            let words = format!("The spool is full: it takes {} bytes.", self.cap);
            return Err(Problem::new(ProblemKind::TooLarge, words).with_code("spool_full"));
        }
        let end = state.end;
        if let Err(error) = state.file.write_all_at(&record, end) {
            // What was written of it is overwritten by the next record, or cut at opening.
            if let Err(worse) = state.file.set_len(end) {
                tracing::warn!(error = %worse, "a torn record stays in the spool");
            }
            return Err(disk("appending to the spool", &error));
        }
        let bytes = u32::try_from(record.len() - FRAME_BYTES).map_err(Problem::internal)?;
        state.waiting.push_back(Record {
            position,
            offset: end,
            bytes,
        });
        state.end += record.len() as u64;
        state.last = position;
        Ok(())
    }

    fn oldest(&self, limit: usize) -> Result<Vec<(u64, Vec<Mutation>)>, Problem> {
        let state = self.lock();
        let (mut batches, mut read) = (Vec::new(), 0_usize);
        for record in state.waiting.iter().take(limit) {
            if !batches.is_empty() && read + record.bytes as usize > limits::SPOOL_RECORD_BYTES {
                break;
            }
            read += record.bytes as usize;
            let found = frame::read(&state.file, record.offset, state.end);
            let batch = match found.map_err(|error| disk("reading the spool", &error))? {
                Found::Record { position, payload } if position == record.position => frame::decode(&payload),
                _ => Err(Problem::internal("it was damaged while the server ran")),
            };
            // One that cannot be read now never can be, and must not block what waits behind it.
            let batch = batch.unwrap_or_else(|problem| {
                let position = record.position;
                tracing::error!(%problem, position, "a record of the spool cannot be read; it is skipped");
                Vec::new()
            });
            batches.push((record.position, batch));
        }
        Ok(batches)
    }

    fn forget(&self, position: u64) -> Result<(), Problem> {
        let mut state = self.lock();
        let position = position.min(state.last);
        if position <= state.head.forgotten() {
            return Ok(());
        }
        let State { file, head, .. } = &mut *state;
        head.forget(file, position)
            .map_err(|error| disk("writing to the spool", &error))?;
        while state.waiting.front().is_some_and(|record| record.position <= position) {
            state.waiting.pop_front();
        }
        let done = if state.waiting.is_empty() {
            state.end = HEAD_BYTES;
            state.file.set_len(HEAD_BYTES)
        } else if state.forgotten_bytes() >= limits::SPOOL_COMPACT && state.forgotten_bytes() >= state.end / 2 {
            self.compact(&mut state)
        } else {
            Ok(())
        };
        done.map_err(|error| disk("compacting the spool", &error))
    }

    fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }
}

impl State {
    /// Bytes at the front that no waiting record needs.
    fn forgotten_bytes(&self) -> u64 {
        self.waiting.front().map_or(self.end, |record| record.offset) - HEAD_BYTES
    }
}

fn create(file: File) -> io::Result<State> {
    file.set_len(0)?;
    let head = Head::create(&file)?;
    Ok(State {
        file,
        head,
        waiting: VecDeque::new(),
        end: HEAD_BYTES,
        last: 0,
    })
}

/// Finds the records that wait, past damage where there is any.
fn recover(file: File, bytes: u64, path: &Path) -> io::Result<State> {
    let head = Head::read(&file)?;
    let (mut waiting, mut last) = (VecDeque::new(), head.forgotten());
    let (mut offset, mut end) = (HEAD_BYTES, HEAD_BYTES);
    while offset < bytes {
        match frame::read(&file, offset, bytes)? {
            Found::Record { position, payload } => {
                let record = Record {
                    position,
                    offset,
                    bytes: u32::try_from(payload.len()).unwrap_or(u32::MAX),
                };
                if offset > end {
                    let lost = offset - end;
                    tracing::error!(path = %path.display(), lost, "the spool is damaged; some batches are lost");
                }
                offset += (FRAME_BYTES + payload.len()) as u64;
                end = offset;
                if position > last {
                    last = position;
                    waiting.push_back(record);
                }
            }
            Found::Damage => offset = frame::next_marker(&file, offset + 1, bytes)?,
        }
    }
    if end < bytes {
        let cut = bytes - end;
        tracing::warn!(path = %path.display(), cut, "the spool's last record was torn; it was cut off");
        file.set_len(end)?;
    }
    Ok(State {
        file,
        head,
        waiting,
        end,
        last,
    })
}

fn open_locked(path: &Path) -> Result<File, Problem> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| cannot_open(path, &error))?;
    }
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    let file = opened.map_err(|error| cannot_open(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let words = "Another server uses the same spool; give each its own data folder.";
            Err(Problem::new(ProblemKind::Misconfigured, words).with_detail(path.display()))
        }
        Err(TryLockError::Error(error)) => Err(cannot_open(path, &error)),
    }
}

fn cannot_open(path: &Path, error: &io::Error) -> Problem {
    let words = match error.kind() {
        io::ErrorKind::InvalidData => format!("The spool cannot be used: {error}."),
        _ => "The spool's file cannot be opened for reading and writing.".to_owned(),
    };
    Problem::new(ProblemKind::Misconfigured, words).with_detail(format_args!("{}: {error}", path.display()))
}

fn disk(doing: &str, error: &io::Error) -> Problem {
    Problem::internal(format_args!("{doing}: {error}"))
}
