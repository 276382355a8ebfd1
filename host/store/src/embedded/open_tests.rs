//! What may lie at a store's path besides a sound store, and what must never be found in one: a value.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{Seek, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::time::timeout;

use super::{EmbeddedStore, MasterKey, OpenError};
use crate::clock::SystemClock;
use crate::labels;
use crate::store::SecretStore;
use crate::types::{NewSecret, SecretName, VersionId, Which};

const CANARY: &str = "c4n4ry-Wert-mit-\u{f6}-und-\"Zeichen\"";

struct Home {
    dir: TempDir,
    master: MasterKey,
}

impl Home {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            master: MasterKey::generate().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("store.db")
    }

    fn create(&self) -> Result<EmbeddedStore, OpenError> {
        EmbeddedStore::create(&self.path(), &self.master, Arc::new(SystemClock))
    }

    fn open(&self) -> Result<EmbeddedStore, OpenError> {
        EmbeddedStore::open(&self.path(), &self.master, Arc::new(SystemClock))
    }

    /// A closed store with one secret, as a file that this process has never opened.
    async fn with_a_store() -> Self {
        let home = Self::new();
        let store = home.create().unwrap();
        store.create_secret(&name(), new_secret()).await.unwrap();
        store.close().await;
        let copy = home.dir.path().join("copy");
        fs::copy(home.path(), &copy).unwrap();
        fs::rename(copy, home.path()).unwrap();
        home
    }

    /// Everything in the folder, by name.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    }

    /// Asserts that opening is refused for a reason that `expected` accepts, and leaves every byte in the folder.
    fn assert_refused(&self, expected: fn(&OpenError) -> bool) -> OpenError {
        let before = self.files();
        let Err(error) = self.open() else {
            panic!("this should have been refused")
        };
        assert!(expected(&error), "{error:?}");
        assert!(self.files() == before, "opening changed something: {error}");
        error
    }
}

fn name() -> SecretName {
    SecretName::new("shop/database").unwrap()
}

fn id(letter: char) -> VersionId {
    VersionId::new(letter.to_string().repeat(32)).unwrap()
}

fn new_secret() -> NewSecret {
    NewSecret {
        id: id('a'),
        value: SecretString::from(CANARY),
        description: None,
    }
}

fn run(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
    connection.close().unwrap();
}

