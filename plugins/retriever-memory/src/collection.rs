//! One collection: opens it, changes it, counts it. A change is prepared aside (the entries of new documents), made by one
//! `compare-and-set` of the index, and then tidied up; whoever loses the race begins again with the winner's index, so that
//! nothing of either is lost. What a crash leaves aside is swept up later. Searching is `search.rs`.

use std::collections::HashSet;

use encaje_sdk::chunker::Chunker;
use encaje_sdk::errors::{Problem, ProblemKind};
use encaje_sdk::retriever::{CollectionStats, Document, Upserted};
use encaje_sdk::values::{Filter, Value};

use crate::filter::Checked;
use crate::limits::{
    KEYS_AT_ONCE, MAX_BATCH, MAX_BYTES, MAX_DOCUMENTS, MAX_ID, MAX_NAME, MAX_PAUSE_US, MAX_TRIES, MAX_VALUE, ORPHAN_US,
    SWEEP_EVERY_US,
};
use crate::record::{Content, Index, Line, Stored, read, write};
use crate::spec::Wanted;
use crate::store::{Store, was_outrun};

/// An open collection.
#[derive(Debug)]
pub(crate) struct Memory<S> {
    store: S,
    /// Length and name: no name can be the beginning of another one's keys.
    name: String,
    chunker: Chunker,
}

/// A document that is to be stored.
struct Prepared {
    id: String,
    hash: String,
    bytes: u64,
    passages: u64,
    entry: Vec<u8>,
    /// The last part of the key that it was written under, once it was.
    key: Option<String>,
}

