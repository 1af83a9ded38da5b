//! Writes: what each mutation does, what the guards hold back, and that a batch is all or nothing.

use encaje_sdk::errors::ProblemKind;
use encaje_sdk::storage::{Assignment, Durability, Index, Mutation, Remove, Update};
use encaje_sdk::values::{Comparator, Filter, Value};

use super::fixture::{fields, index, insert, items, only, query, same, store, text, upsert, write};
use super::sqlite::Sqlite;
use crate::store;

fn row(database: &Sqlite, id: &str) -> Vec<Value> {
    let filter = only("id", Comparator::Equal, &[text(id)]);
    store::read(database, query(&[], filter, &[], 1))
        .unwrap()
        .rows
        .pop()
        .unwrap_or_default()
}

fn count(database: &Sqlite) -> i64 {
    database.one("SELECT count(*) FROM items")
}

fn update(filter: Filter, set: Vec<(&str, Assignment)>, expected_rows: Option<u64>) -> Mutation {
    let set = set
        .into_iter()
        .map(|(name, assignment)| (name.to_owned(), assignment))
        .collect();
    Mutation::Update(Update {
        table: "items".to_owned(),
        where_: filter,
        set,
        expected_rows,
    })
}

fn remove(filter: Filter, expected_rows: Option<u64>) -> Mutation {
    Mutation::Remove(Remove {
        table: "items".to_owned(),
        where_: filter,
        expected_rows,
    })
}

#[test]
fn every_type_comes_back_as_it_went() {
    let database = store();
    let values = [
        ("id", text("a")),
        ("kind", text("ñ 🌊 'quoted\"")),
        ("rank", Value::Integer(i64::MIN)),
        ("weight", Value::Real(0.1 + 0.2)),
        ("note", Value::Null),
        ("flag", Value::Boolean(true)),
        ("at", Value::Integer(1_700_000_000_000_000)),
        ("price", Value::Integer(-5)),
        ("data", Value::Json(r#"{"a":[1,2]}"#.to_owned())),
        ("raw", Value::Blob(vec![0, 1, 255])),
    ];
    assert_eq!(write(&database, vec![upsert(&values)]), [1]);
    for (got, (name, sent)) in row(&database, "a").iter().zip(&values) {
        assert!(same(got, sent), "{name}: {got:?}");
    }
}

#[test]
fn an_upsert_keeps_the_other_columns() {
    let database = store();
    write(
        &database,
        vec![upsert(&[
            ("id", text("a")),
            ("kind", text("x")),
            ("rank", Value::Integer(1)),
        ])],
    );
    let again = upsert(&[("id", text("a")), ("kind", text("x")), ("note", text("n"))]);
    // Lacks the required `kind`, so it can only mean the row that is there.
    let partial = upsert(&[("price", Value::Integer(7)), ("id", text("a"))]);
    assert_eq!(write(&database, vec![again, partial]), [1, 1]);
    let row = row(&database, "a");
    assert!(same(&row[2], &Value::Integer(1)) && same(&row[4], &text("n")) && same(&row[7], &Value::Integer(7)));
    let nobody = upsert(&[("id", text("b")), ("price", Value::Integer(7))]);
    let problem = store::write(&database, vec![nobody], Durability::Process).unwrap_err();
    assert!(matches!(problem.kind, ProblemKind::Conflict));
}

#[test]
fn an_upsert_of_the_key_alone_touches_the_row() {
    let database = Sqlite::new();
    let mut table = items();
    table.columns[1].required = false;
    store::migrate(&database, vec![table]).unwrap();
    let key = || upsert(&[("id", text("a"))]);
    assert_eq!(write(&database, vec![key(), key()]), [1, 1]);
    assert_eq!(count(&database), 1);
}

#[test]
fn an_insert_over_an_existing_key_undoes_the_whole_batch() {
    let database = store();
    let row = |id: &str| insert(&[("id", text(id)), ("kind", text("x"))]);
    write(&database, vec![row("a")]);
    let problem = store::write(&database, vec![row("b"), row("a")], Durability::Disk).unwrap_err();
    assert_eq!(problem.param.as_deref(), Some("batch[1]"));
    assert!(matches!(problem.kind, ProblemKind::Conflict));
    assert_eq!(count(&database), 1);
    assert!(matches!(*database.durability.borrow(), Some(Durability::Disk)));
}

#[test]
fn a_second_unique_index_is_a_conflict_for_an_upsert_too() {
    let database = Sqlite::new();
    let mut table = items();
    table.indexes.push(Index {
        unique: true,
        ..index(&["price"])
    });
    store::migrate(&database, vec![table]).unwrap();
    let row = |id: &str| upsert(&[("id", text(id)), ("kind", text("x")), ("price", Value::Integer(1))]);
    write(&database, vec![row("a")]);
    let problem = store::write(&database, vec![row("b")], Durability::Process).unwrap_err();
    assert!(matches!(problem.kind, ProblemKind::Conflict));
    assert_eq!(database.one::<String>("SELECT id FROM items"), "a");
}

#[test]
fn guarded_updates_set_and_add() {
    let database = store();
    write(
        &database,
        vec![
            upsert(&[
                ("id", text("a")),
                ("kind", text("x")),
                ("rank", Value::Integer(1)),
                ("weight", Value::Real(0.5)),
            ]),
            upsert(&[("id", text("b")), ("kind", text("x"))]),
        ],
    );
    let x = || only("kind", Comparator::Equal, &[text("x")]);
    let add = || {
        vec![
            ("rank", Assignment::Add(2)),
            ("weight", Assignment::Add(-1)),
            ("note", Assignment::Set(text("n"))),
        ]
    };
    assert_eq!(write(&database, vec![update(x(), add(), Some(2))]), [2]);
    let (a, b) = (row(&database, "a"), row(&database, "b"));
    assert!(same(&a[2], &Value::Integer(3)) && same(&a[3], &Value::Real(-0.5)) && same(&a[4], &text("n")));
    assert!(same(&b[2], &Value::Integer(2)) && same(&b[3], &Value::Real(-1.0)));
    let guarded = update(x(), add(), Some(1));
    let problem = store::write(&database, vec![guarded], Durability::Process).unwrap_err();
    assert!(matches!(problem.kind, ProblemKind::Conflict));
    assert!(same(&row(&database, "a")[2], &Value::Integer(3)));
}

#[test]
fn a_sum_that_overflows_is_refused_rather_than_rounded() {
    let database = store();
    write(
        &database,
        vec![upsert(&[
            ("id", text("a")),
            ("kind", text("x")),
            ("rank", Value::Integer(i64::MAX)),
        ])],
    );
    let add = update(Vec::new(), vec![("rank", Assignment::Add(1))], None);
    assert!(store::write(&database, vec![add], Durability::Process).is_err());
    assert!(same(&row(&database, "a")[2], &Value::Integer(i64::MAX)));
}

#[test]
fn guarded_removals() {
    let database = store();
    let row = |id: &str| upsert(&[("id", text(id)), ("kind", text("x"))]);
    write(&database, vec![row("a"), row("b"), row("c")]);
    let a = || only("id", Comparator::Equal, &[text("a")]);
    assert!(store::write(&database, vec![remove(a(), Some(2))], Durability::Disk).is_err());
    assert_eq!(count(&database), 3);
    assert_eq!(
        write(
            &database,
            vec![remove(a(), Some(1)), remove(a(), Some(0)), remove(Vec::new(), None)]
        ),
        [1, 0, 2]
    );
}

#[test]
fn mistakes_are_named_with_their_place_in_the_batch() {
    let database = store();
    let good = || upsert(&[("id", text("a")), ("kind", text("x"))]);
    for (wrong, param) in [
        (upsert(&[("id", text("a")), ("kinds", text("x"))]), "batch[1].kinds"),
        (
            upsert(&[("id", text("a")), ("kind", Value::Integer(1))]),
            "batch[1].kind",
        ),
        (upsert(&[("kind", text("x"))]), "batch[1].id"),
        (upsert(&[("id", text("a")), ("id", text("a"))]), "batch[1].id"),
        (upsert(&[("id", text("a"))]), "batch[1].kind"),
        (insert(&[("id", text("a"))]), "batch[1].kind"),
        (insert(&[("id", text("a")), ("kind", Value::Null)]), "batch[1].kind"),
        (update(Vec::new(), vec![], None), "batch[1]"),
        (
            update(Vec::new(), vec![("note", Assignment::Add(1))], None),
            "batch[1].note",
        ),
        (
            update(Vec::new(), vec![("encaje_row", Assignment::Add(1))], None),
            "batch[1].encaje_row",
        ),
        (remove(only("nobody", Comparator::IsNull, &[]), None), "batch[1].nobody"),
    ] {
        let problem = store::write(&database, vec![good(), wrong], Durability::Process).unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::InvalidRequest), "{problem:?}");
        assert_eq!(problem.param.as_deref(), Some(param), "{problem:?}");
    }
    assert_eq!(count(&database), 0);
    let elsewhere = Mutation::Insert(("nowhere".to_owned(), fields(&[])));
    let problem = store::write(&database, vec![elsewhere], Durability::Process).unwrap_err();
    assert!(matches!(problem.kind, ProblemKind::NotFound));
}