#[tokio::test]
async fn a_store_is_one_private_file_and_opens_again() {
    let home = Home::with_a_store().await;
    let files: Vec<_> = home.files().into_iter().map(|(path, _)| path).collect();
    assert_eq!(files, [home.path()], "closing leaves one file");
    let store = home.open().unwrap();
    assert_eq!(
        store.get(&name(), &Which::current()).await.unwrap().id,
        id('a')
    );
    for (path, _) in home.files() {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn creating_never_overwrites() {
    let home = Home::with_a_store().await;
    let before = home.files();
    let again = home.create();
    assert!(matches!(again.err(), Some(OpenError::Exists { .. })));
    assert!(home.files() == before);

    let text = Home::new();
    fs::write(text.path(), "my notes").unwrap();
    assert!(matches!(
        text.create().err(),
        Some(OpenError::Exists { .. })
    ));
    assert_eq!(fs::read(text.path()).unwrap(), b"my notes");

    let orphan = Home::new();
    let log = orphan.dir.path().join("store.db-wal");
    fs::write(&log, "left over").unwrap();
    assert!(matches!(orphan.create().err(), Some(OpenError::Exists { path }) if path == log));
    assert_eq!(orphan.files().len(), 1);
}

#[tokio::test]
async fn of_two_creators_at_once_one_wins() {
    let home = Home::new();
    let (one, other) = thread::scope(|scope| {
        let (one, other) = (scope.spawn(|| home.create()), scope.spawn(|| home.create()));
        (one.join().unwrap(), other.join().unwrap())
    });
    assert!(one.is_ok() != other.is_ok());
    let (winner, refused) = match (one, other) {
        (Ok(winner), Err(refused)) | (Err(refused), Ok(winner)) => (winner, refused),
        _ => unreachable!("asserted above"),
    };
    assert!(matches!(refused, OpenError::Exists { .. }), "{refused:?}");
    winner.close().await;
    let names: Vec<_> = home.files().into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, [home.path()]);
}

#[tokio::test]
async fn nothing_at_the_path_is_missing() {
    let home = Home::new();
    home.assert_refused(|error| matches!(error, OpenError::Missing { .. }));
}

#[tokio::test]
async fn a_wrong_master_key_opens_nothing() {
    let mut home = Home::with_a_store().await;
    let right = std::mem::replace(&mut home.master, MasterKey::generate().unwrap());
    home.assert_refused(|error| matches!(error, OpenError::WrongMasterKey { .. }));
    home.master = right;
    home.open().unwrap();
}

#[tokio::test]
async fn a_truncated_store_is_refused_at_every_length() {
    let home = Home::with_a_store().await;
    let whole = fs::read(home.path()).unwrap();
    for length in [
        1,
        15,
        16,
        60,
        99,
        100,
        101,
        4_095,
        4_096,
        8_192,
        whole.len() - 1,
    ] {
        fs::write(home.path(), &whole[..length]).unwrap();
        home.assert_refused(|error| matches!(error, OpenError::Truncated { .. }));
    }
    fs::write(home.path(), b"").unwrap();
    home.assert_refused(|error| matches!(error, OpenError::NotAStore { .. }));
    fs::write(home.path(), whole).unwrap();
    home.open().unwrap();
}

#[tokio::test]
async fn foreign_files_are_refused() {
    let is_foreign = |error: &OpenError| matches!(error, OpenError::NotAStore { .. });

    let text = Home::new();
    fs::write(text.path(), "[store]\nkind = \"embedded\"\n".repeat(50)).unwrap();
    text.assert_refused(is_foreign);

    let database = Home::new();
    run(
        &database.path(),
        "CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('x');",
    );
    database.assert_refused(is_foreign);

    let in_wal_mode = Home::new();
    run(
        &in_wal_mode.path(),
        "PRAGMA journal_mode = WAL; CREATE TABLE users (name TEXT);",
    );
    in_wal_mode.assert_refused(is_foreign);

    let folder = Home::new();
    fs::create_dir(folder.path()).unwrap();
    assert!(is_foreign(&folder.open().err().unwrap()));
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let home = Home::with_a_store().await;
    run(&home.path(), "PRAGMA user_version = 3");
    let newer = |error: &OpenError| {
        matches!(
            error,
            OpenError::NewerSchema {
                found: 3,
                supported: 2,
                ..
            }
        )
    };
    home.assert_refused(newer);
}

#[tokio::test]
async fn a_damaged_page_is_an_error_and_not_a_value() {
    let home = Home::with_a_store().await;
    let length = fs::metadata(home.path()).unwrap().len();
    let mut file = OpenOptions::new().write(true).open(home.path()).unwrap();
    file.seek(SeekFrom::Start(4_096)).unwrap();
    file.write_all(&vec![0xa5; usize::try_from(length).unwrap() - 4_096])
        .unwrap();
    home.assert_refused(|error| matches!(error, OpenError::Damaged { .. }));
}

#[tokio::test]
async fn altered_bytes_of_a_value_do_not_open() {
    let home = Home::with_a_store().await;
    let store = home.open().unwrap();
    store
        .put(&name(), &id('b'), &SecretString::from("other"), &["MINE"])
        .await
        .unwrap();
    // The schema refuses to change a value even to a hand with the SQLite shell; a row of another id is as easy.
    run(
        &home.path(),
        "DROP TRIGGER a_value_never_changes;
         UPDATE version SET sealed = (SELECT sealed FROM version WHERE id LIKE 'b%') WHERE id LIKE 'a%';",
    );
    let error = store.get(&name(), &Which::current()).await.unwrap_err();
    assert_eq!(error.code(), "DecryptionFailure");
    assert!(store.get(&name(), &Which::Id(id('b'))).await.is_ok());
}

#[tokio::test]
async fn the_schema_itself_refuses_what_must_never_be() {
    let home = Home::with_a_store().await;
    let store = home.open().unwrap();
    store
        .put(&name(), &id('b'), &SecretString::from("b"), &["MINE"])
        .await
        .unwrap();
    store.reserve(&name(), &id('c')).await.unwrap();
    let before = store.describe(&name()).await.unwrap();
    let connection = super::schema::writing(&home.path()).unwrap();
    for sql in [
        "DELETE FROM label WHERE label = 'AWSCURRENT'",
        "UPDATE label SET label = 'X' WHERE label = 'AWSCURRENT'",
        "INSERT INTO label VALUES (1, 'AWSCURRENT', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb')",
        "UPDATE label SET version_id = 'cccccccccccccccccccccccccccccccc' WHERE label = 'AWSCURRENT'",
        "UPDATE label SET version_id = 'nobody' WHERE label = 'AWSCURRENT'",
        "UPDATE label SET version_id = 'nobody' WHERE label = 'MINE'",
        "UPDATE version SET sealed = x'00' WHERE id LIKE 'a%'",
        "UPDATE version SET sealed = NULL WHERE id LIKE 'a%'",
        "UPDATE version SET id = 'other' WHERE id LIKE 'b%'",
        "DELETE FROM version WHERE id LIKE 'a%'",
        "DELETE FROM version WHERE id LIKE 'b%'",
        "DELETE FROM secret",
        "INSERT INTO store VALUES (2, x'00')",
    ] {
        let refused = connection.execute_batch(sql);
        assert!(refused.is_err(), "{sql}");
    }
    assert_eq!(store.describe(&name()).await.unwrap(), before);
}

#[tokio::test]
async fn no_file_error_or_debug_output_holds_a_value() {
    let home = Home::with_a_store().await;
    let store = home.open().unwrap();
    let canary = || SecretString::from(CANARY);
    store
        .put(&name(), &id('b'), &canary(), &[labels::PENDING])
        .await
        .unwrap();
    let mut said = Vec::new();
    let version = store.get(&name(), &Which::current()).await.unwrap();
    said.push(format!("{version:?} {:?}", new_secret()));
    let too_long = SecretString::from(CANARY.repeat(5_000));
    let other = SecretString::from(format!("{CANARY} "));
    for refused in [
        store.put(&name(), &id('c'), &too_long, &[]).await.map(drop),
        store.put(&name(), &id('b'), &other, &[]).await.map(drop),
        store
            .put(&name(), &id('d'), &canary(), &[""])
            .await
            .map(drop),
        store.write_notes(&name(), 0, CANARY).await.map(drop),
        store
            .create_secret(
                &name(),
                NewSecret {
                    id: id('c'),
                    ..new_secret()
                },
            )
            .await,
        SecretName::new(CANARY).map(drop),
        VersionId::new(CANARY).map(drop),
    ] {
        let error = refused.unwrap_err();
        said.push(format!("{error} {error:?}"));
    }
    // The log is still there: the store is open.
    let files = home.files();
    assert!(
        files
            .iter()
            .any(|(path, bytes)| path.ends_with("store.db-wal") && !bytes.is_empty())
    );
    let needles = [CANARY.as_bytes(), b"c4n4ry", b"Zeichen"];
    for needle in needles {
        let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        for (path, bytes) in &files {
            assert!(!holds(bytes), "{} holds a value", path.display());
        }
        for text in &said {
            assert!(!holds(text.as_bytes()), "{text}");
        }
    }
    store.close().await;
    assert!(!home.files().iter().any(|(_, bytes)| {
        bytes
            .windows(CANARY.len())
            .any(|window| window == CANARY.as_bytes())
    }));
}

#[tokio::test]
async fn a_writer_waits_for_another_process_and_readers_do_not() {
    let home = Home::with_a_store().await;
    let store = home.open().unwrap();
    let mut blocker = super::schema::writing(&home.path()).unwrap();
    // The other process is in the middle of its write.
    let stopped = blocker
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();
    stopped
        .execute("UPDATE secret SET changed_at_ms = 1", [])
        .unwrap();
    let name = name();
    assert!(store.get(&name, &Which::current()).await.is_ok());
    let mut writing = Box::pin(store.write_notes(&name, 0, "{}"));
    let patience = Duration::from_millis(50);
    assert!(timeout(patience, &mut writing).await.is_err(), "it waits");
    stopped.rollback().unwrap();
    assert_eq!(writing.await.unwrap(), 1);
}

#[tokio::test]
async fn what_was_made_beside_a_read_only_store_follows_its_mode() {
    let home = Home::new();
    let first = home.create().unwrap();
    first.create_secret(&name(), new_secret()).await.unwrap();
    let mode = |suffix: &str| {
        let path = format!("{}{suffix}", home.path().display());
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    for suffix in ["-wal", "-shm"] {
        let path = format!("{}{suffix}", home.path().display());
        fs::set_permissions(path, Permissions::from_mode(0o400)).unwrap();
    }
    let _second = home.open().unwrap();
    assert_eq!((mode("-wal"), mode("-shm")), (0o600, 0o600));
}

#[tokio::test]
async fn a_key_file_in_the_wrong_place_is_not_touched() {
    let home = Home::new();
    home.master.write_new_file(&home.path()).unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o600)).unwrap();
    home.assert_refused(|error| matches!(error, OpenError::NotAStore { .. }));
}
