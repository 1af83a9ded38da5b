//! Writes: what each mutation does, what the guards hold back, and that a batch is all or nothing.

use std::sync::Arc;

use encaje_core::ports::Storage;
use encaje_core::problem::ProblemKind;
use encaje_core::storage::{Assignment, Durability, Mutation};
use encaje_core::value::{Comparator, Value};
use proptest::prelude::*;

use super::fixture::{
    FIELDS, Row, Store, fields, insert, matching, of, only, plain, query, remove, row, rows, same_rows, table, update,
    upsert,
};
use crate::generate::{self, ODD_TEXTS};
use crate::limits::AT_ONCE;
use crate::oracle;
use crate::run::{Verdict, ensure, property, refused, same, shown, together};
use crate::settings::Settings;

pub(super) async fn round_trip(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let any_row = (
        any::<Option<i64>>(),
        prop_oneof![
            (-1e300..1e300),
            proptest::sample::select(vec![0.1 + 0.2, -0.5, f64::MAX, 5e-324])
        ],
        generate::text(),
        any::<Option<bool>>(),
        any::<i64>(),
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
    );
    property(settings, any_row, async |(rank, weight, note, flag, price, raw)| {
        let store = Store::new(make, settings).await?;
        let raw = raw.map_or(Value::Null, Value::Blob);
        let data = Value::Json(format!("{{\"a\": [1, {price}]}}"));
        let values = [
            ("id", Value::from("a")),
            ("kind", "x".into()),
            ("rank", rank.into()),
            ("weight", Value::Real(weight)),
            ("note", note.into()),
            ("flag", flag.into()),
            ("at", Value::Integer(-price.saturating_abs())),
            ("price", price.into()),
            ("data", data),
            ("raw", raw),
        ];
        store.write(&[upsert(&values)]).await?;
        let mut question = query(Vec::new(), 9);
        question.columns = values.iter().map(|(name, _)| (*name).to_owned()).collect();
        let page = store.read(&question).await?;
        same("the rows", &page.rows.len(), &1)?;
        for ((name, sent), came) in values.iter().zip(page.rows.iter().flatten()) {
            ensure(oracle::equal(came, sent), || {
                format!("`{name}`: {} went, {} came back", shown(sent), shown(came))
            })?;
        }
        Ok(())
    })
    .await
}

pub(super) async fn durabilities(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    for (id, durability) in [("a", Durability::Process), ("b", Durability::Disk)] {
        let touched = store.port.write(&store.call, &[plain(id)], durability).await?;
        same("rows touched", &touched, &vec![1])?;
    }
    same("the rows", &store.rows(Vec::new()).await?.len(), &2)
}

pub(super) async fn upserts(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    let first = upsert(&[("id", "a".into()), ("kind", "x".into()), ("rank", 1_i64.into())]);
    let second = upsert(&[("id", "a".into()), ("kind", "y".into()), ("note", "n".into())]);
    // Lacks the required `kind`, so it can only mean the row that is there.
    let partial = upsert(&[("id", "a".into()), ("weight", Value::Real(0.5))]);
    store.write(&[first]).await?;
    store.write(&[second, partial]).await?;
    let expected: Row = vec![
        "a".into(),
        "y".into(),
        1_i64.into(),
        Value::Real(0.5),
        "n".into(),
        Value::Null,
    ];
    same_rows(&store.rows(Vec::new()).await?, &[expected])?;
    let nobody = upsert(&[("id", "b".into()), ("rank", 7_i64.into())]);
    let outcome = store.write(&[nobody]).await;
    refused(
        "a new row without its required column",
        outcome,
        &[ProblemKind::Conflict, ProblemKind::InvalidRequest],
    )
}

pub(super) async fn inserts(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    let new = |id: &str| insert(&[("id", id.into()), ("kind", "new".into())]);
    store.write(&[plain("a")]).await?;
    let outcome = store.write(&[new("b"), new("a")]).await;
    refused("an insert over a row", outcome, &[ProblemKind::Conflict])?;
    ensure(store.row("b").await?.is_none(), || {
        "no row of the batch was expected, its first one is there".to_owned()
    })?;
    let row = store.row("a").await?.unwrap_or_default();
    same("the row that was there", of(&row, "kind"), &"x".into())
}

