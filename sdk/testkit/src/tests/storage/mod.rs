//! A store in memory, and its wrong sisters.

mod answer;
mod change;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use encaje_core::call::Call;
use encaje_core::ports::Storage;
use encaje_core::storage::{Aggregation, Column, ColumnType, Durability, Mutation, Page, Query, Table};
use encaje_core::value::{Comparator, Filter, Value};
use encaje_core::{Problem, ProblemKind};

use super::{assert_caught, assert_passes, settings};
use crate::{Report, storage};

/// A row by its columns.
type Row = BTreeMap<String, Value>;

/// A table with its rows.
#[derive(Clone)]
struct Kept {
    table: Table,
    rows: Vec<Row>,
}

type Tables = BTreeMap<String, Kept>;

#[derive(Default)]
struct Memory {
    wrong: &'static str,
    tables: Mutex<Tables>,
}

fn refuse<T>(param: &str, message: &str) -> Result<T, Problem> {
    Err(Problem::invalid(param, message))
}

impl Kept {
    fn column(&self, name: &str) -> Result<&Column, Problem> {
        let column = self.table.columns.iter().find(|column| column.name == name);
        column.ok_or_else(|| Problem::invalid(name, "There is no such column."))
    }

    /// Whether the values of a filter fit its columns.
    fn check(&self, filter: &Filter) -> Result<(), Problem> {
        for comparison in filter.iter().flatten() {
            let column = self.column(&comparison.field)?;
            let count = comparison.values.len();
            let counted = match comparison.by {
                Comparator::IsNull | Comparator::IsNotNull => count == 0,
                Comparator::OneOf | Comparator::NotOneOf => true,
                _ => count == 1,
            };
            if !counted || !comparison.values.iter().all(|value| fits(column.of, value)) {
                return refuse(&comparison.field, "The values do not fit.");
            }
        }
        Ok(())
    }
}

fn fits(of: ColumnType, value: &Value) -> bool {
    use ColumnType as Of;
    match value {
        Value::Null => false,
        Value::Boolean(_) => of == Of::Boolean,
        Value::Integer(_) => matches!(of, Of::Integer | Of::Real | Of::TimeUs | Of::MoneyNano),
        Value::Real(_) => of == Of::Real,
        Value::Text(_) => of == Of::Text,
        Value::Blob(_) => of == Of::Blob,
        Value::Json(_) => of == Of::Json,
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn declared(table: &Table) -> Result<(), Problem> {
    let has = |key: &String| table.columns.iter().any(|column| column.name == *key);
    if !is_name(&table.name) || table.key.is_empty() || !table.key.iter().all(has) {
        return refuse(&table.name, "The table is declared wrongly.");
    }
    Ok(())
}

impl Memory {
    fn kept<'a>(&self, tables: &'a Tables, name: &str) -> Result<&'a Kept, Problem> {
        let kind = if self.wrong == "untyped" {
            ProblemKind::Internal
        } else {
            ProblemKind::NotFound
        };
        tables
            .get(name)
            .ok_or_else(|| Problem::new(kind, "There is no such table."))
    }

    fn migrate_one(&self, tables: &mut Tables, table: &Table, said: &mut Vec<String>) -> Result<(), Problem> {
        declared(table)?;
        let Some(kept) = tables.get_mut(&table.name) else {
            said.push(format!("made {}", table.name));
            let kept = Kept {
                table: table.clone(),
                rows: Vec::new(),
            };
            tables.insert(table.name.clone(), kept);
            return Ok(());
        };
        if self.wrong == "starts anew" {
            kept.rows.clear();
        }
        for column in &table.columns {
            match kept.table.columns.iter().find(|own| own.name == column.name) {
                Some(own) if own.of != column.of && self.wrong != "retypes" => {
                    return Err(Problem::new(ProblemKind::Conflict, "The column has another type."));
                }
                Some(_) => {}
                None => {
                    said.push(format!("added {}", column.name));
                    kept.table.columns.push(column.clone());
                    let value = column.default_value.clone().unwrap_or(Value::Null);
                    kept.rows
                        .iter_mut()
                        .for_each(|row| drop(row.insert(column.name.clone(), value.clone())));
                }
            }
        }
        if self.wrong == "never done" {
            said.push("did something".to_owned());
        }
        Ok(())
    }
}

