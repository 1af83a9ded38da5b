//! A retriever over the plugin's own key-value store: a document an entry, found by the words that it shares with the
//! question. Put your index where `rank` is. Every search reads the whole collection, which is for hundreds of documents.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed expectation is a failed test"
    )
)]

mod document;
mod filter;

use encaje_sdk::chunker::Chunker;
use encaje_sdk::errors::Problem;
use encaje_sdk::host::kv;
use encaje_sdk::retriever::{Collection, CollectionStats, Document, Found, Query, Retriever, Upserted};
use encaje_sdk::values::Filter;
use serde::Deserialize;

use document::{Stored, rank};

/// Keys of one answer of the store; it gives no more.
const KEYS_AT_ONCE: u32 = 1_000;
/// Documents of a collection: a search reads each of them.
const MAX_DOCUMENTS: usize = 1_000;
/// Bytes of a name and of an id: with both, a key stays below the 1,024 bytes that the store takes.
const MAX_NAME_BYTES: usize = 128;
const MAX_ID_BYTES: usize = 512;
/// Bytes of a stored document: the store's own cap of a value.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// The plugin's `config` in the registry; `plugin.toml` has its schema and the defaults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    passage_bytes: usize,
}

fn chunker() -> Result<Chunker, Problem> {
    let config: Config = encaje_sdk::config()?;
    Chunker::new(config.passage_bytes, 0).map_err(|error| {
        Problem::misconfigured(format!("config.passage_bytes: {error}")).with_param("config.passage_bytes")
    })
}

struct Plugin;

impl Retriever for Plugin {
    fn check() -> Result<Vec<String>, Problem> {
        chunker()?;
        // A read, so that a missing grant shows when the plugin is loaded.
        kv::keys("", None, 1)?;
        Ok(["upsert", "remove", "retrieve", "stats"].map(str::to_owned).to_vec())
    }

    fn open(name: String, spec: String) -> Result<Box<dyn Collection>, Problem> {
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            let message = format!("a collection's name has 1 to {MAX_NAME_BYTES} bytes");
            return Err(Problem::invalid_request(message).with_param("name"));
        }
        if !matches!(spec.trim(), "" | "{}") {
            let message = "this retriever knows no `spec`; leave it empty";
            return Err(Problem::invalid_request(message).with_param("spec"));
        }
        // The length keeps one name from being the beginning of another one's keys.
        let prefix = format!("{}:{name}/", name.len());
        Ok(Box::new(Open {
            prefix,
            chunker: chunker()?,
        }))
    }
}

/// An open collection.
struct Open {
    prefix: String,
    chunker: Chunker,
}

impl Open {
    fn keys(&self) -> Result<Vec<String>, Problem> {
        let mut keys: Vec<String> = Vec::new();
        loop {
            let more = kv::keys(&self.prefix, keys.last().map(String::as_str), KEYS_AT_ONCE)?;
            let is_last = more.len() < KEYS_AT_ONCE as usize;
            keys.extend(more);
            if is_last || keys.len() > MAX_DOCUMENTS {
                return Ok(keys);
            }
        }
    }

    fn documents(&self) -> Result<Vec<Stored>, Problem> {
        let entries = self
            .keys()?
            .into_iter()
            .map(|key| kv::get(&key))
            .collect::<Result<Vec<_>, _>>()?;
        entries
            .into_iter()
            .flatten()
            .map(|entry| Stored::read(&entry.value))
            .collect()
    }

    fn key(&self, id: &str) -> String {
        format!("{}{id}", self.prefix)
    }
}

/// The entry of a document, once it is known to fit.
fn entry(document: &Document) -> Result<Vec<u8>, Problem> {
    if document.id.is_empty() || document.id.len() > MAX_ID_BYTES {
        return Err(Problem::invalid_request(format!("an id has 1 to {MAX_ID_BYTES} bytes")).with_param("id"));
    }
    let entry = Stored::of(document).write()?;
    if entry.len() > MAX_VALUE_BYTES {
        let message = format!(
            "the document `{}` is larger than {MAX_VALUE_BYTES} bytes; split it",
            document.id
        );
        return Err(Problem::too_large(message).with_param("documents"));
    }
    Ok(entry)
}

impl Collection for Open {
    fn upsert(&mut self, documents: Vec<Document>) -> Result<Upserted, Problem> {
        // All of them are looked at before the first is written.
        let entries = documents.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        if self.keys()?.len() + documents.len() > MAX_DOCUMENTS {
            let message = format!("a collection has at most {MAX_DOCUMENTS} documents; open another one");
            return Err(Problem::too_large(message).with_code("collection_full"));
        }
        let mut done = Upserted {
            added: 0,
            changed: 0,
            unchanged: 0,
            passages: 0,
            windows: 0,
        };
        for (document, entry) in documents.iter().zip(entries) {
            let key = self.key(&document.id);
            match kv::get(&key)? {
                Some(old) if old.value == entry => {
                    done.unchanged += 1;
                    continue;
                }
                Some(_) => done.changed += 1,
                None => done.added += 1,
            }
            kv::set(&key, &entry, None)?;
            done.passages += self.chunker.cut(&document.text).len() as u64;
        }
        Ok(done)
    }

    fn remove(&mut self, filter: Filter) -> Result<u64, Problem> {
        let mut removed = 0;
        for document in filter::matching(self.documents()?, &filter)? {
            removed += u64::from(kv::remove(&self.key(&document.id))?);
        }
        Ok(removed)
    }

    fn retrieve(&mut self, query: Query) -> Result<Found, Problem> {
        if query.k == 0 {
            return Err(Problem::invalid_request("`k` must be at least 1").with_param("k"));
        }
        if let Some((name, _)) = query.extra.first() {
            return Err(Problem::unsupported(format!("this retriever does not know `{name}`")).with_param(name));
        }
        let documents = filter::matching(self.documents()?, &query.where_)?;
        Ok(Found {
            hits: rank(&query.text, query.k as usize, &documents, &self.chunker),
            rung: "keyword".to_owned(),
            degraded: None,
        })
    }

    fn stats(&mut self) -> Result<CollectionStats, Problem> {
        let documents = self.documents()?;
        let passages = |document: &Stored| self.chunker.cut(&document.text).len() as u64;
        Ok(CollectionStats {
            documents: documents.len() as u64,
            passages: documents.iter().map(passages).sum(),
            bytes: documents.iter().map(|document| document.text.len() as u64).sum(),
            extra: Vec::new(),
        })
    }
}

encaje_sdk::export_retriever!(Plugin);
