//! Several instances write one collection at once, in interleavings that a seed decides. Whatever the order: every document
//! that was reported as stored is there, every one that was removed is not, and nothing is left over.

use std::collections::BTreeSet;

use encaje_sdk::retriever::Query;
use encaje_sdk::values::{Comparator, Comparison, Filter, Value};
use proptest::prelude::*;

use super::fake::{document, stores};
use crate::collection::Memory;

fn of_id(id: &str) -> Filter {
    let values = vec![Value::Text(id.to_owned())];
    vec![vec![Comparison {
        field: "id".to_owned(),
        by: Comparator::Equal,
        values,
    }]]
}

/// Each instance adds two documents of its own, removes one of them, writes one that all share, and searches.
fn instance(collection: &Memory<super::fake::Fake>, own: usize) {
    let (kept, lost) = (format!("kept-{own}"), format!("lost-{own}"));
    let first = collection.upsert(vec![
        document(&kept, "common words", 1),
        document(&lost, "common words", 1),
    ]);
    assert_eq!(first.unwrap().added, 2);
    collection
        .upsert(vec![document("shared", &format!("common words of {own}"), 1)])
        .unwrap();
    assert_eq!(collection.remove(&of_id(&lost)).unwrap(), 1);
    let query = Query {
        text: "common".to_owned(),
        k: 100,
        where_: Vec::new(),
        extra: Vec::new(),
    };
    let found = collection.retrieve(&query).unwrap();
    let ids: BTreeSet<String> = found.hits.into_iter().map(|hit| hit.passage.document).collect();
    assert!(
        ids.contains(&kept) && ids.contains("shared") && !ids.contains(&lost),
        "{own}: {ids:?}"
    );
    // The same once more changes nothing of its own.
    let again = collection.upsert(vec![document(&kept, "common words", 1)]).unwrap();
    assert_eq!(again.unchanged, 1);
}

fn run(instances: usize, seed: u64) {
    let all = stores(instances, seed);
    std::thread::scope(|scope| {
        for (own, store) in all.iter().enumerate() {
            scope.spawn(move || {
                // The turn goes on also where an expectation fails, or the others would wait for ever.
                let outcome = std::panic::catch_unwind(|| {
                    let collection = Memory::open(store.clone(), "c", "").unwrap();
                    instance(&collection, own);
                });
                store.leave();
                outcome.unwrap();
            });
        }
    });
    let state = all[0].state();
    let index: crate::record::Index = crate::record::read(&state.entries["index/1:c"].0).unwrap();
    let ids: Vec<&str> = index.documents.keys().map(String::as_str).collect();
    let mut expected: Vec<String> = (0..instances).map(|own| format!("kept-{own}")).collect();
    expected.push("shared".to_owned());
    assert_eq!(ids, expected, "seed {seed}");
    for line in index.documents.values() {
        assert!(
            state.entries.contains_key(&format!("text/1:c/{}", line.key)),
            "seed {seed}: a dangling entry"
        );
    }
    assert_eq!(
        state.entries.len(),
        1 + ids.len(),
        "seed {seed}: something is left over"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_is_lost_whatever_the_order(instances in 2_usize..5, seed: u64) {
        run(instances, seed);
    }

    #[test]
    fn the_same_document_from_all_is_stored_once(instances in 2_usize..5, seed: u64) {
        let all = stores(instances, seed);
        let added: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = all.iter().map(|store| scope.spawn(move || {
                let upsert = || Memory::open(store.clone(), "c", "")?.upsert(vec![document("a", "same", 1)]);
                let outcome = upsert();
                store.leave();
                outcome.unwrap().added
            })).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        prop_assert_eq!(added, 1);
        prop_assert_eq!(all[0].state().entries.len(), 2);
    }
}
