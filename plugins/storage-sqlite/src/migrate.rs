//! From what the host declares and what the store holds to the statements that add what is missing, and the words that say
//! so. Nothing is dropped, retyped or renamed: a difference that adding cannot bridge is a `conflict`.

use encaje_sdk::errors::Problem;
use encaje_sdk::host::sql::Statement;
use encaje_sdk::storage;
use encaje_sdk::values::Value;

use crate::catalog::{Class, Column, Index, ROW, SCHEMA_TABLE, Table, Type, check_name, text_index_name};
use crate::database::Sql;
use crate::limits::{MAX_COLUMNS, MAX_INDEXES, MAX_TABLES};
use crate::value::{literal, to_store};

/// Names that SQLite keeps for itself in a full-text index.
const FTS_WORDS: [&str; 2] = ["rank", "rowid"];

/// What has to be done.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) statements: Vec<Statement>,
    /// One sentence a change.
    pub(crate) changes: Vec<String>,
}

impl Plan {
    fn run(&mut self, text: impl Into<String>) {
        self.statements.push(Statement {
            sql: text.into(),
            params: Vec::new(),
            expected_changes: None,
        });
    }
}

/// The statement that makes the table of declarations.
pub(crate) fn schema_table() -> String {
    format!(
        "CREATE TABLE {SCHEMA_TABLE} (name TEXT PRIMARY KEY NOT NULL, declared TEXT NOT NULL) STRICT, WITHOUT ROWID"
    )
}

/// Checks a declaration.
///
/// # Errors
/// `invalid-request`, naming what is wrong.
pub(crate) fn checked(table: storage::Table) -> Result<Table, Problem> {
    check_name(&table.name)?;
    let refuse = |why: &str| Err(Problem::invalid_request(format!("the table `{}` {why}", table.name)));
    if table.columns.is_empty() || table.columns.len() > MAX_COLUMNS {
        return refuse(&format!("must have between 1 and {MAX_COLUMNS} columns"));
    }
    if table.key.is_empty() || has_twins(&table.key) {
        return refuse("must have a key, and no column twice in it");
    }
    if table.indexes.len() > MAX_INDEXES {
        return refuse(&format!("must have at most {MAX_INDEXES} indexes"));
    }
    let names: Vec<&String> = table.columns.iter().map(|column| &column.name).collect();
    if has_twins(&names) {
        return refuse("names a column twice");
    }
    let mut shape = Table {
        name: table.name.clone(),
        columns: Vec::new(),
        key: table.key.clone(),
        indexes: Vec::new(),
    };
    for column in table.columns {
        // What identifies a row cannot be unknown.
        let required = column.required || table.key.contains(&column.name);
        shape.columns.push(checked_column(column, required)?);
    }
    for name in &table.key {
        shape.column(name)?;
    }
    for index in table.indexes {
        shape.indexes.push(checked_index(&shape, index)?);
    }
    Ok(shape)
}

fn checked_column(column: storage::Column, required: bool) -> Result<Column, Problem> {
    check_name(&column.name)?;
    let mut shape = Column {
        name: column.name,
        of: Type::from(column.of),
        required,
        default: None,
    };
    shape.default = match column.default_value {
        None | Some(Value::Null) => None,
        Some(value) => {
            let value = to_store(&shape, value)?;
            Some(literal(&shape, &value)?)
        }
    };
    Ok(shape)
}

fn checked_index(table: &Table, index: storage::Index) -> Result<Index, Problem> {
    let refuse = |why: &str| {
        Err(Problem::invalid_request(format!(
            "an index of the table `{}` {why}",
            table.name
        )))
    };
    if index.columns.is_empty() || has_twins(&index.columns) {
        return refuse("must have columns, and none twice");
    }
    if index.text && index.unique {
        return refuse("cannot be for text search and unique at once");
    }
    for name in &index.columns {
        if index.text && table.column(name)?.of.class() != Class::Text {
            return refuse("for text search has a column that is no text");
        }
        if index.text && FTS_WORDS.contains(&name.as_str()) {
            return refuse(&format!("for text search cannot have a column named `{name}`"));
        }
        table.column(name)?;
    }
    Ok(Index {
        columns: index.columns,
        unique: index.unique,
        text: index.text,
    })
}

