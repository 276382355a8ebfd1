//! The contract suite on both stores of this crate.

use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;

use crate::clock::ManualClock;
use crate::contract::Subject;
use crate::embedded::{EmbeddedStore, MasterKey};
use crate::error::StoreError;
use crate::memory::MemoryStore;
use crate::store::SecretStore;
use crate::types::{SecretName, VersionId};

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
    let store = EmbeddedStore::create(&path, &master, clock.clone())
        .await
        .unwrap();
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
