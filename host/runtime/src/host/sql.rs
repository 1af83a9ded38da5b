//! `sql`: databases that the operator granted by name.

use encaje_bindings::base::encaje::common::errors::Problem as GuestProblem;
use encaje_bindings::base::encaje::common::values::Value as GuestValue;
use encaje_bindings::base::encaje::host::sql;
use encaje_capabilities::sql::{Database, Statement};

use super::{answer, denied};
use crate::convert::{problem, storage, value};
use crate::state::State;

impl State {
    /// The handle of a granted database, bounded by what is left of the visit and counted for it.
    fn database(&self, name: &str) -> Result<Database, GuestProblem> {
        let shared = &self.shared;
        let granted = shared.capabilities.sql.get(name);
        let granted = granted.ok_or_else(|| {
            let line = format!("sql = [\"{}\"]", name.chars().take(64).collect::<String>());
            problem::to_guest(denied(&shared.name, "sql", &line))
        })?;
        Ok(granted.within(self.remaining()).counted(self.meter.sql.clone()))
    }
}

impl sql::Host for State {
    async fn dialect_of(&mut self, database: String) -> wasmtime::Result<Result<sql::Dialect, GuestProblem>> {
        Ok(self.database(&database).map(|_| sql::Dialect::Sqlite))
    }

    async fn query(
        &mut self,
        database: String,
        sql: String,
        params: Vec<GuestValue>,
        limit: u32,
    ) -> wasmtime::Result<Result<sql::Rows, GuestProblem>> {
        let database = match self.database(&database) {
            Ok(database) => database,
            Err(problem) => return Ok(Err(problem)),
        };
        let params = params.into_iter().map(value::to_core).collect();
        let rows = database.query(sql, params, limit).await.map(|rows| sql::Rows {
            columns: rows.columns,
            values: rows
                .values
                .into_iter()
                .map(|row| row.into_iter().map(value::into_guest).collect())
                .collect(),
            more: rows.more,
        });
        answer(rows)
    }

    async fn transact(
        &mut self,
        database: String,
        statements: Vec<sql::Statement>,
        durability: sql::Durability,
    ) -> wasmtime::Result<Result<Vec<u64>, GuestProblem>> {
        let database = match self.database(&database) {
            Ok(database) => database,
            Err(problem) => return Ok(Err(problem)),
        };
        let statements = statements
            .into_iter()
            .map(|statement| Statement {
                sql: statement.sql,
                params: statement.params.into_iter().map(value::to_core).collect(),
                expected_changes: statement.expected_changes,
            })
            .collect();
        answer(
            database
                .transact(statements, storage::durability_to_core(durability))
                .await,
        )
    }

    async fn scrub(&mut self, database: String) -> wasmtime::Result<Result<(), GuestProblem>> {
        match self.database(&database) {
            Ok(database) => answer(database.scrub().await),
            Err(problem) => Ok(Err(problem)),
        }
    }
}
