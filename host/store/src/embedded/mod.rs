//! The store in one SQLite file: what Keyturn uses where there is no AWS. Values lie in it only sealed, every write is
//! one transaction that is on the disk before its method returns, and several processes may have the file open at
//! once. This module joins the rules to the statements; it holds no rule and no SQL of its own.

mod access;
mod connections;
#[cfg(test)]
mod crash_tests;
mod errors;
mod failpoint;
#[cfg(test)]
mod fault_tests;
mod file;
mod listing;
mod master_key;
#[cfg(test)]
mod open_tests;
mod opened;
mod records;
mod rows;
mod runs;
mod schema;
mod seal;
mod service;
#[cfg(test)]
mod service_tests;
mod write;

use std::path::{self, Path};
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use secrecy::{ExposeSecret, SecretString};

use crate::clock::Clock;
use crate::error::StoreError;
use crate::labels;
use crate::limits;
use crate::rules::{self, PutLabels};
use crate::service::NewRecord;
use crate::store::{RunGuard, SecretStore};
use crate::types::{
    NewSecret, Notes, Put, SecretDescription, SecretName, StoredVersion, VersionId, Which,
};

use connections::Connections;
pub use file::OpenError;
pub use master_key::{MASTER_KEY_BYTES, MASTER_KEY_VARIABLE, MasterKey, MasterKeyError};
use rows::Found;
use runs::Runs;
use seal::DataKey;
use write::Write;

/// Enough for a server's readers; each at work is a thread and a file handle.
const READERS_MAX: u32 = 4;

/// A [`SecretStore`] in one SQLite file.
pub struct EmbeddedStore {
    /// One: SQLite has one writer at a time, and here the callers of this process queue in order.
    writer: Connections,
    readers: Connections,
    key: Arc<DataKey>,
    clock: Arc<dyn Clock>,
    runs: Runs,
    dating: access::Dating,
}

impl EmbeddedStore {
    /// Makes a new store at `path`, with mode 0600 and a new data key under `master`, and opens it. Blocks for some
    /// milliseconds.
    ///
    /// After a crash there is either no store at `path` or a whole one; a file beside it whose name goes on with
    /// `.new-` is a left-over that can be deleted.
    ///
    /// # Errors
    /// [`OpenError::Exists`] if there is anything at `path` already, which stays as it is; otherwise as for
    /// [`EmbeddedStore::open`].
    pub fn create(
        path: &Path,
        master: &MasterKey,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let path = absolute(path)?;
        file::create(&path, master)?;
        Self::open(&path, master, clock)
    }

    /// Opens the store at `path`; other processes may have it open too. Blocks for a few milliseconds, and for 15
    /// seconds at most if another process does not let go of the file.
    ///
    /// # Errors
    /// Every [`OpenError`] but `Exists`; the file is left as it was.
    pub fn open(path: &Path, master: &MasterKey, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let path = absolute(path)?;
        file::look(&path)?;
        // Whose files they are not cannot change them; SQLite says then what that means.
        let _ = file::follow_mode(&path);
        let mut connection = schema::writing(&path).map_err(file::database_error(&path))?;
        // The key first: whoever does not have it changes nothing.
        let key = open_key(&path, &connection, master)?;
        file::bring_up_to_date(&path, &mut connection)?;
        let writer = Connections::new(path.clone(), schema::writing, 1);
        writer.add(connection);
        Ok(Self {
            writer,
            readers: Connections::new(path.clone(), schema::reading, READERS_MAX),
            key: Arc::new(key),
            clock,
            runs: Runs::of(&path),
            dating: access::Dating::default(),
        })
    }

