//! The contract suite on both stores of this crate.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;

use crate::clock::ManualClock;
use crate::contract::Subject;
use crate::embedded::{EmbeddedStore, MasterKey};
use crate::error::{ErrorKind, StoreError};
use crate::memory::MemoryStore;
use crate::store::SecretStore;
use crate::types::{NewSecret, SecretName, VersionId};

const START_MS: u64 = 1_700_000_000_000;

struct Embedded {
    store: EmbeddedStore,
    clock: Arc<ManualClock>,
    _dir: TempDir,
}

struct Memory {
    store: MemoryStore,
    clock: Arc<ManualClock>,
}

async fn new_embedded() -> Embedded {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at_ms(START_MS));
    let master = MasterKey::generate().unwrap();
    let path = dir.path().join("store.db");
    let store = EmbeddedStore::create(&path, &master, clock.clone()).unwrap();
    Embedded {
        store,
        clock,
        _dir: dir,
    }
}

async fn new_memory() -> Memory {
    let clock = Arc::new(ManualClock::at_ms(START_MS));
    Memory {
        store: MemoryStore::new(clock.clone()),
        clock,
    }
}

macro_rules! subject {
    ($subject:ty) => {
        #[async_trait]
        impl Subject for $subject {
            fn store(&self) -> &dyn SecretStore {
                &self.store
            }
            async fn reserve(&self, name: &SecretName, id: &VersionId) -> Result<(), StoreError> {
                self.store.reserve(name, id).await
            }
            async fn tag(
                &self,
                name: &SecretName,
                tags: &BTreeMap<String, String>,
            ) -> Result<(), StoreError> {
                self.store.tag(name, tags).await
            }
            async fn untag(&self, name: &SecretName, keys: &[String]) -> Result<(), StoreError> {
                self.store.untag(name, keys).await
            }
            fn advance_ms(&self, by_ms: u64) {
                self.clock.advance_ms(by_ms);
            }
        }
    };
}

subject!(Embedded);
subject!(Memory);

mod embedded {
    use super::*;
    crate::store_contract!(new_embedded);
}

mod memory {
    use super::*;
    crate::store_contract!(new_memory);
}

/// Not a case of the suite: a store of many machines may keep nobody away.
async fn one_run_at_a_time(subject: &dyn Subject) {
    let store = subject.store();
    for name in ["a", "b"] {
        let new = NewSecret {
            id: VersionId::new("00000000-0000-0000-0000-000000000001").unwrap(),
            value: "value".into(),
            description: None,
        };
        store
            .create_secret(&SecretName::new(name).unwrap(), new)
            .await
            .unwrap();
    }
    let (a, b) = (SecretName::new("a").unwrap(), SecretName::new("b").unwrap());
    let first = store.begin_run(&a).await.unwrap();
    assert!(first.is_some());
    assert!(store.begin_run(&a).await.unwrap().is_none());
    assert!(store.begin_run(&b).await.unwrap().is_some());
    drop(first);
    assert!(store.begin_run(&a).await.unwrap().is_some());
    let error = store
        .begin_run(&SecretName::new("c").unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn runs_of_one_secret_follow_each_other() {
    one_run_at_a_time(&new_embedded().await).await;
    one_run_at_a_time(&new_memory().await).await;
}

/// Not a case of the suite: AWS tells no number.
#[tokio::test]
async fn the_memory_store_has_5000_versions_of_a_secret_at_most() {
    let subject = new_memory().await;
    let name = SecretName::new("a").unwrap();
    let put = async |number: usize| {
        let id = VersionId::new(format!("{number:032}")).unwrap();
        let value = "value".into();
        subject.store.put(&name, &id, &value, &["MINE"]).await
    };
    let new = NewSecret {
        id: VersionId::new("0".repeat(32)).unwrap(),
        value: "value".into(),
        description: None,
    };
    subject.store.create_secret(&name, new).await.unwrap();
    for number in 1..5_000 {
        put(number).await.unwrap();
    }
    let refused = put(5_000).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LimitExceeded);
    assert!(!put(4_999).await.unwrap().stored);
    subject.clock.advance_ms(24 * 60 * 60 * 1_000);
    subject
        .reserve(&name, &VersionId::new("5".repeat(32)).unwrap())
        .await
        .unwrap();
}
