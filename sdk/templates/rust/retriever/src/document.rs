//! A document as it is stored, and which passages answer a question. No store is known here; filters are in `filter.rs`.

use std::collections::HashSet;

use encaje_sdk::chunker::Chunker;
use encaje_sdk::errors::Problem;
use encaje_sdk::retriever::{Document, Hit, Origin, Passage};
use encaje_sdk::values::Value;
use serde::{Deserialize, Serialize};

/// What is kept of a document.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) id: String,
    pub(crate) text: String,
    title: Option<String>,
    url: Option<String>,
    metadata: Vec<(String, Cell)>,
    extra: Vec<(String, String)>,
}

/// `Value`, as JSON can hold it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cell(#[serde(with = "Mirror")] Value);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Value")]
enum Mirror {
    Null,
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
    Json(String),
}

impl Stored {
    pub(crate) fn of(document: &Document) -> Self {
        let cell = |(name, value): &(String, Value)| (name.clone(), Cell(value.clone()));
        Self {
            id: document.id.clone(),
            text: document.text.clone(),
            title: document.title.clone(),
            url: document.url.clone(),
            metadata: document.metadata.iter().map(cell).collect(),
            extra: document.extra.clone(),
        }
    }

    pub(crate) fn write(&self) -> Result<Vec<u8>, Problem> {
        serde_json::to_vec(self)
            .map_err(|error| Problem::internal("a document cannot be written").with_log_detail(error.to_string()))
    }

    pub(crate) fn read(entry: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(entry)
            .map_err(|error| Problem::internal("a stored document cannot be read").with_log_detail(error.to_string()))
    }

    /// Its metadata of this name, or its id.
    pub(crate) fn field(&self, name: &str) -> Option<Value> {
        if name == "id" {
            return Some(Value::Text(self.id.clone()));
        }
        let found = self.metadata.iter().find(|(own, _)| own == name);
        found.map(|(_, cell)| cell.0.clone())
    }
}

/// The `k` passages that share most of the question's words, best first; of equals, the one that comes first.
pub(crate) fn rank(question: &str, k: usize, documents: &[Stored], chunker: &Chunker) -> Vec<Hit> {
    let asked = words(question);
    let mut found = Vec::new();
    for document in documents {
        for (index, range) in chunker.cut(&document.text).into_iter().enumerate() {
            let text = document.text.get(range.clone()).unwrap_or_default();
            let shared = words(text).intersection(&asked).count();
            if shared > 0 {
                found.push((shared as f32 / asked.len() as f32, document, index, range));
            }
        }
    }
    found.sort_by(|left, right| right.0.total_cmp(&left.0));
    let hit = |(place, (score, document, index, range)): (usize, (f32, &Stored, usize, std::ops::Range<usize>))| Hit {
        passage: Passage {
            document: document.id.clone(),
            index: u32::try_from(index).unwrap_or(u32::MAX),
            start: range.start as u64,
            end: range.end as u64,
            text: document.text.get(range).unwrap_or_default().to_owned(),
            heading: Vec::new(),
            metadata: document
                .metadata
                .iter()
                .map(|(name, cell)| (name.clone(), cell.0.clone()))
                .collect(),
        },
        score,
        origins: vec![Origin {
            leg: "keyword".to_owned(),
            rank: u32::try_from(place + 1).unwrap_or(u32::MAX),
            score,
        }],
    };
    found.into_iter().take(k).enumerate().map(hit).collect()
}

/// Runs of letters and digits in lower case.
pub(crate) fn words(text: &str) -> HashSet<String> {
    let parts = text.split(|character: char| !character.is_alphanumeric());
    parts.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn stored(id: &str, text: &str, year: i64) -> Stored {
        let document = Document {
            id: id.to_owned(),
            text: text.to_owned(),
            title: None,
            url: None,
            metadata: vec![("year".to_owned(), Value::Integer(year))],
            extra: Vec::new(),
        };
        // As it comes back from the store.
        Stored::read(&Stored::of(&document).write().unwrap()).unwrap()
    }

    fn found(question: &str, k: usize) -> Vec<String> {
        let documents = [
            stored("a", "The cat sat on the mat.", 1),
            stored("b", "A dog and a CAT.", 2),
            stored("c", "Ärger im Büro", 2),
        ];
        let chunker = Chunker::new(1_200, 0).unwrap();
        let hits = rank(question, k, &documents, &chunker);
        hits.into_iter().map(|hit| hit.passage.document).collect()
    }

    #[test]
    fn passages_that_share_more_words_come_first() {
        assert_eq!(found("cat dog", 9), ["b", "a"]);
        assert_eq!(found("cat dog", 1), ["b"]);
        assert_eq!(found("büro?", 9), ["c"]);
        assert!(found("whale", 9).is_empty());
        assert!(found("", 9).is_empty());
    }
}
