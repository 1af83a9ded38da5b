//! One instance: what each call does and refuses.

use encaje_sdk::errors::{Problem, ProblemKind};
use encaje_sdk::retriever::{Found, Query};
use encaje_sdk::values::{Comparator, Comparison, Filter, Value};

use super::fake::{Fake, document, stores};
use crate::collection::Memory;

fn store() -> Fake {
    stores(1, 7).remove(0)
}

fn open(store: &Fake, spec: &str) -> Memory<Fake> {
    Memory::open(store.clone(), "books", spec).unwrap()
}

fn query(text: &str, k: u32, filter: Filter) -> Query {
    Query {
        text: text.to_owned(),
        k,
        where_: filter,
        extra: Vec::new(),
    }
}

fn number(by: Comparator, number: i64) -> Filter {
    let values = vec![Value::Integer(number)];
    vec![vec![Comparison {
        field: "n".to_owned(),
        by,
        values,
    }]]
}

fn ids(found: &Found) -> Vec<&str> {
    found.hits.iter().map(|hit| hit.passage.document.as_str()).collect()
}

fn kind(outcome: Result<impl std::fmt::Debug, Problem>) -> ProblemKind {
    outcome.unwrap_err().kind
}

#[test]
fn an_upsert_is_idempotent_by_content() {
    let store = store();
    let books = open(&store, "");
    let first = books
        .upsert(vec![document("a", "one", 1), document("b", "two", 2)])
        .unwrap();
    assert_eq!(
        (first.added, first.changed, first.unchanged, first.passages),
        (2, 0, 0, 2)
    );
    let before = store.state().entries.clone();
    let again = books
        .upsert(vec![document("a", "one", 1), document("b", "two", 2)])
        .unwrap();
    assert_eq!(
        (again.added, again.changed, again.unchanged, again.passages),
        (0, 0, 2, 0)
    );
    assert_eq!(store.state().entries, before);
    let third = books
        .upsert(vec![document("a", "one", 3), document("c", "three", 1)])
        .unwrap();
    assert_eq!((third.added, third.changed, third.unchanged), (1, 1, 0));
    // One index and one entry a document: the replaced one is gone.
    assert_eq!(store.state().entries.len(), 4);
    let stats = books.stats().unwrap();
    assert_eq!((stats.documents, stats.passages, stats.bytes), (3, 3, 11));
}

#[test]
fn what_was_written_is_found_after_opening_again() {
    let store = store();
    let spec = r#"{"passage_bytes":64,"overlap_bytes":0}"#;
    let text =
        "The whale surfaced at dawn. Nobody on the ship had slept. The harpoon lay ready beside the captain's chair.";
    open(&store, spec)
        .upsert(vec![document("moby", text, 1), document("tea", "A recipe for tea.", 2)])
        .unwrap();
    let found = open(&store, "{}")
        .retrieve(&query("harpoon captain", 5, Vec::new()))
        .unwrap();
    assert_eq!(
        (ids(&found), found.rung.as_str(), found.degraded.as_deref()),
        (vec!["moby"], "keyword", None)
    );
    let passage = &found.hits[0].passage;
    assert_eq!(passage.text, &text[passage.start as usize..passage.end as usize]);
    assert_eq!(passage.index, 1);
    assert!(matches!(passage.metadata[0].1, Value::Integer(1)));
    assert_eq!(
        (found.hits[0].origins[0].leg.as_str(), found.hits[0].origins[0].rank),
        ("keyword", 1)
    );
}

#[test]
fn a_question_without_shared_words_falls_to_substrings_and_says_so() {
    let books = open(&store(), "");
    books
        .upsert(vec![
            document("a", "unbelievable", 1),
            document("b", "日本語の文章です", 1),
        ])
        .unwrap();
    let found = books.retrieve(&query("believ", 5, Vec::new())).unwrap();
    assert_eq!((ids(&found), found.rung.as_str()), (vec!["a"], "substring"));
    assert!(found.degraded.is_some());
    assert_eq!(ids(&books.retrieve(&query("文章", 5, Vec::new())).unwrap()), ["b"]);
    assert!(books.retrieve(&query("zebra", 5, Vec::new())).unwrap().hits.is_empty());
}

#[test]
fn filters_apply_before_the_ranking() {
    let books = open(&store(), "");
    let documents = (0..20).map(|n| document(&format!("d{n:02}"), if n < 10 { "cat cat" } else { "a cat" }, n));
    books.upsert(documents.collect()).unwrap();
    let found = books
        .retrieve(&query("cat", 3, number(Comparator::GreaterOrEqual, 17)))
        .unwrap();
    assert_eq!(ids(&found), ["d17", "d18", "d19"]);
    let unknown = vec![vec![Comparison {
        field: "x".to_owned(),
        by: Comparator::IsNull,
        values: vec![],
    }]];
    assert!(matches!(
        kind(books.retrieve(&query("cat", 3, unknown))),
        ProblemKind::InvalidRequest
    ));
}

#[test]
fn remove_takes_what_matches_and_its_entries() {
    let store = store();
    let books = open(&store, "");
    books
        .upsert((0..6).map(|n| document(&format!("d{n}"), "x", n)).collect())
        .unwrap();
    assert_eq!(books.remove(&number(Comparator::Less, 2)).unwrap(), 2);
    assert_eq!(books.remove(&number(Comparator::Less, 2)).unwrap(), 0);
    assert_eq!((books.stats().unwrap().documents, store.state().entries.len()), (4, 5));
    assert!(matches!(
        kind(books.remove(&vec![vec![Comparison {
            field: "nobody".to_owned(),
            by: Comparator::Equal,
            values: vec![Value::Integer(1)],
        }]])),
        ProblemKind::InvalidRequest
    ));
    assert_eq!(books.remove(&Vec::new()).unwrap(), 4);
    assert_eq!((books.stats().unwrap().documents, store.state().entries.len()), (0, 1));
}

