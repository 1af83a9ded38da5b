//! What is written, removed and opened.

use encaje_core::call::Call;
use encaje_core::documents::Document;
use encaje_core::problem::ProblemKind;
use encaje_core::retrieval::{Found, Upserted};
use encaje_core::value::{Comparator, Comparison, Filter, Value};

use super::{ALL, Subject, WORD, document, few, metadata};
use crate::generate::MARK;
use crate::limits::AT_ONCE;
use crate::run::{Verdict, ensure, refused, same, shown, skip, together, told, unmarked};

fn only(field: &str, value: Value) -> Filter {
    vec![vec![Comparison {
        field: field.to_owned(),
        by: Comparator::Equal,
        values: vec![value],
    }]]
}

/// Documents that are new, changed, unchanged.
fn told_of(upserted: Upserted) -> [u64; 3] {
    [upserted.added, upserted.changed, upserted.unchanged]
}

pub(super) async fn idempotent(s: &Subject<'_>) -> Verdict {
    let mut opened = s.filled(&few()).await?;
    let before = opened.collection.stats().await?;
    let again = opened.collection.upsert(few()).await?;
    same(
        "what the same documents are: new, changed, unchanged",
        &told_of(again),
        &[0, 0, 6],
    )?;
    let after = opened.collection.stats().await?;
    same("how many documents there are", &after.documents, &before.documents)?;
    same("how many passages there are", &after.passages, &before.passages)?;
    let mut changed = few();
    changed.truncate(2);
    if let Some(first) = changed.first_mut() {
        first.text = format!("Another text about a {WORD}.");
    }
    changed.push(document("new", &format!("A new {WORD}."), metadata("no", 9)));
    let third = opened.collection.upsert(changed).await?;
    same(
        "what the third documents are: new, changed, unchanged",
        &told_of(third),
        &[1, 1, 1],
    )?;
    let found = opened.search(WORD, ALL, Vec::new()).await?;
    let texts = found.hits.iter().filter(|hit| hit.passage.document == "d0");
    let old = texts.filter(|hit| !hit.passage.text.contains("Another")).count();
    same("passages of the text that was changed", &old, &0)?;
    opened.clear().await
}

pub(super) async fn counts(s: &Subject<'_>) -> Verdict {
    let mut opened = s.open().await?;
    let stats = opened.collection.stats().await?;
    same(
        "the documents of a new collection",
        &(stats.documents, stats.passages),
        &(0, 0),
    )?;
    opened.collection.upsert(few()).await?;
    let stats = opened.collection.stats().await?;
    same("the documents", &stats.documents, &6)?;
    ensure(stats.passages >= 6 && stats.bytes > 0, || {
        format!(
            "a passage of each document and bytes of text were expected, {} came",
            shown(&stats)
        )
    })?;
    let removed = opened.collection.remove(&Vec::new()).await?;
    same("the documents that were removed", &removed, &6)?;
    let stats = opened.collection.stats().await?;
    same("the documents at the end", &(stats.documents, stats.passages), &(0, 0))?;
    opened.clear().await
}

pub(super) async fn removals(s: &Subject<'_>) -> Verdict {
    let mut opened = s.filled(&few()).await?;
    let removed = opened.collection.remove(&only("lang", "no".into())).await?;
    same("the documents that were removed", &removed, &3)?;
    let found = opened.search(WORD, ALL, Vec::new()).await?;
    let mut left: Vec<&str> = found.hits.iter().map(|hit| hit.passage.document.as_str()).collect();
    left.sort_unstable();
    left.dedup();
    same("the documents that are found", &left, &vec!["d1", "d3", "d5"])?;
    let again = opened.collection.upsert(few()).await?;
    same(
        "what all of them are now: new, changed, unchanged",
        &told_of(again),
        &[3, 0, 3],
    )?;
    opened.clear().await
}

pub(super) async fn reopened(s: &Subject<'_>) -> Verdict {
    let opened = s.filled(&few()).await?;
    let mut second = s.again(&opened).await?;
    same(
        "the documents that a second opening sees",
        &second.stats().await?.documents,
        &6,
    )?;
    second.close().await?;
    let (name, call) = (opened.name.clone(), opened.call.clone());
    drop(opened);
    let collection = s.port.open(&call, &name, &s.settings.spec).await?;
    let mut opened = super::Opened { name, call, collection };
    let found = opened.search(WORD, ALL, Vec::new()).await?;
    ensure(found.hits.len() >= 6, || {
        format!("all 6 documents were expected, {} came", shown(&found.hits))
    })?;
    opened.clear().await
}

