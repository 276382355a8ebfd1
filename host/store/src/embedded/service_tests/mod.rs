//! What the embedded store keeps as a service: secrets without a value, updates, reads by clients, policies; deletion,
//! rotation and lists in modules of their own. Each refusal has AWS's name and its words.

mod deletion;
mod listing;
mod rotation;

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;
use tempfile::TempDir;

use super::{EmbeddedStore, MasterKey};
use crate::clock::ManualClock;
use crate::error::StoreError;
use crate::labels::{CURRENT, PENDING, PREVIOUS};
use crate::limits;
use crate::service::schedule::RotationRules;
use crate::service::{NewRecord, RotationSettings, SecretRecord, Update};
use crate::store::SecretStore;
use crate::types::{SecretName, VersionId, Which};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Ten in the morning, UTC.
const START_MS: u64 = 20_000 * DAY_MS + 10 * 60 * 60 * 1_000;

struct Bench {
    store: EmbeddedStore,
    clock: Arc<ManualClock>,
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at_ms(START_MS));
        let master = MasterKey::generate().unwrap();
        let path = dir.path().join("store.db");
        let store = EmbeddedStore::create(&path, &master, clock.clone()).unwrap();
        Self { store, clock, dir }
    }

    /// With the secret, made from version 1.
    async fn with_secret() -> Self {
        let bench = Self::new();
        bench.create(new()).await.unwrap();
        bench
    }

    async fn create(&self, new: NewRecord) -> Result<String, StoreError> {
        self.store.create_record(&name(), new).await
    }

    async fn put(&self, number: u32, labels: &[&str]) -> Result<(), StoreError> {
        let (name, id, value) = (name(), id(number), value(number));
        self.store.put(&name, &id, &value, labels).await.map(drop)
    }

    async fn promote(&self, from: u32, to: u32) {
        let (from, to) = (id(from), id(to));
        self.store
            .move_label(&name(), CURRENT, Some(&from), Some(&to))
            .await
            .unwrap();
    }

    async fn record(&self) -> SecretRecord {
        self.store.record(&name()).await.unwrap()
    }

    async fn holder(&self, label: &str) -> Option<VersionId> {
        let description = self.record().await.description;
        description.holder(label).map(|version| version.id.clone())
    }
}

fn name() -> SecretName {
    SecretName::new("shop/database").unwrap()
}

fn id(number: u32) -> VersionId {
    VersionId::new(format!("{number:032}")).unwrap()
}

fn value(number: u32) -> SecretString {
    SecretString::from(format!("value {number}"))
}

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
    pairs.iter().map(owned).collect()
}

fn new() -> NewRecord {
    NewRecord {
        value: Some((id(1), value(1))),
        description: Some("its words".to_owned()),
        kms_key_id: Some("alias/mine".to_owned()),
        tags: tags(&[("a", "1")]),
    }
}

fn every(days: u64) -> RotationSettings {
    RotationSettings {
        enabled: true,
        lambda_arn: None,
        rules: Some(RotationRules {
            automatically_after_days: Some(days),
            ..RotationRules::default()
        }),
    }
}

fn assert_refused<T: std::fmt::Debug>(result: Result<T, StoreError>, code: &str, words: &str) {
    let error = result.unwrap_err();
    let found = (error.code(), error.client_message());
    assert_eq!(found, (code, words), "{error}");
}

