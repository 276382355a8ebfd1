//! The SQL, statement by statement, with rows turned into the crate's types. No rule stands here: what a statement
//! should do was decided in `rules`, and what must never happen is refused by the schema. What several statements
//! answer belongs together only within one transaction, which is the caller's.

use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use super::errors::{impossible_row, statement};
use crate::error::StoreError;
use crate::limits;
use crate::rules::{self, CurrentMove, Held};
use crate::service::{self, Deletion, NewRecord};
use crate::tags::Tags;
use crate::types::{Notes, SecretName, VersionId, Which};

/// A version as it lies in its row.
pub(super) struct VersionRow {
    pub(super) sealed: Option<Vec<u8>>,
    pub(super) created_at_ms: u64,
}

/// A secret, its labels and one of its versions.
pub(super) struct Found {
    pub(super) secret: i64,
    pub(super) held: Held,
    /// The one that was asked for, if it is there.
    pub(super) version: Option<VersionRow>,
}

pub(super) fn find(
    connection: &Connection,
    name: &SecretName,
    version: Option<&Which>,
) -> Result<Found, StoreError> {
    let secret = secret(connection, name)?;
    let held = held(connection, secret)?;
    let id = match version {
        Some(Which::Id(id) | Which::IdWithLabel(id, _)) => Some(id),
        Some(Which::Label(label)) => held.get(label),
        None => None,
    };
    let version = match id {
        Some(id) => self::version(connection, secret, id)?,
        None => None,
    };
    Ok(Found {
        secret,
        held,
        version,
    })
}

/// A secret's row number, whether or not it is marked for deletion.
pub(super) fn find_secret(
    connection: &Connection,
    name: &SecretName,
) -> Result<Option<(i64, Option<Deletion>)>, StoreError> {
    one(
        connection,
        "SELECT id, deleted_at_ms, deletion_due_at_ms FROM secret WHERE name = ?1",
        [name.as_str()],
        |row| Ok((row.get(0)?, deletion(row.get(1)?, row.get(2)?))),
    )
}

pub(super) fn deletion(deleted_at_ms: Option<i64>, due_at_ms: Option<i64>) -> Option<Deletion> {
    Some(Deletion {
        deleted_at_ms: unsigned(deleted_at_ms?),
        due_at_ms: unsigned(due_at_ms?),
    })
}

/// The row number of a secret that has to exist and must not be marked for deletion.
pub(super) fn secret(connection: &Connection, name: &SecretName) -> Result<i64, StoreError> {
    let found = find_secret(connection, name)?;
    let (secret, deletion) = found.ok_or_else(|| rules::no_secret(name))?;
    match deletion {
        None => Ok(secret),
        Some(_) => Err(service::rules::marked_for_deletion()),
    }
}

/// A secret whose versions and tags follow.
pub(super) fn insert_secret(
    connection: &Connection,
    name: &SecretName,
    new: &NewRecord,
    now_ms: u64,
) -> Result<i64, StoreError> {
    let current_since_ms = new.value.as_ref().map(|_| signed(now_ms));
    execute(
        connection,
        "INSERT INTO secret (name, description, kms_key_id, created_at_ms, changed_at_ms, current_since_ms)
         VALUES (?1, ?2, ?3, ?4, ?4, ?5)",
        params![
            name.as_str(),
            new.description,
            new.kms_key_id,
            signed(now_ms),
            current_since_ms
        ],
    )?;
    Ok(connection.last_insert_rowid())
}

/// Dates a change, and what AWSCURRENT's move means.
pub(super) fn touch_secret(
    connection: &Connection,
    secret: i64,
    current: CurrentMove,
    now_ms: u64,
) -> Result<(), StoreError> {
    execute(
        connection,
        "UPDATE secret SET
             changed_at_ms = ?2,
             current_since_ms = iif(?3, ?2, current_since_ms),
             rotated_at_ms = iif(?4, ?2, rotated_at_ms)
         WHERE id = ?1",
        params![
            secret,
            signed(now_ms),
            current != CurrentMove::None,
            current == CurrentMove::Rotation
        ],
    )
}

fn version(
    connection: &Connection,
    secret: i64,
    id: &VersionId,
) -> Result<Option<VersionRow>, StoreError> {
    one(
        connection,
        "SELECT sealed, created_at_ms FROM version WHERE secret_id = ?1 AND id = ?2",
        params![secret, id.as_str()],
        |row| {
            Ok(VersionRow {
                sealed: row.get(0)?,
                created_at_ms: unsigned(row.get(1)?),
            })
        },
    )
}

pub(super) fn version_count(connection: &Connection, secret: i64) -> Result<usize, StoreError> {
    let count = one(
        connection,
        "SELECT count(*) FROM version WHERE secret_id = ?1",
        [secret],
        |row| row.get(0),
    )?;
    Ok(usize::try_from(count.unwrap_or(0_i64)).unwrap_or(0))
}

