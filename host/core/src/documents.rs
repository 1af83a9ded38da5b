//! Documents and the passages that are cut of them, as `encaje:common/documents` has them.

use crate::problem::Extra;
use crate::value::Fields;

/// Something to be indexed.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Stable across re-indexing; unique within a collection.
    pub id: String,
    /// UTF-8; offsets anywhere are bytes into it.
    pub text: String,
    /// Its title, if it has one.
    pub title: Option<String>,
    /// Where people find it.
    pub url: Option<String>,
    /// What filters may ask for.
    pub metadata: Fields,
    /// What else is known of it.
    pub extra: Extra,
}

/// A piece of a document, as retrieval returns it.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// The document's `id`.
    pub document: String,
    /// Which piece of it, from 0.
    pub index: u32,
    /// Where it begins in the document's text, in bytes.
    pub start: u64,
    /// Where it ends, in bytes; exclusive.
    pub end: u64,
    /// The text between the two.
    pub text: String,
    /// The headings that it stands under, outermost first.
    pub heading: Vec<String>,
    /// The document's metadata.
    pub metadata: Fields,
}
