//! What is found, against a model that looks at every document.

use std::collections::BTreeMap;

use encaje_core::documents::Document;
use encaje_core::problem::ProblemKind;
use encaje_core::retrieval::{Found, Search};
use encaje_core::value::{Comparator, Comparison, Filter, Value};

use super::{ALL, FIELDS, Subject, WORD, document, documents, few, metadata, search};
use crate::generate::{self, ODD_TEXTS};
use crate::oracle;
use crate::run::{Verdict, ensure, property, refused, same, shown, skip, typed};

pub(super) async fn exactly(s: &Subject<'_>) -> Verdict {
    property(s.settings, documents(), async |documents| {
        let mut opened = s.filled(&documents).await?;
        let all = opened.search(WORD, ALL, Vec::new()).await?.hits.len();
        ensure(all >= documents.len(), || {
            format!(
                "a passage of each of {} documents was expected, {all} came",
                documents.len()
            )
        })?;
        for k in [1, 2, 3, all.max(1)] {
            let found = opened.search(WORD, u32::try_from(k).unwrap_or(ALL), Vec::new()).await?;
            same(&format!("hits of {k} asked for"), &found.hits.len(), &k.min(all))?;
        }
        opened.clear().await
    })
    .await
}

/// How many passages each document has.
fn passages(found: &Found) -> BTreeMap<&str, usize> {
    let mut passages = BTreeMap::new();
    for hit in &found.hits {
        *passages.entry(hit.passage.document.as_str()).or_default() += 1;
    }
    passages
}

fn holds(document: &Document, filter: &Filter) -> bool {
    oracle::matches(filter, &|field| {
        let mut fields = document.metadata.iter();
        let value = fields.find(|(name, _)| name == field).map(|(_, value)| value.clone());
        value.unwrap_or(Value::Null)
    })
}

pub(super) async fn filters(s: &Subject<'_>) -> Verdict {
    let strategy = (documents(), generate::filter(&FIELDS), 1_u32..5);
    property(s.settings, strategy, async |(documents, filter, k)| {
        let mut opened = s.filled(&documents).await?;
        let unfiltered = opened.search(WORD, ALL, Vec::new()).await?;
        let mut expected = passages(&unfiltered);
        expected.retain(|id, _| {
            documents
                .iter()
                .any(|document| document.id == *id && holds(document, &filter))
        });
        let found = opened.search(WORD, ALL, filter.clone()).await?;
        same(
            "the passages of each document that matches",
            &passages(&found),
            &expected,
        )?;
        let few = opened.search(WORD, k, filter).await?;
        let wanted = (k as usize).min(expected.values().sum());
        same(&format!("hits of {k} asked for"), &few.hits.len(), &wanted)?;
        opened.clear().await
    })
    .await
}

/// Every passage is the text between its offsets.
fn in_place(found: &Found, documents: &[Document]) -> Verdict {
    for hit in &found.hits {
        let passage = &hit.passage;
        let document = documents.iter().find(|document| document.id == passage.document);
        let text = document.and_then(|document| {
            let (start, end) = (usize::try_from(passage.start).ok()?, usize::try_from(passage.end).ok()?);
            document.text.get(start..end)
        });
        ensure(text == Some(passage.text.as_str()), || {
            format!(
                "the text from {} to {} was expected, {} came",
                passage.start,
                passage.end,
                shown(passage)
            )
        })?;
    }
    Ok(())
}

pub(super) async fn offsets(s: &Subject<'_>) -> Verdict {
    property(s.settings, documents(), async |documents| {
        let mut opened = s.filled(&documents).await?;
        let found = opened.search(WORD, ALL, Vec::new()).await?;
        in_place(&found, &documents)?;
        opened.clear().await
    })
    .await
}

