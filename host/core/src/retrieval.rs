//! Searches and what they find, as `encaje:retriever` has them; items of sources, as `encaje:source` has them.

use crate::documents::{Document, Passage};
use crate::problem::{Extra, Json};
use crate::value::Filter;

/// A search.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// The question.
    pub text: String,
    /// How many hits, at least 1.
    pub k: u32,
    /// Which documents, by their metadata; applied before the ranking.
    pub filter: Filter,
    /// The retriever's own parameters.
    pub extra: Extra,
}

/// Why a passage is among the hits.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// Which leg of the search found it, e.g. `vector`, `keyword`.
    pub leg: String,
    /// At which rank of that leg, from 1.
    pub rank: u32,
    /// With which score of its own.
    pub score: f32,
}

/// A passage that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The passage.
    pub passage: Passage,
    /// Larger is better.
    pub score: f32,
    /// Every leg that found it.
    pub origins: Vec<Origin>,
}

/// The answer to a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Best first.
    pub hits: Vec<Hit>,
    /// How good a search it was: `reranked`, `fused`, `vector`, `keyword`, `substring`.
    pub rung: String,
    /// Why it was not a better one.
    pub degraded: Option<String>,
}

/// What an upsert did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upserted {
    /// Documents that are new.
    pub added: u64,
    /// Documents whose content is another.
    pub changed: u64,
    /// Documents that were there already.
    pub unchanged: u64,
    /// Passages that were made.
    pub passages: u64,
    /// Windows that were embedded.
    pub windows: u64,
}

/// What a collection holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectionStats {
    /// How many documents.
    pub documents: u64,
    /// How many passages.
    pub passages: u64,
    /// Bytes of text.
    pub bytes: u64,
    /// What else is known of it.
    pub extra: Extra,
}

/// Another item that an item names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Absolute, in the source's own notation.
    pub location: String,
    /// The words that it stands under.
    pub text: String,
    /// Whether the source's rules allow to go there.
    pub follow: bool,
}

/// One item that was fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Absent when nothing changed, or the item is not to be indexed.
    pub document: Option<Document>,
    /// The location that it wants to be known by.
    pub canonical: String,
    /// Where it leads.
    pub links: Vec<Link>,
    /// Opaque; handed back at the next fetch.
    pub state: Json,
    /// What else is known of it.
    pub extra: Extra,
}

/// What to begin with.
#[derive(Debug, Clone, PartialEq)]
pub struct Beginning {
    /// Absolute; in the order in which they are to be fetched.
    pub locations: Vec<String>,
    /// Milliseconds between two fetches of one host.
    pub delay_ms: u64,
    /// What else is known.
    pub extra: Extra,
}