pub(super) async fn unique(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    let numbered = |id: &str, serial: Value| upsert(&[("id", id.into()), ("kind", "x".into()), ("serial", serial)]);
    store
        .write(&[
            numbered("a", 1_i64.into()),
            numbered("b", Value::Null),
            numbered("c", Value::Null),
        ])
        .await?;
    let outcome = store.write(&[numbered("d", 1_i64.into())]).await;
    refused("a second row in a unique index", outcome, &[ProblemKind::Conflict])?;
    same("the rows", &store.rows(Vec::new()).await?.len(), &3)
}

pub(super) async fn guarded_update(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    store.write(&[plain("a"), plain("b")]).await?;
    let all = || only("kind", Comparator::Equal, &["x".into()]);
    let set = [("rank", Assignment::Set(9_i64.into()))];
    for expected in [0, 1, 3] {
        let outcome = store.write(&[plain("c"), update(all(), &set, Some(expected))]).await;
        // `c` matches too, so three rows do.
        if expected == 3 {
            same("rows touched", &outcome?, &vec![1, 3])?;
        } else {
            refused("an update of another number of rows", outcome, &[ProblemKind::Conflict])?;
            let rows = store.rows(Vec::new()).await?;
            let untouched = rows.len() == 2 && rows.iter().all(|row| of(row, "rank") == &Value::Null);
            ensure(untouched, || {
                format!(
                    "the rows as they were before the batch were expected, {} came",
                    shown(&rows)
                )
            })?;
        }
    }
    Ok(())
}

pub(super) async fn guarded_removal(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    store.write(&[plain("a"), plain("b")]).await?;
    for expected in [0, 2, 4] {
        let outcome = store.write(&[plain("d"), remove(Vec::new(), Some(expected))]).await;
        let what = "a removal of another number of rows";
        refused(what, outcome, &[ProblemKind::Conflict])?;
        same("the rows afterwards", &store.rows(Vec::new()).await?.len(), &2)?;
    }
    let touched = store.write(&[plain("d"), remove(Vec::new(), Some(3))]).await?;
    same("rows touched", &touched, &vec![1, 3])?;
    same("the rows at the end", &store.rows(Vec::new()).await?.len(), &0)
}

pub(super) async fn adds(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    let first = upsert(&[
        ("id", "a".into()),
        ("kind", "x".into()),
        ("rank", 1_i64.into()),
        ("weight", Value::Real(0.5)),
    ]);
    store.write(&[first, plain("b")]).await?;
    let set = [
        ("rank", Assignment::Add(-3)),
        ("weight", Assignment::Add(2)),
        ("note", Assignment::Set("n".into())),
    ];
    store.write(&[update(Vec::new(), &set, Some(2))]).await?;
    let expected = |id: &str, rank: i64, weight: f64| -> Row {
        vec![
            id.into(),
            "x".into(),
            rank.into(),
            Value::Real(weight),
            "n".into(),
            Value::Null,
        ]
    };
    same_rows(
        &store.rows(Vec::new()).await?,
        &[expected("a", -2, 2.5), expected("b", -3, 2.0)],
    )
}

pub(super) async fn counts(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    let kind = |kind: &str| only("kind", Comparator::Equal, &[kind.into()]);
    let set = [("rank", Assignment::Set(1_i64.into()))];
    let batch = [
        plain("a"),
        plain("a"),
        plain("b"),
        update(kind("x"), &set, None),
        update(kind("y"), &set, None),
        remove(kind("y"), None),
        remove(kind("x"), None),
    ];
    let touched = store.write(&batch).await?;
    same("rows touched", &touched, &vec![1, 1, 1, 2, 0, 0, 2])
}

pub(super) async fn removals(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let strategy = (rows(), generate::filter(&FIELDS));
    property(settings, strategy, async |(rows, filter)| {
        let store = Store::filled(make, settings, &rows).await?;
        let gone = matching(&rows, &filter);
        let touched = store.write(&[remove(filter, None)]).await?;
        same("rows touched", &touched, &vec![gone.len() as u64])?;
        let mut left: Vec<Row> = rows.iter().filter(|row| !gone.contains(row)).cloned().collect();
        left.sort_by(|left, right| oracle::compare(of(left, "id"), of(right, "id")));
        same_rows(&store.rows(Vec::new()).await?, &left)
    })
    .await
}

