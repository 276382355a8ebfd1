//! The SQL, statement by statement, with rows turned into the crate's types. No rule stands here: what a statement
//! should do was decided in `rules`, and what must never happen is refused by the schema. What several statements
//! answer belongs together only within one transaction, which is the caller's.

use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use super::errors::{impossible_row, statement};
use crate::error::StoreError;
use crate::limits;
use crate::rules::{self, Held};
use crate::types::{Notes, SecretDescription, SecretName, VersionDescription, VersionId, Which};

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

pub(super) fn find_secret(
    connection: &Connection,
    name: &SecretName,
) -> Result<Option<i64>, StoreError> {
    one(
        connection,
        "SELECT id FROM secret WHERE name = ?1",
        [name.as_str()],
        |row| row.get(0),
    )
}

/// The row number of a secret that has to exist.
pub(super) fn secret(connection: &Connection, name: &SecretName) -> Result<i64, StoreError> {
    find_secret(connection, name)?.ok_or_else(|| rules::no_secret(name))
}

pub(super) fn describe(
    connection: &Connection,
    name: &SecretName,
) -> Result<SecretDescription, StoreError> {
    let row = one(
        connection,
        "SELECT id, name, description, created_at_ms, changed_at_ms FROM secret WHERE name = ?1",
        [name.as_str()],
        SecretRow::read,
    )?;
    description(connection, row.ok_or_else(|| rules::no_secret(name))?)
}

pub(super) fn list(connection: &Connection) -> Result<Vec<SecretDescription>, StoreError> {
    let rows = all(
        connection,
        "SELECT id, name, description, created_at_ms, changed_at_ms FROM secret ORDER BY name",
        [],
        SecretRow::read,
    )?;
    rows.into_iter()
        .map(|row| description(connection, row))
        .collect()
}

pub(super) fn insert_secret(
    connection: &Connection,
    name: &SecretName,
    description: Option<&str>,
    now_ms: u64,
) -> Result<i64, StoreError> {
    execute(
        connection,
        "INSERT INTO secret (name, description, created_at_ms, changed_at_ms) VALUES (?1, ?2, ?3, ?3)",
        params![name.as_str(), description, signed(now_ms)],
    )?;
    Ok(connection.last_insert_rowid())
}

pub(super) fn touch_secret(
    connection: &Connection,
    secret: i64,
    now_ms: u64,
) -> Result<(), StoreError> {
    execute(
        connection,
        "UPDATE secret SET changed_at_ms = ?2 WHERE id = ?1",
        params![secret, signed(now_ms)],
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

fn held(connection: &Connection, secret: i64) -> Result<Held, StoreError> {
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

/// Answered by the index `version_summary` alone: a secret has a hundred values and more, and none of them is read.
const VERSION_SUMMARIES: &str = "SELECT id, sealed IS NOT NULL, created_at_ms FROM version WHERE secret_id = ?1 ORDER BY ordinal";

struct SecretRow {
    id: i64,
    name: String,
    description: Option<String>,
    created_at_ms: i64,
    changed_at_ms: i64,
}

impl SecretRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            description: row.get(2)?,
            created_at_ms: row.get(3)?,
            changed_at_ms: row.get(4)?,
        })
    }
}

fn description(
    connection: &Connection,
    secret: SecretRow,
) -> Result<SecretDescription, StoreError> {
    let name = SecretName::new(secret.name).map_err(|error| {
        impossible_row("the store holds a secret with an impossible name").with_source(error)
    })?;
    let held = held(connection, secret.id)?;
    let versions: Vec<(String, bool, i64)> =
        all(connection, VERSION_SUMMARIES, [secret.id], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let versions = versions
        .into_iter()
        .map(|(id, has_value, created_at_ms)| {
            let id = version_id(id)?;
            Ok(VersionDescription {
                labels: rules::labels_of(&held, &id),
                id,
                has_value,
                created_at_ms: unsigned(created_at_ms),
            })
        })
        .collect::<Result<_, StoreError>>()?;
    Ok(SecretDescription {
        name,
        description: secret.description,
        created_at_ms: unsigned(secret.created_at_ms),
        changed_at_ms: unsigned(secret.changed_at_ms),
        rotation_enabled: None,
        versions,
    })
}

fn one<T>(
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

fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut prepared = connection.prepare_cached(sql).map_err(statement)?;
    let rows = prepared.query_map(params, read).map_err(statement)?;
    rows.collect::<Result<_, _>>().map_err(statement)
}

fn execute(connection: &Connection, sql: &str, params: impl Params) -> Result<(), StoreError> {
    let mut prepared = connection.prepare_cached(sql).map_err(statement)?;
    prepared.execute(params).map(drop).map_err(statement)
}

fn version_id(id: String) -> Result<VersionId, StoreError> {
    VersionId::new(id).map_err(|error| {
        impossible_row("the store holds a version with an impossible id").with_source(error)
    })
}

/// SQLite's integers are signed; a time or revision beyond them is further away than any clock.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::schema;

    #[test]
    fn a_description_reads_no_page_of_values() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(schema::TABLES).unwrap();
        let explain = format!("EXPLAIN QUERY PLAN {VERSION_SUMMARIES}");
        let plan: Vec<String> = all(&connection, &explain, [1], |row| row.get("detail")).unwrap();
        assert_eq!(
            plan,
            ["SEARCH version USING COVERING INDEX version_summary (secret_id=?)"]
        );
    }
}
