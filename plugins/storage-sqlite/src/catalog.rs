//! What the plugin knows of a table: the host's declaration as it was migrated, kept as JSON in a table of the plugin's own
//! (`encaje_schema`), since a fresh instance knows nothing and the engine's own types say less than the declaration did.

use encaje_sdk::errors::Problem;
use encaje_sdk::storage::ColumnType;
use encaje_sdk::values::Value;
use serde::{Deserialize, Serialize};

use crate::database::Database;
use crate::limits::{MAX_NAME, MAX_TABLES};

/// The table that holds the declarations; names with this prefix are the plugin's own.
pub(crate) const SCHEMA_TABLE: &str = "encaje_schema";
/// Names that start so are the plugin's.
pub(crate) const RESERVED: &str = "encaje_";
/// The row's own number: full-text indexes refer to it, and unlike SQLite's implicit one it outlives a vacuum.
pub(crate) const ROW: &str = "encaje_row";

/// What a column holds, as the declaration says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Type {
    Boolean,
    Integer,
    Real,
    Text,
    Blob,
    Json,
    TimeUs,
    MoneyNano,
}

/// How SQLite stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Integer,
    Real,
    Text,
    Blob,
}

impl Type {
    pub(crate) fn class(self) -> Class {
        match self {
            Self::Boolean | Self::Integer | Self::TimeUs | Self::MoneyNano => Class::Integer,
            Self::Real => Class::Real,
            Self::Text | Self::Json => Class::Text,
            Self::Blob => Class::Blob,
        }
    }

    /// The name of the type in a strict table.
    pub(crate) fn sql(self) -> &'static str {
        match self.class() {
            Class::Integer => "INTEGER",
            Class::Real => "REAL",
            Class::Text => "TEXT",
            Class::Blob => "BLOB",
        }
    }

    /// Whether sums and means of it make sense.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Real | Self::TimeUs | Self::MoneyNano)
    }
}

impl From<ColumnType> for Type {
    fn from(of: ColumnType) -> Self {
        match of {
            ColumnType::Boolean => Self::Boolean,
            ColumnType::Integer => Self::Integer,
            ColumnType::Real => Self::Real,
            ColumnType::Text => Self::Text,
            ColumnType::Blob => Self::Blob,
            ColumnType::Json => Self::Json,
            ColumnType::TimeUs => Self::TimeUs,
            ColumnType::MoneyNano => Self::MoneyNano,
        }
    }
}

/// A column as declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) of: Type,
    pub(crate) required: bool,
    /// A SQL literal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<String>,
}

/// An index as declared; its place in the table's list is part of its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Index {
    pub(crate) columns: Vec<String>,
    pub(crate) unique: bool,
    pub(crate) text: bool,
}

/// A table as declared. All names in it have been checked, so that they are safe between double quotes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) key: Vec<String>,
    pub(crate) indexes: Vec<Index>,
}

impl Table {
    /// The column of that name.
    ///
    /// # Errors
    /// `invalid-request` where the table has none.
    pub(crate) fn column(&self, name: &str) -> Result<&Column, Problem> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            Problem::invalid_request(format!("the table `{}` has no column `{name}`", self.name)).with_param(name)
        })
    }

    /// The full-text index that covers a column, by its name in the database.
    pub(crate) fn text_index(&self, column: &str) -> Option<String> {
        let covers = |index: &Index| index.text && index.columns.iter().any(|own| own == column);
        self.indexes
            .iter()
            .position(covers)
            .map(|position| text_index_name(&self.name, position))
    }

    /// All of its full-text indexes, by their names in the database.
    pub(crate) fn text_indexes(&self) -> impl Iterator<Item = String> {
        let texts = self.indexes.iter().enumerate().filter(|(_, index)| index.text);
        texts.map(|(position, _)| text_index_name(&self.name, position))
    }
}

/// The name of a table's full-text index.
pub(crate) fn text_index_name(table: &str, position: usize) -> String {
    format!("{RESERVED}text_{table}_{position}")
}

