//! What is stored, as JSON: one index a collection, and one entry a document.
//!
//! The index names the entry of each document and is changed by `compare-and-set` alone. An entry is never changed: a
//! document that changes gets a new one under a new key. So whoever reads an index and then its entries sees one state of
//! the collection, or finds an entry gone and reads again.

use std::collections::BTreeMap;

use encaje_sdk::errors::Problem;
use encaje_sdk::retriever::Document;
use encaje_sdk::values::Value;
use serde::{Deserialize, Serialize};

use crate::spec::Spec;

/// The index of a collection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Index {
    pub(crate) spec: Spec,
    /// By id.
    pub(crate) documents: BTreeMap<String, Line>,
    /// When somebody last looked for what a crash left behind.
    pub(crate) swept_us: u64,
}

/// A document in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The last part of its entry's key.
    #[serde(rename = "k")]
    pub(crate) key: String,
    /// Of its content.
    #[serde(rename = "h")]
    pub(crate) hash: String,
    /// Of its text.
    #[serde(rename = "b")]
    pub(crate) bytes: u64,
    #[serde(rename = "p")]
    pub(crate) passages: u64,
}

/// The entry of a document.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) written_us: u64,
    /// Where the passages are, in bytes.
    pub(crate) passages: Vec<(usize, usize)>,
    pub(crate) content: Content,
}

/// What makes two versions of a document the same.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) text: String,
    title: Option<String>,
    url: Option<String>,
    metadata: Vec<(String, Mark)>,
    extra: Vec<(String, String)>,
}

/// A value; a real as its bits, so that not the last of them is lost.
#[derive(Debug, Serialize, Deserialize)]
enum Mark {
    #[serde(rename = "n")]
    Null,
    #[serde(rename = "b")]
    Boolean(bool),
    #[serde(rename = "i")]
    Integer(i64),
    #[serde(rename = "r")]
    Real(u64),
    #[serde(rename = "t")]
    Text(String),
    #[serde(rename = "x")]
    Blob(Vec<u8>),
    #[serde(rename = "j")]
    Json(String),
}

impl Content {
    /// A document's, with its id.
    pub(crate) fn of(document: Document) -> (String, Self) {
        let mark = |(name, value)| {
            let value = match value {
                Value::Null => Mark::Null,
                Value::Boolean(value) => Mark::Boolean(value),
                Value::Integer(value) => Mark::Integer(value),
                Value::Real(value) => Mark::Real(f64::to_bits(value)),
                Value::Text(value) => Mark::Text(value),
                Value::Blob(value) => Mark::Blob(value),
                Value::Json(value) => Mark::Json(value),
            };
            (name, value)
        };
        let content = Self {
            text: document.text,
            title: document.title,
            url: document.url,
            metadata: document.metadata.into_iter().map(mark).collect(),
            extra: document.extra,
        };
        (document.id, content)
    }

    /// As filters and passages have it.
    pub(crate) fn metadata(&self) -> Vec<(String, Value)> {
        let value = |(name, mark): &(String, Mark)| {
            let value = match mark {
                Mark::Null => Value::Null,
                Mark::Boolean(value) => Value::Boolean(*value),
                Mark::Integer(value) => Value::Integer(*value),
                Mark::Real(bits) => Value::Real(f64::from_bits(*bits)),
                Mark::Text(value) => Value::Text(value.clone()),
                Mark::Blob(value) => Value::Blob(value.clone()),
                Mark::Json(value) => Value::Json(value.clone()),
            };
            (name.clone(), value)
        };
        self.metadata.iter().map(value).collect()
    }

    /// 32 hexadecimal digits; FNV-1a of 128 bits over all of it. It guards against chance, not against whoever looks for two
    /// documents of one hash: he would find his own change ignored.
    pub(crate) fn hash(&self) -> Result<String, Problem> {
        let hash = write(self)?
            .iter()
            .fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
                (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
            });
        Ok(format!("{hash:032x}"))
    }
}

/// As it is stored.
pub(crate) fn write<T: Serialize>(record: &T) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(record)
        .map_err(|error| Problem::internal("a record cannot be written").with_log_detail(error.to_string()))
}

/// As it was stored.
pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::internal("an entry of the collection is damaged").with_log_detail(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::{Content, read, write};
    use encaje_sdk::retriever::Document;
    use encaje_sdk::values::Value;

    fn document(value: Value) -> Document {
        Document {
            id: "a".to_owned(),
            text: "é".to_owned(),
            title: Some("t".to_owned()),
            url: None,
            metadata: vec![("m".to_owned(), value)],
            extra: vec![("e".to_owned(), "1".to_owned())],
        }
    }

    #[test]
    fn every_value_comes_back_as_it_was() {
        for value in [
            Value::Null,
            Value::Boolean(true),
            Value::Integer(i64::MIN),
            Value::Real(0.1 + 0.2),
            Value::Real(f64::MIN_POSITIVE),
            Value::Text("\u{0}\"é".to_owned()),
            Value::Blob(vec![0, 255]),
            Value::Json("{}".to_owned()),
        ] {
            let expected = format!("{value:?}");
            let bytes = write(&Content::of(document(value)).1).unwrap();
            let content: Content = read(&bytes).unwrap();
            assert_eq!(format!("{:?}", content.metadata()[0].1), expected);
        }
    }

    #[test]
    fn a_hash_is_of_all_that_is_said() {
        let hash = |change: &dyn Fn(&mut Document)| {
            let mut document = document(Value::Integer(1));
            change(&mut document);
            Content::of(document).1.hash().unwrap()
        };
        let same = hash(&|_| {});
        assert_eq!(same.len(), 32);
        assert_eq!(same, hash(&|_| {}));
        assert_eq!(same, hash(&|document| document.id = "b".to_owned()));
        assert_ne!(same, hash(&|document| document.text.push('x')));
        assert_ne!(same, hash(&|document| document.title = None));
        assert_ne!(same, hash(&|document| document.url = Some("t".to_owned())));
        assert_ne!(same, hash(&|document| document.metadata[0].1 = Value::Real(1.0)));
        assert_ne!(same, hash(&|document| document.extra.clear()));
    }
}
