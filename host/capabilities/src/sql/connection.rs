//! How connections are opened: settings, caps, authorizer, aggregate, and the handler that ends statements.
//!
//! It runs no guest's SQL.

use std::path::PathBuf;
use std::sync::Once;

use encaje_core::{Problem, ProblemKind};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, ffi};

use super::failure;
use super::guard::{Access, Mode};
use super::quantile::{self, Budget};
use super::watch::Slot;
use crate::limits;

/// Where a database is, and what its connections share.
#[derive(Debug, Clone)]
pub(super) struct Location {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) budget: Budget,
    /// SQLite's layer for files; tests put one in that records and fails syncs.
    pub(super) vfs: Option<&'static str>,
}

/// A connection on which guests' SQL runs.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) connection: Connection,
    pub(super) mode: Mode,
    pub(super) slot: Slot,
}

impl Location {
    /// The writer's connection. Makes the file where there is none, and turns its write-ahead log on.
    pub(super) fn writer(&self) -> Result<Guarded, Problem> {
        bound_heap();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        self.open(flags, "", limits::WRITER_CACHE_KIB)
            .and_then(|connection| {
                let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
                connection.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;")?;
                // Reading the schema finds a file that is damaged at its root or of a later format.
                connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
                Ok((connection, mode))
            })
            .map_err(|error| failure::at_open(&self.name, &self.path, &error))
            .and_then(|(connection, mode)| {
                if mode != "wal" {
                    let words = format!(
                        "The file system of the database `{}` cannot hold a write-ahead log.",
                        self.name
                    );
                    return Err(Problem::new(ProblemKind::Misconfigured, words).with_detail(self.path.display()));
                }
                self.guarded(connection, Access::Write)
            })
    }

    /// A reader's connection; the writer's must have been opened before.
    pub(super) fn reader(&self) -> Result<Guarded, Problem> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        self.open(
            flags,
            "PRAGMA temp_store = MEMORY; PRAGMA query_only = ON;",
            limits::READER_CACHE_KIB,
        )
        .map_err(|error| failure::at_open(&self.name, &self.path, &error))
        .and_then(|connection| self.guarded(connection, Access::Read))
    }

    /// A connection of the host's own, for checkpoints, syncs and vacuum; no guest's SQL may run on it.
    pub(super) fn host(&self) -> Result<Connection, Problem> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        self.open(flags, "PRAGMA wal_autocheckpoint = 0;", limits::READER_CACHE_KIB)
            .map_err(|error| failure::at_open(&self.name, &self.path, &error))
    }

    fn open(&self, flags: OpenFlags, settings: &str, cache_kib: i64) -> rusqlite::Result<Connection> {
        let connection = match self.vfs {
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, flags, vfs)?,
            None => Connection::open_with_flags(&self.path, flags)?,
        };
        connection.busy_timeout(limits::BUSY_WAIT)?;
        connection.execute_batch(&format!(
            "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -{cache_kib}; {settings}"
        ))?;
        Ok(connection)
    }

    fn guarded(&self, connection: Connection, access: Access) -> Result<Guarded, Problem> {
        self.guard(connection, access)
            .map_err(|error| failure::at_open(&self.name, &self.path, &error))
    }

    fn guard(&self, mut connection: Connection, access: Access) -> rusqlite::Result<Guarded> {
        for (setting, on) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
        ] {
            connection.set_db_config(setting, on)?;
        }
        for (limit, number) in [
            (Limit::SQLITE_LIMIT_LENGTH, limits::VALUE_BYTES),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, limits::SQL_BYTES),
            (Limit::SQLITE_LIMIT_COLUMN, limits::COLUMNS),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, limits::EXPRESSION_DEPTH),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, limits::COMPOUND_SELECT),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, limits::PATTERN_BYTES),
            (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, limits::PARAMETERS),
            (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, limits::TRIGGER_DEPTH),
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        ] {
            connection.set_limit(limit, i32::try_from(number).unwrap_or(i32::MAX))?;
        }
        connection.set_prepared_statement_cache_capacity(limits::PREPARED);
        quantile::register(&connection, self.budget.clone())?;
        let (mode, slot) = (Mode::default(), Slot::default());
        let watched = slot.clone();
        connection.progress_handler(limits::PROGRESS_STEPS, Some(move || watched.verdict().is_some()))?;
        connection.authorizer(Some(mode.authorizer(access)))?;
        Ok(Guarded { connection, mode, slot })
    }
}

/// Caps what SQLite takes in the whole process, once.
fn bound_heap() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the call takes a number and may be made at any time, from any thread.
        let _before = unsafe { ffi::sqlite3_hard_heap_limit64(limits::SQLITE_HEAP) };
    });
}
