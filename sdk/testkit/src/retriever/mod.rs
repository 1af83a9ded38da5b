//! The retriever suite: what is written is found, exactly as often as asked for, where the filter allows it, in its place in
//! the document. Whether the best passage comes first is not judged.

mod changes;
mod searches;

use encaje_core::call::Call;
use encaje_core::documents::Document;
use encaje_core::ports::{Collection, Retriever};
use encaje_core::retrieval::{Found, Search};
use encaje_core::trace::PluginKind;
use encaje_core::value::{Fields, Filter, Value};
use proptest::prelude::*;

use crate::generate::{Field, Kind, nullable, text, value};
use crate::report::Report;
use crate::run::{Suite, Verdict, ensure, same, shown};
use crate::settings::Settings;

/// The metadata of the kit's documents.
const FIELDS: [Field; 3] = [("lang", Kind::Text), ("year", Kind::Integer), ("weight", Kind::Real)];

/// In every document, so that every passage shares a word with the question, whatever the retriever goes by.
const WORD: &str = "fjord";

/// More hits than the kit's documents have passages.
const ALL: u32 = 200;

pub(super) struct Subject<'a> {
    port: &'a dyn Retriever,
    settings: &'a Settings,
}

/// A collection of one check, under a name that nobody else has.
pub(super) struct Opened {
    name: String,
    call: Call,
    collection: Box<dyn Collection>,
}

impl Subject<'_> {
    async fn open(&self) -> Verdict<Opened> {
        let name = new_name();
        let call = self.settings.call();
        let collection = self.port.open(&call, &name, &self.settings.spec).await?;
        Ok(Opened { name, call, collection })
    }

    /// The same collection once more.
    async fn again(&self, opened: &Opened) -> Verdict<Box<dyn Collection>> {
        Ok(self.port.open(&opened.call, &opened.name, &self.settings.spec).await?)
    }

    async fn filled(&self, documents: &[Document]) -> Verdict<Opened> {
        let mut opened = self.open().await?;
        if !documents.is_empty() {
            let upserted = opened.collection.upsert(documents.to_vec()).await?;
            same("the documents that are new", &upserted.added, &(documents.len() as u64))?;
        }
        Ok(opened)
    }
}

impl Opened {
    /// A search whose answer is well-formed.
    async fn search(&mut self, text: &str, k: u32, filter: Filter) -> Verdict<Found> {
        let found = self.collection.retrieve(search(text, k, filter)).await?;
        well_formed(&found, k)?;
        Ok(found)
    }

    /// Takes away what the check has written; what goes wrong here is no fault of the check. Then it is closed, so that the
    /// next one meets what this one may have left behind.
    async fn clear(mut self) -> Verdict {
        match self.collection.remove(&Vec::new()).await {
            Ok(_) => Ok(self.collection.close().await?),
            Err(_) => Ok(()),
        }
    }
}

fn search(text: &str, k: u32, filter: Filter) -> Search {
    Search {
        text: text.to_owned(),
        k,
        filter,
        extra: Vec::new(),
    }
}

fn well_formed(found: &Found, k: u32) -> Verdict {
    ensure(found.hits.len() <= k as usize, || {
        format!("at most {k} hits were expected, {} came", found.hits.len())
    })?;
    let sorted = found.hits.is_sorted_by(|left, right| left.score >= right.score);
    ensure(sorted && found.hits.iter().all(|hit| hit.score.is_finite()), || {
        format!(
            "finite scores, the best first, were expected, {} came",
            shown(&found.hits)
        )
    })?;
    ensure(!found.rung.is_empty(), || {
        "how good a search it was was expected, nothing came".to_owned()
    })?;
    for (at, hit) in found.hits.iter().enumerate() {
        let is_same = |other: &encaje_core::retrieval::Hit| {
            other.passage.document == hit.passage.document && other.passage.index == hit.passage.index
        };
        ensure(found.hits.iter().position(is_same) == Some(at), || {
            format!("each passage was expected once, {} came twice", shown(&hit.passage))
        })?;
        ensure(
            hit.origins
                .iter()
                .all(|origin| origin.rank >= 1 && !origin.leg.is_empty()),
            || {
                format!(
                    "ranks from 1 of legs with names were expected, {} came",
                    shown(&hit.origins)
                )
            },
        )?;
    }
    Ok(())
}