fn has_twins<T: PartialEq>(items: &[T]) -> bool {
    items
        .iter()
        .enumerate()
        .any(|(at, item)| items.iter().take(at).any(|earlier| earlier == item))
}

/// What is missing in the store.
///
/// # Errors
/// `invalid-request` for a declaration that is wrong in itself, `conflict` for one that the store contradicts.
pub(crate) fn plan(stored: &[Table], wanted: Vec<storage::Table>) -> Result<Plan, Problem> {
    if wanted.len() > MAX_TABLES {
        return Err(Problem::too_large(format!("a schema of more than {MAX_TABLES} tables")));
    }
    let wanted = wanted.into_iter().map(checked).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<&String> = wanted.iter().map(|table| &table.name).collect();
    if has_twins(&names) {
        return Err(Problem::invalid_request("the schema names a table twice"));
    }
    let mut plan = Plan::default();
    for table in &wanted {
        let before = plan.changes.len();
        let declared = match stored.iter().find(|stored| stored.name == table.name) {
            None => {
                create(&mut plan, table);
                table.clone()
            }
            Some(stored) => extend(&mut plan, stored, table)?,
        };
        if plan.changes.len() > before {
            remember(&mut plan, &declared)?;
        }
    }
    Ok(plan)
}

fn create(plan: &mut Plan, table: &Table) {
    let mut sql = Sql::default();
    sql.push("CREATE TABLE ")
        .name(&table.name)
        .push(" (")
        .name(ROW)
        .push(" INTEGER PRIMARY KEY");
    for column in &table.columns {
        sql.push(", ");
        push_column(&mut sql, column);
    }
    sql.push(", UNIQUE (")
        .names(table.key.iter().map(String::as_str))
        .push(")) STRICT");
    plan.run(sql.text);
    plan.changes.push(format!(
        "created the table `{}` with {} columns",
        table.name,
        table.columns.len()
    ));
    for (position, index) in table.indexes.iter().enumerate() {
        add_index(plan, table, position, index);
    }
}

fn push_column(sql: &mut Sql, column: &Column) {
    sql.name(&column.name).push(" ").push(column.of.sql());
    if column.required {
        sql.push(" NOT NULL");
    }
    if let Some(default) = &column.default {
        sql.push(" DEFAULT ").push(default);
    }
}

/// Adds to a stored table what it lacks; returns what it then is. What the store has and the host no longer declares stays.
fn extend(plan: &mut Plan, stored: &Table, wanted: &Table) -> Result<Table, Problem> {
    if stored.key != wanted.key {
        let message = format!(
            "the key of the table `{}` is ({}) in the store and ({}) in the schema; a key cannot be changed",
            stored.name,
            stored.key.join(", "),
            wanted.key.join(", ")
        );
        return Err(Problem::conflict(message).with_param(&stored.name));
    }
    let mut table = stored.clone();
    for column in &wanted.columns {
        match stored.columns.iter().find(|own| own.name == column.name) {
            Some(own) if own == column => {}
            Some(own) => return Err(contradiction(stored, own, column)),
            None => {
                add_column(plan, stored, column)?;
                table.columns.push(column.clone());
            }
        }
    }
    for index in &wanted.indexes {
        if !table.indexes.contains(index) {
            add_index(plan, &table, table.indexes.len(), index);
            table.indexes.push(index.clone());
        }
    }
    Ok(table)
}

fn contradiction(table: &Table, stored: &Column, wanted: &Column) -> Problem {
    let say = |column: &Column| {
        let required = if column.required { ", required" } else { "" };
        let default = column
            .default
            .as_ref()
            .map(|default| format!(", default {default}"))
            .unwrap_or_default();
        format!("{:?}{required}{default}", column.of)
    };
    let message = format!(
        "the column `{}` of the table `{}` is {} in the store and {} in the schema; a column cannot be changed",
        stored.name,
        table.name,
        say(stored),
        say(wanted)
    );
    Problem::conflict(message).with_param(format!("{}.{}", table.name, stored.name))
}