impl<S: Store> Memory<S> {
    /// Opens a collection, and makes it where there is none.
    pub(crate) fn open(store: S, name: &str, spec: &str) -> Result<Self, Problem> {
        if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
            let message = format!("a collection's name has 1 to {MAX_NAME} bytes and no control characters");
            return Err(Problem::invalid_request(message).with_param("name"));
        }
        let wanted = Wanted::parse(spec)?;
        let mut own = Self {
            store,
            name: format!("{}:{name}", name.len()),
            // Until the index says how this one is cut.
            chunker: Wanted::default().spec()?.chunker()?,
        };
        let index = match own.find()? {
            Some((index, _)) => index,
            None => {
                let new = Index {
                    spec: wanted.spec()?,
                    documents: std::collections::BTreeMap::new(),
                    swept_us: own.store.now_us(),
                };
                match own.store.compare_and_set(&own.index_key(), 0, &write(&new)?) {
                    Ok(_) => new,
                    Err(problem) if was_outrun(&problem) => own.load()?.0,
                    Err(problem) => return Err(problem),
                }
            }
        };
        wanted.check(index.spec)?;
        own.chunker = index.spec.chunker()?;
        Ok(own)
    }

    /// Adds and replaces documents; those whose content is the same stay.
    pub(crate) fn upsert(&self, documents: Vec<Document>) -> Result<Upserted, Problem> {
        let mut prepared = self.prepare(documents)?;
        let done = self.settle(|index| self.place(index, &mut prepared));
        // After an outcome that is not known (a time-out) an index may name the new entries: only the sweep can tell.
        let is_known = match &done {
            Ok(_) => true,
            Err(problem) => matches!(problem.kind, ProblemKind::Overloaded | ProblemKind::TooLarge),
        };
        if is_known {
            self.withdraw(&prepared)?;
        }
        let upserted = done?;
        self.sweep()?;
        Ok(upserted)
    }

    /// Removes the documents that match.
    pub(crate) fn remove(&self, filter: &Filter) -> Result<u64, Problem> {
        self.settle(|index| {
            let mut checked = Checked::new(filter)?;
            let mut removed = 0;
            let mut kept = std::collections::BTreeMap::new();
            for (id, line) in std::mem::take(&mut index.documents) {
                let matches = checked.is_empty() || {
                    let Some(stored) = self.entry(&line)? else {
                        return Ok(Change::Again);
                    };
                    checked.holds(&id, &stored.content.metadata())
                };
                if matches {
                    removed += 1;
                } else {
                    kept.insert(id, line);
                }
            }
            checked.finish()?;
            index.documents = kept;
            Ok(if removed == 0 {
                Change::None(0)
            } else {
                Change::Made(removed)
            })
        })
    }

    /// Counts what there is.
    pub(crate) fn stats(&self) -> Result<CollectionStats, Problem> {
        let (index, _) = self.load()?;
        Ok(CollectionStats {
            documents: index.documents.len() as u64,
            passages: index.documents.values().map(|line| line.passages).sum(),
            bytes: index.documents.values().map(|line| line.bytes).sum(),
            extra: Vec::new(),
        })
    }

    /// The index and its version.
    pub(crate) fn load(&self) -> Result<(Index, u64), Problem> {
        self.find()?
            .ok_or_else(|| Problem::not_found("the collection is not there any more; open it again"))
    }

    /// A document's entry; `None` where it was replaced or removed meanwhile.
    pub(crate) fn entry(&self, line: &Line) -> Result<Option<Stored>, Problem> {
        match self.store.get(&self.entry_key(&line.key))? {
            Some(entry) => read(&entry.value).map(Some),
            None => Ok(None),
        }
    }

    /// Waits before another try, the longer the more there were.
    pub(crate) fn pause(&self, tries: u32) {
        self.store.pause(MAX_PAUSE_US.min(500_u64 << tries.min(10)));
    }

    fn find(&self) -> Result<Option<(Index, u64)>, Problem> {
        let found = self.store.get(&self.index_key())?;
        found.map(|entry| Ok((read(&entry.value)?, entry.version))).transpose()
    }

    fn index_key(&self) -> String {
        format!("index/{}", self.name)
    }

    fn entry_key(&self, key: &str) -> String {
        format!("text/{}/{key}", self.name)
    }

    /// Changes the index until nobody was faster; then removes the entries that it does not name any more.
    fn settle<T>(&self, mut change: impl FnMut(&mut Index) -> Result<Change<T>, Problem>) -> Result<T, Problem> {
        for tries in 0..MAX_TRIES {
            let (before, version) = self.load()?;
            let mut after = before.clone();
            match change(&mut after)? {
                Change::None(answer) => return Ok(answer),
                Change::Again => {}
                Change::Made(answer) => match self.store.compare_and_set(&self.index_key(), version, &write(&after)?) {
                    Ok(_) => {
                        self.discard(&before, &after)?;
                        return Ok(answer);
                    }
                    Err(problem) if was_outrun(&problem) => {}
                    Err(problem) => return Err(problem),
                },
            }
            self.pause(tries);
        }
        let message = "too many write to this collection at once; try again";
        Err(Problem::new(ProblemKind::Overloaded, message).with_retry_after(std::time::Duration::from_millis(100)))
    }

    /// Only who took a key out of the index removes its entry, and no key is ever used again: nobody's is hit.
    fn discard(&self, before: &Index, after: &Index) -> Result<(), Problem> {
        for (id, line) in &before.documents {
            if after.documents.get(id).is_none_or(|kept| kept.key != line.key) {
                self.store.remove(&self.entry_key(&line.key))?;
            }
        }
        Ok(())
    }

    /// Removes entries that nobody needs in the end: another instance wrote the same document, or nothing came of it.
    fn withdraw(&self, prepared: &[Prepared]) -> Result<(), Problem> {
        let written: Vec<&str> = prepared.iter().filter_map(|document| document.key.as_deref()).collect();
        if written.is_empty() {
            return Ok(());
        }
        let (index, _) = self.load()?;
        let named: HashSet<&str> = index.documents.values().map(|line| line.key.as_str()).collect();
        for key in written.into_iter().filter(|key| !named.contains(key)) {
            self.store.remove(&self.entry_key(key))?;
        }
        Ok(())
    }

    fn prepare(&self, documents: Vec<Document>) -> Result<Vec<Prepared>, Problem> {
        if documents.len() > MAX_BATCH {
            let message = format!("at most {MAX_BATCH} documents at once; send them in several calls");
            return Err(Problem::too_large(message).with_param("documents"));
        }
        let mut ids = HashSet::new();
        let mut prepared = Vec::with_capacity(documents.len());
        for (place, document) in documents.into_iter().enumerate() {
            let param = format!("documents[{place}]");
            check(&document, &param)?;
            if !ids.insert(document.id.clone()) {
                let message = format!("the document `{}` comes twice", document.id);
                return Err(Problem::invalid_request(message).with_param(param));
            }
            let (id, content) = Content::of(document);
            let hash = content.hash()?;
            let cut = self.chunker.cut(&content.text);
            let (bytes, passages) = (content.text.len() as u64, cut.len() as u64);
            let entry = write(&Stored {
                written_us: self.store.now_us(),
                passages: cut.into_iter().map(|range| (range.start, range.end)).collect(),
                content,
            })?;
            if entry.len() > MAX_VALUE {
                let message = format!(
                    "the document `{id}` is stored in {} bytes, and {MAX_VALUE} fit; split it",
                    entry.len()
                );
                return Err(Problem::too_large(message).with_param(param));
            }
            prepared.push(Prepared {
                id,
                hash,
                bytes,
                passages,
                entry,
                key: None,
            });
        }
        Ok(prepared)
    }

    /// Puts documents into an index, and their entries into the store.
    fn place(&self, index: &mut Index, prepared: &mut [Prepared]) -> Result<Change<Upserted>, Problem> {
        let mut report = Upserted {
            added: 0,
            changed: 0,
            unchanged: 0,
            passages: 0,
            windows: 0,
        };
        let mut pending = Vec::new();
        for document in prepared {
            match index.documents.get(&document.id) {
                Some(line) if line.hash == document.hash => {
                    report.unchanged += 1;
                    continue;
                }
                Some(_) => report.changed += 1,
                None => report.added += 1,
            }
            report.passages += document.passages;
            // The key comes once the caps are known to be kept; one of the same length stands in for it.
            let key = document.key.clone().unwrap_or_else(|| format!("{:016x}", 0));
            let (hash, bytes, passages) = (document.hash.clone(), document.bytes, document.passages);
            let line = Line {
                key,
                hash,
                bytes,
                passages,
            };
            index.documents.insert(document.id.clone(), line);
            pending.push(document);
        }
        if pending.is_empty() {
            return Ok(Change::None(report));
        }
        check_size(index)?;
        for document in pending {
            let key = match &document.key {
                Some(key) => key.clone(),
                None => self.write_entry(&document.entry)?,
            };
            document.key = Some(key.clone());
            if let Some(line) = index.documents.get_mut(&document.id) {
                line.key = key;
            }
        }
        Ok(Change::Made(report))
    }

    /// Under a key that was never used.
    fn write_entry(&self, entry: &[u8]) -> Result<String, Problem> {
        for _ in 0..MAX_TRIES {
            let key = format!("{:016x}", self.store.chance());
            match self.store.compare_and_set(&self.entry_key(&key), 0, entry) {
                Ok(_) => return Ok(key),
                Err(problem) if was_outrun(&problem) => {}
                Err(problem) => return Err(problem),
            }
        }
        Err(Problem::internal("chance draws the same key again and again"))
    }

    /// Once an hour: removes old entries that the index does not name, left by a call that died between two steps.
    fn sweep(&self) -> Result<(), Problem> {
        let now = self.store.now_us();
        let (index, _) = self.load()?;
        if now.saturating_sub(index.swept_us) < SWEEP_EVERY_US {
            return Ok(());
        }
        let prefix = self.entry_key("");
        let mut after: Option<String> = None;
        loop {
            let keys = self.store.keys(&prefix, after.as_deref(), KEYS_AT_ONCE)?;
            let Some(last) = keys.last() else { break };
            after = Some(last.clone());
            // Read behind the keys, so that it names whatever was finished by then.
            let (index, _) = self.load()?;
            let named: HashSet<String> = index.documents.values().map(|line| self.entry_key(&line.key)).collect();
            for key in keys.iter().filter(|key| !named.contains(*key)) {
                let Some(entry) = self.store.get(key)? else { continue };
                let old = |stored: Stored| now.saturating_sub(stored.written_us) >= ORPHAN_US;
                if read(&entry.value).map_or(true, old) {
                    self.store.remove(key)?;
                }
            }
        }
        self.settle(|index| {
            index.swept_us = now;
            Ok(Change::Made(()))
        })
    }
}

