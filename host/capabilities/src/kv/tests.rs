//! What the map promises: spaces that do not touch, versions, expiry, caps, durability.

use std::time::Duration;

use encaje_core::{Problem, ProblemKind};

use super::*;

async fn kv(folder: &tempfile::TempDir) -> Kv {
    Kv::open(folder.path()).await.unwrap()
}

fn kind<T: std::fmt::Debug>(result: Result<T, Problem>) -> ProblemKind {
    result.unwrap_err().kind
}

#[tokio::test]
async fn entries_survive_closing() {
    let folder = tempfile::tempdir().unwrap();
    let map = kv(&folder).await;
    let version = map.space("p", "t").unwrap().set("k", vec![0, 255], None).await.unwrap();
    map.close().await;
    drop(map);
    let space = kv(&folder).await.space("p", "t").unwrap();
    let entry = Entry {
        key: "k".to_owned(),
        value: vec![0, 255],
        version,
    };
    assert_eq!(space.get("k").await.unwrap(), Some(entry));
    assert!(space.set("k", vec![], None).await.unwrap() > version);
    assert_eq!(space.get("other").await.unwrap(), None);
    assert_eq!(
        (space.remove("k").await.unwrap(), space.remove("k").await.unwrap()),
        (true, false)
    );
}

#[tokio::test]
async fn no_key_reaches_into_another_space() {
    let folder = tempfile::tempdir().unwrap();
    let map = kv(&folder).await;
    let names = ["a", "a/b", "b", "", "a\0b", "a' OR '1'='1", "%", "A"];
    let keys = ["k", "b/k", "/k", "\0", "' OR 1=1 --", "%", "../a", "K"];
    for plugin in names {
        for tenant in names {
            let space = map.space(plugin, tenant).unwrap();
            assert_eq!(
                space.keys("", None, 100).await.unwrap(),
                Vec::<String>::new(),
                "{plugin:?} {tenant:?}"
            );
            for key in keys {
                assert_eq!(space.get(key).await.unwrap(), None);
                assert!(!space.remove(key).await.unwrap());
            }
            if tenant != "b" {
                continue;
            }
            for key in keys {
                space
                    .set(key, format!("{plugin}|{tenant}|{key}").into_bytes(), None)
                    .await
                    .unwrap();
            }
            for key in keys {
                let value = space.get(key).await.unwrap().unwrap().value;
                assert_eq!(value, format!("{plugin}|{tenant}|{key}").into_bytes());
            }
        }
    }
}

#[tokio::test]
async fn compare_and_set_sees_every_change() {
    let folder = tempfile::tempdir().unwrap();
    let space = kv(&folder).await.space("p", "t").unwrap();
    assert_eq!(
        kind(space.compare_and_set("k", 7, vec![1]).await),
        ProblemKind::Conflict
    );
    let first = space.compare_and_set("k", 0, vec![1]).await.unwrap();
    assert_eq!(
        kind(space.compare_and_set("k", 0, vec![2]).await),
        ProblemKind::Conflict
    );
    let second = space.compare_and_set("k", first, vec![2]).await.unwrap();
    assert_eq!(
        kind(space.compare_and_set("k", first, vec![3]).await),
        ProblemKind::Conflict
    );
    assert!(second > first);
    space.remove("k").await.unwrap();
    assert_eq!(
        kind(space.compare_and_set("k", second, vec![3]).await),
        ProblemKind::Conflict
    );
    let third = space.compare_and_set("k", 0, vec![4]).await.unwrap();
    assert!(third > second, "a version does not come back after removal");
    assert_eq!(space.get("k").await.unwrap().unwrap().value, [4]);
}

#[tokio::test]
async fn of_many_compare_and_sets_one_wins_each_round() {
    let folder = tempfile::tempdir().unwrap();
    let space = kv(&folder).await.space("p", "t").unwrap();
    let mut version = 0;
    for round in 0..5_u8 {
        let tries = (0..20).map(|_| space.compare_and_set("counter", version, vec![round]));
        let outcomes = futures::future::join_all(tries).await;
        let won: Vec<u64> = outcomes.into_iter().filter_map(Result::ok).collect();
        assert_eq!(won.len(), 1);
        version = won[0];
    }
}