#[test]
fn collections_do_not_see_each_other() {
    let store = store();
    let of = |name: &str| Memory::open(store.clone(), name, "").unwrap();
    of("a").upsert(vec![document("x", "one", 1)]).unwrap();
    of("a/b")
        .upsert(vec![document("x", "two", 1), document("y", "two", 1)])
        .unwrap();
    assert_eq!(of("a").remove(&Vec::new()).unwrap(), 1);
    assert_eq!(of("a/b").stats().unwrap().documents, 2);
}

#[test]
fn another_spec_is_a_conflict_and_the_same_is_not() {
    let store = store();
    open(&store, r#"{"passage_bytes":100}"#);
    open(&store, r#"{"passage_bytes":100,"overlap_bytes":50}"#);
    open(&store, "");
    assert!(matches!(
        kind(Memory::open(store, "books", r#"{"passage_bytes":200}"#)),
        ProblemKind::Conflict
    ));
}

#[test]
fn caps_are_told_and_nothing_is_cut() {
    let store = store();
    let books = open(&store, "");
    let long = "x".repeat(700_000);
    for n in 0..11 {
        books.upsert(vec![document(&format!("d{n}"), &long, 1)]).unwrap();
    }
    let entries = store.state().entries.len();
    let full = books.upsert(vec![document("more", &long, 1)]).unwrap_err();
    assert!(matches!(full.kind, ProblemKind::TooLarge));
    assert_eq!(full.code.as_deref(), Some("collection_full"));
    assert_eq!(store.state().entries.len(), entries);
    assert_eq!(books.stats().unwrap().documents, 11);
    // One that replaces another may still come.
    books.upsert(vec![document("d0", "short", 1)]).unwrap();
    let huge = "x".repeat(1 << 20);
    assert!(matches!(
        kind(books.upsert(vec![document("huge", &huge, 1)])),
        ProblemKind::TooLarge
    ));
    let many = (0..1_025).map(|n| document(&n.to_string(), "x", 1)).collect();
    assert!(matches!(kind(books.upsert(many)), ProblemKind::TooLarge));
    // Five calls of documents within the batch, one more than the collection holds.
    let rest = open_other(&store);
    for batch in 0..4 {
        let documents = (0..1_024).map(|n| document(&format!("{batch}-{n}"), "x", 1)).collect();
        rest.upsert(documents).unwrap();
    }
    assert!(matches!(
        kind(rest.upsert(vec![document("more", "x", 1)])),
        ProblemKind::TooLarge
    ));
}

fn open_other(store: &Fake) -> Memory<Fake> {
    Memory::open(store.clone(), "other", "").unwrap()
}

#[test]
fn bad_input_is_refused() {
    let store = store();
    let books = open(&store, "");
    let mut named_id = document("a", "x", 1);
    named_id.metadata.push(("id".to_owned(), Value::Null));
    let mut twice = document("a", "x", 1);
    twice.metadata.push(("n".to_owned(), Value::Null));
    let mut endless = document("a", "x", 1);
    endless.metadata.push(("r".to_owned(), Value::Real(f64::INFINITY)));
    for documents in [
        vec![document("", "x", 1)],
        vec![document(&"i".repeat(1_025), "x", 1)],
        vec![document("a", "x", 1), document("a", "y", 1)],
        vec![named_id],
        vec![twice],
        vec![endless],
    ] {
        assert!(matches!(kind(books.upsert(documents)), ProblemKind::InvalidRequest));
    }
    for (text, k) in [("", 1), (" ", 1), ("x", 0), ("x", 1_001)] {
        assert!(matches!(
            kind(books.retrieve(&query(text, k, Vec::new()))),
            ProblemKind::InvalidRequest
        ));
    }
    let mut strange = query("x", 1, Vec::new());
    strange.extra.push(("boost".to_owned(), "2".to_owned()));
    assert!(matches!(kind(books.retrieve(&strange)), ProblemKind::Unsupported));
    for name in ["", "a\nb", &"n".repeat(257)] {
        assert!(matches!(
            kind(Memory::open(store.clone(), name, "")),
            ProblemKind::InvalidRequest
        ));
    }
    assert_eq!(store.state().entries.len(), 1);
}

#[test]
fn what_a_crash_left_is_swept_up_after_an_hour() {
    let store = store();
    let books = open(&store, "");
    books.upsert(vec![document("a", "one", 1)]).unwrap();
    // It dies behind the writing of an entry: load, entry, and no index any more.
    store.state().steps_left = Some(2);
    assert!(matches!(
        kind(books.upsert(vec![document("b", "two", 1)])),
        ProblemKind::Unavailable
    ));
    store.state().steps_left = None;
    assert_eq!(store.state().entries.len(), 3);
    store.state().now_us += 3_599_000_000;
    books.upsert(vec![document("c", "three", 1)]).unwrap();
    assert_eq!(store.state().entries.len(), 4);
    store.state().now_us += 2_000_000;
    books.upsert(vec![document("d", "four", 1)]).unwrap();
    assert_eq!(store.state().entries.len(), 4);
    assert_eq!(books.stats().unwrap().documents, 3);
}

#[test]
fn an_entry_that_is_lost_is_told_and_not_passed_over() {
    let store = store();
    let books = open(&store, "");
    books.upsert(vec![document("a", "one", 1)]).unwrap();
    store.state().entries.retain(|key, _| key.starts_with("index/"));
    assert!(matches!(
        kind(books.retrieve(&query("one", 1, Vec::new()))),
        ProblemKind::Internal
    ));
}
