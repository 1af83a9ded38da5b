//! Removes deleted content from every file of a database: full-text indexes are merged, the file is rewritten, the log
//! emptied.
//!
//! It cannot reach copies that a file system keeps of blocks that a file once had.

use encaje_core::{Problem, ProblemKind};
use rusqlite::Connection;

use super::connection::Location;
use super::failure;
use super::watch::Watch;
use crate::limits;

/// Runs on the writer's thread, with a connection of its own: vacuum attaches a second file, which guests' connections
/// cannot.
pub(super) fn scrub(location: &Location, watch: Watch) -> Result<(), Problem> {
    let connection = location.host()?;
    let looked_at = watch.clone();
    run(connection, looked_at).map_err(|error| {
        let found = failure::problem(&error);
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) {
            return watch.verdict().unwrap_or(found);
        }
        found
    })?
}

fn run(mut connection: Connection, watch: Watch) -> rusqlite::Result<Result<(), Problem>> {
    connection.progress_handler(limits::PROGRESS_STEPS, Some(move || watch.verdict().is_some()))?;
    // Vacuum builds the new database in a temporary file; it holds what is kept, not what was deleted.
    connection.execute_batch("PRAGMA secure_delete = ON; PRAGMA synchronous = FULL;")?;
    for table in text_indexes(&connection)? {
        let quoted = format!("\"{}\"", table.replace('"', "\"\""));
        connection.execute_batch(&format!("INSERT INTO {quoted}({quoted}) VALUES ('optimize')"))?;
    }
    connection.execute_batch("VACUUM")?;
    let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        let words = "A reader held the database's log, so that deleted content may be left in it; try again.";
        return Ok(Err(
            Problem::new(ProblemKind::Unavailable, words).with_code("database_busy")
        ));
    }
    Ok(Ok(()))
}

/// Full-text tables: a deleted row's words stay in their segments until these are merged.
fn text_indexes(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%USING fts5%'";
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}