#[tokio::test]
async fn what_has_expired_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let map = kv(&folder).await;
    let space = map.space("p", "t").unwrap();
    space.set("short", vec![1], Some(60_000)).await.unwrap();
    space.set("long", vec![2], Some(60_000)).await.unwrap();
    space.set("for ever", vec![3], Some(u64::MAX)).await.unwrap();
    assert!(space.get("short").await.unwrap().is_some());
    let version = space.set("short", vec![1], Some(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(space.get("short").await.unwrap(), None);
    assert_eq!(space.keys("", None, 10).await.unwrap(), ["for ever", "long"]);
    assert!(!space.remove("short").await.unwrap());
    assert_eq!(
        kind(space.compare_and_set("short", version, vec![1]).await),
        ProblemKind::Conflict
    );
    space.compare_and_set("short", 0, vec![9]).await.unwrap();
    assert_eq!(space.get("short").await.unwrap().unwrap().value, [9]);
}

#[tokio::test]
async fn what_has_expired_is_removed_by_writes_and_at_opening() {
    let folder = tempfile::tempdir().unwrap();
    let map = kv(&folder).await;
    let space = map.space("p", "t").unwrap();
    let count = |map: &Kv| {
        let database = map.database.clone();
        async move {
            first_integer(
                &database
                    .query("SELECT count(*) FROM entry", Vec::new(), 1)
                    .await
                    .unwrap(),
            )
            .unwrap()
        }
    };
    for key in 0..100 {
        space.set(&format!("{key}"), vec![1], Some(1)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    space.set("kept", vec![1], None).await.unwrap();
    assert!(count(&map).await < 40);
    space.set("gone", vec![1], Some(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    map.close().await;
    drop((map, space));
    assert_eq!(count(&kv(&folder).await).await, 1);
}

#[tokio::test]
async fn caps_hold_for_a_plugin_over_all_its_tenants() {
    let folder = tempfile::tempdir().unwrap();
    let map = Kv::open_with(folder.path(), Caps { entries: 3, bytes: 100 })
        .await
        .unwrap();
    let (one, two, other) = (
        map.space("p", "1").unwrap(),
        map.space("p", "2").unwrap(),
        map.space("q", "1").unwrap(),
    );
    one.set("a", vec![0; 10], None).await.unwrap();
    two.set("a", vec![0; 10], None).await.unwrap();
    assert_eq!(kind(two.set("b", vec![0; 90], None).await), ProblemKind::TooLarge);
    one.set("b", vec![0; 10], None).await.unwrap();
    assert_eq!(kind(two.set("c", vec![], None).await), ProblemKind::TooLarge);
    assert_eq!(kind(two.compare_and_set("c", 0, vec![]).await), ProblemKind::TooLarge);
    other.set("a", vec![0; 99], None).await.unwrap();
    // Replacing counts the difference; removing gives room.
    one.set("b", vec![0; 70], None).await.unwrap();
    one.remove("b").await.unwrap();
    two.set("c", vec![0; 70], None).await.unwrap();
    assert_eq!(two.keys("", None, 10).await.unwrap(), ["a", "c"]);
}

#[tokio::test]
async fn keys_page_through_a_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let space = kv(&folder).await.space("p", "t").unwrap();
    for key in ["a", "ab", "ab\0", "abc", "ac", "b", "é", "\u{10FFFF}"] {
        space.set(key, vec![], None).await.unwrap();
    }
    assert_eq!(space.keys("ab", None, 10).await.unwrap(), ["ab", "ab\0", "abc"]);
    assert_eq!(space.keys("ab", Some("ab"), 1).await.unwrap(), ["ab\0"]);
    assert_eq!(space.keys("ab", Some("ab\0"), 10).await.unwrap(), ["abc"]);
    assert_eq!(space.keys("ab", Some("a"), 1).await.unwrap(), ["ab"]);
    assert_eq!(space.keys("ab", Some("z"), 10).await.unwrap(), Vec::<String>::new());
    assert_eq!(space.keys("\u{10FFFF}", None, 10).await.unwrap(), ["\u{10FFFF}"]);
    let (mut seen, mut after) = (0, None);
    while let Some(last) = space.keys("", after.as_deref(), 3).await.unwrap().last().cloned() {
        (seen, after) = (seen + 1, Some(last));
    }
    assert_eq!(seen, 3);
}

#[tokio::test]
async fn keys_and_values_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let map = kv(&folder).await;
    let space = map.space("p", "t").unwrap();
    assert_eq!(kind(space.get("").await), ProblemKind::InvalidRequest);
    let long = "k".repeat(limits::KEY_BYTES + 1);
    assert_eq!(kind(space.set(&long, vec![], None).await), ProblemKind::InvalidRequest);
    assert_eq!(kind(space.keys(&long, None, 1).await), ProblemKind::InvalidRequest);
    assert_eq!(
        kind(space.set("k", vec![0; limits::KV_VALUE_BYTES + 1], None).await),
        ProblemKind::TooLarge
    );
    space.set("k", vec![0; limits::KV_VALUE_BYTES], None).await.unwrap();
    assert_eq!(
        kind(map.space(&"p".repeat(limits::KV_NAME_BYTES + 1), "t")),
        ProblemKind::InvalidRequest
    );
}

#[tokio::test]
async fn a_newer_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    kv(&folder).await.close().await;
    let file = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    file.execute_batch("UPDATE format SET version = 2").unwrap();
    drop(file);
    let problem = Kv::open(folder.path()).await.unwrap_err();
    assert_eq!(
        (problem.kind, problem.code.as_deref()),
        (ProblemKind::Misconfigured, Some("database_newer"))
    );
}

#[test]
fn versions_grow_whatever_the_clock_does() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let map = runtime.block_on(kv(&folder));
    map.last_version.store(i64::MAX / 2, Ordering::Relaxed);
    assert_eq!(map.next_version(), i64::MAX / 2 + 1);
    assert_eq!(map.next_version(), i64::MAX / 2 + 2);
}
