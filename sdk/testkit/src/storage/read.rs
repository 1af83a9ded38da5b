//! Reads: which rows, in which order, on which page; and what is refused.

use std::sync::Arc;

use encaje_core::ports::Storage;
use encaje_core::problem::ProblemKind;
use encaje_core::storage::{Order, Query};
use encaje_core::value::{Comparator, Value};
use proptest::prelude::*;

use super::fixture::{
    FIELDS, Row, Store, are_same, compare, id_of, items, matching, of, only, order, orders, plain, query, remove, row,
    rows, same_rows, upsert,
};
use crate::generate;
use crate::limits::PAGES;
use crate::oracle;
use crate::run::{Verdict, ensure, fail, property, refused, same, shown, skip};
use crate::settings::Settings;

/// All pages of a question; between two of them, something may happen.
async fn walk(store: &Store, mut question: Query, mut between: impl AsyncFnMut() -> Verdict) -> Verdict<Vec<Row>> {
    let mut shown = Vec::new();
    for _ in 0..PAGES {
        let page = store.read(&question).await?;
        shown.extend(page.rows);
        question.cursor = page.next;
        if question.cursor.is_none() {
            return Ok(shown);
        }
        between().await?;
    }
    fail(format!("an end of the pages was expected, none came within {PAGES}"))
}

pub(super) async fn pages(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let strategy = (rows(), generate::filter(&FIELDS), orders(), 1_u32..7);
    property(settings, strategy, async |(rows, filter, order, limit)| {
        let store = Store::filled(make, settings, &rows).await?;
        let mut question = query(filter.clone(), limit);
        question.order = order.clone();
        let came = walk(&store, question, async || Ok(())).await?;
        let mut expected = matching(&rows, &filter);
        expected.sort_by(|left, right| compare(left, right, &order, false));
        if are_same(&came, &expected) {
            return Ok(());
        }
        let rising = expected.clone();
        expected.sort_by(|left, right| compare(left, right, &order, true));
        if are_same(&came, &expected) {
            return Ok(());
        }
        same_rows(&came, &rising)
    })
    .await
}

pub(super) async fn nulls(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    let ranked = |id: &str, rank: i64| upsert(&[("id", id.into()), ("kind", "x".into()), ("rank", rank.into())]);
    store.write(&[ranked("a", -5), plain("b"), ranked("c", 7)]).await?;
    for (descending, expected) in [(false, ["b", "a", "c"]), (true, ["c", "a", "b"])] {
        let mut question = query(Vec::new(), 9);
        question.order = vec![order("rank", descending)];
        let rows = store.read(&question).await?.rows;
        let came: Vec<&str> = rows.iter().map(id_of).collect();
        same("the order by a column with a null", &came, &expected.to_vec())?;
    }
    let one = Value::Integer(-5);
    for (by, values, expected) in [
        (Comparator::NotEqual, vec![one.clone()], vec!["c"]),
        (Comparator::NotOneOf, vec![one.clone()], vec!["c"]),
        (Comparator::Less, vec![Value::Integer(0)], vec!["a"]),
        (Comparator::IsNull, Vec::new(), vec!["b"]),
        (Comparator::IsNotNull, Vec::new(), vec!["a", "c"]),
    ] {
        let rows = store.rows(only("rank", by, &values)).await?;
        let came: Vec<&str> = rows.iter().map(id_of).collect();
        same(&format!("the rows where `rank` {by:?} {values:?}"), &came, &expected)?;
    }
    Ok(())
}

pub(super) async fn ties(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    // Written in an order that is neither the key's nor its reverse.
    for id in ["d", "a", "e", "b", "c"] {
        store.write(&[plain(id)]).await?;
    }
    let expected = ["a", "b", "c", "d", "e"];
    for (order, limit) in [
        (vec![order("kind", false)], 9),
        (vec![order("kind", false)], 2),
        (Vec::new(), 2),
    ] {
        let mut question = query(Vec::new(), limit);
        question.order = order;
        let rows = walk(&store, question, async || Ok(())).await?;
        let mut came: Vec<&str> = rows.iter().map(id_of).collect();
        if came.first() == Some(&"e") {
            came.reverse();
        }
        same("rows that agree in the order, by their key", &came, &expected.to_vec())?;
    }
    Ok(())
}

