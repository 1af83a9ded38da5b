//! Migrations add and never take away.

use encaje_sdk::errors::ProblemKind;
use encaje_sdk::storage::{ColumnType, Durability, Index, Mutation, Table};
use encaje_sdk::values::{Comparator, Value};

use super::fixture::{column, fields, first_texts, index, items, only, query, store, text, upsert, write};
use super::sqlite::Sqlite;
use crate::store;

#[test]
fn the_first_migration_makes_everything_and_the_second_nothing() {
    let database = Sqlite::new();
    let changes = store::migrate(&database, vec![items()]).unwrap();
    assert_eq!(
        changes,
        [
            "created the table `items` with 10 columns",
            "added an index of (rank) to the table `items`",
            "added a text index of (note, kind) to the table `items`",
        ]
    );
    assert!(matches!(*database.durability.borrow(), Some(Durability::Disk)));
    assert!(store::migrate(&database, vec![items()]).unwrap().is_empty());
    let kinds: String = database.one("SELECT group_concat(type, ',') FROM pragma_table_info('items')");
    assert_eq!(
        kinds,
        "INTEGER,TEXT,TEXT,INTEGER,REAL,TEXT,INTEGER,INTEGER,INTEGER,TEXT,BLOB"
    );
    let indexed: i64 =
        database.one("SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND sql LIKE '%(\"rank\")%'");
    assert_eq!(indexed, 1);
}

#[test]
fn columns_tables_and_indexes_are_added_and_rows_stay() {
    let database = store();
    write(
        &database,
        vec![upsert(&[
            ("id", text("a")),
            ("kind", text("x")),
            ("note", text("old words")),
        ])],
    );
    let mut table = items();
    let mut colour = column("colour", ColumnType::Text, true);
    colour.default_value = Some(text("it's red"));
    table.columns.push(colour);
    table.indexes.push(Index {
        unique: true,
        ..index(&["kind", "colour"])
    });
    table.indexes.push(Index {
        text: true,
        ..index(&["data"])
    });
    let second = Table {
        name: "second".to_owned(),
        ..items()
    };
    let changes = store::migrate(&database, vec![table.clone(), second.clone()]).unwrap();
    assert_eq!(changes[0], "added the column `colour` to the table `items`");
    assert_eq!(
        changes[1],
        "added a unique index of (kind, colour) to the table `items`"
    );
    assert_eq!(changes[3], "created the table `second` with 10 columns");
    let page = store::read(&database, query(&["colour"], Vec::new(), &[], 9)).unwrap();
    assert_eq!(first_texts(&page), ["it's red"]);
    assert!(store::migrate(&database, vec![table, second]).unwrap().is_empty());
    // A host of the version before declares less; what is there stays.
    assert!(store::migrate(&database, vec![items()]).unwrap().is_empty());
    assert_eq!(
        store::read(&database, query(&["colour"], Vec::new(), &[], 9))
            .unwrap()
            .rows
            .len(),
        1
    );
}

#[test]
fn a_text_index_that_comes_later_knows_the_rows_that_were_there() {
    let database = Sqlite::new();
    let mut table = items();
    let late = table.indexes.pop().unwrap();
    store::migrate(&database, vec![table.clone()]).unwrap();
    write(
        &database,
        vec![upsert(&[
            ("id", text("a")),
            ("kind", text("x")),
            ("note", text("Early Words")),
        ])],
    );
    table.indexes.push(late);
    store::migrate(&database, vec![table]).unwrap();
    let filter = only("note", Comparator::MatchesText, &[text("words")]);
    assert_eq!(
        first_texts(&store::read(&database, query(&["id"], filter, &[], 9)).unwrap()),
        ["a"]
    );
}

#[test]
fn what_adding_cannot_bridge_is_a_conflict_and_changes_nothing() {
    let database = store();
    let mut retyped = items();
    retyped.columns[2].of = ColumnType::Text;
    let mut required = items();
    required.columns[2].required = true;
    let mut rekeyed = items();
    rekeyed.key = vec!["id".to_owned(), "kind".to_owned()];
    for (table, param) in [(retyped, "items.rank"), (required, "items.rank"), (rekeyed, "items")] {
        let also = Table {
            name: "also".to_owned(),
            ..items()
        };
        let problem = store::migrate(&database, vec![also, table]).unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::Conflict), "{problem:?}");
        assert_eq!(problem.param.as_deref(), Some(param));
    }
    let tables: i64 = database.one("SELECT count(*) FROM sqlite_schema WHERE name = 'also'");
    assert_eq!(tables, 0);
}

#[test]
fn a_new_required_column_needs_a_default() {
    let database = store();
    let mut table = items();
    table.columns.push(column("colour", ColumnType::Text, true));
    let problem = store::migrate(&database, vec![table]).unwrap_err();
    assert!(matches!(problem.kind, ProblemKind::InvalidRequest));
    assert_eq!(problem.param.as_deref(), Some("items.colour"));
}

#[test]
fn wrong_declarations_are_refused() {
    let changed = |change: &dyn Fn(&mut Table)| {
        let mut table = items();
        change(&mut table);
        table
    };
    let wrong = [
        vec![changed(&|table| table.name = "items\"; DROP TABLE x".to_owned())],
        vec![changed(&|table| table.name = "encaje_schema".to_owned())],
        vec![changed(&|table| table.key.clear())],
        vec![changed(&|table| table.key = vec!["nobody".to_owned()])],
        vec![changed(&|table| table.columns.clear())],
        vec![changed(&|table| {
            table.columns.push(column("id", ColumnType::Text, false))
        })],
        vec![changed(&|table| table.indexes.push(index(&["nobody"])))],
        vec![changed(&|table| table.indexes.push(index(&[])))],
        vec![changed(&|table| {
            table.indexes.push(Index {
                text: true,
                ..index(&["rank"])
            })
        })],
        vec![changed(&|table| {
            table.columns[2].default_value = Some(Value::Text("x".to_owned()))
        })],
        vec![items(), items()],
    ];
    for tables in wrong {
        let said = format!("{tables:?}");
        let problem = store::migrate(&Sqlite::new(), tables).unwrap_err();
        assert!(
            matches!(problem.kind, ProblemKind::InvalidRequest),
            "{said}: {problem:?}"
        );
    }
}

#[test]
fn names_that_are_words_of_sql_are_names() {
    let database = Sqlite::new();
    let table = Table {
        name: "select".to_owned(),
        columns: ["from", "order", "group", "rowid"]
            .map(|name| column(name, ColumnType::Text, false))
            .to_vec(),
        key: vec!["from".to_owned()],
        indexes: vec![
            index(&["rowid", "order"]),
            Index {
                text: true,
                ..index(&["order", "group"])
            },
        ],
    };
    store::migrate(&database, vec![table.clone()]).unwrap();
    let row = fields(&[
        ("from", text("a")),
        ("order", text("first words")),
        ("group", text("g")),
        ("rowid", text("r")),
    ]);
    let rows = || Mutation::Upsert(("select".to_owned(), row.clone()));
    write(&database, vec![rows(), rows()]);
    let filter = only("order", Comparator::MatchesText, &[text("words")]);
    let mut question = query(&["rowid"], filter, &["-group", "rowid"], 9);
    question.table = table.name;
    assert_eq!(first_texts(&store::read(&database, question).unwrap()), ["r"]);
    let mut refused = items();
    refused.columns[2].of = ColumnType::Text;
    refused.indexes = vec![Index {
        text: true,
        ..index(&["rank"])
    }];
    assert!(store::migrate(&Sqlite::new(), vec![refused]).is_err());
}
