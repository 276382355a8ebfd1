//! The store in one SQLite file: what Keyturn uses where there is no AWS. Values lie in it only sealed, every write is
//! one transaction that is on the disk before its method returns, and several processes may have the file open at
//! once. This module joins the rules to the statements; it holds no rule and no SQL of its own.

#[cfg(test)]
mod crash_tests;
mod errors;
mod failpoint;
#[cfg(test)]
mod fault_tests;
mod file;
mod master_key;
#[cfg(test)]
mod open_tests;
mod opened;
mod rows;
mod runs;
mod schema;
mod seal;
mod write;

use std::path::{self, Path};
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Connection, SqliteConnection, SqlitePool};

use crate::clock::Clock;
use crate::error::StoreError;
use crate::labels;
use crate::rules;
use crate::store::{RunGuard, SecretStore};
use crate::types::{
    NewSecret, Notes, Put, SecretDescription, SecretName, StoredVersion, VersionId, Which,
};

pub use file::OpenError;
pub use master_key::{MASTER_KEY_BYTES, MASTER_KEY_VARIABLE, MasterKey, MasterKeyError};
use rows::Found;
use runs::Runs;
use seal::DataKey;
use write::Write;

/// Enough for a server's readers; each is a thread and a file handle.
const READERS_MAX: u32 = 4;

/// A [`SecretStore`] in one SQLite file.
pub struct EmbeddedStore {
    /// One connection: SQLite has one writer at a time, and here the callers of this process queue in order.
    writer: SqlitePool,
    readers: SqlitePool,
    key: DataKey,
    clock: Arc<dyn Clock>,
    runs: Runs,
}

impl EmbeddedStore {
    /// Makes a new store at `path`, with mode 0600 and a new data key under `master`, and opens it.
    ///
    /// After a crash there is either no store at `path` or a whole one; a file beside it whose name goes on with
    /// `.new-` is a left-over that can be deleted.
    ///
    /// # Errors
    /// [`OpenError::Exists`] if there is anything at `path` already, which stays as it is; otherwise as for
    /// [`EmbeddedStore::open`].
    pub async fn create(
        path: &Path,
        master: &MasterKey,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let path = absolute(path)?;
        file::create(&path, master).await?;
        Self::open(&path, master, clock).await
    }

    /// Opens the store at `path`; other processes may have it open too.
    ///
    /// # Errors
    /// Every [`OpenError`] but `Exists`; the file is left as it was.
    pub async fn open(
        path: &Path,
        master: &MasterKey,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let path = absolute(path)?;
        file::look(&path)?;
        let writer = pool(schema::writing(&path), 1);
        let readers = pool(schema::reading(&path), READERS_MAX);
        match open_key(&path, &writer, master).await {
            Ok(key) => Ok(Self {
                writer,
                readers,
                key,
                clock,
                runs: Runs::of(&path),
            }),
            Err(error) => {
                writer.close().await;
                Err(error)
            }
        }
    }

    /// Closes the file in an orderly way: the last one to close it takes SQLite's log into it. A store that is
    /// dropped or killed instead loses nothing; the next one to open it does that work.
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
        let now_ms = self.clock.now_ms();
        let mut write = self.write().await?;
        let Found {
            secret,
            held,
            version,
        } = rows::find(write.statement(), name, Some(&Which::Id(id.clone()))).await?;
        let announced = match version {
            Some(version) if version.sealed.is_some() => return Err(rules::version_exists(id)),
            Some(_) => true,
            None => false,
        };
        if announced && held.get(labels::PENDING) == Some(id) {
            return Ok(());
        }
        let after = rules::reserve(&held, id)?;
        if !announced {
            rows::insert_version(write.statement(), secret, id, None, now_ms).await?;
        }
        write.labels(secret, &held, &after).await?;
        rows::touch_secret(write.statement(), secret, now_ms).await?;
        write.commit().await
    }

    async fn write(&self) -> Result<Write, StoreError> {
        Write::begin(&self.writer).await
    }
}

#[async_trait]
impl SecretStore for EmbeddedStore {
    async fn create_secret(&self, name: &SecretName, new: NewSecret) -> Result<(), StoreError> {
        rules::check_new_secret(&new)?;
        let now_ms = self.clock.now_ms();
        let sealed = self.key.seal_value(name, &new.id, &new.value)?;
        let mut write = self.write().await?;
        if let Some(secret) = rows::find_secret(write.statement(), name).await? {
            let description = rows::secret_description(write.statement(), secret).await?;
            let version = rows::version(write.statement(), secret, &new.id).await?;
            let sealed = version.and_then(|version| version.sealed);
            let same = description == new.description
                && match sealed {
                    Some(sealed) => self.is_sealed_in(name, &new.id, &new.value, &sealed)?,
                    None => false,
                };
            return if same {
                Ok(())
            } else {
                Err(rules::secret_exists(name))
            };
        }
        let description = new.description.as_deref();
        let secret = rows::insert_secret(write.statement(), name, description, now_ms).await?;
        rows::insert_version(write.statement(), secret, &new.id, Some(sealed), now_ms).await?;
        rows::attach_label(write.statement(), secret, labels::CURRENT, &new.id).await?;
        write.commit().await
    }