/// What happens between two pages: a row of that place goes, or one comes beside it.
type Change = (bool, usize);

pub(super) async fn stable(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let change = (any::<bool>(), 0_usize..30);
    let changes = proptest::collection::vec(proptest::collection::vec(change, 0..3), 0..12);
    let strategy = (rows(), orders(), 1_u32..5, changes);
    property(settings, strategy, async |(rows, order, limit, changes)| {
        let store = Store::filled(make, settings, &rows).await?;
        let mut question = query(Vec::new(), limit);
        question.order = order.clone();
        let mut gone: Vec<String> = Vec::new();
        let (mut changes, mut number) = (changes.into_iter(), 0);
        let came = walk(&store, question, async || {
            for change in changes.next().unwrap_or_default() {
                number += 1;
                gone.extend(apply(&store, &rows, change, number).await?);
            }
            Ok(())
        })
        .await?;
        judge(&came, &rows, &gone, &order)
    })
    .await
}

/// Applies a change; gives the key of the row that went.
async fn apply(store: &Store, rows: &[Row], (removal, place): Change, number: u32) -> Verdict<Option<String>> {
    let Some(old) = rows.get(place) else {
        return Ok(None);
    };
    let id = id_of(old).to_owned();
    if removal {
        let filter = only("id", Comparator::Equal, &[id.as_str().into()]);
        store.write(&[remove(filter, None)]).await?;
        return Ok(Some(id));
    }
    let mut new = old.clone();
    if let Some(key) = new.first_mut() {
        // Between the keys there are, so that it lands anywhere in the order.
        *key = format!("{id}+{number}").into();
    }
    store.write(&[row(&new)]).await?;
    Ok(None)
}

fn judge(came: &[Row], rows: &[Row], gone: &[String], order: &[Order]) -> Verdict {
    let sorted = |descending: bool| came.is_sorted_by(|left, right| compare(left, right, order, descending).is_lt());
    ensure(sorted(false) || sorted(true), || {
        format!(
            "rows in the order {} and none twice were expected, {} came",
            shown(order),
            shown(came)
        )
    })?;
    for row in rows {
        let times = came.iter().filter(|other| id_of(other) == id_of(row)).count();
        let was_removed = gone.iter().any(|id| id == id_of(row));
        ensure(times == 1 || (times == 0 && was_removed), || {
            format!("the row `{}` was expected once, it came {times} times", id_of(row))
        })?;
    }
    Ok(())
}

pub(super) async fn foreign_cursors(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    let other = encaje_core::storage::Table {
        name: "testkit_other".to_owned(),
        ..items()
    };
    store.port.migrate(&store.call, &[items(), other]).await?;
    store.write(&[plain("a"), plain("b"), plain("c")]).await?;
    let mut question = query(Vec::new(), 1);
    question.order = vec![order("rank", false)];
    let Some(cursor) = store.read(&question).await?.next else {
        return fail("a cursor of the next page was expected, none came");
    };
    let with = |cursor: &str| Query {
        cursor: Some(cursor.to_owned()),
        ..question.clone()
    };
    let mut elsewhere = with(&cursor);
    elsewhere.table = "testkit_other".to_owned();
    let mut another_order = with(&cursor);
    another_order.order = vec![order("note", false)];
    let mut reversed = with(&cursor);
    reversed.order = vec![order("rank", true)];
    for (what, query) in [
        ("a cursor of another table", elsewhere),
        ("a cursor of another order", another_order),
        ("a cursor of the reversed order", reversed),
        ("an empty cursor", with("")),
        ("a cursor that nobody made", with("nobody-made-this")),
        ("a cursor that is a number", with("1")),
    ] {
        let outcome = store.port.read(&store.call, &query).await;
        refused(what, outcome, &[ProblemKind::InvalidRequest])?;
    }
    same(
        "the rows behind the right cursor",
        &store.read(&with(&cursor)).await?.rows.len(),
        &1,
    )
}

