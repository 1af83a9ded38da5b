//! Storage in a SQLite database of the host's (`encaje:host/sql`): the declared tables as real tables, columns and indexes;
//! writes, pages and statistics as SQL. It opens no file and speaks no other dialect.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a failed expectation is a failed test"
    )
)]

mod aggregate;
mod catalog;
mod cursor;
mod database;
mod filter;
mod limits;
mod migrate;
mod read;
mod store;
#[cfg(test)]
mod tests;
mod value;
mod write;

use encaje_sdk::errors::Problem;
use encaje_sdk::host::sql::{self, Dialect, Rows, Statement};
use encaje_sdk::storage::{Aggregation, Durability, Mutation, Page, Query, Storage, Table};
use encaje_sdk::values::Value;
use serde::Deserialize;

use database::Database;

/// The plugin's table of the registry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    database: String,
}

/// The granted database, by its name.
struct Granted(String);

impl Granted {
    fn new() -> Result<Self, Problem> {
        Ok(Self(encaje_sdk::config::<Config>()?.database))
    }
}

impl Database for Granted {
    fn query(&self, sql: &str, parameters: &[Value], limit: u32) -> Result<Rows, Problem> {
        sql::query(&self.0, sql, parameters, limit)
    }

    fn transact(&self, statements: &[Statement], durability: Durability) -> Result<Vec<u64>, Problem> {
        sql::transact(&self.0, statements, durability)
    }

    fn scrub(&self) -> Result<(), Problem> {
        sql::scrub(&self.0)
    }
}

struct Sqlite;

impl Storage for Sqlite {
    fn check() -> Result<Vec<String>, Problem> {
        let database = Granted::new()?;
        match sql::dialect_of(&database.0)? {
            Dialect::Sqlite => {}
            Dialect::Postgres => {
                let message = format!(
                    "the database `{}` speaks PostgreSQL, this plugin SQLite alone",
                    database.0
                );
                return Err(Problem::misconfigured(message).with_param("config.database"));
            }
        }
        // A query, so that a file that cannot be read shows when the plugin is loaded.
        store::has_schema(&database)?;
        Ok(["write", "read", "aggregate", "scrub"].map(str::to_owned).to_vec())
    }

    fn migrate(tables: Vec<Table>) -> Result<Vec<String>, Problem> {
        store::migrate(&Granted::new()?, tables)
    }

    fn write(batch: Vec<Mutation>, durability: Durability) -> Result<Vec<u64>, Problem> {
        store::write(&Granted::new()?, batch, durability)
    }

    fn read(query: Query) -> Result<Page, Problem> {
        store::read(&Granted::new()?, query)
    }

    fn aggregate(aggregation: Aggregation) -> Result<Page, Problem> {
        store::aggregate(&Granted::new()?, aggregation)
    }

    fn scrub() -> Result<(), Problem> {
        store::scrub(&Granted::new()?)
    }
}

encaje_sdk::export_storage!(Sqlite);