pub(super) async fn long(s: &Subject<'_>) -> Verdict {
    let paragraph = |at: usize| {
        let odd = ODD_TEXTS.get(at % ODD_TEXTS.len()).copied().unwrap_or_default();
        format!("Paragraph {at} tells of the {WORD} and of {odd}, at some length, so that it fills a line or two.\n\n")
    };
    let text: String = (0..60).map(paragraph).collect();
    let text = text.trim_end();
    let documents = [document("long", text, metadata("no", 1))];
    let mut opened = s.filled(&documents).await?;
    let found = opened.search(WORD, ALL, Vec::new()).await?;
    in_place(&found, &documents)?;
    let stats = opened.collection.stats().await?;
    if found.hits.len() as u64 != stats.passages {
        return skip("it cuts so small that not every passage is found by the word that they share");
    }
    let mut pieces: Vec<(u64, u64)> = found
        .hits
        .iter()
        .map(|hit| (hit.passage.start, hit.passage.end))
        .collect();
    pieces.sort_unstable();
    let mut covered = 0;
    for (start, end) in pieces {
        let gap = text
            .get(covered..usize::try_from(start).unwrap_or(usize::MAX))
            .unwrap_or_default();
        // White space between two passages belongs to none of them.
        ensure(gap.trim().is_empty(), || {
            format!("no gap was expected, {} is in no passage", shown(gap))
        })?;
        covered = covered.max(usize::try_from(end).unwrap_or(usize::MAX));
    }
    let rest = text.get(covered..).unwrap_or_default();
    ensure(rest.trim().is_empty(), || {
        format!("the end of the text was expected, {} is in no passage", shown(rest))
    })?;
    opened.clear().await
}

pub(super) async fn carried(s: &Subject<'_>) -> Verdict {
    let documents = few();
    let mut opened = s.filled(&documents).await?;
    let found = opened.search(WORD, ALL, Vec::new()).await?;
    for hit in &found.hits {
        let own = documents.iter().find(|document| document.id == hit.passage.document);
        let Some(own) = own else {
            return crate::run::fail(format!(
                "a document of the collection was expected, {} came",
                shown(hit)
            ));
        };
        same("the metadata of a hit", &hit.passage.metadata, &own.metadata)?;
    }
    opened.clear().await
}

pub(super) async fn empty(s: &Subject<'_>) -> Verdict {
    let mut opened = s.open().await?;
    let found = opened.search(WORD, 3, Vec::new()).await?;
    same("the hits in nothing", &found.hits.len(), &0)?;
    same(
        "the documents removed of nothing",
        &opened.collection.remove(&Vec::new()).await?,
        &0,
    )?;
    let upserted = opened.collection.upsert(Vec::new()).await?;
    same("the documents that an empty upsert adds", &upserted.added, &0)
}

pub(super) async fn wrong(s: &Subject<'_>) -> Verdict {
    let mut opened = s.filled(&few()).await?;
    let filter = |field: &str, by: Comparator, values: &[Value]| {
        vec![vec![Comparison {
            field: field.to_owned(),
            by,
            values: values.to_vec(),
        }]]
    };
    for (what, search) in [
        ("no hits at all", search(WORD, 0, Vec::new())),
        (
            "a field that no document has",
            search(WORD, 3, filter("nobody", Comparator::Equal, &["x".into()])),
        ),
        (
            "a comparison without a value",
            search(WORD, 3, filter("year", Comparator::Equal, &[])),
        ),
        (
            "a null test with a value",
            search(WORD, 3, filter("year", Comparator::IsNull, &["x".into()])),
        ),
    ] {
        let outcome = opened.collection.retrieve(search).await;
        refused(what, outcome, &[ProblemKind::InvalidRequest])?;
    }
    let unknown = Search {
        extra: vec![("x_encaje_testkit".to_owned(), "1".to_owned())],
        ..search(WORD, 3, Vec::new())
    };
    let outcome = opened.collection.retrieve(unknown).await;
    refused("an unknown parameter", outcome, &[ProblemKind::Unsupported])?;
    opened.clear().await
}

pub(super) async fn odd(s: &Subject<'_>) -> Verdict {
    let documents: Vec<Document> = ODD_TEXTS
        .iter()
        .enumerate()
        .map(|(at, odd)| document(&format!("d{at}"), &format!("{odd} {WORD}"), metadata(odd, 1)))
        .collect();
    let mut opened = s.filled(&documents).await?;
    for question in ODD_TEXTS.into_iter().chain(["", "\"", "* OR 1", "(", "AND NOT"]) {
        match opened.collection.retrieve(search(question, 5, Vec::new())).await {
            Ok(found) => {
                super::well_formed(&found, 5)?;
                in_place(&found, &documents)?;
            }
            Err(problem) => typed(&problem, &[ProblemKind::InvalidRequest, ProblemKind::Unsupported])?,
        }
    }
    opened.clear().await
}
