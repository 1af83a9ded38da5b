//! A document as it is stored, which documents a filter means, and which passages answer a question. No store is known here.

use std::cmp::Ordering;
use std::collections::HashSet;

use encaje_sdk::chunker::Chunker;
use encaje_sdk::errors::Problem;
use encaje_sdk::retriever::{Document, Hit, Origin, Passage};
use encaje_sdk::values::{Comparator, Comparison, Filter, Value};
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

    fn field(&self, name: &str) -> Option<Value> {
        if name == "id" {
            return Some(Value::Text(self.id.clone()));
        }
        let found = self.metadata.iter().find(|(own, _)| own == name);
        found.map(|(_, cell)| cell.0.clone())
    }
}

/// The documents that match, by metadata and `id`. A comparison with what a document lacks holds only for the null tests.
///
/// # Errors
/// `invalid-request` for a field that no document has, and for values that do not go with the comparison.
pub(crate) fn matching(documents: Vec<Stored>, filter: &Filter) -> Result<Vec<Stored>, Problem> {
    for comparison in filter.iter().flatten() {
        check(&documents, comparison)?;
    }
    let one = |document: &Stored, comparison: &Comparison| holds(document.field(&comparison.field), comparison);
    let all = |document: &Stored, group: &[Comparison]| group.iter().all(|comparison| one(document, comparison));
    let matches = |document: &Stored| filter.is_empty() || filter.iter().any(|group| all(document, group));
    Ok(documents.into_iter().filter(matches).collect())
}

fn check(documents: &[Stored], comparison: &Comparison) -> Result<(), Problem> {
    use Comparator as By;
    let (field, values) = (&comparison.field, &comparison.values);
    let refuse = |message: String| Err(Problem::invalid_request(message).with_param(field));
    let fits = match comparison.by {
        By::IsNull | By::IsNotNull => values.is_empty(),
        By::OneOf | By::NotOneOf => true,
        By::StartsWith | By::Contains | By::MatchesText => matches!(values.as_slice(), [Value::Text(_)]),
        _ => values.len() == 1,
    };
    if !fits {
        return refuse(format!("the comparison with `{field}` has wrong values"));
    }
    let own: Vec<Value> = documents.iter().filter_map(|document| document.field(field)).collect();
    if own.is_empty() && !documents.is_empty() {
        return refuse(format!("no document has a field `{field}`"));
    }
    let comparable = |value: &Value| {
        own.iter()
            .any(|own| matches!(own, Value::Null) || order(own, value).is_some())
    };
    if !own.is_empty() && !values.iter().all(comparable) {
        return refuse(format!("no document's `{field}` can be compared with that value"));
    }
    Ok(())
}

fn holds(own: Option<Value>, comparison: &Comparison) -> bool {
    use Comparator as By;
    let by = comparison.by;
    let Some(own) = own.filter(|own| !matches!(own, Value::Null)) else {
        return by == By::IsNull;
    };
    let orders: Vec<_> = comparison.values.iter().map(|value| order(&own, value)).collect();
    let is_equal = orders.contains(&Some(Ordering::Equal));
    let is_comparable = orders.is_empty() || orders.iter().any(Option::is_some);
    let first = orders.first().copied().flatten();
    match (by, &own, comparison.values.first()) {
        (By::IsNotNull, ..) => true,
        (By::Equal | By::OneOf, ..) => is_equal,
        (By::NotEqual | By::NotOneOf, ..) => is_comparable && !is_equal,
        (By::Less, ..) => first == Some(Ordering::Less),
        (By::LessOrEqual, ..) => first.is_some_and(Ordering::is_le),
        (By::Greater, ..) => first == Some(Ordering::Greater),
        (By::GreaterOrEqual, ..) => first.is_some_and(Ordering::is_ge),
        (By::StartsWith, Value::Text(own), Some(Value::Text(wanted))) => own.starts_with(wanted),
        (By::Contains, Value::Text(own), Some(Value::Text(wanted))) => own.contains(wanted),
        (By::MatchesText, Value::Text(own), Some(Value::Text(wanted))) => words(wanted).is_subset(&words(own)),
        _ => false,
    }
}

/// How two values of one class compare; `None` for others. An integer compares with a real as one.
fn order(own: &Value, wanted: &Value) -> Option<Ordering> {
    match (own, wanted) {
        (Value::Text(own), Value::Text(wanted)) => Some(own.cmp(wanted)),
        (Value::Integer(own), Value::Integer(wanted)) => Some(own.cmp(wanted)),
        (Value::Boolean(own), Value::Boolean(wanted)) => Some(own.cmp(wanted)),
        (Value::Real(own), Value::Real(wanted)) => own.partial_cmp(wanted),
        (Value::Integer(own), Value::Real(wanted)) => (*own as f64).partial_cmp(wanted),
        (Value::Real(own), Value::Integer(wanted)) => own.partial_cmp(&(*wanted as f64)),
        _ => None,
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
fn words(text: &str) -> HashSet<String> {
    let parts = text.split(|character: char| !character.is_alphanumeric());
    parts.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(id: &str, text: &str, year: i64) -> Stored {
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

    fn ids(by: Comparator, field: &str, values: Vec<Value>) -> Result<Vec<String>, Problem> {
        let documents = vec![stored("a", "x", 1), stored("b", "y", 2)];
        let comparison = Comparison {
            field: field.to_owned(),
            by,
            values,
        };
        let matching = matching(documents, &vec![vec![comparison]])?;
        Ok(matching.into_iter().map(|document| document.id).collect())
    }

    #[test]
    fn a_filter_chooses_by_metadata_and_id() {
        assert_eq!(ids(Comparator::Equal, "year", vec![Value::Integer(2)]).unwrap(), ["b"]);
        let both = vec![Value::Text("a".to_owned()), Value::Text("z".to_owned())];
        assert_eq!(ids(Comparator::OneOf, "id", both).unwrap(), ["a"]);
        assert!(ids(Comparator::IsNull, "year", Vec::new()).unwrap().is_empty());
        let year = |by| ids(by, "year", vec![Value::Real(1.5)]).unwrap();
        assert_eq!(
            (year(Comparator::Less), year(Comparator::NotEqual).len()),
            (vec!["a".to_owned()], 2)
        );
        let text = Value::Text("b".to_owned());
        assert_eq!(ids(Comparator::StartsWith, "id", vec![text]).unwrap(), ["b"]);
    }

    #[test]
    fn what_no_document_could_match_is_told() {
        for (by, field, values) in [
            (Comparator::Equal, "nobody", vec![Value::Integer(1)]),
            (Comparator::Equal, "year", vec![Value::Text("2".to_owned())]),
            (Comparator::Equal, "year", Vec::new()),
            (Comparator::Contains, "year", vec![Value::Integer(1)]),
        ] {
            assert_eq!(ids(by, field, values).unwrap_err().param.as_deref(), Some(field));
        }
    }
}
