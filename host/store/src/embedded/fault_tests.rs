//! What a call answers when the disk is full, when another process does not let go of the store, and what it leaves
//! behind when its caller stops waiting for it.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::TransactionBehavior;
use secrecy::SecretString;
use tempfile::TempDir;

use super::{EmbeddedStore, MasterKey, schema};
use crate::clock::SystemClock;
use crate::error::{Changed, ErrorKind, StoreError};
use crate::labels::{CURRENT, PREVIOUS};
use crate::limits;
use crate::store::SecretStore;
use crate::types::{NewSecret, SecretName, VersionId, Which};

async fn store() -> (TempDir, EmbeddedStore) {
    let dir = tempfile::tempdir().unwrap();
    let master = MasterKey::generate().unwrap();
    let path = dir.path().join("store.db");
    let store = EmbeddedStore::create(&path, &master, Arc::new(SystemClock)).unwrap();
    let new = NewSecret {
        id: id(1),
        value: SecretString::from("value 1"),
        description: None,
    };
    store.create_secret(&name(), new).await.unwrap();
    (dir, store)
}

fn name() -> SecretName {
    SecretName::new("shop/database").unwrap()
}

fn id(number: usize) -> VersionId {
    VersionId::new(format!("{number:032}")).unwrap()
}

/// Changes a setting of the one connection that writes.
async fn tell_the_writer(store: &EmbeddedStore, pragma: &'static str) {
    store
        .writer
        .lend(move |connection| {
            connection.execute_batch(pragma).unwrap();
            Ok(())
        })
        .await
        .unwrap();
}

fn assert_unavailable(error: &StoreError, word: &str) {
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Unavailable, "InternalServiceError")
    );
    assert_eq!(
        (error.changed(), error.is_retryable()),
        (Changed::No, true),
        "{error}"
    );
    assert!(error.to_string().contains(word), "{error}");
}

#[tokio::test]
async fn a_full_disk_changes_nothing_and_is_retryable() {
    let (_dir, store) = store().await;
    let before = store.describe(&name()).await.unwrap();
    // SQLite answers a file at its greatest allowed size as it does a full disk.
    tell_the_writer(&store, "PRAGMA max_page_count = 1").await;
    let largest = SecretString::from("x".repeat(limits::VALUE_BYTES_MAX));
    let error = store.put(&name(), &id(2), &largest, &[]).await.unwrap_err();
    assert_unavailable(&error, "full");
    assert_eq!(store.describe(&name()).await.unwrap(), before);
    tell_the_writer(&store, "PRAGMA max_page_count = 1000000").await;
    assert!(
        store
            .put(&name(), &id(2), &largest, &[])
            .await
            .unwrap()
            .stored
    );
}

#[tokio::test]
async fn a_store_that_stays_locked_is_retryable() {
    let (dir, store) = store().await;
    let before = store.describe(&name()).await.unwrap();
    tell_the_writer(&store, "PRAGMA busy_timeout = 20").await;
    let path = dir.path().join("store.db");
    let mut other = schema::writing(&path).unwrap();
    let stuck = other
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();
    let value = SecretString::from("value 2");
    let error = store.put(&name(), &id(2), &value, &[]).await.unwrap_err();
    assert_unavailable(&error, "locked");
    let error = store
        .move_label(&name(), "MINE", None, Some(&id(1)))
        .await
        .unwrap_err();
    assert_unavailable(&error, "locked");
    assert_eq!(
        store.describe(&name()).await.unwrap(),
        before,
        "readers never wait"
    );
    stuck.rollback().unwrap();
    assert!(
        store
            .put(&name(), &id(2), &value, &[])
            .await
            .unwrap()
            .stored
    );
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_takes_effect_as_a_whole_or_not_at_all() {
    let (_dir, store) = store().await;
    let (mut current, mut dropped, mut finished) = (1, 0, 0);
    for round in 0..120_u64 {
        let next = current + 1;
        let value = SecretString::from(format!("value {next}"));
        let (name, id_next) = (name(), id(next));
        let patience = Duration::from_micros(round * 25);
        let put = store.put(&name, &id_next, &value, &[]);
        let answered = tokio::time::timeout(patience, put)
            .await
            .map(Result::unwrap);
        if answered.is_ok() {
            finished += 1;
        } else {
            dropped += 1;
        }
        // The next write waits until the dropped one is over, one way or the other.
        store
            .move_label(&name, "ROUND", None, Some(&id(1)))
            .await
            .unwrap();
        let described = store.describe(&name).await.unwrap();
        let stored = described.version(&id_next).is_some();
        assert!(stored || answered.is_err(), "round {round}");
        let before = current;
        current = if stored { next } else { current };
        assert_eq!(described.holder(CURRENT).unwrap().id, id(current));
        if stored {
            assert_eq!(described.holder(PREVIOUS).unwrap().id, id(before));
        }
        assert_eq!(
            store.get(&name, &Which::current()).await.unwrap().id,
            id(current)
        );
    }
    assert!(
        dropped > 0 && finished > 0,
        "{dropped} dropped, {finished} finished"
    );
}