    /// Closes the file in an orderly way: the last one to close it takes SQLite's log into it. A store that is
    /// killed instead loses nothing; the next one to open it does that work.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Announces a version without a value under AWSPENDING: the part that AWS's service plays before it calls a
    /// rotation function. Not part of [`SecretStore`], because no client of AWS can do it.
    ///
    /// After a crash: the version with its label or neither; calling again completes it or changes nothing.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret; `InvalidRequest` while another rotation is in progress;
    /// `AlreadyExists` if the id is taken by a version with a value.
    pub async fn reserve(&self, name: &SecretName, id: &VersionId) -> Result<(), StoreError> {
        let (name, id, now_ms) = (name.clone(), id.clone(), self.clock.now_ms());
        self.write(move |write| {
            let Found {
                secret,
                held,
                version,
            } = rows::find(write.statement(), &name, Some(&Which::Id(id.clone())))?;
            let announced = match version {
                Some(version) if version.sealed.is_some() => {
                    return Err(rules::version_exists(&id));
                }
                Some(_) => true,
                None => false,
            };
            if announced && held.get(labels::PENDING) == Some(&id) {
                return Ok(());
            }
            let after = rules::reserve(&held, &id)?;
            if !announced {
                rows::insert_version(write.statement(), secret, &id, None, now_ms)?;
            }
            write.labels(secret, &held, &after, now_ms)?;
            write.commit()
        })
        .await
    }

    /// Opens the version that was wanted and found.
    fn opened(
        &self,
        name: &SecretName,
        which: &Which,
        found: Found,
    ) -> Result<StoredVersion, StoreError> {
        let Found { held, version, .. } = found;
        let id = rules::wanted(&held, which)?;
        let version = version.ok_or_else(|| rules::no_version(id))?;
        let sealed = version.sealed.ok_or_else(|| rules::no_value(id))?;
        rules::check_wanted_label(&held, which)?;
        Ok(StoredVersion {
            id: id.clone(),
            value: self.key.open_value(name, id, &sealed)?,
            labels: rules::labels_of(&held, id),
            created_at_ms: version.created_at_ms,
        })
    }

    /// What `look` sees is the file as of one moment.
    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers
            .lend(move |connection| look(&*connection.transaction().map_err(errors::statement)?))
            .await
    }

    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(Write<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer
            .lend(move |connection| change(Write::begin(connection)?))
            .await
    }
}

#[async_trait]
impl SecretStore for EmbeddedStore {
    async fn create_secret(&self, name: &SecretName, new: NewSecret) -> Result<(), StoreError> {
        let new = NewRecord {
            value: Some((new.id, new.value)),
            description: new.description,
            ..NewRecord::default()
        };
        self.create_record(name, new).await.map(drop)
    }

    async fn describe(&self, name: &SecretName) -> Result<SecretDescription, StoreError> {
        let name = name.clone();
        self.read(move |file| records::describe(file, &name)).await
    }

    async fn name_of(&self, id: &str) -> Result<SecretName, StoreError> {
        match rules::resource_of(id) {
            Some(resource) => self.name_in_arn(resource).await,
            None => SecretName::new(id),
        }
    }

    async fn list(&self) -> Result<Vec<SecretDescription>, StoreError> {
        self.read(records::list).await
    }

    async fn get(&self, name: &SecretName, which: &Which) -> Result<StoredVersion, StoreError> {
        let wanted = (name.clone(), which.clone());
        let found = self
            .read(move |file| rows::find(file, &wanted.0, Some(&wanted.1)))
            .await?;
        self.opened(name, which, found)
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
        let sealed = self.key.seal_value(name, id, value)?;
        let (name, id, value) = (name.clone(), id.clone(), value.clone());
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let key = self.key.clone();
        self.write(move |write| {
            let found = rows::find(write.statement(), &name, Some(&Which::Id(id.clone())))?;
            let version = found.version.as_ref();
            if let Some(stored) = version.and_then(|version| version.sealed.as_ref()) {
                if !holds(&key.open_value(&name, &id, stored)?, &value) {
                    return Err(rules::version_exists(&id));
                }
                let labels = rules::labels_of(&found.held, &id);
                return Ok(Put {
                    stored: false,
                    labels,
                    abandoned: None,
                });
            }
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let after = store_version(&write, &found, &id, &sealed, &labels, now_ms)?;
            write.commit()?;
            let labels = rules::labels_of(&after.held, &id);
            Ok(Put {
                stored: true,
                labels,
                abandoned: after.abandoned,
            })
        })
        .await
    }