/// Inserts a version; without `sealed` it is one that has no value yet.
pub(super) fn insert_version(
    connection: &Connection,
    secret: i64,
    id: &VersionId,
    sealed: Option<&[u8]>,
    now_ms: u64,
) -> Result<(), StoreError> {
    execute(
        connection,
        "INSERT INTO version (secret_id, id, sealed, created_at_ms) VALUES (?1, ?2, ?3, ?4)",
        params![secret, id.as_str(), sealed, signed(now_ms)],
    )
}

pub(super) fn fill_version(
    connection: &Connection,
    secret: i64,
    id: &VersionId,
    sealed: &[u8],
) -> Result<(), StoreError> {
    execute(
        connection,
        "UPDATE version SET sealed = ?3 WHERE secret_id = ?1 AND id = ?2",
        params![secret, id.as_str(), sealed],
    )
}

/// Removes a version that carries no label.
pub(super) fn remove_version(
    connection: &Connection,
    secret: i64,
    id: &VersionId,
) -> Result<(), StoreError> {
    execute(
        connection,
        "DELETE FROM version WHERE secret_id = ?1 AND id = ?2",
        params![secret, id.as_str()],
    )
}

/// Removes the versions that carry no label, are not among the newest, and were stored at `old_until_ms` or before.
pub(super) fn remove_old_versions(
    connection: &Connection,
    secret: i64,
    old_until_ms: u64,
) -> Result<(), StoreError> {
    execute(
        connection,
        "DELETE FROM version
         WHERE secret_id = ?1
           AND created_at_ms <= ?2
           AND id NOT IN (SELECT version_id FROM label WHERE secret_id = ?1)
           AND ordinal NOT IN (
               SELECT ordinal FROM version WHERE secret_id = ?1 ORDER BY ordinal DESC LIMIT ?3
           )",
        params![secret, signed(old_until_ms), limits::VERSIONS_KEPT as i64],
    )
}

