//! A store that writes down what is written to it, when told to.

use std::sync::Mutex;
use std::sync::PoisonError;

use async_trait::async_trait;
use keyturn_store::embedded::EmbeddedStore;
use keyturn_store::{
    NewSecret, Notes, Put, RunGuard, SecretDescription, SecretName, SecretStore, StoreError,
    StoredVersion, VersionId, Which,
};
use secrecy::{ExposeSecret as _, SecretString};

/// One write, as far as its cost depends on it.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Put { bytes: usize, labels: usize },
    MoveLabel { label: String, attached: bool },
    Notes { json: String },
}

pub(crate) struct Recording {
    store: EmbeddedStore,
    writes: Mutex<Option<Vec<Write>>>,
}

impl Recording {
    pub(crate) fn new(store: EmbeddedStore) -> Self {
        Self {
            store,
            writes: Mutex::new(None),
        }
    }

    pub(crate) fn record(&self) {
        *self.lock() = Some(Vec::new());
    }

    /// What was written since then; from now on nothing is written down.
    pub(crate) fn recorded(&self) -> Vec<Write> {
        self.lock().take().unwrap_or_default()
    }

    fn note(&self, write: impl FnOnce() -> Write) {
        if let Some(writes) = self.lock().as_mut() {
            writes.push(write());
        }
    }

    /// A list that only grows is whole after a panic, too.
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Vec<Write>>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SecretStore for Recording {
    async fn create_secret(&self, name: &SecretName, new: NewSecret) -> Result<(), StoreError> {
        self.store.create_secret(name, new).await
    }

    async fn describe(&self, name: &SecretName) -> Result<SecretDescription, StoreError> {
        self.store.describe(name).await
    }

    async fn name_of(&self, id: &str) -> Result<SecretName, StoreError> {
        self.store.name_of(id).await
    }

    async fn list(&self) -> Result<Vec<SecretDescription>, StoreError> {
        self.store.list().await
    }

    async fn get(&self, name: &SecretName, which: &Which) -> Result<StoredVersion, StoreError> {
        self.store.get(name, which).await
    }

    async fn put(
        &self,
        name: &SecretName,
        id: &VersionId,
        value: &SecretString,
        labels: &[&str],
    ) -> Result<Put, StoreError> {
        self.note(|| Write::Put {
            bytes: value.expose_secret().len(),
            labels: labels.len(),
        });
        self.store.put(name, id, value, labels).await
    }

    async fn move_label(
        &self,
        name: &SecretName,
        label: &str,
        from: Option<&VersionId>,
        to: Option<&VersionId>,
    ) -> Result<(), StoreError> {
        self.note(|| Write::MoveLabel {
            label: label.to_owned(),
            attached: to.is_some(),
        });
        self.store.move_label(name, label, from, to).await
    }

    async fn begin_run(&self, name: &SecretName) -> Result<Option<RunGuard>, StoreError> {
        self.store.begin_run(name).await
    }

    async fn notes(&self, name: &SecretName) -> Result<Notes, StoreError> {
        self.store.notes(name).await
    }

    async fn write_notes(
        &self,
        name: &SecretName,
        expected_revision: u64,
        json: &str,
    ) -> Result<u64, StoreError> {
        self.note(|| Write::Notes {
            json: json.to_owned(),
        });
        self.store.write_notes(name, expected_revision, json).await
    }
}
