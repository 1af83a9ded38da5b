//! What SQL text from a guest may do on a connection, decided by SQLite's authorizer while a statement is prepared.
//!
//! Everything is refused that reaches outside of the one database file or that would change how the connection works. It
//! does not bound time or size; `connection.rs` does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// Pragmas that describe the schema, the one that full-text tables ask for, and the one that SQLite itself asks for when a
/// required column is added to a table with rows. `user_version` may be read, not set.
const PRAGMAS: [&str; 9] = [
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "foreign_key_list",
    "user_version",
    "data_version",
    "quick_check",
];

/// Functions that reach files or code, whether or not this build of SQLite has them.
const FORBIDDEN_FUNCTIONS: [&str; 7] = [
    "load_extension",
    "readfile",
    "writefile",
    "edit",
    "fts3_tokenizer",
    "sqlar_uncompress",
    "zipfile",
];

/// Tables that show the file's raw pages, other files, or the program's own memory.
const FORBIDDEN_TABLES: [&str; 8] = [
    "sqlite_dbpage",
    "dbstat",
    "sqlite_stmt",
    "fsdir",
    "zipfile",
    "csv",
    "bytecode",
    "tables_used",
];

/// Kinds of virtual tables that a guest may make.
const MODULES: [&str; 2] = ["fts5", "fts5vocab"];

/// Whether a connection may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Queries only.
    Read,
    /// Data and schema.
    Write,
}

/// Lets the host's own statements pass where a guest's would not, and remembers a refusal.
#[derive(Debug, Clone, Default)]
pub(super) struct Mode(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    host: AtomicBool,
    refused: AtomicBool,
}

impl Mode {
    /// Runs one of the host's own statements.
    pub(super) fn as_host<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.host.store(true, Ordering::Relaxed);
        let result = work();
        self.0.host.store(false, Ordering::Relaxed);
        result
    }

    /// Whether the statement that just failed was refused: SQLite's own code does not always say so.
    pub(super) fn take_refusal(&self) -> bool {
        self.0.refused.swap(false, Ordering::Relaxed)
    }

    /// The authorizer of a connection.
    pub(super) fn authorizer(&self, access: Access) -> impl FnMut(AuthContext<'_>) -> Authorization + Send + 'static {
        let flags = self.0.clone();
        move |context| {
            if flags.host.load(Ordering::Relaxed) || allowed(access, &context.action) {
                Authorization::Allow
            } else {
                flags.refused.store(true, Ordering::Relaxed);
                Authorization::Deny
            }
        }
    }
}

fn allowed(access: Access, action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Read { table_name, .. } => !listed(&FORBIDDEN_TABLES, table_name),
        AuthAction::Function { function_name } => !listed(&FORBIDDEN_FUNCTIONS, function_name),
        AuthAction::Pragma {
            pragma_name,
            pragma_value,
        } => {
            listed(&PRAGMAS, pragma_name)
                && (pragma_value.is_none() || !pragma_name.eq_ignore_ascii_case("user_version"))
        }
        AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name } => access == Access::Write && !listed(&FORBIDDEN_TABLES, table_name),
        AuthAction::CreateVtable { module_name, .. } | AuthAction::DropVtable { module_name, .. } => {
            access == Access::Write && listed(&MODULES, module_name)
        }
        AuthAction::CreateIndex { .. }
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateTrigger { .. }
        | AuthAction::CreateView { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::DropTable { .. }
        | AuthAction::DropTrigger { .. }
        | AuthAction::DropView { .. }
        | AuthAction::AlterTable { .. }
        | AuthAction::Reindex { .. }
        | AuthAction::Analyze { .. } => access == Access::Write,
        // Attach, detach, transactions, savepoints, temporary objects, and whatever a later SQLite adds.
        _ => false,
    }
}

fn listed(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}
