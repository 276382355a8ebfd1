//! The SQL, statement by statement, with rows turned into the crate's types. No rule stands here: what a statement
//! should do was decided in `rules`, and what must never happen is refused by the schema.

use sqlx::SqliteConnection;

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

/// A secret in one row, its versions and labels as JSON: a row for each of a hundred versions would cost far more to
/// hand over than to read.
macro_rules! descriptions_where {
    ($filter:literal) => {
        concat!(
            "SELECT name, description, created_at_ms, changed_at_ms,
                    (SELECT json_group_array(json_array(id, sealed IS NOT NULL, created_at_ms) ORDER BY ordinal)
                     FROM version WHERE secret_id = secret.id),
                    (SELECT json_group_array(json_array(label, version_id)) FROM label WHERE secret_id = secret.id)
             FROM secret WHERE ",
            $filter,
            " ORDER BY name"
        )
    };
}

type DescriptionRow = (String, Option<String>, i64, i64, String, String);
/// Id, whether it has a value (0 or 1), creation time.
type VersionSummary = (String, u8, i64);

pub(super) async fn describe(
    connection: &mut SqliteConnection,
    name: &SecretName,
) -> Result<SecretDescription, StoreError> {
    let row: Option<DescriptionRow> = sqlx::query_as(descriptions_where!("name = ?1"))
        .bind(name.as_str())
        .fetch_optional(connection)
        .await
        .map_err(statement)?;
    description(row.ok_or_else(|| rules::no_secret(name))?)
}

pub(super) async fn list(
    connection: &mut SqliteConnection,
) -> Result<Vec<SecretDescription>, StoreError> {
    let rows: Vec<DescriptionRow> = sqlx::query_as(descriptions_where!("TRUE"))
        .fetch_all(connection)
        .await
        .map_err(statement)?;
    rows.into_iter().map(description).collect()
}

/// A secret, its labels and one of its versions, as of one moment.
pub(super) struct Found {
    pub(super) secret: i64,
    pub(super) held: Held,
    /// The one that was asked for, if it is there.
    pub(super) version: Option<VersionRow>,
}

/// Secret, labels, and the version's sealed value and creation time.
type FoundRow = (i64, String, Option<Vec<u8>>, Option<i64>);

/// One statement, because each takes its turn between two threads.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    name: &SecretName,
    version: Option<&Which>,
) -> Result<Found, StoreError> {
    let (id, label) = match version {
        Some(Which::Id(id) | Which::IdWithLabel(id, _)) => (Some(id.as_str()), None),
        Some(Which::Label(label)) => (None, Some(label.as_str())),
        None => (None, None),
    };
    let row: Option<FoundRow> = sqlx::query_as(
        "SELECT secret.id,
                (SELECT json_group_array(json_array(label, version_id)) FROM label WHERE secret_id = secret.id),
                version.sealed, version.created_at_ms
         FROM secret
         LEFT JOIN version ON version.secret_id = secret.id AND version.id = coalesce(
             ?2, (SELECT version_id FROM label WHERE secret_id = secret.id AND label = ?3))
         WHERE secret.name = ?1",
    )
    .bind(name.as_str())
    .bind(id)
    .bind(label)
    .fetch_optional(connection)
    .await
    .map_err(statement)?;
    let (secret, labels, sealed, created_at_ms) = row.ok_or_else(|| rules::no_secret(name))?;
    Ok(Found {
        secret,
        held: held_of(&labels)?,
        version: created_at_ms.map(|created_at_ms| VersionRow {
            sealed,
            created_at_ms: unsigned(created_at_ms),
        }),
    })
}

pub(super) async fn find_secret(
    connection: &mut SqliteConnection,
    name: &SecretName,
) -> Result<Option<i64>, StoreError> {
    sqlx::query_scalar("SELECT id FROM secret WHERE name = ?1")
        .bind(name.as_str())
        .fetch_optional(connection)
        .await
        .map_err(statement)
}

/// The row number of a secret that has to exist.
pub(super) async fn secret(
    connection: &mut SqliteConnection,
    name: &SecretName,
) -> Result<i64, StoreError> {
    find_secret(connection, name)
        .await?
        .ok_or_else(|| rules::no_secret(name))
}

pub(super) async fn secret_description(
    connection: &mut SqliteConnection,
    secret: i64,
) -> Result<Option<String>, StoreError> {
    sqlx::query_scalar("SELECT description FROM secret WHERE id = ?1")
        .bind(secret)
        .fetch_one(connection)
        .await
        .map_err(statement)
}

pub(super) async fn insert_secret(
    connection: &mut SqliteConnection,
    name: &SecretName,
    description: Option<&str>,
    now_ms: u64,
) -> Result<i64, StoreError> {
    sqlx::query_scalar(
        "INSERT INTO secret (name, description, created_at_ms, changed_at_ms)
         VALUES (?1, ?2, ?3, ?3) RETURNING id",
    )
    .bind(name.as_str())
    .bind(description)
    .bind(signed(now_ms))
    .fetch_one(connection)
    .await
    .map_err(statement)
}

pub(super) async fn touch_secret(
    connection: &mut SqliteConnection,
    secret: i64,
    now_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE secret SET changed_at_ms = ?2 WHERE id = ?1")
        .bind(secret)
        .bind(signed(now_ms))
        .execute(connection)
        .await
        .map(drop)
        .map_err(statement)
}

