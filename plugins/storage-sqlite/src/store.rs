//! The five calls of the contract, over the port to the database. Nothing is kept between calls: an instance may be fresh
//! each time, and another instance may have migrated since. The declarations cost one small query a call.

use encaje_sdk::errors::Problem;
use encaje_sdk::host::sql::Statement;
use encaje_sdk::storage::{self, Aggregation, Durability, Mutation, Page, Query};
use encaje_sdk::values::Value;

use crate::aggregate::Summary;
use crate::catalog::{self, SCHEMA_TABLE, Table};
use crate::database::Database;
use crate::limits::MAX_BATCH;
use crate::migrate;
use crate::read::Reading;
use crate::write::{Writer, table_of};

/// Brings the store to these tables; one sentence a change.
pub(crate) fn migrate(database: &impl Database, tables: Vec<storage::Table>) -> Result<Vec<String>, Problem> {
    let stored = if has_schema(database)? {
        Some(catalog::load_all(database)?)
    } else {
        None
    };
    let mut plan = migrate::plan(stored.as_deref().unwrap_or_default(), tables)?;
    if plan.statements.is_empty() {
        return Ok(Vec::new());
    }
    if stored.is_none() {
        plan.statements.insert(0, plain(migrate::schema_table()));
    }
    database.transact(&plan.statements, Durability::Disk)?;
    Ok(plan.changes)
}

/// Whether the store was ever migrated.
pub(crate) fn has_schema(database: &impl Database) -> Result<bool, Problem> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?";
    let rows = database.query(sql, &[Value::Text(SCHEMA_TABLE.to_owned())], 1)?;
    Ok(!matches!(
        rows.values.first().map(Vec::as_slice),
        Some([Value::Integer(0)])
    ))
}

fn plain(sql: String) -> Statement {
    Statement {
        sql,
        params: Vec::new(),
        expected_changes: None,
    }
}

/// One transaction; the rows that each mutation touched.
pub(crate) fn write(
    database: &impl Database,
    batch: Vec<Mutation>,
    durability: Durability,
) -> Result<Vec<u64>, Problem> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    if batch.len() > MAX_BATCH {
        return Err(Problem::too_large(format!(
            "a batch of more than {MAX_BATCH} mutations"
        )));
    }
    let mut names: Vec<&str> = batch.iter().map(table_of).collect();
    names.sort_unstable();
    names.dedup();
    let tables = catalog::load(database, &names)?;
    let mut writer = Writer::new(&tables);
    let at = |place: usize| move |problem: Problem| in_batch(problem, place);
    let statements = batch
        .into_iter()
        .enumerate()
        .map(|(place, mutation)| writer.statement(mutation).map_err(at(place)));
    let statements = statements.collect::<Result<Vec<_>, _>>()?;
    database.transact(&statements, durability).map_err(of_batch)
}

/// Each mutation is one statement, so that what the host says of a statement holds for the mutation of that place.
fn of_batch(mut problem: Problem) -> Problem {
    problem.param = problem.param.map(|param| param.replacen("statements[", "batch[", 1));
    problem
}

/// Says which mutation it was.
fn in_batch(mut problem: Problem, place: usize) -> Problem {
    problem.param = Some(match problem.param {
        Some(param) => format!("batch[{place}].{param}"),
        None => format!("batch[{place}]"),
    });
    problem
}

/// One page of rows.
pub(crate) fn read(database: &impl Database, query: Query) -> Result<Page, Problem> {
    let table = catalog::load_one(database, &query.table)?;
    let reading = Reading::new(&table, query)?;
    let rows = database.query(&reading.sql.text, &reading.sql.parameters, reading.limit)?;
    reading.page(rows)
}

/// Statistics of groups of rows.
pub(crate) fn aggregate(database: &impl Database, aggregation: Aggregation) -> Result<Page, Problem> {
    let table = catalog::load_one(database, &aggregation.table)?;
    let summary = Summary::new(&table, aggregation)?;
    let rows = database.query(&summary.sql.text, &summary.sql.parameters, summary.limit)?;
    if rows.more {
        let message = format!(
            "the groups of `{}` are more than one answer holds; ask for fewer",
            table.name
        );
        return Err(Problem::too_large(message).with_param("limit"));
    }
    Ok(summary.page(rows))
}

/// Leaves no byte of what was deleted in any file. A full-text index only marks the words of deleted rows, so it is made
/// anew first; the vacuum that follows reads and writes everything as well.
pub(crate) fn scrub(database: &impl Database) -> Result<(), Problem> {
    let tables = if has_schema(database)? {
        catalog::load_all(database)?
    } else {
        Vec::new()
    };
    let statements: Vec<Statement> = tables
        .iter()
        .flat_map(Table::text_indexes)
        .map(|index| plain(migrate::rebuild(&index)))
        .collect();
    if !statements.is_empty() {
        database.transact(&statements, Durability::Disk)?;
    }
    database.scrub()
}
