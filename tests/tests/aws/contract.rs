//! The store-contract suite: the same cases as for the embedded store.

use std::collections::BTreeMap;

use async_trait::async_trait;
use keyturn_store::contract::Subject;
use keyturn_store::{SecretName, SecretStore, StoreError, VersionId};

use crate::support::{OnAws, on_aws};

#[async_trait]
impl Subject for OnAws {
    fn store(&self) -> &dyn SecretStore {
        &self.store
    }

    async fn reserve(&self, name: &SecretName, id: &VersionId) -> Result<(), StoreError> {
        self.endpoint.store.reserve(name, id).await
    }

    async fn tag(
        &self,
        name: &SecretName,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        self.endpoint.store.tag(name, tags).await
    }

    async fn untag(&self, name: &SecretName, keys: &[String]) -> Result<(), StoreError> {
        self.endpoint.store.untag(name, keys).await
    }

    fn advance_ms(&self, by_ms: u64) {
        self.endpoint.clock.advance_ms(by_ms);
    }

    /// Fifty tags of 256 characters, one of them the head, in base64.
    fn notes_bytes_max(&self) -> usize {
        49 * 256 / 4 * 3
    }

    fn notes_count_as_change(&self) -> bool {
        true
    }

    fn keeps_order_within_a_millisecond(&self) -> bool {
        false
    }
}

async fn on_the_contract() -> OnAws {
    println!("evidence: aws store, contract: 1 cases");
    on_aws().await
}

keyturn_store::store_contract!(on_the_contract);
