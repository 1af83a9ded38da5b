//! A retriever over the plugin's own `kv`: documents cut by the SDK's chunker, found by shared words or by substring. For
//! small collections, tests and machines without a model; every search reads the whole collection.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a failed expectation is a failed test"
    )
)]

mod collection;
mod filter;
mod limits;
mod rank;
mod record;
mod search;
mod spec;
mod store;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use encaje_sdk::errors::Problem;
use encaje_sdk::host::{call, clock, kv};
use encaje_sdk::retriever::{Collection, CollectionStats, Document, Found, Query, Retriever, Upserted};
use encaje_sdk::values::Filter;

use collection::Memory;
use store::Store;

/// The store that the host grants.
struct Granted;

impl Store for Granted {
    fn get(&self, key: &str) -> Result<Option<kv::Entry>, Problem> {
        kv::get(key)
    }

    fn compare_and_set(&self, key: &str, expected: u64, value: &[u8]) -> Result<u64, Problem> {
        kv::compare_and_set(key, expected, value)
    }

    fn remove(&self, key: &str) -> Result<bool, Problem> {
        kv::remove(key)
    }

    fn keys(&self, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>, Problem> {
        kv::keys(prefix, after, limit)
    }

    fn now_us(&self) -> u64 {
        clock::now_us()
    }

    fn chance(&self) -> u64 {
        // The one source of chance in the standard library is the keys of its hash maps; the crossing's own span, which no
        // other call has, stands by in case a host seeds all instances alike.
        RandomState::new().hash_one((self.now_us(), call::current().traceparent))
    }

    fn pause(&self, at_most_us: u64) {
        std::thread::sleep(Duration::from_micros(self.chance() % at_most_us.max(1)));
    }
}

struct InMemory;

impl Retriever for InMemory {
    fn check() -> Result<Vec<String>, Problem> {
        // A read, so that a missing grant shows when the plugin is loaded.
        kv::keys("", None, 1)?;
        Ok(["upsert", "remove", "retrieve", "stats"].map(str::to_owned).to_vec())
    }

    fn open(name: String, spec: String) -> Result<Box<dyn Collection>, Problem> {
        Ok(Box::new(Open(Memory::open(Granted, &name, &spec)?)))
    }
}

/// An open collection.
struct Open(Memory<Granted>);

impl Collection for Open {
    fn upsert(&mut self, documents: Vec<Document>) -> Result<Upserted, Problem> {
        self.0.upsert(documents)
    }

    fn remove(&mut self, filter: Filter) -> Result<u64, Problem> {
        self.0.remove(&filter)
    }

    fn retrieve(&mut self, query: Query) -> Result<Found, Problem> {
        self.0.retrieve(&query)
    }

    fn stats(&mut self) -> Result<CollectionStats, Problem> {
        self.0.stats()
    }
}

encaje_sdk::export_retriever!(InMemory);