#[async_trait]
impl Storage for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    async fn migrate(&self, _: &Call, tables: &[Table]) -> Result<Vec<String>, Problem> {
        let mut own = self.tables.lock().unwrap();
        let (mut next, mut said) = (own.clone(), Vec::new());
        for table in tables {
            self.migrate_one(&mut next, table, &mut said)?;
        }
        *own = next;
        Ok(said)
    }

    async fn write(&self, _: &Call, batch: &[Mutation], durability: Durability) -> Result<Vec<u64>, Problem> {
        if self.wrong == "soft" && durability == Durability::Disk {
            return Err(Problem::new(ProblemKind::Unsupported, "There is no disk."));
        }
        let before = self.tables.lock().unwrap().clone();
        if self.wrong == "races" {
            tokio::task::yield_now().await;
        }
        let mut next = before;
        let mut touched = Vec::new();
        for mutation in batch {
            match change::apply(&mut next, mutation, self.wrong) {
                Ok(rows) => touched.push(rows),
                Err(problem) => {
                    if self.wrong == "half batches" {
                        *self.tables.lock().unwrap() = next;
                    }
                    return Err(problem);
                }
            }
        }
        *self.tables.lock().unwrap() = next;
        Ok(touched)
    }

    async fn read(&self, _: &Call, query: &Query) -> Result<Page, Problem> {
        let tables = self.tables.lock().unwrap();
        answer::read(self.kept(&tables, &query.table)?, query, self.wrong)
    }

    async fn aggregate(&self, _: &Call, question: &Aggregation) -> Result<Page, Problem> {
        let tables = self.tables.lock().unwrap();
        answer::aggregate(self.kept(&tables, &question.table)?, question, self.wrong)
    }

    async fn scrub(&self, _: &Call) -> Result<(), Problem> {
        if self.wrong == "scrubs all" {
            self.tables
                .lock()
                .unwrap()
                .values_mut()
                .for_each(|kept| kept.rows.clear());
        }
        Ok(())
    }
}

async fn judged(wrong: &'static str) -> Report {
    let make = async || {
        Arc::new(Memory {
            wrong,
            ..Memory::default()
        }) as Arc<dyn Storage>
    };
    storage(make, &settings()).await
}

#[tokio::test]
async fn a_right_storage_passes() {
    assert_passes(&judged("").await);
}

async fn all_caught(wrong: &[(&'static str, &str)]) {
    for (wrong, check) in wrong {
        assert_caught(&judged(wrong).await, check);
    }
}

#[tokio::test]
async fn each_wrong_migration_and_write_is_caught_by_its_check() {
    let insert = "an insert of a key that exists is a conflict and undoes the whole batch";
    all_caught(&[
        (
            "never done",
            "a migration says what it made, and the second one changes nothing",
        ),
        (
            "starts anew",
            "a migration adds tables and columns, and keeps the rows that were there",
        ),
        (
            "retypes",
            "a migration that would retype a column is a conflict and changes nothing",
        ),
        ("scrubs all", "scrub keeps what was not removed"),
        ("soft", "both durabilities are accepted"),
        ("replaces", "an upsert keeps the columns that it does not name"),
        ("overwrites", insert),
        ("half batches", insert),
        (
            "not unique",
            "a unique index admits no second row, and nulls agree with nothing",
        ),
        (
            "unguarded",
            "an update whose guard does not hold undoes the whole batch",
        ),
        (
            "unguarded",
            "a removal whose guard does not hold undoes the whole batch",
        ),
        ("null stays null", "an update sets and adds, and null counts as zero"),
        ("races", "writes at once lose nothing"),
        (
            "any type",
            "a row that does not fit its table is refused and undoes the whole batch",
        ),
        ("lower case", "values of every type come back as they went"),
    ])
    .await;
}

#[tokio::test]
async fn each_wrong_read_is_caught_by_its_check() {
    all_caught(&[
        (
            "borders",
            "pages joined are the rows that match, in order, for every comparator",
        ),
        (
            "nulls differ",
            "null is less than everything, and a comparison with it does not hold",
        ),
        ("no ties", "the key breaks ties of the order"),
        ("offsets", "a cursor shows what stays once, while rows come and go"),
        ("any cursor", "a foreign cursor is refused"),
        (
            "one more",
            "a read gives at most as many rows as asked for, and says where the next are",
        ),
        ("untyped", "a read of what the table does not have is refused"),
        ("any word", "a text search finds the rows that have every word"),
    ])
    .await;
}

#[tokio::test]
async fn each_wrong_figure_is_caught_by_its_check() {
    all_caught(&[
        ("counts nulls", "figures are those of the groups, for every statistic"),
        ("nearest rank", "figures are those of the groups, for every statistic"),
        (
            "towards zero",
            "time buckets start at multiples of their width, before 1970 too",
        ),
        ("sum of nothing", "nothing has a count of nought and no sum"),
        (
            "unordered groups",
            "groups come in the order asked for, at most as many as asked for",
        ),
    ])
    .await;
}