/// What became of an index.
enum Change<T> {
    /// Nothing, and this is the answer.
    None(T),
    /// It is another; the answer holds once it is stored.
    Made(T),
    /// It was out of date already.
    Again,
}

fn check(document: &Document, param: &str) -> Result<(), Problem> {
    let refuse = |message: String, of: &str| Err(Problem::invalid_request(message).with_param(format!("{param}.{of}")));
    if document.id.is_empty() || document.id.len() > MAX_ID {
        return refuse(format!("a document's id has 1 to {MAX_ID} bytes"), "id");
    }
    let mut names = HashSet::new();
    for (name, value) in &document.metadata {
        if name == "id" {
            return refuse(
                "`id` means the document's id in filters; name this field otherwise".to_owned(),
                "metadata",
            );
        }
        if !names.insert(name) {
            return refuse(format!("the field `{name}` comes twice"), "metadata");
        }
        if matches!(value, Value::Real(number) if !number.is_finite()) {
            return refuse(format!("the field `{name}` is a number that is not finite"), "metadata");
        }
    }
    Ok(())
}

fn check_size(index: &Index) -> Result<(), Problem> {
    let advice = "use another collection, or a retriever with an index";
    let refuse = |message: String| Err(Problem::too_large(format!("{message}; {advice}")).with_code("collection_full"));
    if index.documents.len() > MAX_DOCUMENTS {
        return refuse(format!("a collection has at most {MAX_DOCUMENTS} documents"));
    }
    if index.documents.values().map(|line| line.bytes).sum::<u64>() > MAX_BYTES {
        return refuse(format!("a collection has at most {MAX_BYTES} bytes of text"));
    }
    if write(index)?.len() > MAX_VALUE {
        return refuse(format!(
            "the ids of this collection are too long together: its index has {MAX_VALUE} bytes at most"
        ));
    }
    Ok(())
}