pub(super) async fn limits(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    store.write(&[plain("a"), plain("b"), plain("c")]).await?;
    for (limit, rows, more) in [(1, 1, true), (2, 2, true), (3, 3, false), (100, 3, false)] {
        let page = store.read(&query(Vec::new(), limit)).await?;
        same(&format!("rows of a page of {limit}"), &page.rows.len(), &rows)?;
        same(
            &format!("whether a page of {limit} has a next one"),
            &page.next.is_some(),
            &more,
        )?;
    }
    let outcome = store.port.read(&store.call, &query(Vec::new(), 0)).await;
    refused("a page of no rows", outcome, &[ProblemKind::InvalidRequest])
}

pub(super) async fn all_columns(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    store.write(&[plain("a")]).await?;
    let mut question = query(Vec::new(), 9);
    question.columns = Vec::new();
    let declared: Vec<String> = items().columns.into_iter().map(|column| column.name).collect();
    same("the columns", &store.read(&question).await?.columns, &declared)?;
    question.columns = vec!["note".to_owned(), "id".to_owned()];
    let rows = store.read(&question).await?.rows;
    same(
        "two columns in another order",
        &rows,
        &vec![vec![Value::Null, "a".into()]],
    )
}

pub(super) async fn unknown(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    store.write(&[plain("a")]).await?;
    let mut column = query(Vec::new(), 9);
    column.columns = vec!["nobody".to_owned()];
    let mut sorted = query(Vec::new(), 9);
    sorted.order = vec![order("nobody", false)];
    let mut table = query(Vec::new(), 9);
    table.table = "testkit_nowhere".to_owned();
    let rank = |by: Comparator, values: &[Value]| query(only("rank", by, values), 9);
    for (what, query) in [
        ("a column that does not exist", column),
        ("an order by a column that does not exist", sorted),
        ("a table that does not exist", table),
        (
            "a filter over a column that does not exist",
            query(only("nobody", Comparator::IsNull, &[]), 9),
        ),
        (
            "a text compared with an integer column",
            rank(Comparator::Equal, &["1".into()]),
        ),
        ("a comparison without a value", rank(Comparator::Equal, &[])),
        (
            "a comparison with two values",
            rank(Comparator::Less, &[1_i64.into(), 2_i64.into()]),
        ),
        ("a null test with a value", rank(Comparator::IsNull, &[1_i64.into()])),
    ] {
        let outcome = store.port.read(&store.call, &query).await;
        let kinds = match what {
            "a table that does not exist" => &[ProblemKind::NotFound, ProblemKind::InvalidRequest][..],
            _ => &[ProblemKind::InvalidRequest][..],
        };
        refused(what, outcome, kinds)?;
    }
    Ok(())
}

pub(super) async fn text_search(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    let noted = |id: &str, note: &str| upsert(&[("id", id.into()), ("kind", "x".into()), ("note", note.into())]);
    let batch = [
        noted("a", "near the \"sea\""),
        noted("b", "NOT a sea"),
        noted("c", "nothing"),
        plain("d"),
    ];
    store.write(&batch).await?;
    store.write(&[noted("c", "a lake")]).await?;
    for (words, expected) in [
        ("sea", vec!["a", "b"]),
        ("\"sea\" near", vec!["a"]),
        ("NOT", vec!["b"]),
        ("sea NOT", vec!["b"]),
        ("nothing", vec![]),
        ("lake", vec!["c"]),
        ("sea* OR x", vec![]),
    ] {
        let question = query(only("note", Comparator::MatchesText, &[words.into()]), 9);
        let page = match store.port.read(&store.call, &question).await {
            Err(problem) if problem.kind == ProblemKind::Unsupported => return skip("it has no text search"),
            outcome => outcome?,
        };
        let came: Vec<&str> = page.rows.iter().map(id_of).collect();
        same(&format!("the rows that have the words of `{words}`"), &came, &expected)?;
    }
    let rows = store.rows(Vec::new()).await?;
    ensure(
        rows.iter().any(|row| oracle::equal(of(row, "note"), &Value::Null)),
        || format!("the row without a note was expected, {} came", shown(&rows)),
    )
}
