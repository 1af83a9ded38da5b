//! A storage over the plugin's own key-value store: all tables are the JSON of one entry, so that a batch is one
//! `compare-and-set` and as atomic as that. For some hundreds of rows. It computes no statistics and does not scrub.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed expectation is a failed test"
    )
)]

mod filter;
mod rows;

use std::time::Duration;

use encaje_sdk::errors::{Problem, ProblemKind};
use encaje_sdk::host::kv;
use encaje_sdk::storage::{Durability, Mutation, Page, Query, Storage, Table};
use serde::Deserialize;

use rows::Store;

/// Bytes of the entry: the key-value store's own cap of a value.
const MAX_BYTES: usize = 1 << 20;
/// Lost races after which a write gives up; each means that another write was done.
const MAX_TRIES: u32 = 64;

/// The plugin's `config` in the registry; `plugin.toml` has its schema and the defaults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    key: String,
}

struct Plugin;

impl Storage for Plugin {
    fn check() -> Result<Vec<String>, Problem> {
        load()?;
        Ok(["write", "read"].map(str::to_owned).to_vec())
    }

    fn migrate(tables: Vec<Table>) -> Result<Vec<String>, Problem> {
        change(|store| store.migrate(&tables))
    }

    /// Each write is on disk when it returns, which is what both durabilities ask for.
    fn write(batch: Vec<Mutation>, _durability: Durability) -> Result<Vec<u64>, Problem> {
        change(|store| store.apply(&batch))
    }

    fn read(query: Query) -> Result<Page, Problem> {
        load()?.0.read(&query)
    }
}

fn key() -> Result<String, Problem> {
    Ok(encaje_sdk::config::<Config>()?.key)
}

/// The tables and the version of their entry; 0 where there is none.
fn load() -> Result<(Store, u64), Problem> {
    let Some(entry) = kv::get(&key()?)? else {
        return Ok((Store::default(), 0));
    };
    let store = serde_json::from_slice(&entry.value)
        .map_err(|error| Problem::internal("the tables cannot be read").with_log_detail(error.to_string()))?;
    Ok((store, entry.version))
}

/// Changes the tables; begins again with the winner's where another write was faster.
fn change<T>(mut change: impl FnMut(&mut Store) -> Result<T, Problem>) -> Result<T, Problem> {
    for attempt in 0..MAX_TRIES {
        let (mut store, version) = load()?;
        let done = change(&mut store)?;
        let bytes = serde_json::to_vec(&store)
            .map_err(|error| Problem::internal("the tables cannot be written").with_log_detail(error.to_string()))?;
        if bytes.len() > MAX_BYTES {
            let message = format!("all rows together have at most {MAX_BYTES} bytes; remove some");
            return Err(Problem::too_large(message).with_code("store_full"));
        }
        match kv::compare_and_set(&key()?, version, &bytes) {
            Ok(_) => return Ok(done),
            Err(problem) if matches!(problem.kind, ProblemKind::Conflict) => {
                std::thread::sleep(Duration::from_millis(u64::from(attempt % 8)));
            }
            Err(problem) => return Err(problem),
        }
    }
    let message = "too many others write at once; try again";
    Err(Problem::new(ProblemKind::Overloaded, message).with_retry_after(Duration::from_millis(100)))
}

encaje_sdk::export_storage!(Plugin);