pub(super) async fn updates(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let strategy = (rows(), generate::filter(&FIELDS));
    property(settings, strategy, async |(rows, filter)| {
        let store = Store::filled(make, settings, &rows).await?;
        let changed = matching(&rows, &filter);
        let set = [("note", Assignment::Set("changed".into()))];
        store.write(&[update(filter, &set, Some(changed.len() as u64))]).await?;
        let mut expected = rows.clone();
        for row in expected.iter_mut().filter(|row| changed.contains(row)) {
            if let Some(note) = row.get_mut(4) {
                *note = "changed".into();
            }
        }
        expected.sort_by(|left, right| oracle::compare(of(left, "id"), of(right, "id")));
        same_rows(&store.rows(Vec::new()).await?, &expected)
    })
    .await
}

pub(super) async fn misfits(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    let wrong_update = [("nobody", Assignment::Add(1))];
    let wrong = [
        (
            "a column that does not exist",
            upsert(&[("id", "b".into()), ("kinds", "x".into())]),
        ),
        (
            "a text for an integer",
            upsert(&[("id", "b".into()), ("kind", "x".into()), ("rank", "1".into())]),
        ),
        ("a row without its key", upsert(&[("kind", "x".into())])),
        (
            "a null for a required column",
            insert(&[("id", "b".into()), ("kind", Value::Null)]),
        ),
        (
            "an update of a column that does not exist",
            update(Vec::new(), &wrong_update, None),
        ),
        (
            "a filter over a column that does not exist",
            remove(only("nobody", Comparator::IsNull, &[]), None),
        ),
    ];
    for (what, mutation) in wrong {
        let outcome = store.write(&[plain("a"), mutation]).await;
        let kinds = [ProblemKind::InvalidRequest, ProblemKind::Conflict];
        refused(what, outcome, &kinds)?;
        same("the rows afterwards", &store.rows(Vec::new()).await?.len(), &0)?;
    }
    let elsewhere = Mutation::Insert("testkit_nowhere".to_owned(), fields(&[("id", "a".into())]));
    let kinds = [ProblemKind::NotFound, ProblemKind::InvalidRequest];
    refused("a table that does not exist", store.write(&[elsewhere]).await, &kinds)
}

pub(super) async fn injections(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    let rows: Vec<Row> = ODD_TEXTS
        .iter()
        .enumerate()
        .map(|(at, odd)| {
            let id = format!("{at:02}{odd}");
            vec![
                id.into(),
                (*odd).into(),
                Value::Null,
                Value::Null,
                (*odd).into(),
                Value::Null,
            ]
        })
        .collect();
    store.write(&rows.iter().map(row).collect::<Vec<_>>()).await?;
    same_rows(&store.rows(Vec::new()).await?, &rows)?;
    for odd in ODD_TEXTS {
        for by in [Comparator::Equal, Comparator::Contains, Comparator::StartsWith] {
            let filter = only("note", by, &[odd.into()]);
            same_rows(&store.rows(filter.clone()).await?, &matching(&rows, &filter))?;
        }
    }
    let name = "rank\" OR 1=1 --";
    let outcome = store
        .write(&[upsert(&[
            ("id", "z".into()),
            ("kind", "x".into()),
            (name, 1_i64.into()),
        ])])
        .await;
    refused("a column named like a query", outcome, &[ProblemKind::InvalidRequest])?;
    let outcome = store.write(&[remove(only(name, Comparator::IsNull, &[]), None)]).await;
    refused("a filter named like a query", outcome, &[ProblemKind::InvalidRequest])?;
    let outsider = Mutation::Upsert(format!("{}\"; DROP TABLE {}; --", table(), table()), fields(&[]));
    let kinds = [ProblemKind::NotFound, ProblemKind::InvalidRequest];
    refused("a table named like a query", store.write(&[outsider]).await, &kinds)?;
    same_rows(&store.rows(Vec::new()).await?, &rows)
}

pub(super) async fn at_once(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    store.write(&[plain("a")]).await?;
    let batch = [update(
        only("id", Comparator::Equal, &["a".into()]),
        &[("rank", Assignment::Add(1))],
        Some(1),
    )];
    let writes = (0..AT_ONCE).map(|_| store.write(&batch));
    let mut done = 0_i64;
    for outcome in together(writes).await {
        match outcome {
            Ok(_) => done += 1,
            // A store may have no room for all of them; what it took must be there.
            Err(problem) => ensure(problem.kind == ProblemKind::Overloaded, || crate::run::told(&problem))?,
        }
    }
    let row = store.row("a").await?.unwrap_or_default();
    same("the sum of all writes", of(&row, "rank"), &done.into())
}