#[test]
fn rows_of_one_shape_share_one_text() {
    let database = store();
    database.texts.borrow_mut().clear();
    let row =
        |id: usize, note: &str| upsert(&[("id", text(&id.to_string())), ("kind", text("x")), ("note", text(note))]);
    write(&database, (0..50).map(|id| row(id, "n")).collect());
    write(&database, vec![row(7, "m")]);
    let mut texts = database.texts.borrow().clone();
    assert_eq!(texts.len(), 1 + 50 + 1 + 1);
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 2, "{texts:?}");
}

#[test]
fn a_text_index_follows_updates_and_removals_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    let database = Sqlite::over(connection);
    store::migrate(&database, vec![items()]).unwrap();
    let found = |word: &str| {
        let filter = only("note", Comparator::MatchesText, &[text(word)]);
        store::read(&database, query(&["id"], filter, &[], 9))
            .unwrap()
            .rows
            .len()
    };
    let row = |id: &str, note: &str| upsert(&[("id", text(id)), ("kind", text("x")), ("note", text(note))]);
    write(
        &database,
        vec![row("a", "zanahoria común"), row("b", "remolacha común")],
    );
    assert_eq!(
        (found("zanahoria"), found("COMUN"), found("común remolacha")),
        (1, 2, 1)
    );
    write(&database, vec![row("a", "berenjena")]);
    assert_eq!((found("zanahoria"), found("berenjena")), (0, 1));
    write(
        &database,
        vec![remove(only("id", Comparator::Equal, &[text("b")]), Some(1))],
    );
    assert_eq!(found("remolacha"), 0);
    store::scrub(&database).unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for gone in ["zanahoria", "remolacha"] {
            assert!(
                !bytes.windows(gone.len()).any(|window| window == gone.as_bytes()),
                "{gone}"
            );
        }
    }
    assert_eq!(found("berenjena"), 1);
}
