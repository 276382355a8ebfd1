//! The store in memory, for simulations and tests: the same semantics as the embedded store, nothing durable. It
//! lives as long as the process and never touches a file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use crate::clock::Clock;
use crate::error::StoreError;
use crate::labels;
use crate::limits;
use crate::rules::{self, Held};
use crate::store::{RunGuard, SecretStore};
use crate::tags;
use crate::types::{
    NewSecret, Notes, Put, SecretDescription, SecretName, StoredVersion, VersionDescription,
    VersionId, Which,
};

/// A [`SecretStore`] that forgets everything when it is dropped.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    secrets: Mutex<BTreeMap<SecretName, Secret>>,
    /// The secrets on which a run is at work.
    runs: Arc<Mutex<BTreeSet<SecretName>>>,
}

/// Takes its secret off the runs at work when it is dropped.
struct Run {
    runs: Arc<Mutex<BTreeSet<SecretName>>>,
    secret: SecretName,
}

impl Drop for Run {
    fn drop(&mut self) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.remove(&self.secret);
    }
}

struct Secret {
    description: Option<String>,
    created_at_ms: u64,
    changed_at_ms: u64,
    tags: BTreeMap<String, String>,
    notes: Notes,
    /// Oldest first.
    versions: Vec<Version>,
    held: Held,
}

struct Version {
    id: VersionId,
    value: Option<SecretString>,
    created_at_ms: u64,
}

