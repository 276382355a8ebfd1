//! A store that an earlier Keyturn made, and a process killed before and after every statement that brings it up to
//! date.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::{Folder, SIGKILL, START_MS, Store, acknowledge, clock_at, id, name, value};
use crate::clock::SystemClock;
use crate::embedded::failpoint::under_test::KILL_AT;
use crate::embedded::seal::DataKey;
use crate::embedded::{EmbeddedStore, MasterKey, OpenError, schema};
use crate::labels::{CURRENT, PREVIOUS};

/// A store as schema 1 had it: one secret with two versions and notes.
fn made_by_schema_1(folder: &Folder) {
    let master = MasterKey::generate().unwrap();
    master.write_new_file(&folder.key()).unwrap();
    std::fs::File::create_new(folder.store()).unwrap();
    let connection = schema::writing(&folder.store()).unwrap();
    connection.execute_batch(schema::STEPS[0]).unwrap();
    let id_of_file = schema::APPLICATION_ID;
    connection
        .pragma_update(None, "application_id", id_of_file)
        .unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    let key = DataKey::generate().unwrap();
    let wrapped = key.wrap(&master).unwrap();
    let run = |sql: &str, params: &[&dyn rusqlite::ToSql]| {
        connection.execute(sql, params).unwrap();
    };
    run("INSERT INTO store VALUES (1, ?1)", params![wrapped]);
    run(
        "INSERT INTO secret VALUES (1, ?1, 'its words', ?2, ?2, '{\"noted\":1}', 4)",
        params![name().as_str(), START_MS.cast_signed()],
    );
    for (number, label) in [(1, PREVIOUS), (2, CURRENT)] {
        let (id, time_ms) = (id(number), START_MS.cast_signed() + i64::from(number));
        let sealed = key.seal_value(&name(), &id, &value(number)).unwrap();
        run(
            "INSERT INTO version VALUES (NULL, 1, ?1, ?2, ?3)",
            params![id.as_str(), sealed, time_ms],
        );
        run(
            "INSERT INTO label VALUES (1, ?1, ?2)",
            params![label, id.as_str()],
        );
    }
    connection.close().unwrap();
}

fn schema_version(folder: &Folder) -> u32 {
    let connection = Connection::open(folder.store()).unwrap();
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

/// Everything that was in it is in it, and what is new works.
async fn assert_whole(folder: &Folder) {
    let store = folder.open(clock_at(0)).await;
    assert_eq!(schema_version(folder), schema::SCHEMA_VERSION);
    store.assert_one_current_each().await;
    let state = store.state().await;
    let [(secret, values, notes)] = state.as_slice() else {
        panic!("{state:?}")
    };
    assert_eq!(secret.description.as_deref(), Some("its words"));
    assert_eq!(secret.created_at_ms, START_MS);
    assert_eq!(secret.holder(PREVIOUS).unwrap().id, id(1));
    assert_eq!(secret.holder(CURRENT).unwrap().id, id(2));
    let expected = ["value 1", "value 2"].map(|text| Some(text.to_owned()));
    assert_eq!(values, &expected);
    assert_eq!((notes.json.as_str(), notes.revision), (r#"{"noted":1}"#, 4));
    let Store::Embedded(store) = store else {
        unreachable!("a folder holds an embedded store")
    };
    let tags = [("keyturn:plugin".to_owned(), "postgres".to_owned())].into();
    store.tag(&name(), &tags).await.unwrap();
    store.close().await;
}

#[tokio::test]
#[ignore = "the child of killed_while_a_store_is_brought_up_to_date"]
async fn child_opens_the_store() {
    let Some(folder) = Folder::of_child() else {
        return;
    };
    folder.open(clock_at(0)).await;
    acknowledge("opened");
}

#[tokio::test]
async fn killed_while_a_store_is_brought_up_to_date() {
    let (mut before, mut after) = (0, 0);
    for kill_at in 1.. {
        let run = tempfile::tempdir().unwrap();
        let folder = Folder(run.path().to_owned());
        made_by_schema_1(&folder);
        let child = "at_upgrade::child_opens_the_store";
        let (status, said) = folder.run(child, &[(KILL_AT, kill_at.to_string())]);
        match schema_version(&folder) {
            1 => before += 1,
            _ => after += 1,
        }
        assert_whole(&folder).await;
        if status.success() {
            assert_eq!(said, ["opened"]);
            break;
        }
        assert_eq!(status.signal(), Some(SIGKILL), "kill {kill_at}: {said:?}");
    }
    let kills = before + after - 1;
    println!("evidence: store, killed while brought up to date: {kills} kills at statements");
    assert!(before >= 3 && after == 2, "{before} before, {after} after");
}

#[tokio::test]
async fn a_store_that_has_grown_has_the_tables_of_a_new_one() {
    let home = tempfile::tempdir().unwrap();
    let folder = Folder(home.path().to_owned());
    made_by_schema_1(&folder);
    folder.open(clock_at(0)).await.close().await;
    let new = home.path().join("new.db");
    let master = MasterKey::generate().unwrap();
    EmbeddedStore::create(&new, &master, Arc::new(SystemClock)).unwrap();
    assert_eq!(tables(&folder.store()), tables(&new));
    let connection = Connection::open(folder.store()).unwrap();
    let (suffix, current_since_ms): (String, i64) = connection
        .query_row(
            "SELECT arn_suffix, current_since_ms FROM secret",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(suffix.len(), 6, "{suffix}");
    // A process of the earlier Keyturn that still has it open.
    connection
        .execute(
            "INSERT INTO secret (name, description, created_at_ms, changed_at_ms) VALUES ('late', NULL, 1, 1)",
            [],
        )
        .unwrap();
    let sql = "SELECT length(arn_suffix) FROM secret WHERE name = 'late'";
    let length: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(length, 6);
    assert_eq!(current_since_ms, START_MS.cast_signed() + 2);
}

#[tokio::test]
async fn whoever_has_another_key_brings_nothing_up_to_date() {
    let home = tempfile::tempdir().unwrap();
    let folder = Folder(home.path().to_owned());
    made_by_schema_1(&folder);
    let master = MasterKey::generate().unwrap();
    let opened = EmbeddedStore::open(&folder.store(), &master, Arc::new(SystemClock));
    assert!(matches!(
        opened.err(),
        Some(OpenError::WrongMasterKey { .. })
    ));
    assert_eq!(schema_version(&folder), 1);
}

fn tables(path: &Path) -> Vec<(String, Option<String>)> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection
        .prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}
