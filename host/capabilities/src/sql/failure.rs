//! SQLite's errors as problems: whose fault, what to tell the caller, what to tell the log.
//!
//! The caller's text is SQLite's own where it names tables, columns and syntax, since that is what an author of a plugin
//! needs; it never names a file.

use encaje_core::{Problem, ProblemKind};
use rusqlite::{Error, ErrorCode, ffi};

/// The problem behind an error of a statement or commit.
pub(super) fn problem(error: &Error) -> Problem {
    let (code, text) = match error {
        Error::SqliteFailure(code, text) => (code, text.as_deref().unwrap_or("")),
        Error::SqlInputError { error, msg, .. } => (error, msg.as_str()),
        Error::MultipleStatement => return fault("One call takes one SQL statement; this text has several."),
        Error::Utf8Error(..) => return fault("The database holds a text that is not UTF-8."),
        other => return fault("The SQL statement could not be run.").with_detail(other),
    };
    from_code(code, text).with_detail(format_args!("SQLite code {}: {error}", code.extended_code))
}

fn from_code(code: &ffi::Error, text: &str) -> Problem {
    match code.code {
        ErrorCode::ConstraintViolation => constraint(code.extended_code, text),
        ErrorCode::AuthorizationForStatementDenied => refused(text),
        ErrorCode::ReadOnly => Problem::new(
            ProblemKind::Denied,
            "The database is read-only here; write with `transact`.",
        )
        .with_code("sql_read_only"),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Problem::new(
            ProblemKind::Unavailable,
            "The database is locked by another process; try again.",
        )
        .with_code("database_busy"),
        ErrorCode::DiskFull => {
            Problem::new(ProblemKind::Unavailable, "The disk of the database is full.").with_code("disk_full")
        }
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => {
            Problem::new(ProblemKind::Unavailable, "The disk of the database failed.").with_code("disk_failed")
        }
        ErrorCode::OperationInterrupted => super::watch::timeout(),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            Problem::new(ProblemKind::Internal, "The database file is damaged.").with_code("database_corrupt")
        }
        ErrorCode::OutOfMemory => Problem::new(
            ProblemKind::Overloaded,
            "The databases of this server have no memory left for the statement; try again.",
        )
        .with_code("sql_memory"),
        ErrorCode::TooBig => Problem::new(
            ProblemKind::TooLarge,
            "A text, value or row is larger than the database takes.",
        )
        .with_code("sql_too_big"),
        _ => fault(&format!("SQL: {text}")),
    }
}

/// A statement that the authorizer refused.
pub(super) fn refused(text: &str) -> Problem {
    let words = format!(
        "The database refuses this statement ({text}): ATTACH, DETACH, transaction statements, temporary objects, extension \
         loading, pragmas that do not only describe the schema, and writing in a query are not allowed."
    );
    Problem::new(ProblemKind::Denied, words).with_code("sql_denied")
}

fn constraint(extended: i32, text: &str) -> Problem {
    match extended {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            Problem::new(ProblemKind::Conflict, text).with_code("unique_violation")
        }
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => {
            Problem::new(ProblemKind::Conflict, text).with_code("foreign_key_violation")
        }
        _ => Problem::new(ProblemKind::InvalidRequest, text).with_code("constraint_violation"),
    }
}

/// The guest's own fault, in words for its author.
pub(super) fn fault(words: &str) -> Problem {
    Problem::new(ProblemKind::Internal, words).with_code("sql_error")
}

/// The problem of opening: what is wrong with the file, for the operator.
pub(super) fn at_open(name: &str, path: &std::path::Path, error: &Error) -> Problem {
    let text = error.to_string();
    let found = match error.sqlite_error_code() {
        _ if text.contains("unsupported file format") => {
            let words = format!("The database `{name}` was written by a newer version of its format.");
            Problem::new(ProblemKind::Misconfigured, words).with_code("database_newer")
        }
        Some(ErrorCode::NotADatabase) => {
            let words = format!("The file of the database `{name}` is not an SQLite database of a known version.");
            Problem::new(ProblemKind::Misconfigured, words).with_code("not_a_database")
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            let words = format!("The file of the database `{name}` is damaged; restore it from a backup.");
            Problem::new(ProblemKind::Internal, words).with_code("database_corrupt")
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            let words = format!("The file of the database `{name}` cannot be opened for reading and writing.");
            Problem::new(ProblemKind::Misconfigured, words).with_code("database_unreadable")
        }
        _ => {
            let mut other = problem(error);
            other.message = format!("The database `{name}` cannot be opened: {}", other.message);
            other
        }
    };
    found.with_detail(format_args!("{}: {text}", path.display()))
}