#[tokio::test]
async fn a_read_does_not_wait_for_the_writer() {
    let bench = Bench::with_secret().await;
    let other = rusqlite::Connection::open(bench.dir.path().join("store.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..3 {
        let began = std::time::Instant::now();
        let read = bench.store.access(&name(), &Which::current()).await;
        assert_eq!(read.unwrap().version.id, id(1));
        assert!(began.elapsed() < std::time::Duration::from_secs(2));
    }
    assert_eq!(bench.record().await.accessed_at_ms, None);
    other.execute_batch("COMMIT").unwrap();
    // Behind the write that was begun.
    bench.put(2, &[]).await.unwrap();
    bench
        .store
        .access(&name(), &Which::current())
        .await
        .unwrap();
    assert!(bench.record().await.accessed_at_ms.is_some());
}

#[tokio::test]
async fn a_secret_may_wait_for_its_value() {
    let bench = Bench::new();
    let empty = NewRecord {
        value: None,
        ..new()
    };
    let suffix = bench.create(empty.clone()).await.unwrap();
    assert!(suffix.len() == 6 && suffix.bytes().all(|c| c.is_ascii_alphanumeric()));
    let record = bench.record().await;
    assert_eq!(record.arn_suffix, suffix);
    assert_eq!(record.description.versions, []);
    assert_eq!(record.description.tags, tags(&[("a", "1")]));
    assert_eq!(record.kms_key_id.as_deref(), Some("alias/mine"));
    assert_eq!(record.current_since_ms, None);
    assert_refused(
        bench.store.get(&name(), &Which::current()).await,
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
    );
    assert_refused(
        bench.store.begin_rotation(&name(), &id(5), &every(1)).await,
        "InvalidRequestException",
        "You can't rotate a secret that doesn't have a value.",
    );
    // Nothing tells the same call from another.
    assert_refused(
        bench.create(empty).await,
        "ResourceExistsException",
        "The operation failed because the secret shop/database already exists.",
    );
    bench.put(1, &[PENDING]).await.unwrap();
    assert_eq!(bench.holder(CURRENT).await, Some(id(1)));
    assert_eq!(bench.holder(PENDING).await, Some(id(1)));
    bench.put(2, &["MINE"]).await.unwrap();
    assert_eq!(bench.holder(CURRENT).await, Some(id(1)));
}

#[tokio::test]
async fn creating_again_is_the_same_call_only_with_the_same_content() {
    let bench = Bench::new();
    let suffix = bench.create(new()).await.unwrap();
    let before = bench.record().await;
    assert_eq!(bench.create(new()).await.unwrap(), suffix);
    for other in [
        NewRecord {
            value: Some((id(1), value(2))),
            ..new()
        },
        NewRecord {
            value: Some((id(2), value(1))),
            ..new()
        },
        NewRecord {
            description: None,
            ..new()
        },
        NewRecord {
            kms_key_id: Some("alias/other".to_owned()),
            ..new()
        },
        NewRecord {
            tags: tags(&[("a", "2")]),
            ..new()
        },
    ] {
        assert_refused(
            bench.create(other).await,
            "ResourceExistsException",
            "The operation failed because the secret shop/database already exists.",
        );
    }
    assert_eq!(bench.record().await, before);
    // What came later makes no other call of it.
    let later = tags(&[("b", "2")]);
    bench.store.tag(&name(), &later).await.unwrap();
    assert_eq!(bench.create(new()).await.unwrap(), suffix);
}

#[tokio::test]
async fn an_arn_means_a_secret_with_its_suffix_or_without() {
    let bench = Bench::with_secret().await;
    let store = &bench.store;
    let suffix = bench.record().await.arn_suffix;
    let longer = SecretName::new("shop/database-backup").unwrap();
    store.create_record(&longer, new()).await.unwrap();
    for (resource, expected) in [
        (format!("shop/database-{suffix}"), name()),
        ("shop/database".to_owned(), name()),
        ("shop/database-backup".to_owned(), longer),
    ] {
        assert_eq!(store.name_in_arn(&resource).await.unwrap(), expected);
    }
    for resource in ["shop/database-??????", "shop/database-aaaaaaa", "shop/data"] {
        assert!(store.name_in_arn(resource).await.is_err(), "{resource}");
    }
}

#[tokio::test]
async fn an_update_uses_no_id_twice_and_is_one_change() {
    let bench = Bench::with_secret().await;
    let store = &bench.store;
    let details = Update {
        description: Some("new words".to_owned()),
        ..Update::default()
    };
    assert_eq!(store.update(&name(), details.clone()).await.unwrap(), None);
    let before = bench.record().await;
    assert_eq!(before.description.description.as_deref(), Some("new words"));
    assert_eq!(before.kms_key_id.as_deref(), Some("alias/mine"));
    let same = Update {
        value: Some((id(1), value(1))),
        description: Some("lost".to_owned()),
        kms_key_id: Some("lost".to_owned()),
    };
    assert_refused(
        store.update(&name(), same).await,
        "ResourceExistsException",
        &format!(
            "You can't use ClientRequestToken {} because that value is already in use for a version of the secret.",
            id(1)
        ),
    );
    assert_eq!(bench.record().await, before);
    bench.put(2, &[PENDING]).await.unwrap();
    let value = Update {
        value: Some((id(3), value(3))),
        kms_key_id: Some("alias/other".to_owned()),
        description: None,
    };
    let put = store.update(&name(), value).await.unwrap().unwrap();
    assert_eq!(put.labels, [CURRENT]);
    assert_eq!(put.abandoned, Some(id(2)));
    assert_eq!(bench.holder(PREVIOUS).await, Some(id(1)));
    let after = bench.record().await;
    assert_eq!(after.kms_key_id.as_deref(), Some("alias/other"));
    assert_eq!(after.description.description.as_deref(), Some("new words"));
}

#[tokio::test]
async fn a_read_is_dated_by_its_day() {
    let bench = Bench::with_secret().await;
    let before = bench.record().await;
    assert_eq!(before.accessed_at_ms, None);
    let (name, current) = (name(), Which::current());
    let access = || bench.store.access(&name, &current);
    let accessed = access().await.unwrap();
    assert_eq!(accessed.arn_suffix, before.arn_suffix);
    assert_eq!(accessed.version.id, id(1));
    let midnight_ms = START_MS / DAY_MS * DAY_MS;
    let read = bench.record().await;
    assert_eq!(read.accessed_at_ms, Some(midnight_ms));
    assert_eq!(
        read.description.changed_at_ms,
        before.description.changed_at_ms
    );
    bench.clock.advance_ms(DAY_MS);
    bench.store.get(&name, &current).await.unwrap();
    let missing = Which::Label(PENDING.to_owned());
    assert!(bench.store.access(&name, &missing).await.is_err());
    assert_eq!(bench.record().await, read, "these are no reads of clients");
    access().await.unwrap();
    assert_eq!(
        bench.record().await.accessed_at_ms,
        Some(midnight_ms + DAY_MS)
    );
    // A clock that went back takes nothing back.
    bench.clock.set_ms(START_MS);
    access().await.unwrap();
    assert_eq!(
        bench.record().await.accessed_at_ms,
        Some(midnight_ms + DAY_MS)
    );
}

#[tokio::test]
async fn a_policy_is_kept_as_it_was_written() {
    let bench = Bench::with_secret().await;
    let (store, name) = (&bench.store, name());
    assert_eq!(store.resource_policy(&name).await.unwrap(), None);
    let open = r#"{ "Statement": {"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"} }"#;
    assert_refused(
        store.set_resource_policy(&name, Some(open), true).await,
        "PublicPolicyException",
        "The BlockPublicPolicy parameter is set to true, and the resource policy did not prevent broad access to the secret.",
    );
    assert_eq!(store.resource_policy(&name).await.unwrap(), None);
    store
        .set_resource_policy(&name, Some(open), false)
        .await
        .unwrap();
    let kept = store.resource_policy(&name).await.unwrap();
    assert_eq!(kept.as_deref(), Some(open));
    let wrong = store.set_resource_policy(&name, Some("{}"), false).await;
    assert_eq!(
        wrong.unwrap_err().code(),
        "MalformedPolicyDocumentException"
    );
    store.set_resource_policy(&name, None, true).await.unwrap();
    assert_eq!(store.resource_policy(&name).await.unwrap(), None);
}

#[tokio::test]
async fn there_are_5000_versions_at_most_and_an_announced_one_is_filled_beyond() {
    let bench = Bench::with_secret().await;
    let fill = format!(
        "WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < {})
         INSERT INTO version (secret_id, id, sealed, created_at_ms)
         SELECT 1, printf('%032d', i), x'00', {START_MS} FROM n",
        limits::VERSIONS_MAX + 98
    );
    bench
        .store
        .writer
        .lend(move |connection| {
            connection.execute_batch(&fill).unwrap();
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(bench.record().await.description.versions.len(), 5_000);
    let refused = bench.put(2, &[]).await.unwrap_err();
    assert_eq!(refused.code(), "LimitExceededException");
    bench.store.reserve(&name(), &id(3)).await.unwrap();
    bench.put(3, &[PENDING]).await.unwrap();
    // A day later they are old, and the first put makes room.
    bench.clock.advance_ms(DAY_MS);
    bench.put(3, &[PENDING]).await.unwrap();
    bench
        .store
        .move_label(&name(), PENDING, Some(&id(3)), None)
        .await
        .unwrap();
    bench.store.reserve(&name(), &id(4)).await.unwrap();
    bench.put(4, &[PENDING]).await.unwrap();
    assert_eq!(bench.record().await.description.versions.len(), 101);
    bench.put(2, &[]).await.unwrap();
}