fn add_column(plan: &mut Plan, table: &Table, column: &Column) -> Result<(), Problem> {
    if column.required && column.default.is_none() {
        let message = format!(
            "the column `{}` is new in the table `{}` and required, so it needs a default for the rows that there are",
            column.name, table.name
        );
        return Err(Problem::invalid_request(message).with_param(format!("{}.{}", table.name, column.name)));
    }
    let mut sql = Sql::default();
    sql.push("ALTER TABLE ").name(&table.name).push(" ADD COLUMN ");
    push_column(&mut sql, column);
    plan.run(sql.text);
    plan.changes.push(format!(
        "added the column `{}` to the table `{}`",
        column.name, table.name
    ));
    Ok(())
}

fn add_index(plan: &mut Plan, table: &Table, position: usize, index: &Index) {
    let columns = || index.columns.iter().map(String::as_str);
    let kind = match (index.text, index.unique) {
        (true, _) => "a text index",
        (false, true) => "a unique index",
        (false, false) => "an index",
    };
    let listed = index.columns.join(", ");
    plan.changes
        .push(format!("added {kind} of ({listed}) to the table `{}`", table.name));
    if index.text {
        return add_text_index(plan, &table.name, position, &index.columns);
    }
    let mut sql = Sql::default();
    sql.push(if index.unique {
        "CREATE UNIQUE INDEX "
    } else {
        "CREATE INDEX "
    });
    sql.name(&format!("encaje_index_{}_{position}", table.name))
        .push(" ON ")
        .name(&table.name);
    sql.push(" (").names(columns()).push(")");
    plan.run(sql.text);
}

/// An FTS5 index that keeps no copy of the text, and the triggers that keep it true.
fn add_text_index(plan: &mut Plan, table: &str, position: usize, columns: &[String]) {
    let index = text_index_name(table, position);
    let each = |row: &str| {
        let quoted = columns.iter().map(|name| format!("{row}\"{name}\""));
        quoted.collect::<Vec<_>>().join(", ")
    };
    let plain = each("");
    let add = format!(
        "INSERT INTO \"{index}\" (rowid, {plain}) VALUES (new.\"{ROW}\", {});",
        each("new.")
    );
    let remove = format!(
        "INSERT INTO \"{index}\" (\"{index}\", rowid, {plain}) VALUES ('delete', old.\"{ROW}\", {});",
        each("old.")
    );
    let trigger = |what: &str, on: &str, body: &str| {
        format!("CREATE TRIGGER \"{index}_{what}\" AFTER {on} ON \"{table}\" BEGIN {body} END")
    };
    plan.run(format!(
        "CREATE VIRTUAL TABLE \"{index}\" USING fts5({plain}, content=\"{table}\", content_rowid=\"{ROW}\")"
    ));
    plan.run(rebuild(&index));
    plan.run(trigger("insert", "INSERT", &add));
    plan.run(trigger("delete", "DELETE", &remove));
    plan.run(trigger(
        "update",
        &format!("UPDATE OF {plain}"),
        &format!("{remove} {add}"),
    ));
}

/// The statement that makes a full-text index anew from the rows that there are.
pub(crate) fn rebuild(index: &str) -> String {
    format!("INSERT INTO \"{index}\" (\"{index}\") VALUES ('rebuild')")
}

fn remember(plan: &mut Plan, table: &Table) -> Result<(), Problem> {
    let declared = serde_json::to_string(table)
        .map_err(|error| Problem::internal("a declaration cannot be written").with_log_detail(error.to_string()))?;
    plan.statements.push(Statement {
        sql: format!(
            "INSERT INTO {SCHEMA_TABLE} (name, declared) VALUES (?, ?) \
             ON CONFLICT (name) DO UPDATE SET declared = excluded.declared"
        ),
        params: vec![Value::Text(table.name.clone()), Value::Text(declared)],
        expected_changes: Some(1),
    });
    Ok(())
}