pub(super) async fn tenants(s: &Subject<'_>) -> Verdict {
    let mut opened = s.filled(&few()).await?;
    let other = s.settings.other_call();
    let mut theirs = s.port.open(&other, &opened.name, &s.settings.spec).await?;
    same(
        "the documents that another tenant sees",
        &theirs.stats().await?.documents,
        &0,
    )?;
    let found = theirs.retrieve(super::search(WORD, ALL, Vec::new())).await?;
    same("the hits of another tenant", &found.hits.len(), &0)?;
    theirs
        .upsert(vec![document("d0", "Theirs.", metadata("no", 1))])
        .await?;
    theirs.remove(&Vec::new()).await?;
    theirs.close().await?;
    let own = opened.collection.stats().await?.documents;
    same("the own documents after the other's removal", &own, &6)?;
    opened.clear().await
}

/// A turn of one caller with a collection: what it finds there, what it finds when it has written its documents.
async fn turn(s: &Subject<'_>, call: &Call, name: &str, documents: Vec<Document>) -> Verdict<[Found; 2]> {
    let mut collection = s.port.open(call, name, &s.settings.spec).await?;
    let before = collection.retrieve(super::search(WORD, ALL, Vec::new())).await?;
    collection.upsert(documents).await?;
    let after = collection.retrieve(super::search(WORD, ALL, Vec::new())).await?;
    collection.close().await?;
    Ok([before, after])
}

pub(super) async fn forgotten(s: &Subject<'_>) -> Verdict {
    let (call, name, other) = (s.settings.call(), super::new_name(), s.settings.other_call());
    let text = format!("The {WORD} of {MARK} is shallow.");
    let theirs = [document("d0", &text, metadata(MARK, 1))];
    let [_, written] = turn(s, &other, &name, theirs.to_vec()).await?;
    // The same name again, by another caller: the name alone does not tell whose documents those are.
    let [empty, own] = turn(s, &call, &name, few()).await?;
    same("the hits in a new collection", &empty.hits.len(), &0)?;
    unmarked("the hits", &own)?;
    let [again, _] = turn(s, &other, &name, Vec::new()).await?;
    let passages = |found: &Found| found.hits.iter().map(|hit| hit.passage.clone()).collect::<Vec<_>>();
    same(
        "the passages of the other one, once more",
        &passages(&again),
        &passages(&written),
    )?;
    for call in [call, other] {
        let collection = s.port.open(&call, &name, &s.settings.spec).await?;
        let name = name.clone();
        super::Opened { name, call, collection }.clear().await?;
    }
    Ok(())
}

pub(super) async fn collections(s: &Subject<'_>) -> Verdict {
    let (mut first, mut second) = (s.filled(&few()).await?, s.open().await?);
    same(
        "the documents of the second",
        &second.collection.stats().await?.documents,
        &0,
    )?;
    second.collection.upsert(few()).await?;
    second.collection.remove(&Vec::new()).await?;
    same(
        "the documents of the first",
        &first.collection.stats().await?.documents,
        &6,
    )?;
    second.clear().await?;
    first.clear().await
}

pub(super) async fn at_once(s: &Subject<'_>) -> Verdict {
    let mut opened = s.open().await?;
    let mut handles = Vec::new();
    for _ in 0..AT_ONCE {
        handles.push(s.again(&opened).await?);
    }
    let writes = handles.iter_mut().enumerate().map(|(at, handle)| {
        let one = document(&format!("w{at}"), &format!("The {WORD} {at}."), metadata("no", 1));
        handle.upsert(vec![one])
    });
    let mut added = 0;
    for outcome in together(writes).await {
        match outcome {
            Ok(upserted) => added += upserted.added,
            // It may have no room for all of them; what it took must be there.
            Err(problem) => ensure(problem.kind == ProblemKind::Overloaded, || told(&problem))?,
        }
    }
    drop(handles);
    same(
        "the documents of all writes",
        &opened.collection.stats().await?.documents,
        &added,
    )?;
    opened.clear().await
}

pub(super) async fn specs(s: &Subject<'_>) -> Verdict {
    let broken = s.port.open(&s.settings.call(), "testkit-broken-spec", "{\"a\":").await;
    refused(
        "a spec that is no JSON",
        broken.map(|_| "a collection"),
        &[ProblemKind::InvalidRequest],
    )?;
    let Some(other) = &s.settings.other_spec else {
        return skip("no other spec was named, and the broken one is refused");
    };
    let opened = s.filled(&few()).await?;
    let outcome = s.port.open(&opened.call, &opened.name, other).await;
    refused(
        "another spec",
        outcome.map(|_| "a collection"),
        &[ProblemKind::Conflict],
    )?;
    opened.clear().await
}
