//! Migrations add and never take away; a scrub takes away nothing that is still there.

use std::sync::Arc;

use encaje_core::ports::Storage;
use encaje_core::problem::ProblemKind;
use encaje_core::storage::{Column, ColumnType, Table};
use encaje_core::value::{Comparator, Value};

use super::fixture::{Store, id_of, items, only, plain, query, remove};
use crate::run::{Verdict, ensure, fail, refused, same, shown, skip, told};
use crate::settings::Settings;

type Refusal = ProblemKind;

pub(super) async fn idempotent(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let (port, call) = (make().await, settings.call());
    let first = port.migrate(&call, &[items()]).await?;
    ensure(!first.is_empty(), || {
        "words on what was made were expected, none came".to_owned()
    })?;
    let second = port.migrate(&call, &[items()]).await?;
    same("what the second migration changed", &second, &Vec::new())
}

pub(super) async fn additive(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    store.write(&[plain("a")]).await?;
    let mut wider = items();
    wider.columns.push(Column {
        name: "colour".to_owned(),
        of: ColumnType::Text,
        required: true,
        default_value: Some("it's red".into()),
    });
    let second = Table {
        name: "testkit_more".to_owned(),
        ..items()
    };
    store.port.migrate(&store.call, &[wider, second]).await?;
    let mut question = query(Vec::new(), 9);
    question.columns = vec!["id".to_owned(), "colour".to_owned()];
    let rows = store.read(&question).await?.rows;
    same(
        "the row with the default of the new column",
        &rows,
        &vec![vec![Value::from("a"), Value::from("it's red")]],
    )?;
    // A host of the version before declares less; what is there stays.
    store.port.migrate(&store.call, &[items()]).await?;
    same("the rows afterwards", &store.read(&question).await?.rows.len(), &1)
}

pub(super) async fn retyped(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    store.write(&[plain("a")]).await?;
    let mut other = items();
    for column in other.columns.iter_mut().filter(|column| column.name == "rank") {
        column.of = ColumnType::Text;
    }
    let also = Table {
        name: "testkit_also".to_owned(),
        ..items()
    };
    let outcome = store.port.migrate(&store.call, &[also, other]).await;
    refused("an integer column declared as text", outcome, &[Refusal::Conflict])?;
    same("the rows afterwards", &store.rows(Vec::new()).await?.len(), &1)?;
    let mut question = query(Vec::new(), 9);
    question.table = "testkit_also".to_owned();
    let outcome = store.port.read(&store.call, &question).await;
    let kinds = [Refusal::NotFound, Refusal::InvalidRequest];
    refused("a read of the table that was declared beside it", outcome, &kinds)
}

pub(super) async fn malformed(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let (port, call) = (make().await, settings.call());
    let wrong = [
        (
            "a name with a quote",
            Table {
                name: "x\"; DROP TABLE y".to_owned(),
                ..items()
            },
        ),
        (
            "a table without a key",
            Table {
                key: Vec::new(),
                ..items()
            },
        ),
        (
            "a key that is no column",
            Table {
                key: vec!["nobody".to_owned()],
                ..items()
            },
        ),
        (
            "a table without columns",
            Table {
                columns: Vec::new(),
                ..items()
            },
        ),
    ];
    for (what, table) in wrong {
        let outcome = port.migrate(&call, &[table]).await;
        refused(what, outcome, &[Refusal::InvalidRequest])?;
    }
    Ok(())
}

pub(super) async fn scrubbed(make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Verdict {
    let store = Store::new(make, settings).await?;
    store.write(&[plain("a"), plain("b")]).await?;
    store
        .write(&[remove(only("id", Comparator::Equal, &["a".into()]), Some(1))])
        .await?;
    match store.port.scrub(&store.call).await {
        Ok(()) => {}
        Err(problem) if problem.kind == Refusal::Unsupported => return skip("it offers no scrub"),
        Err(problem) => return fail(format!("a scrub was expected, {} came", told(&problem))),
    }
    let rows = store.rows(Vec::new()).await?;
    ensure(rows.len() == 1 && rows.iter().all(|row| id_of(row) == "b"), || {
        format!("the row `b` alone was expected, {} came", shown(&rows))
    })
}
