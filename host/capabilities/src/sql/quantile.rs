//! `quantile(value, q)` as an SQL aggregate: linear interpolation between closest ranks, as numpy's default has it.
//!
//! Nulls are ignored; no values give null. It is exact and therefore holds the values of its group in memory, bounded for
//! the whole process. It is no window function.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::ValueRef;

use crate::limits;

/// Values by which a group grows, so that the shared counter is rarely touched.
const STEP: usize = 1_024;

/// Bytes that all groups of all connections of the databases of one server may hold together.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    held: Arc<AtomicUsize>,
    limit: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            held: Arc::default(),
            limit: limits::QUANTILE_BYTES,
        }
    }
}

/// Makes the aggregate known to a connection.
pub(super) fn register(connection: &Connection, budget: Budget) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_aggregate_function("quantile", 2, flags, Quantile(budget))
}

struct Quantile(Budget);

/// The values of one group.
struct Group {
    values: Vec<f64>,
    rank: f64,
    budget: Budget,
    reserved: usize,
}

impl Group {
    fn push(&mut self, value: f64) -> rusqlite::Result<()> {
        if self.values.len() == self.values.capacity() {
            let bytes = STEP.max(self.values.capacity()) * size_of::<f64>();
            let held = self.budget.held.fetch_add(bytes, Ordering::Relaxed);
            self.reserved += bytes;
            if held + bytes > self.budget.limit {
                return Err(refused("quantile: too many values; narrow the filter"));
            }
            self.values.reserve_exact(bytes / size_of::<f64>());
        }
        self.values.push(value);
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.reserved, Ordering::Relaxed);
    }
}

impl Aggregate<Group, Option<f64>> for Quantile {
    fn init(&self, context: &mut Context<'_>) -> rusqlite::Result<Group> {
        let rank = match context.get_raw(1) {
            ValueRef::Real(rank) => rank,
            ValueRef::Integer(rank) => rank as f64,
            _ => f64::NAN,
        };
        if !(0.0..=1.0).contains(&rank) {
            return Err(refused("quantile: the second argument must be a number from 0 to 1"));
        }
        Ok(Group {
            values: Vec::new(),
            rank,
            budget: self.0.clone(),
            reserved: 0,
        })
    }

    fn step(&self, context: &mut Context<'_>, group: &mut Group) -> rusqlite::Result<()> {
        match context.get_raw(0) {
            ValueRef::Null => Ok(()),
            ValueRef::Integer(value) => group.push(value as f64),
            ValueRef::Real(value) => group.push(value),
            ValueRef::Text(_) | ValueRef::Blob(_) => Err(refused("quantile: the first argument must be numbers")),
        }
    }

    fn finalize(&self, _: &mut Context<'_>, group: Option<Group>) -> rusqlite::Result<Option<f64>> {
        Ok(group.and_then(|mut group| interpolate(&mut group.values, group.rank)))
    }
}

/// The value at `rank` in [0, 1] of the sorted values; reorders them.
fn interpolate(values: &mut [f64], rank: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let position = rank * last as f64;
    let below = (position.floor() as usize).min(last);
    let share = position - below as f64;
    let (_, low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let low = *low;
    let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    Some(if share == 0.0 { low } else { low + (high - low) * share })
}

fn refused(words: &'static str) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(words.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask_within(limit: usize, sql: &str) -> rusqlite::Result<Option<f64>> {
        let connection = Connection::open_in_memory().unwrap();
        let budget = Budget {
            held: Arc::default(),
            limit,
        };
        register(&connection, budget.clone()).unwrap();
        let answer = connection.query_row(sql, [], |row| row.get(0));
        assert_eq!(
            budget.held.load(Ordering::Relaxed),
            0,
            "every group gave back what it held"
        );
        answer
    }

    fn ask(sql: &str) -> rusqlite::Result<Option<f64>> {
        ask_within(limits::QUANTILE_BYTES, sql)
    }

    #[test]
    fn it_interpolates_between_closest_ranks() {
        let of = |rank: &str| {
            let sql = format!("WITH t(x) AS (VALUES (4),(1),(NULL),(3),(2.0)) SELECT quantile(x, {rank}) FROM t");
            ask(&sql).unwrap().unwrap()
        };
        for (rank, expected) in [("0", 1.0), ("0.25", 1.75), ("0.5", 2.5), ("0.95", 3.85), ("1", 4.0)] {
            assert!((of(rank) - expected).abs() < 1e-12, "{rank}: {}", of(rank));
        }
    }

    #[test]
    fn no_values_give_null() {
        assert_eq!(ask("SELECT quantile(NULL, 0.5)").unwrap(), None);
        assert_eq!(
            ask("SELECT quantile(x, 0.5) FROM (SELECT 1 AS x) WHERE x > 1").unwrap(),
            None
        );
    }

    #[test]
    fn a_rank_outside_and_a_text_are_refused() {
        assert!(
            ask("SELECT quantile(1, 1.5)")
                .unwrap_err()
                .to_string()
                .contains("from 0 to 1")
        );
        assert!(ask("SELECT quantile(1, NULL)").is_err());
        assert!(
            ask("SELECT quantile('a', 0.5)")
                .unwrap_err()
                .to_string()
                .contains("numbers")
        );
    }

    #[test]
    fn memory_is_bounded() {
        let median = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100001) SELECT quantile(i, 0.5) FROM n";
        assert_eq!(ask(median).unwrap(), Some(50_001.0));
        let refused = ask_within(512 << 10, median).unwrap_err();
        assert!(refused.to_string().contains("too many values"), "{refused}");
    }
}