    async fn move_label(
        &self,
        name: &SecretName,
        label: &str,
        from: Option<&VersionId>,
        to: Option<&VersionId>,
    ) -> Result<(), StoreError> {
        rules::check_label(label)?;
        let (name, label, now_ms) = (name.clone(), label.to_owned(), self.clock.now_ms());
        let (from, to) = (from.cloned(), to.cloned());
        self.write(move |write| {
            let wanted = to.clone().map(Which::Id);
            let Found {
                secret,
                held,
                version,
            } = rows::find(write.statement(), &name, wanted.as_ref())?;
            let to_has_value = version.map(|version| version.sealed.is_some());
            let (from, to) = (from.as_ref(), to.as_ref());
            let after = rules::move_label(&held, |_| to_has_value, &label, from, to)?;
            if after == held {
                return Ok(());
            }
            write.labels(secret, &held, &after, now_ms)?;
            write.commit()
        })
        .await
    }

    async fn begin_run(&self, name: &SecretName) -> Result<Option<RunGuard>, StoreError> {
        let name = name.clone();
        let secret = self.read(move |file| rows::secret(file, &name)).await?;
        self.runs.begin(secret)
    }

    async fn notes(&self, name: &SecretName) -> Result<Notes, StoreError> {
        let name = name.clone();
        self.read(move |file| rows::notes(file, &name)).await
    }

    async fn write_notes(
        &self,
        name: &SecretName,
        expected_revision: u64,
        json: &str,
    ) -> Result<u64, StoreError> {
        rules::check_notes(json)?;
        let (name, json) = (name.clone(), json.to_owned());
        self.write(move |write| {
            rows::secret(write.statement(), &name)?;
            let found = rows::notes(write.statement(), &name)?.revision;
            if found != expected_revision {
                return Err(rules::notes_revision_differs(expected_revision, found));
            }
            let notes = Notes {
                json,
                revision: found + 1,
            };
            rows::replace_notes(write.statement(), &name, &notes)?;
            write.commit()?;
            Ok(notes.revision)
        })
        .await
    }
}

/// Stores a version that is not there yet or has no value yet, and moves labels to it.
fn store_version(
    write: &Write<'_>,
    found: &Found,
    id: &VersionId,
    sealed: &[u8],
    labels: &[&str],
    now_ms: u64,
) -> Result<PutLabels, StoreError> {
    let after = rules::put(&found.held, id, labels)?;
    let secret = found.secret;
    if found.version.is_some() {
        rows::fill_version(write.statement(), secret, id, sealed)?;
    } else {
        if rows::version_count(write.statement(), secret)? >= limits::VERSIONS_MAX {
            return Err(rules::too_many_versions());
        }
        rows::insert_version(write.statement(), secret, id, Some(sealed), now_ms)?;
    }
    write.labels(secret, &found.held, &after.held, now_ms)?;
    if let Some(old_until_ms) = rules::old_until_ms(now_ms) {
        rows::remove_old_versions(write.statement(), secret, old_until_ms)?;
    }
    Ok(after)
}

fn holds(stored: &SecretString, value: &SecretString) -> bool {
    stored.expose_secret() == value.expose_secret()
}

/// The path as SQLite should see it: relative ones could begin with `file:`, which it takes for a URI. And connections
/// are opened later, too, wherever the process works then.
fn absolute(path: &Path) -> Result<path::PathBuf, OpenError> {
    path::absolute(path).map_err(|source| OpenError::File {
        doing: "finding",
        path: path.to_owned(),
        source,
    })
}

fn open_key(
    path: &Path,
    connection: &Connection,
    master: &MasterKey,
) -> Result<DataKey, OpenError> {
    file::schema_version(path, connection)?;
    let wrapped: Vec<u8> = connection
        .query_row("SELECT wrapped_data_key FROM store", [], |row| row.get(0))
        .map_err(file::database_error(path))?;
    DataKey::unwrap(&wrapped, master).map_err(|seal::Broken| OpenError::WrongMasterKey {
        path: path.to_owned(),
    })
}
