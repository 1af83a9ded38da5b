//! A storage in memory: enough of one for the ledger to write to and to be read back, and a gate that holds writes up.

use std::sync::Mutex;

use async_trait::async_trait;
use encaje_core::Call;
use encaje_core::ports::Storage;
use encaje_core::problem::{Problem, ProblemKind};
use encaje_core::storage::{Aggregation, Durability, Mutation, Page, Query, Table};
use encaje_core::value::{Comparator, Comparison, Fields, Value};
use tokio::sync::Semaphore;

pub(crate) struct Memory {
    rows: Mutex<Vec<(String, Fields)>>,
    /// A write takes one permit and gives it back; none are left while a test holds the gate.
    pub(crate) gate: Semaphore,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            rows: Mutex::default(),
            gate: Semaphore::new(1),
        }
    }

    /// The rows of a table, as they were written.
    pub(crate) fn rows(&self, table: &str) -> Vec<Fields> {
        let rows = self.rows.lock().unwrap();
        rows.iter()
            .filter(|(of, _)| of == table)
            .map(|(_, fields)| fields.clone())
            .collect()
    }
}

pub(crate) fn get(fields: &Fields, name: &str) -> Value {
    fields
        .iter()
        .find(|(known, _)| known == name)
        .map_or(Value::Null, |(_, value)| value.clone())
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Text(one), Value::Text(other)) => one == other,
        _ => one.as_integer().is_some() && one.as_integer() == other.as_integer(),
    }
}

fn holds(fields: &Fields, comparison: &Comparison) -> bool {
    let value = get(fields, &comparison.field);
    let wanted = &comparison.values[0];
    match comparison.by {
        Comparator::Equal => same(&value, wanted),
        Comparator::StartsWith => value
            .as_text()
            .unwrap_or_default()
            .starts_with(wanted.as_text().unwrap()),
        other => panic!("the fake does not compare by {other:?}"),
    }
}

#[async_trait]
impl Storage for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    async fn migrate(&self, _: &Call, _: &[Table]) -> Result<Vec<String>, Problem> {
        Ok(Vec::new())
    }

    async fn write(&self, _: &Call, batch: &[Mutation], _: Durability) -> Result<Vec<u64>, Problem> {
        let _open = self.gate.acquire().await.unwrap();
        let mut rows = self.rows.lock().unwrap();
        for mutation in batch {
            match mutation {
                Mutation::Upsert(table, fields) | Mutation::Insert(table, fields) => {
                    rows.push((table.clone(), fields.clone()));
                }
                other => panic!("the fake does not write {other:?}"),
            }
        }
        Ok(vec![1; batch.len()])
    }

    async fn read(&self, _: &Call, query: &Query) -> Result<Page, Problem> {
        let skip: usize = match &query.cursor {
            None => 0,
            Some(cursor) => cursor
                .parse()
                .map_err(|_| Problem::invalid("cursor", "This cursor is not of this store."))?,
        };
        let mut found = self.rows(&query.table);
        found.retain(|row| {
            query
                .filter
                .iter()
                .any(|group| group.iter().all(|comparison| holds(row, comparison)))
        });
        let order = &query.order[0];
        found.sort_by_key(|row| get(row, &order.field).as_integer());
        if order.descending {
            found.reverse();
        }
        let mut columns: Vec<String> = found.iter().flatten().map(|(name, _)| name.clone()).collect();
        columns.sort_unstable();
        columns.dedup();
        let limit = usize::try_from(query.limit).unwrap();
        let next = (found.len() > skip + limit).then(|| (skip + limit).to_string());
        let rows = found.iter().skip(skip).take(limit);
        let rows = rows
            .map(|row| columns.iter().map(|column| get(row, column)).collect())
            .collect();
        Ok(Page { columns, rows, next })
    }

    async fn aggregate(&self, _: &Call, _: &Aggregation) -> Result<Page, Problem> {
        Err(Problem::new(ProblemKind::Unsupported, "The fake does not aggregate."))
    }

    async fn scrub(&self, _: &Call) -> Result<(), Problem> {
        Ok(())
    }
}
