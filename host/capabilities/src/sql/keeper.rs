//! The thread that keeps what the writer leaves undone, so that the writer never waits for it: syncing `process` writes
//! within the promised time, and copying the write-ahead log into the database.
//!
//! It has a connection of its own and runs no guest's SQL.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use encaje_core::Problem;
use encaje_core::storage::Durability;
use rusqlite::{Connection, ffi};

use super::connection::Location;
use crate::limits;

/// What the writer tells the keeper.
#[derive(Debug, Default)]
pub(super) struct Duties {
    state: Mutex<State>,
    wake: Condvar,
    /// Pages that the log has, as the last commit left it.
    pages: AtomicU32,
    /// Whether the writer is to wait, so that the log can begin anew. SQLite's own lock would not do: a busy writer takes
    /// it again before anyone else finds it free.
    hold: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// When the log is to be synced.
    sync_at: Option<Instant>,
    checkpoint: bool,
    stop: bool,
    /// How often the log has been looked at.
    looks: u64,
}

impl Duties {
    /// Notes the length of the log; called by SQLite within a commit.
    pub(super) fn log_has(&self, pages: i32) {
        self.pages.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
    }

    /// Waits while the keeper needs the log for itself, and for a copy where the log is far too long; called before each
    /// transaction.
    pub(super) fn wait_for_the_log(&self) {
        let full = || self.pages.load(Ordering::Relaxed) >= limits::WAL_FULL_PAGES;
        if !full() && !self.hold.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.lock();
        let looks = state.looks;
        if full() {
            state.checkpoint = true;
            self.wake.notify_all();
        }
        let wait =
            |state: &mut State| !state.stop && (self.hold.load(Ordering::Acquire) || (full() && state.looks == looks));
        let _waited = self.wake.wait_timeout_while(state, limits::BUSY_WAIT, wait);
    }

    fn looked(&self) {
        self.lock().looks += 1;
        self.wake.notify_all();
    }

    fn hold(&self, hold: bool) {
        let _state = self.lock();
        self.hold.store(hold, Ordering::Release);
        self.wake.notify_all();
    }

