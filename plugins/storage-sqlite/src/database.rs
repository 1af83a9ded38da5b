//! The port to the database: what the plugin asks of `encaje:host/sql`, so that everything else can be tested against a
//! SQLite without a host. And the builder of one statement. No table is known here.

use encaje_sdk::errors::Problem;
use encaje_sdk::host::sql::{Rows, Statement};
use encaje_sdk::storage::Durability;
use encaje_sdk::values::Value;

/// One granted database.
pub(crate) trait Database {
    /// The first `limit` rows.
    fn query(&self, sql: &str, parameters: &[Value], limit: u32) -> Result<Rows, Problem>;
    /// All statements or none; the rows that each changed.
    fn transact(&self, statements: &[Statement], durability: Durability) -> Result<Vec<u64>, Problem>;
    /// Removes deleted content from every file.
    fn scrub(&self) -> Result<(), Problem>;
}

/// A statement under construction: text and the parameters of its `?` in their order.
#[derive(Debug, Default)]
pub(crate) struct Sql {
    pub(crate) text: String,
    pub(crate) parameters: Vec<Value>,
}

impl Sql {
    /// Appends text.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a checked name between double quotes.
    pub(crate) fn name(&mut self, name: &str) -> &mut Self {
        self.push("\"").push(name).push("\"")
    }

    /// Appends checked names, separated by commas.
    pub(crate) fn names<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> &mut Self {
        for (at, name) in names.into_iter().enumerate() {
            self.push(if at > 0 { ", " } else { "" }).name(name);
        }
        self
    }

    /// Appends a parameter.
    pub(crate) fn value(&mut self, value: Value) -> &mut Self {
        self.parameters.push(value);
        self.push("?")
    }

    /// The finished statement of a batch.
    pub(crate) fn into_statement(self, expected_changes: Option<u64>) -> Statement {
        Statement {
            sql: self.text,
            params: self.parameters,
            expected_changes,
        }
    }
}