pub(super) async fn version(
    connection: &mut SqliteConnection,
    secret: i64,
    id: &VersionId,
) -> Result<Option<VersionRow>, StoreError> {
    let row: Option<(Option<Vec<u8>>, i64)> = sqlx::query_as(
        "SELECT sealed, created_at_ms FROM version WHERE secret_id = ?1 AND id = ?2",
    )
    .bind(secret)
    .bind(id.as_str())
    .fetch_optional(connection)
    .await
    .map_err(statement)?;
    Ok(row.map(|(sealed, created_at_ms)| VersionRow {
        sealed,
        created_at_ms: unsigned(created_at_ms),
    }))
}

/// Inserts a version; without `sealed` it is one that has no value yet.
pub(super) async fn insert_version(
    connection: &mut SqliteConnection,
    secret: i64,
    id: &VersionId,
    sealed: Option<Vec<u8>>,
    now_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO version (secret_id, id, sealed, created_at_ms) VALUES (?1, ?2, ?3, ?4)",
    )
    .bind(secret)
    .bind(id.as_str())
    .bind(sealed)
    .bind(signed(now_ms))
    .execute(connection)
    .await
    .map(drop)
    .map_err(statement)
}

pub(super) async fn fill_version(
    connection: &mut SqliteConnection,
    secret: i64,
    id: &VersionId,
    sealed: Vec<u8>,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE version SET sealed = ?3 WHERE secret_id = ?1 AND id = ?2")
        .bind(secret)
        .bind(id.as_str())
        .bind(sealed)
        .execute(connection)
        .await
        .map(drop)
        .map_err(statement)
}

/// Removes the versions that carry no label, are not among the newest, and were stored at `old_until_ms` or before.
pub(super) async fn remove_old_versions(
    connection: &mut SqliteConnection,
    secret: i64,
    old_until_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM version
         WHERE secret_id = ?1
           AND created_at_ms <= ?2
           AND id NOT IN (SELECT version_id FROM label WHERE secret_id = ?1)
           AND ordinal NOT IN (
               SELECT ordinal FROM version WHERE secret_id = ?1 ORDER BY ordinal DESC LIMIT ?3
           )",
    )
    .bind(secret)
    .bind(signed(old_until_ms))
    .bind(limits::VERSIONS_KEPT as i64)
    .execute(connection)
    .await
    .map(drop)
    .map_err(statement)
}

/// Attaches a label, or moves it from the version that carries it.
pub(super) async fn attach_label(
    connection: &mut SqliteConnection,
    secret: i64,
    label: &str,
    id: &VersionId,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO label (secret_id, label, version_id) VALUES (?1, ?2, ?3)
         ON CONFLICT (secret_id, label) DO UPDATE SET version_id = excluded.version_id",
    )
    .bind(secret)
    .bind(label)
    .bind(id.as_str())
    .execute(connection)
    .await
    .map(drop)
    .map_err(statement)
}

pub(super) async fn remove_label(
    connection: &mut SqliteConnection,
    secret: i64,
    label: &str,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM label WHERE secret_id = ?1 AND label = ?2")
        .bind(secret)
        .bind(label)
        .execute(connection)
        .await
        .map(drop)
        .map_err(statement)
}

pub(super) async fn notes(
    connection: &mut SqliteConnection,
    name: &SecretName,
) -> Result<Notes, StoreError> {
    let row: Option<(String, i64)> =
        sqlx::query_as("SELECT notes, notes_revision FROM secret WHERE name = ?1")
            .bind(name.as_str())
            .fetch_optional(connection)
            .await
            .map_err(statement)?;
    let (json, revision) = row.ok_or_else(|| rules::no_secret(name))?;
    Ok(Notes {
        json,
        revision: unsigned(revision),
    })
}

pub(super) async fn replace_notes(
    connection: &mut SqliteConnection,
    name: &SecretName,
    notes: &Notes,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE secret SET notes = ?2, notes_revision = ?3 WHERE name = ?1")
        .bind(name.as_str())
        .bind(&notes.json)
        .bind(signed(notes.revision))
        .execute(connection)
        .await
        .map(drop)
        .map_err(statement)
}

fn description(row: DescriptionRow) -> Result<SecretDescription, StoreError> {
    let (name, description, created, changed, versions, labels) = row;
    let name = SecretName::new(name).map_err(|error| {
        impossible_row("the store holds a secret with an impossible name").with_source(error)
    })?;
    let held = held_of(&labels)?;
    let summaries: Vec<VersionSummary> = from_json(&versions)?;
    let versions = summaries
        .into_iter()
        .map(|(id, has_value, created)| {
            let id = version_id(id)?;
            Ok(VersionDescription {
                labels: rules::labels_of(&held, &id),
                id,
                has_value: has_value == 1,
                created_at_ms: unsigned(created),
            })
        })
        .collect::<Result<_, StoreError>>()?;
    Ok(SecretDescription {
        name,
        description,
        created_at_ms: unsigned(created),
        changed_at_ms: unsigned(changed),
        rotation_enabled: None,
        versions,
    })
}

/// From pairs of label and version id. Not from an object: SQLite cuts its names at a NUL, which a label may hold.
fn held_of(labels: &str) -> Result<Held, StoreError> {
    let labels: Vec<(String, String)> = from_json(labels)?;
    labels
        .into_iter()
        .map(|(label, id)| Ok((label, version_id(id)?)))
        .collect()
}

fn from_json<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| {
        impossible_row("the store's rows cannot be read as SQLite wrote them").with_source(error)
    })
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