impl MemoryStore {
    /// An empty store that writes down the times of `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            secrets: Mutex::new(BTreeMap::new()),
            runs: Arc::default(),
        }
    }

    /// Announces a version without a value under AWSPENDING: the part that AWS's service plays before it calls a
    /// rotation function. Not part of [`SecretStore`], because no client of AWS can do it.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret; `InvalidRequest` while another rotation is in progress;
    /// `AlreadyExists` if the id is taken by a version with a value.
    pub async fn reserve(&self, name: &SecretName, id: &VersionId) -> Result<(), StoreError> {
        let now_ms = self.clock.now_ms();
        let mut secrets = self.lock();
        let secret = secrets
            .get_mut(name)
            .ok_or_else(|| rules::no_secret(name))?;
        let announced = match secret.version(id) {
            Some(version) if version.value.is_some() => return Err(rules::version_exists(id)),
            Some(_) => true,
            None => false,
        };
        if announced && secret.held.get(labels::PENDING) == Some(id) {
            return Ok(());
        }
        let held = rules::reserve(&secret.held, id)?;
        if !announced {
            secret.versions.push(Version {
                id: id.clone(),
                value: None,
                created_at_ms: now_ms,
            });
        }
        secret.held = held;
        secret.changed_at_ms = now_ms;
        Ok(())
    }

    /// Adds tags to a secret; a key that is there already gets the new value. Not part of [`SecretStore`]: nothing
    /// that rotates has to write one.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret; `InvalidParameter` for a tag outside the limits or one too many.
    pub async fn tag(
        &self,
        name: &SecretName,
        add: &BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        tags::check(add)?;
        self.change_tags(name, |held| tags::merged(held, add))
    }

    /// Removes the tags with these keys; a key that no tag has is no error.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret.
    pub async fn untag(&self, name: &SecretName, keys: &[String]) -> Result<(), StoreError> {
        self.change_tags(name, |held| Ok(tags::without(held, keys)))
    }

    fn change_tags(
        &self,
        name: &SecretName,
        change: impl FnOnce(&BTreeMap<String, String>) -> Result<BTreeMap<String, String>, StoreError>,
    ) -> Result<(), StoreError> {
        let now_ms = self.clock.now_ms();
        let mut secrets = self.lock();
        let secret = secrets
            .get_mut(name)
            .ok_or_else(|| rules::no_secret(name))?;
        let after = change(&secret.tags)?;
        if after != secret.tags {
            secret.tags = after;
            secret.changed_at_ms = now_ms;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SecretName, Secret>> {
        // Each method computes first and assigns last, so a panic elsewhere leaves no half-made change behind.
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(
        &self,
        name: &SecretName,
        look: impl FnOnce(&Secret) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let secrets = self.lock();
        look(secrets.get(name).ok_or_else(|| rules::no_secret(name))?)
    }
}

#[async_trait]
impl SecretStore for MemoryStore {
    async fn create_secret(&self, name: &SecretName, new: NewSecret) -> Result<(), StoreError> {
        rules::check_new_secret(&new)?;
        let now_ms = self.clock.now_ms();
        let mut secrets = self.lock();
        if let Some(secret) = secrets.get(name) {
            let same = secret.description == new.description
                && secret
                    .version(&new.id)
                    .is_some_and(|version| version.has(&new.value));
            return if same {
                Ok(())
            } else {
                Err(rules::secret_exists(name))
            };
        }
        let held = Held::from([(labels::CURRENT.to_owned(), new.id.clone())]);
        let first = Version {
            id: new.id,
            value: Some(new.value),
            created_at_ms: now_ms,
        };
        secrets.insert(
            name.clone(),
            Secret {
                description: new.description,
                created_at_ms: now_ms,
                changed_at_ms: now_ms,
                tags: BTreeMap::new(),
                notes: Notes {
                    json: "{}".to_owned(),
                    revision: 0,
                },
                versions: vec![first],
                held,
            },
        );
        Ok(())
    }

    async fn describe(&self, name: &SecretName) -> Result<SecretDescription, StoreError> {
        self.read(name, |secret| Ok(secret.describe(name)))
    }

    /// Nothing here has an ARN.
    async fn name_of(&self, id: &str) -> Result<SecretName, StoreError> {
        SecretName::new(id)
    }

    async fn list(&self) -> Result<Vec<SecretDescription>, StoreError> {
        Ok(self
            .lock()
            .iter()
            .map(|(name, secret)| secret.describe(name))
            .collect())
    }

    async fn get(&self, name: &SecretName, which: &Which) -> Result<StoredVersion, StoreError> {
        self.read(name, |secret| {
            let id = rules::wanted(&secret.held, which)?;
            let version = secret.version(id).ok_or_else(|| rules::no_version(id))?;
            let value = version.value.clone().ok_or_else(|| rules::no_value(id))?;
            rules::check_wanted_label(&secret.held, which)?;
            Ok(StoredVersion {
                id: id.clone(),
                value,
                labels: rules::labels_of(&secret.held, id),
                created_at_ms: version.created_at_ms,
            })
        })
    }

    async fn put(
        &self,
        name: &SecretName,
        id: &VersionId,
        value: &SecretString,
        labels: &[&str],
    ) -> Result<Put, StoreError> {
        rules::check_put(value, labels)?;
        let now_ms = self.clock.now_ms();
        let mut secrets = self.lock();
        let secret = secrets
            .get_mut(name)
            .ok_or_else(|| rules::no_secret(name))?;
        if let Some(version) = secret.version(id)
            && version.value.is_some()
        {
            if !version.has(value) {
                return Err(rules::version_exists(id));
            }
            let labels = rules::labels_of(&secret.held, id);
            return Ok(Put {
                stored: false,
                labels,
                abandoned: None,
            });
        }
        let after = rules::put(&secret.held, id, labels)?;
        if secret.version(id).is_none() && secret.versions.len() >= limits::VERSIONS_MAX {
            return Err(rules::too_many_versions());
        }
        match secret.versions.iter_mut().find(|version| version.id == *id) {
            Some(announced) => announced.value = Some(value.clone()),
            None => secret.versions.push(Version {
                id: id.clone(),
                value: Some(value.clone()),
                created_at_ms: now_ms,
            }),
        }
        secret.held = after.held;
        secret.changed_at_ms = now_ms;
        secret.remove_old_versions(now_ms);
        let labels = rules::labels_of(&secret.held, id);
        Ok(Put {
            stored: true,
            labels,
            abandoned: after.abandoned,
        })
    }

    async fn move_label(
        &self,
        name: &SecretName,
        label: &str,
        from: Option<&VersionId>,
        to: Option<&VersionId>,
    ) -> Result<(), StoreError> {
        rules::check_label(label)?;
        let now_ms = self.clock.now_ms();
        let mut secrets = self.lock();
        let secret = secrets
            .get_mut(name)
            .ok_or_else(|| rules::no_secret(name))?;
        let has_value = |id: &VersionId| secret.version(id).map(|version| version.value.is_some());
        let held = rules::move_label(&secret.held, has_value, label, from, to)?;
        if held != secret.held {
            secret.held = held;
            secret.changed_at_ms = now_ms;
        }
        Ok(())
    }

    async fn begin_run(&self, name: &SecretName) -> Result<Option<RunGuard>, StoreError> {
        self.read(name, |_| Ok(()))?;
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let free = runs.insert(name.clone());
        Ok(free.then(|| {
            let (runs, secret) = (Arc::clone(&self.runs), name.clone());
            RunGuard::new(Run { runs, secret })
        }))
    }

    async fn notes(&self, name: &SecretName) -> Result<Notes, StoreError> {
        self.read(name, |secret| Ok(secret.notes.clone()))
    }

    async fn write_notes(
        &self,
        name: &SecretName,
        expected_revision: u64,
        json: &str,
    ) -> Result<u64, StoreError> {
        rules::check_notes(json)?;
        let mut secrets = self.lock();
        let secret = secrets
            .get_mut(name)
            .ok_or_else(|| rules::no_secret(name))?;
        if secret.notes.revision != expected_revision {
            return Err(rules::notes_revision_differs(
                expected_revision,
                secret.notes.revision,
            ));
        }
        secret.notes = Notes {
            json: json.to_owned(),
            revision: expected_revision + 1,
        };
        Ok(secret.notes.revision)
    }
}

impl Secret {
    fn version(&self, id: &VersionId) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == *id)
    }

    fn describe(&self, name: &SecretName) -> SecretDescription {
        let versions = self.versions.iter().map(|version| VersionDescription {
            id: version.id.clone(),
            labels: rules::labels_of(&self.held, &version.id),
            has_value: version.value.is_some(),
            created_at_ms: version.created_at_ms,
        });
        SecretDescription {
            name: name.clone(),
            description: self.description.clone(),
            created_at_ms: self.created_at_ms,
            changed_at_ms: self.changed_at_ms,
            tags: self.tags.clone(),
            rotation_enabled: None,
            last_rotated_at_ms: None,
            next_rotation_at_ms: None,
            versions: versions.collect(),
        }
    }

    fn remove_old_versions(&mut self, now_ms: u64) {
        let Some(old_until_ms) = rules::old_until_ms(now_ms) else {
            return;
        };
        let older_than_kept = self.versions.len().saturating_sub(limits::VERSIONS_KEPT);
        let mut position = 0;
        let held = &self.held;
        self.versions.retain(|version| {
            position += 1;
            let labelled = held.values().any(|holder| *holder == version.id);
            labelled || position > older_than_kept || version.created_at_ms > old_until_ms
        });
    }
}

impl Version {
    fn has(&self, value: &SecretString) -> bool {
        self.value
            .as_ref()
            .is_some_and(|own| own.expose_secret() == value.expose_secret())
    }
}