    /// Notes a commit.
    pub(super) fn committed(&self, durability: Durability) {
        let mut state = self.lock();
        match durability {
            Durability::Process if state.sync_at.is_none() => {
                state.sync_at = Some(Instant::now() + limits::SYNC_DELAY);
                self.wake.notify_all();
            }
            Durability::Process => {}
            // Its own sync covered everything that was written before.
            Durability::Disk => state.sync_at = None,
        }
        if self.pages.load(Ordering::Relaxed) >= limits::CHECKPOINT_PAGES && !state.checkpoint {
            state.checkpoint = true;
            self.wake.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to do: whether to sync, and whether to look at the log; `None` at the end.
    fn next(&self) -> Option<(bool, bool)> {
        let mut state = self.lock();
        loop {
            if state.stop {
                return None;
            }
            let now = Instant::now();
            let due = state.sync_at.is_some_and(|at| at <= now);
            if due || state.checkpoint {
                if due {
                    state.sync_at = None;
                }
                return Some((due, std::mem::take(&mut state.checkpoint)));
            }
            let wait = state
                .sync_at
                .map_or(Duration::MAX, |at| at.saturating_duration_since(now));
            state = if wait == Duration::MAX {
                self.wake.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.wake
                    .wait_timeout(state, wait)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            };
        }
    }

    /// Whether the log is to be synced now; then it is taken to be done.
    fn sync_is_due(&self) -> bool {
        let mut state = self.lock();
        let due = state.sync_at.is_some_and(|at| at <= Instant::now());
        if due {
            state.sync_at = None;
        }
        due
    }

    fn retry(&self) {
        let at = Instant::now() + limits::SYNC_RETRY;
        let mut state = self.lock();
        state.sync_at = Some(state.sync_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// The running thread; dropping it stops and joins it.
#[derive(Debug)]
pub(super) struct Keeper {
    duties: Arc<Duties>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    /// Starts it; the writer's connection must have been opened before.
    pub(super) fn start(location: &Location) -> Result<Self, Problem> {
        let connection = location.host()?;
        let opened = connection
            .busy_timeout(limits::CHECKPOINT_WAIT)
            // A first read opens the log, which is then synced through this connection.
            .and_then(|()| connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())));
        opened.map_err(|error| super::failure::at_open(&location.name, &location.path, &error))?;
        let duties = Arc::<Duties>::default();
        let work = Work {
            connection,
            duties: duties.clone(),
            name: location.name.clone(),
            copied: 0,
            not_before: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("encaje-db-keep".to_owned())
            .spawn(move || work.run())
            .map_err(|error| Problem::internal(format_args!("cannot start a thread: {error}")))?;
        Ok(Self {
            duties,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(super) fn duties(&self) -> Arc<Duties> {
        self.duties.clone()
    }

    /// Ends the thread and closes its connection; may be called again.
    pub(super) fn stop(&self) {
        self.duties.lock().stop = true;
        self.duties.wake.notify_all();
        super::writer::join(&self.thread);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Work {
    connection: Connection,
    duties: Arc<Duties>,
    name: String,
    /// Pages of the log that are in the database already.
    copied: u32,
    /// The next blocking checkpoint.
    not_before: Instant,
}

impl Work {
    fn run(mut self) {
        while let Some((sync, checkpoint)) = self.duties.next() {
            if sync {
                self.sync_log();
            }
            if checkpoint {
                if let Err(error) = self.checkpoint() {
                    let words = "the write-ahead log could not be copied; trying again later";
                    tracing::warn!(database = self.name, %error, words);
                }
                self.duties.looked();
            }
        }
    }

    /// Syncs the log or the database, whichever file this operation names, through SQLite's own file layer.
    fn sync(&self, which: i32) -> Result<(), i32> {
        let mut file: *mut ffi::sqlite3_file = std::ptr::null_mut();
        // SAFETY: the handle is this thread's own open connection, and the operation writes one pointer to `file`, which
        // stays valid as long as the connection is open. `xSync` is called as SQLite itself calls it, by the only thread
        // that uses this connection.
        unsafe {
            let target = (&raw mut file).cast::<c_void>();
            let handle = self.connection.handle();
            let code = ffi::sqlite3_file_control(handle, c"main".as_ptr(), which, target);
            if code != ffi::SQLITE_OK {
                return Err(code);
            }
            let Some(sync) = file
                .as_ref()
                .and_then(|file| file.pMethods.as_ref())
                .and_then(|methods| methods.xSync)
            else {
                return Err(ffi::SQLITE_MISUSE);
            };
            match sync(file, ffi::SQLITE_SYNC_NORMAL | ffi::SQLITE_SYNC_DATAONLY) {
                ffi::SQLITE_OK => Ok(()),
                code => Err(code),
            }
        }
    }

    fn sync_log(&self) {
        if let Err(code) = self.sync(ffi::SQLITE_FCNTL_JOURNAL_POINTER) {
            let words = "the disk refused to sync the database's log; trying again";
            tracing::error!(database = self.name, code, words);
            self.duties.retry();
        }
    }

    /// Copies the log without holding up the writer; makes the writer wait only when the log has grown past its limit.
    fn checkpoint(&mut self) -> rusqlite::Result<()> {
        let pages = self.duties.pages.load(Ordering::Relaxed);
        if pages < self.copied {
            self.copied = 0;
        }
        if pages - self.copied < limits::CHECKPOINT_PAGES && pages < limits::WAL_PAGES {
            return Ok(());
        }
        self.copy("PASSIVE")?;
        // SQLite syncs only after a complete copy, which a busy writer never lets happen; what is synced here, the blocking
        // copy below need not wait for.
        if let Err(code) = self.sync(ffi::SQLITE_FCNTL_FILE_POINTER) {
            tracing::error!(database = self.name, code, "the disk refused to sync the database");
        }
        if pages >= limits::WAL_PAGES && Instant::now() >= self.not_before {
            // What came meanwhile is copied first, so that the writer waits for the last few pages only.
            self.copy("PASSIVE")?;
            self.duties.hold(true);
            let restarted = self.copy("RESTART");
            self.duties.hold(false);
            if restarted? {
                self.copied = 0;
                self.duties.pages.store(0, Ordering::Relaxed);
            } else {
                self.not_before = Instant::now() + limits::CHECKPOINT_PAUSE;
            }
        }
        Ok(())
    }

    /// Whether nobody was in the way.
    fn copy(&mut self, mode: &str) -> rusqlite::Result<bool> {
        // Between two copies, so that a long series of them does not outlast the promise of `process` writes.
        if self.duties.sync_is_due() {
            self.sync_log();
        }
        let started = Instant::now();
        let (busy, pages, copied): (bool, i64, i64) =
            self.connection
                .query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?;
        self.copied = u32::try_from(copied).unwrap_or(0);
        let took = started.elapsed();
        tracing::debug!(database = self.name, mode, busy, pages, copied, ?took, "checkpoint");
        Ok(!busy)
    }
}