fn document(id: &str, text: &str, metadata: Fields) -> Document {
    Document {
        id: id.to_owned(),
        text: text.to_owned(),
        title: None,
        url: None,
        metadata,
        extra: Vec::new(),
    }
}

fn metadata(lang: &str, year: i64) -> Fields {
    vec![
        ("lang".to_owned(), lang.into()),
        ("year".to_owned(), year.into()),
        ("weight".to_owned(), Value::Real(0.5)),
    ]
}

/// A collection's name that nobody else has.
fn new_name() -> String {
    format!("testkit-{}", encaje_core::id::request_id())
}

/// Some documents that differ.
fn few() -> Vec<Document> {
    (0..6_i64)
        .map(|at| {
            let text = format!("The {WORD} number {at} is deep.");
            document(
                &format!("d{at}"),
                &text,
                metadata(if at % 2 == 0 { "no" } else { "es" }, at),
            )
        })
        .collect()
}

/// Documents with random texts and metadata; the first has a value in every field.
fn documents() -> impl Strategy<Value = Vec<Document>> {
    let fields = (nullable(Kind::Text), nullable(Kind::Integer), nullable(Kind::Real));
    let whole = (value(Kind::Text), value(Kind::Integer), value(Kind::Real));
    let named = |(lang, year, weight): (Value, Value, Value)| -> Fields {
        let names = FIELDS.iter().map(|field| field.0.to_owned());
        names.zip([lang, year, weight]).collect()
    };
    let rest = proptest::collection::vec((text(), fields), 0..10);
    ((text(), whole), rest).prop_map(move |(first, rest)| {
        let all = std::iter::once(first).chain(rest).enumerate();
        all.map(|(at, (text, fields))| document(&format!("d{at}"), &format!("{text} {WORD} {at}."), named(fields)))
            .collect()
    })
}

/// Judges a retriever. It writes into collections of its own, under the tenant of the settings.
pub async fn retriever(subject: &dyn Retriever, settings: &Settings) -> Report {
    let mut suite = Suite::new(subject.name(), PluginKind::Retriever, settings);
    let subject = Subject {
        port: subject,
        settings,
    };
    let s = &subject;
    // The first collection of all is somebody else's: who keeps what came first has that.
    let name = "a collection has nothing of what others had open before";
    suite.check(name, Box::pin(changes::forgotten(s))).await;
    let name = "the same document again changes nothing, another content is a change";
    suite.check(name, Box::pin(changes::idempotent(s))).await;
    let name = "a collection counts what it holds";
    suite.check(name, Box::pin(changes::counts(s))).await;
    let name = "what is removed is not found, and nothing else is removed";
    suite.check(name, Box::pin(changes::removals(s))).await;
    let name = "a collection that is opened again has what was written";
    suite.check(name, Box::pin(changes::reopened(s))).await;
    let name = "tenants do not see each other's documents";
    suite.check(name, Box::pin(changes::tenants(s))).await;
    let name = "collections do not see each other's documents";
    suite.check(name, Box::pin(changes::collections(s))).await;
    let name = "writes at once lose nothing";
    suite.check(name, Box::pin(changes::at_once(s))).await;
    let name = "a spec that does not go with the collection is a conflict, a broken one is refused";
    suite.check(name, Box::pin(changes::specs(s))).await;
    let name = "exactly as many hits come as asked for, where so many match";
    suite.check(name, Box::pin(searches::exactly(s))).await;
    let name = "the filter is applied before the ranking, for every comparator";
    suite.check(name, Box::pin(searches::filters(s))).await;
    let name = "a passage is where it says in its document, whatever the script";
    suite.check(name, Box::pin(searches::offsets(s))).await;
    let name = "the passages of a long document cover it";
    suite.check(name, Box::pin(searches::long(s))).await;
    let name = "a hit carries its document's metadata";
    suite.check(name, Box::pin(searches::carried(s))).await;
    let name = "a search of an empty collection finds nothing";
    suite.check(name, Box::pin(searches::empty(s))).await;
    let name = "wrong searches are refused by class";
    suite.check(name, Box::pin(searches::wrong(s))).await;
    let name = "odd questions are answered, or refused by class";
    suite.check(name, Box::pin(searches::odd(s))).await;
    suite.finish()
}
