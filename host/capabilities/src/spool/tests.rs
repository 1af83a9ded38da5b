//! What the spool promises: order, survival, and that damage costs no more than what it touched.

use std::os::unix::process::ExitStatusExt;

use encaje_core::storage::{Assignment, Remove, Update};
use encaje_core::value::{Comparison, Value};
use proptest::prelude::*;

use super::*;
use crate::testing;

/// Bytes that a spool here may have.
const ROOM: u64 = 256 << 20;

fn batch(number: u64) -> Vec<Mutation> {
    let fields = vec![
        ("id".to_owned(), Value::from(number)),
        ("score".to_owned(), Value::Real(number as f64 / 3.0)),
        ("body".to_owned(), Value::Text("x".repeat((number % 97) as usize))),
    ];
    vec![Mutation::Upsert("messages".to_owned(), fields); 1 + (number % 3) as usize]
}

fn open(path: &Path) -> FileSpool {
    FileSpool::open(path, ROOM).unwrap()
}

fn numbers(spool: &FileSpool) -> Vec<u64> {
    spool
        .oldest(usize::MAX)
        .unwrap()
        .into_iter()
        .map(|(position, _)| position)
        .collect()
}

#[test]
fn batches_come_back_in_order_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/spool");
    let spool = open(&path);
    assert!(spool.is_empty());
    (1..=10).for_each(|number| spool.append(&batch(number)).unwrap());
    spool.forget(4).unwrap();
    spool.forget(2).unwrap();
    assert_eq!(spool.oldest(2).unwrap(), [(5, batch(5)), (6, batch(6))]);
    drop(spool);
    let spool = open(&path);
    assert_eq!(
        spool.oldest(usize::MAX).unwrap(),
        (5..=10).map(|number| (number, batch(number))).collect::<Vec<_>>()
    );
    spool.forget(u64::MAX).unwrap();
    assert!(spool.is_empty() && numbers(&spool).is_empty());
    assert_eq!(std::fs::metadata(&path).unwrap().len(), HEAD_BYTES);
    drop(spool);
    let spool = open(&path);
    assert!(spool.is_empty());
    spool.append(&batch(11)).unwrap();
    assert_eq!(numbers(&spool), [11], "positions are not used twice");
}

#[test]
fn every_value_comes_back_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder.path().join("spool"));
    let reals = [
        0.1 + 0.2,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        -0.0,
        1e300,
    ];
    let filter = vec![vec![
        Comparison::equal("a", Value::Real(reals[0])),
        Comparison::equal("b", true),
    ]];
    let batch = vec![
        Mutation::Insert(
            "t".to_owned(),
            reals.iter().map(|real| ("f".to_owned(), Value::Real(*real))).collect(),
        ),
        Mutation::Update(Update {
            table: "t".to_owned(),
            filter: filter.clone(),
            set: vec![
                ("x".to_owned(), Assignment::Add(-3)),
                ("y".to_owned(), Assignment::Set(Value::Real(reals[1]))),
                ("z".to_owned(), Assignment::Set(Value::Blob(vec![0, 1, 255]))),
            ],
            expected_rows: Some(1),
        }),
        Mutation::Remove(Remove {
            table: "t".to_owned(),
            filter,
            expected_rows: None,
        }),
        Mutation::Upsert(
            "t".to_owned(),
            vec![("j".to_owned(), Value::Json("{\"a\":\"\\u0000\"}".to_owned()))],
        ),
    ];
    spool.append(&batch).unwrap();
    assert_eq!(spool.oldest(1).unwrap(), [(1, batch)]);
    let not_a_number = vec![Mutation::Insert(
        "t".to_owned(),
        vec![("f".to_owned(), Value::Real(f64::NAN))],
    )];
    spool.append(&not_a_number).unwrap();
    match &spool.oldest(2).unwrap()[1].1[..] {
        [Mutation::Insert(_, fields)] => assert!(matches!(fields[0].1, Value::Real(real) if real.is_nan())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_spool_says_so_and_takes_more_after_forgetting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    let spool = FileSpool::open(&path, 4_096).unwrap();
    let mut appended = 0;
    let problem = loop {
        match spool.append(&batch(1)) {
            Ok(()) => appended += 1,
            Err(problem) => break problem,
        }
    };
    assert_eq!(
        (problem.kind, problem.code.as_deref()),
        (ProblemKind::TooLarge, Some("spool_full"))
    );
    assert!(appended > 5);
    spool.forget(3).unwrap();
    for _ in 0..3 {
        spool.append(&batch(1)).unwrap();
    }
    assert!(std::fs::metadata(&path).unwrap().len() <= 4_096);
    assert_eq!(numbers(&spool), (4..=appended + 3).collect::<Vec<_>>());
    drop(spool);
    assert_eq!(
        numbers(&FileSpool::open(&path, 4_096).unwrap()),
        (4..=appended + 3).collect::<Vec<_>>()
    );
}

#[test]
fn two_servers_do_not_share_a_spool() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    let _held = open(&path);
    let problem = FileSpool::open(&path, 1).unwrap_err();
    assert!(
        problem.kind == ProblemKind::Misconfigured && problem.message.contains("Another server"),
        "{problem}"
    );
}