pub(super) fn held(connection: &Connection, secret: i64) -> Result<Held, StoreError> {
    let labels: Vec<(String, String)> = all(
        connection,
        "SELECT label, version_id FROM label WHERE secret_id = ?1",
        [secret],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    labels
        .into_iter()
        .map(|(label, id)| Ok((label, version_id(id)?)))
        .collect()
}

/// Attaches a label, or moves it from the version that carries it.
pub(super) fn attach_label(
    connection: &Connection,
    secret: i64,
    label: &str,
    id: &VersionId,
) -> Result<(), StoreError> {
    execute(
        connection,
        "INSERT INTO label (secret_id, label, version_id) VALUES (?1, ?2, ?3)
         ON CONFLICT (secret_id, label) DO UPDATE SET version_id = excluded.version_id",
        params![secret, label, id.as_str()],
    )
}

pub(super) fn remove_label(
    connection: &Connection,
    secret: i64,
    label: &str,
) -> Result<(), StoreError> {
    execute(
        connection,
        "DELETE FROM label WHERE secret_id = ?1 AND label = ?2",
        params![secret, label],
    )
}

pub(super) fn tags(connection: &Connection, secret: i64) -> Result<Tags, StoreError> {
    let tags: Vec<(String, String)> = all(
        connection,
        "SELECT key, value FROM tag WHERE secret_id = ?1",
        [secret],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(tags.into_iter().collect())
}

/// Adds a tag, or gives the one with this key the new value.
pub(super) fn set_tag(
    connection: &Connection,
    secret: i64,
    key: &str,
    value: &str,
) -> Result<(), StoreError> {
    execute(
        connection,
        "INSERT INTO tag (secret_id, key, value) VALUES (?1, ?2, ?3)
         ON CONFLICT (secret_id, key) DO UPDATE SET value = excluded.value",
        params![secret, key, value],
    )
}

pub(super) fn remove_tag(
    connection: &Connection,
    secret: i64,
    key: &str,
) -> Result<(), StoreError> {
    execute(
        connection,
        "DELETE FROM tag WHERE secret_id = ?1 AND key = ?2",
        params![secret, key],
    )
}

pub(super) fn update_details(
    connection: &Connection,
    secret: i64,
    description: Option<&str>,
    kms_key_id: Option<&str>,
) -> Result<(), StoreError> {
    execute(
        connection,
        "UPDATE secret SET description = ifnull(?2, description), kms_key_id = ifnull(?3, kms_key_id)
         WHERE id = ?1",
        params![secret, description, kms_key_id],
    )
}

/// Marks a secret for deletion, or takes the mark off.
pub(super) fn mark(
    connection: &Connection,
    secret: i64,
    deletion: Option<Deletion>,
) -> Result<(), StoreError> {
    execute(
        connection,
        "UPDATE secret SET deleted_at_ms = ?2, deletion_due_at_ms = ?3 WHERE id = ?1",
        params![
            secret,
            deletion.map(|deletion| signed(deletion.deleted_at_ms)),
            deletion.map(|deletion| signed(deletion.due_at_ms))
        ],
    )
}

/// The statements that remove a secret which is marked for deletion.
pub(super) const REMOVE: [&str; 4] = [
    "DELETE FROM label WHERE secret_id = ?1",
    "DELETE FROM version WHERE secret_id = ?1",
    "DELETE FROM tag WHERE secret_id = ?1",
    "DELETE FROM secret WHERE id = ?1",
];

/// The secrets whose deletion is due.
pub(super) fn due(connection: &Connection, now_ms: u64) -> Result<Vec<(i64, String)>, StoreError> {
    all(
        connection,
        "SELECT id, name FROM secret WHERE deletion_due_at_ms <= ?1 ORDER BY name",
        [signed(now_ms)],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// The settings of a secret's rotation, as JSON.
pub(super) fn rotation(connection: &Connection, secret: i64) -> Result<Option<String>, StoreError> {
    let rotation = one(
        connection,
        "SELECT rotation FROM secret WHERE id = ?1",
        [secret],
        |row| row.get(0),
    )?;
    Ok(rotation.flatten())
}

pub(super) fn set_rotation(
    connection: &Connection,
    secret: i64,
    settings: &str,
    now_ms: u64,
) -> Result<(), StoreError> {
    execute(
        connection,
        "UPDATE secret SET rotation = ?2, rotation_set_at_ms = ?3 WHERE id = ?1",
        params![secret, settings, signed(now_ms)],
    )
}

pub(super) fn resource_policy(
    connection: &Connection,
    secret: i64,
) -> Result<Option<String>, StoreError> {
    let policy = one(
        connection,
        "SELECT resource_policy FROM secret WHERE id = ?1",
        [secret],
        |row| row.get(0),
    )?;
    Ok(policy.flatten())
}

pub(super) fn set_resource_policy(
    connection: &Connection,
    secret: i64,
    policy: Option<&str>,
) -> Result<(), StoreError> {
    execute(
        connection,
        "UPDATE secret SET resource_policy = ?2 WHERE id = ?1",
        params![secret, policy],
    )
}

/// The end of a secret's ARN, and when it was last read.
pub(super) fn arn_suffix_and_access(
    connection: &Connection,
    secret: i64,
) -> Result<(String, Option<u64>), StoreError> {
    let found = one(
        connection,
        "SELECT arn_suffix, accessed_at_ms FROM secret WHERE id = ?1",
        [secret],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let (suffix, accessed_at_ms): (String, Option<i64>) =
        found.ok_or_else(|| impossible_row("a secret went in the middle of a transaction"))?;
    Ok((suffix, accessed_at_ms.map(unsigned)))
}

/// Reads are not changes: the date of the last change stays.
pub(super) fn date_access(
    connection: &Connection,
    secret: i64,
    at_ms: u64,
) -> Result<(), StoreError> {
    execute(
        connection,
        "UPDATE secret SET accessed_at_ms = ?2 WHERE id = ?1",
        params![secret, signed(at_ms)],
    )
}

pub(super) fn notes(connection: &Connection, name: &SecretName) -> Result<Notes, StoreError> {
    let notes = one(
        connection,
        "SELECT notes, notes_revision FROM secret WHERE name = ?1",
        [name.as_str()],
        |row| {
            Ok(Notes {
                json: row.get(0)?,
                revision: unsigned(row.get(1)?),
            })
        },
    )?;
    notes.ok_or_else(|| rules::no_secret(name))
}

pub(super) fn replace_notes(
    connection: &Connection,
    name: &SecretName,
    notes: &Notes,
) -> Result<(), StoreError> {
    execute(
        connection,
        "UPDATE secret SET notes = ?2, notes_revision = ?3 WHERE name = ?1",
        params![name.as_str(), notes.json, signed(notes.revision)],
    )
}

pub(super) fn one<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    let mut prepared = connection.prepare_cached(sql).map_err(statement)?;
    prepared
        .query_row(params, read)
        .optional()
        .map_err(statement)
}

pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut prepared = connection.prepare_cached(sql).map_err(statement)?;
    let rows = prepared.query_map(params, read).map_err(statement)?;
    rows.collect::<Result<_, _>>().map_err(statement)
}

pub(super) fn execute(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<(), StoreError> {
    let mut prepared = connection.prepare_cached(sql).map_err(statement)?;
    prepared.execute(params).map(drop).map_err(statement)
}

pub(super) fn version_id(id: String) -> Result<VersionId, StoreError> {
    VersionId::new(id).map_err(|error| {
        impossible_row("the store holds a version with an impossible id").with_source(error)
    })
}

/// SQLite's integers are signed; a time or revision beyond them is further away than any clock.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
