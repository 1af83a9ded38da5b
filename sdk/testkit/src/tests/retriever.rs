//! A retriever in memory that finds by shared words, and its wrong sisters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use encaje_core::call::Call;
use encaje_core::documents::{Document, Passage};
use encaje_core::ports::{Collection, Retriever};
use encaje_core::retrieval::{CollectionStats, Found, Hit, Search, Upserted};
use encaje_core::value::{Comparator, Filter, Value};
use encaje_core::{Problem, ProblemKind};

use super::{assert_caught, assert_passes, settings};
use crate::{Report, oracle, retriever};

/// Bytes of a passage, more or less.
const SIZE: usize = 200;

#[derive(Clone, Default)]
struct Kept {
    spec: String,
    documents: BTreeMap<String, Document>,
}

type Store = Arc<Mutex<BTreeMap<(String, String), Kept>>>;

#[derive(Default)]
struct Memory {
    wrong: &'static str,
    store: Store,
    last: Last,
}

/// What was found last, by whom it may be: under the collection's name alone.
type Last = Arc<Mutex<BTreeMap<String, Vec<Hit>>>>;

struct Opened {
    wrong: &'static str,
    last: Last,
    place: (String, String),
    store: Store,
}

#[async_trait]
impl Retriever for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    async fn open(&self, call: &Call, name: &str, spec: &str) -> Result<Box<dyn Collection>, Problem> {
        if serde_json::from_str::<serde_json::Value>(spec).is_err() && self.wrong != "any spec" {
            return Err(Problem::invalid("spec", "The spec is no JSON."));
        }
        let tenant = if self.wrong == "one tenant" {
            "all"
        } else {
            &call.caller().tenant
        };
        let place = (tenant.to_owned(), name.to_owned());
        let mut store = self.store.lock().unwrap();
        if self.wrong == "forgets" {
            store.remove(&place);
        }
        let kept = store.entry(place.clone()).or_insert_with(|| Kept {
            spec: spec.to_owned(),
            ..Kept::default()
        });
        if kept.spec != spec && self.wrong != "any spec" {
            return Err(Problem::new(ProblemKind::Conflict, "The collection has another spec."));
        }
        Ok(Box::new(Opened {
            wrong: self.wrong,
            last: Arc::clone(&self.last),
            place,
            store: Arc::clone(&self.store),
        }))
    }
}

impl Opened {
    fn read<T>(&self, read: impl FnOnce(&Kept) -> T) -> T {
        read(&self.store.lock().unwrap()[&self.place])
    }

    fn holds(document: &Document, filter: &Filter) -> bool {
        oracle::matches(filter, &|field| {
            let mut fields = document.metadata.iter();
            let own = fields.find(|(name, _)| name == field);
            own.map_or(Value::Null, |(_, value)| value.clone())
        })
    }

    fn passages(&self, document: &Document) -> Vec<Passage> {
        let (mut passages, mut start) = (Vec::new(), 0);
        while start < document.text.len() {
            let mut end = document
                .text
                .ceil_char_boundary((start + SIZE).min(document.text.len()));
            if self.wrong == "drops the end" && passages.len() == 3 {
                break;
            }
            if let Some(space) = document.text[end..].find('\n') {
                end += space;
            } else {
                end = document.text.len();
            }
            let by_characters = self.wrong == "counts characters";
            let place = |at: usize| {
                if by_characters {
                    document.text[..at].chars().count()
                } else {
                    at
                }
            };
            passages.push(Passage {
                document: document.id.clone(),
                index: passages.len() as u32,
                start: place(start) as u64,
                end: place(end) as u64,
                text: document.text[start..end].to_owned(),
                heading: Vec::new(),
                metadata: if self.wrong == "bare" {
                    Vec::new()
                } else {
                    document.metadata.clone()
                },
            });
            start = end;
        }
        passages
    }