/// Lets through names that are safe between double quotes, on every store, and not the plugin's own.
///
/// # Errors
/// `invalid-request`.
pub(crate) fn check_name(name: &str) -> Result<(), Problem> {
    let refuse = |why: String| Err(Problem::invalid_request(why).with_param(name));
    let mut bytes = name.bytes();
    let starts_well = bytes
        .next()
        .is_some_and(|byte| byte == b'_' || byte.is_ascii_lowercase());
    if !starts_well || !bytes.all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return refuse(format!(
            "`{name}` is no name: lower-case letters, digits and `_`, and no digit first"
        ));
    }
    if name.len() > MAX_NAME {
        return refuse(format!("the name `{name}` is longer than {MAX_NAME} bytes"));
    }
    if name.starts_with(RESERVED) || name.starts_with("sqlite_") {
        return refuse(format!("the name `{name}` is reserved"));
    }
    Ok(())
}

/// Loads the declarations of these tables, in their order.
///
/// # Errors
/// `not-found` for a table that was never migrated.
pub(crate) fn load(database: &impl Database, names: &[&str]) -> Result<Vec<Table>, Problem> {
    if names.len() > MAX_TABLES {
        return Err(Problem::too_large(format!("at most {MAX_TABLES} tables in one batch")));
    }
    // Padded to a power of two, so that a few prepared statements serve all numbers of tables.
    let slots = names.len().next_power_of_two();
    let places = vec!["?"; slots].join(",");
    let sql = format!("SELECT name, declared FROM {SCHEMA_TABLE} WHERE name IN ({places})");
    let padding = names.last().copied().unwrap_or_default();
    let padded = names.iter().copied().chain(std::iter::repeat(padding)).take(slots);
    let parameters: Vec<Value> = padded.map(|name| Value::Text(name.to_owned())).collect();
    let found = database.query(&sql, &parameters, u32::try_from(slots).unwrap_or(u32::MAX))?;
    let mut found = found
        .values
        .iter()
        .map(|row| parse_row(row))
        .collect::<Result<Vec<_>, _>>()?;
    let take = |name: &&str| {
        let place = found.iter().position(|table| table.name == **name);
        place.map(|place| found.swap_remove(place)).ok_or_else(|| {
            Problem::not_found(format!("the store has no table `{name}`; it has to be migrated first"))
                .with_param(*name)
        })
    };
    names.iter().map(take).collect()
}

/// Loads one declaration.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_one(database: &impl Database, name: &str) -> Result<Table, Problem> {
    let mut tables = load(database, &[name])?;
    tables
        .pop()
        .ok_or_else(|| Problem::internal("one table was asked for and none came"))
}

/// Loads every declaration.
pub(crate) fn load_all(database: &impl Database) -> Result<Vec<Table>, Problem> {
    let limit = u32::try_from(MAX_TABLES).unwrap_or(u32::MAX);
    let sql = format!("SELECT name, declared FROM {SCHEMA_TABLE} ORDER BY name");
    let rows = database.query(&sql, &[], limit)?;
    rows.values.iter().map(|row| parse_row(row)).collect()
}

fn parse_row(row: &[Value]) -> Result<Table, Problem> {
    let [Value::Text(name), Value::Text(declared)] = row else {
        return Err(Problem::internal(format!(
            "{SCHEMA_TABLE} holds something that is no text"
        )));
    };
    serde_json::from_str(declared).map_err(|error| {
        let problem = Problem::internal(format!("the stored declaration of `{name}` cannot be read"));
        problem.with_log_detail(error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::check_name;

    #[test]
    fn only_plain_names_pass() {
        for name in ["a", "_", "messages", "a_1", &"x".repeat(63)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "A",
            "1a",
            "a-b",
            "a b",
            "a\"",
            "é",
            "encaje_x",
            "sqlite_master",
            &"x".repeat(64),
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