    async fn describe(&self, name: &SecretName) -> Result<SecretDescription, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(errors::statement)?;
        rows::describe(&mut connection, name).await
    }

    async fn list(&self) -> Result<Vec<SecretDescription>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(errors::statement)?;
        rows::list(&mut connection).await
    }

    async fn get(&self, name: &SecretName, which: &Which) -> Result<StoredVersion, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(errors::statement)?;
        let found = rows::find(&mut connection, name, Some(which)).await?;
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
        let mut write = self.write().await?;
        let Found {
            secret,
            held,
            version,
        } = rows::find(write.statement(), name, Some(&Which::Id(id.clone()))).await?;
        let announced = version.is_some();
        if let Some(stored) = version.and_then(|version| version.sealed) {
            if !self.is_sealed_in(name, id, value, &stored)? {
                return Err(rules::version_exists(id));
            }
            let labels = rules::labels_of(&held, id);
            return Ok(Put {
                stored: false,
                labels,
                abandoned: None,
            });
        }
        let after = rules::put(&held, id, labels)?;
        if announced {
            rows::fill_version(write.statement(), secret, id, sealed).await?;
        } else {
            rows::insert_version(write.statement(), secret, id, Some(sealed), now_ms).await?;
        }
        write.labels(secret, &held, &after.held).await?;
        if let Some(old_until_ms) = rules::old_until_ms(now_ms) {
            rows::remove_old_versions(write.statement(), secret, old_until_ms).await?;
        }
        rows::touch_secret(write.statement(), secret, now_ms).await?;
        write.commit().await?;
        let labels = rules::labels_of(&after.held, id);
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
        let mut write = self.write().await?;
        let wanted = to.cloned().map(Which::Id);
        let Found {
            secret,
            held,
            version,
        } = rows::find(write.statement(), name, wanted.as_ref()).await?;
        let to_has_value = version.map(|version| version.sealed.is_some());
        let after = rules::move_label(&held, |_| to_has_value, label, from, to)?;
        if after == held {
            return Ok(());
        }
        write.labels(secret, &held, &after).await?;
        rows::touch_secret(write.statement(), secret, now_ms).await?;
        write.commit().await
    }

    async fn begin_run(&self, name: &SecretName) -> Result<Option<RunGuard>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(errors::statement)?;
        let secret = rows::secret(&mut connection, name).await?;
        self.runs.begin(secret)
    }

    async fn notes(&self, name: &SecretName) -> Result<Notes, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(errors::statement)?;
        rows::notes(&mut connection, name).await
    }

    async fn write_notes(
        &self,
        name: &SecretName,
        expected_revision: u64,
        json: &str,
    ) -> Result<u64, StoreError> {
        rules::check_notes(json)?;
        let mut write = self.write().await?;
        let found = rows::notes(write.statement(), name).await?.revision;
        if found != expected_revision {
            return Err(rules::notes_revision_differs(expected_revision, found));
        }
        let notes = Notes {
            json: json.to_owned(),
            revision: found + 1,
        };
        rows::replace_notes(write.statement(), name, &notes).await?;
        write.commit().await?;
        Ok(notes.revision)
    }
}

impl EmbeddedStore {
    fn is_sealed_in(
        &self,
        name: &SecretName,
        id: &VersionId,
        value: &SecretString,
        sealed: &[u8],
    ) -> Result<bool, StoreError> {
        let stored = self.key.open_value(name, id, sealed)?;
        Ok(stored.expose_secret() == value.expose_secret())
    }
}

/// The path as SQLite should see it: relative ones could begin with `file:`, which it takes for a URI.
fn absolute(path: &Path) -> Result<path::PathBuf, OpenError> {
    path::absolute(path).map_err(|source| OpenError::File {
        doing: "finding",
        path: path.to_owned(),
        source,
    })
}

fn pool(options: SqliteConnectOptions, connections_max: u32) -> SqlitePool {
    // A connection to a local file does not go stale, so nothing is asked of it before use and it is not replaced.
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .test_before_acquire(false)
        .max_lifetime(None)
        .after_release(|connection, _| Box::pin(is_reusable(connection)))
        .connect_lazy_with(options)
}

/// After a full disk or an input/output error SQLite rolls back by itself; sqlx then believes for good that the
/// transaction goes on, and would refuse every later one on this connection.
async fn is_reusable(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // The answer comes after the rollback that a dropped transaction asked for.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

async fn open_key(
    path: &Path,
    writer: &SqlitePool,
    master: &MasterKey,
) -> Result<DataKey, OpenError> {
    let failed = file::database_error(path);
    let mut connection = writer.acquire().await.map_err(&failed)?;
    // Asked again through SQLite, because the log may hold a newer header than the file.
    let version: u32 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await
        .map_err(&failed)?;
    file::check_schema_version(path, version)?;
    let wrapped: Vec<u8> = sqlx::query_scalar("SELECT wrapped_data_key FROM store")
        .fetch_one(&mut *connection)
        .await
        .map_err(&failed)?;
    DataKey::unwrap(&wrapped, master).map_err(|seal::Broken| OpenError::WrongMasterKey {
        path: path.to_owned(),
    })
}
