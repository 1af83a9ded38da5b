//! What a database promises to guests and to the operator, tried on real files.

mod bounds;
mod durability;
mod figures;
mod files;
mod processes;
mod refusals;
mod semantics;

use std::path::Path;

use encaje_core::storage::Durability;
use encaje_core::value::Value;
use encaje_core::{Problem, ProblemKind};

use super::connection::Location;
use super::quantile::Budget;
use super::{Database, Rows, Statement};

pub(super) fn open(directory: &Path) -> Database {
    Database::of_host("main", directory, "main.db").unwrap()
}

/// A database whose syncs are recorded.
pub(super) fn open_recorded(directory: &Path) -> Database {
    let vfs = Some(crate::testing::vfs::register());
    let path = directory.canonicalize().unwrap().join("main.db");
    Database::start(Location {
        name: "main".to_owned(),
        path,
        budget: Budget::default(),
        vfs,
    })
    .unwrap()
}

pub(super) fn statement(sql: &str, params: Vec<Value>) -> Statement {
    Statement {
        sql: sql.to_owned(),
        params,
        expected_changes: None,
    }
}

pub(super) async fn write(database: &Database, sql: &str) -> Result<Vec<u64>, Problem> {
    database
        .transact(vec![statement(sql, Vec::new())], Durability::Process)
        .await
}

pub(super) async fn read(database: &Database, sql: &str) -> Result<Rows, Problem> {
    database.query(sql, Vec::new(), 100).await
}

pub(super) async fn number(database: &Database, sql: &str) -> i64 {
    read(database, sql).await.unwrap().values[0][0].as_integer().unwrap()
}

/// The class and the code of a failure.
pub(super) fn class<T: std::fmt::Debug>(result: Result<T, Problem>) -> (ProblemKind, String) {
    let problem = result.unwrap_err();
    (problem.kind, problem.code.unwrap_or_default())
}