#[test]
fn what_is_no_spool_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    for (bytes, words) in [
        (vec![b'x'; 100], "no spool"),
        ([&b"ENCSPOL2"[..], &[0; 60]].concat(), "another version"),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        let problem = FileSpool::open(&path, 1).unwrap_err();
        assert!(
            problem.kind == ProblemKind::Misconfigured && problem.message.contains(words),
            "{problem}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn what_was_appended_survives_kill_9() {
    if let Some(folder) = testing::as_child() {
        let spool = open(&folder.join("spool"));
        for number in 1..=500 {
            spool.append(&batch(number)).unwrap();
        }
        spool.forget(100).unwrap();
        testing::kill_this_process();
    }
    let folder = tempfile::tempdir().unwrap();
    let status = testing::child("spool::tests::what_was_appended_survives_kill_9", folder.path());
    assert_eq!(status.signal(), Some(9));
    assert_eq!(
        numbers(&open(&folder.path().join("spool"))),
        (101..=500).collect::<Vec<_>>()
    );
}

/// A spool of `count` records with the first `forgotten` forgotten: its bytes and where each record stands.
fn bytes_of(count: u64, forgotten: u64) -> (Vec<u8>, Vec<std::ops::Range<usize>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    let spool = open(&path);
    (1..=count).for_each(|number| spool.append(&batch(number)).unwrap());
    if forgotten > 0 {
        spool.forget(forgotten).unwrap();
    }
    let state = spool.lock();
    let place = |record: &Record| record.offset as usize..record.offset as usize + FRAME_BYTES + record.bytes as usize;
    let places = state.waiting.iter().map(place).collect();
    (std::fs::read(&path).unwrap(), places)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_torn_end_costs_the_last_records_only(count in 1_u64..12, cut in any::<prop::sample::Index>()) {
        let (mut bytes, places) = bytes_of(count, 0);
        bytes.truncate(HEAD_BYTES as usize + cut.index(bytes.len() - HEAD_BYTES as usize));
        let whole = places.iter().filter(|place| place.end <= bytes.len()).count() as u64;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        std::fs::write(&path, &bytes).unwrap();
        let spool = open(&path);
        let expected: Vec<_> = (1..=whole).map(|number| (number, batch(number))).collect();
        prop_assert_eq!(spool.oldest(usize::MAX).unwrap(), expected);
        // And it goes on where it was cut.
        spool.append(&batch(99)).unwrap();
        drop(spool);
        prop_assert_eq!(numbers(&open(&path)), (1..=whole + 1).collect::<Vec<_>>());
    }

    #[test]
    fn damage_costs_the_records_that_it_touches(
        count in 1_u64..12,
        at in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 1..200),
    ) {
        let (mut bytes, places) = bytes_of(count, 0);
        let start = HEAD_BYTES as usize + at.index(bytes.len() - HEAD_BYTES as usize);
        let before = bytes.clone();
        for (offset, byte) in noise.iter().enumerate() {
            if let Some(place) = bytes.get_mut(start + offset) {
                *place = *byte;
            }
        }
        let whole = (1..=count).zip(&places).filter(|(_, place)| bytes[(*place).clone()] == before[(*place).clone()]);
        let expected: Vec<_> = whole.map(|(number, _)| (number, batch(number))).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        std::fs::write(&path, &bytes).unwrap();
        let spool = open(&path);
        prop_assert_eq!(spool.oldest(usize::MAX).unwrap(), expected);
    }

    #[test]
    fn a_damaged_head_never_invents_records(
        count in 2_u64..8,
        at in 0_usize..40,
        byte in any::<u8>(),
    ) {
        let forgotten = count / 2;
        let (mut bytes, _) = bytes_of(count, forgotten);
        bytes[at] = byte;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(spool) = FileSpool::open(&path, ROOM) {
            let found = spool.oldest(usize::MAX).unwrap();
            // What was forgotten may come again; what waits is there.
            let first = found.first().map_or(0, |(position, _)| *position);
            prop_assert!(first == 1 || first == forgotten + 1);
            prop_assert_eq!(found, (first..=count).map(|number| (number, batch(number))).collect::<Vec<_>>());
        }
    }

    #[test]
    fn any_bytes_open_or_are_refused(noise in prop::collection::vec(any::<u8>(), 0..2_000), magic in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        let front: &[u8] = if magic { b"ENCSPOL1" } else { b"" };
        std::fs::write(&path, [front, &noise].concat()).unwrap();
        if let Ok(spool) = FileSpool::open(&path, ROOM) {
            prop_assert!(spool.is_empty());
            spool.append(&batch(5)).unwrap();
            prop_assert_eq!(spool.oldest(9).unwrap().len(), 1);
        }
    }
}