    fn check(&self, search: &Search) -> Result<(), Problem> {
        if let Some((name, _)) = search.extra.first().filter(|_| self.wrong != "any parameter") {
            return Err(Problem::new(ProblemKind::Unsupported, "It is not known.").with_param(name));
        }
        if search.k == 0 {
            return Err(Problem::invalid("k", "At least one hit must be asked for."));
        }
        for comparison in search.filter.iter().flatten() {
            let null = matches!(comparison.by, Comparator::IsNull | Comparator::IsNotNull);
            let list = matches!(comparison.by, Comparator::OneOf | Comparator::NotOneOf);
            let counted = list || comparison.values.len() == usize::from(!null);
            let known = self.read(|kept| {
                let mut fields = kept.documents.values().flat_map(|document| &document.metadata);
                fields.any(|(name, _)| *name == comparison.field)
            });
            if !counted || (!known && self.wrong != "any field") {
                return Err(Problem::invalid("where", "The filter does not fit."));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Collection for Opened {
    async fn upsert(&mut self, documents: Vec<Document>) -> Result<Upserted, Problem> {
        let mut told = Upserted::default();
        let mut kept = self.read(Kept::clone);
        if self.wrong == "races" {
            tokio::task::yield_now().await;
        }
        for document in documents {
            match kept.documents.get(&document.id) {
                None => told.added += 1,
                Some(own) if *own == document && self.wrong != "always changed" => told.unchanged += 1,
                Some(_) => told.changed += 1,
            }
            kept.documents.insert(document.id.clone(), document);
        }
        self.store.lock().unwrap().insert(self.place.clone(), kept);
        Ok(told)
    }

    async fn remove(&mut self, filter: &Filter) -> Result<u64, Problem> {
        let mut store = self.store.lock().unwrap();
        let documents = &mut store.get_mut(&self.place).unwrap().documents;
        let before = documents.len();
        documents.retain(|_, document| !Self::holds(document, filter) && self.wrong != "removes all");
        Ok((before - documents.len()) as u64)
    }

    async fn retrieve(&mut self, search: Search) -> Result<Found, Problem> {
        let empty = self.read(|kept| kept.documents.is_empty());
        if !empty {
            self.check(&search)?;
        }
        let late = self.wrong == "filters late";
        let documents: Vec<Document> = self.read(|kept| {
            let all = kept.documents.values();
            all.filter(|document| late || Self::holds(document, &search.filter))
                .cloned()
                .collect()
        });
        let hit = |passage: Passage| {
            let words = search.text.split_whitespace();
            let score = words.filter(|word| passage.text.contains(word)).count() as f32;
            Hit {
                passage,
                score,
                origins: Vec::new(),
            }
        };
        let passages = documents.iter().flat_map(|document| self.passages(document));
        let mut hits: Vec<Hit> = passages.map(hit).filter(|hit| hit.score > 0.0).collect();
        hits.sort_by(|left, right| right.score.total_cmp(&left.score));
        let most = search.k as usize - usize::from(self.wrong == "one less" && search.k > 1);
        hits.truncate(most);
        if late {
            let own = |hit: &Hit| documents.iter().find(|own| own.id == hit.passage.document);
            hits.retain(|hit| own(hit).is_some_and(|own| Self::holds(own, &search.filter)));
        }
        if self.wrong == "caches" && !hits.is_empty() {
            let mut last = self.last.lock().unwrap();
            hits.clone_from(last.entry(self.place.1.clone()).or_insert_with(|| hits.clone()));
        }
        Ok(Found {
            hits,
            rung: "keyword".to_owned(),
            degraded: None,
        })
    }

    async fn stats(&mut self) -> Result<CollectionStats, Problem> {
        let passages = self.read(|kept| {
            let documents = kept.documents.values();
            documents.map(|document| self.passages(document).len()).sum::<usize>()
        });
        Ok(self.read(|kept| CollectionStats {
            documents: kept.documents.len() as u64 + u64::from(self.wrong == "miscounts"),
            passages: passages as u64,
            bytes: kept.documents.values().map(|document| document.text.len() as u64).sum(),
            extra: Vec::new(),
        }))
    }
}

async fn judged(wrong: &'static str) -> Report {
    let memory = Memory {
        wrong,
        ..Memory::default()
    };
    retriever(&memory, &settings()).await
}

#[tokio::test]
async fn a_right_retriever_passes() {
    assert_passes(&judged("").await);
}

#[tokio::test]
async fn each_wrong_retriever_is_caught_by_its_check() {
    let specs = "a spec that does not go with the collection is a conflict, a broken one is refused";
    for (wrong, check) in [
        (
            "always changed",
            "the same document again changes nothing, another content is a change",
        ),
        ("miscounts", "a collection counts what it holds"),
        (
            "removes all",
            "what is removed is not found, and nothing else is removed",
        ),
        ("forgets", "a collection that is opened again has what was written"),
        ("one tenant", "tenants do not see each other's documents"),
        ("caches", "a collection has nothing of what others had open before"),
        ("races", "writes at once lose nothing"),
        ("any spec", specs),
        (
            "one less",
            "exactly as many hits come as asked for, where so many match",
        ),
        (
            "filters late",
            "the filter is applied before the ranking, for every comparator",
        ),
        (
            "counts characters",
            "a passage is where it says in its document, whatever the script",
        ),
        ("drops the end", "the passages of a long document cover it"),
        ("bare", "a hit carries its document's metadata"),
        ("any field", "wrong searches are refused by class"),
        ("any parameter", "wrong searches are refused by class"),
    ] {
        assert_caught(&judged(wrong).await, check);
    }
}
