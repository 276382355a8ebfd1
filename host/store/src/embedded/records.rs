//! The SQL that reads whole secrets: all that is known of one but its values. No rule stands here.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};

use super::errors::impossible_row;
use super::rows::{all, deletion, held, one, tags, unsigned, version_id};
use crate::error::StoreError;
use crate::rules;
use crate::service::{Deletion, Rotation, RotationSettings, SecretRecord};
use crate::tags::Tags;
use crate::types::{SecretDescription, SecretName, VersionDescription};

/// Answered by the index `version_summary` alone: a secret has a hundred values and more, and none of them is read.
const VERSION_SUMMARIES: &str = "SELECT id, sealed IS NOT NULL, created_at_ms FROM version WHERE secret_id = ?1 ORDER BY ordinal";

/// Notes and policies are long and have calls of their own.
const SECRETS: &str = "SELECT id, name, description, created_at_ms, changed_at_ms, arn_suffix, kms_key_id, rotation,
    rotation_set_at_ms, current_since_ms, rotated_at_ms, accessed_at_ms, deleted_at_ms, deletion_due_at_ms FROM secret";

/// A secret's own row.
pub(super) struct SecretRow {
    pub(super) id: i64,
    name: String,
    description: Option<String>,
    created_at_ms: i64,
    changed_at_ms: i64,
    arn_suffix: String,
    kms_key_id: Option<String>,
    rotation: Option<String>,
    rotation_set_at_ms: Option<i64>,
    current_since_ms: Option<i64>,
    rotated_at_ms: Option<i64>,
    accessed_at_ms: Option<i64>,
    deletion: Option<Deletion>,
}

impl SecretRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            description: row.get(2)?,
            created_at_ms: row.get(3)?,
            changed_at_ms: row.get(4)?,
            arn_suffix: row.get(5)?,
            kms_key_id: row.get(6)?,
            rotation: row.get(7)?,
            rotation_set_at_ms: row.get(8)?,
            current_since_ms: row.get(9)?,
            rotated_at_ms: row.get(10)?,
            accessed_at_ms: row.get(11)?,
            deletion: deletion(row.get(12)?, row.get(13)?),
        })
    }

    /// All but the versions.
    pub(super) fn record(self, tags: Tags) -> Result<SecretRecord, StoreError> {
        let name = SecretName::new(self.name).map_err(|error| {
            impossible_row("the store holds a secret with an impossible name").with_source(error)
        })?;
        let rotation = match self.rotation {
            Some(json) => Some(Rotation {
                settings: settings(&json)?,
                set_at_ms: self.rotation_set_at_ms.map_or(0, unsigned),
            }),
            None => None,
        };
        Ok(SecretRecord {
            description: SecretDescription {
                name,
                description: self.description,
                created_at_ms: unsigned(self.created_at_ms),
                changed_at_ms: unsigned(self.changed_at_ms),
                tags,
                rotation_enabled: rotation.as_ref().map(|rotation| rotation.settings.enabled),
                last_rotated_at_ms: self.rotated_at_ms.map(unsigned),
                next_rotation_at_ms: None,
                versions: Vec::new(),
            },
            arn_suffix: self.arn_suffix,
            kms_key_id: self.kms_key_id,
            rotation,
            current_since_ms: self.current_since_ms.map(unsigned),
            rotated_at_ms: self.rotated_at_ms.map(unsigned),
            accessed_at_ms: self.accessed_at_ms.map(unsigned),
            deletion: self.deletion,
        })
    }
}

pub(super) fn describe(
    connection: &Connection,
    name: &SecretName,
) -> Result<SecretDescription, StoreError> {
    record(connection, name).map(|record| record.description)
}

pub(super) fn record(
    connection: &Connection,
    name: &SecretName,
) -> Result<SecretRecord, StoreError> {
    let sql = format!("{SECRETS} WHERE name = ?1");
    let row = one(connection, &sql, [name.as_str()], SecretRow::read)?;
    whole(connection, row.ok_or_else(|| rules::no_secret(name))?)
}

/// Those that are not marked for deletion.
pub(super) fn list(connection: &Connection) -> Result<Vec<SecretDescription>, StoreError> {
    let sql = format!("{SECRETS} WHERE deleted_at_ms IS NULL ORDER BY name");
    let rows = all(connection, &sql, [], SecretRow::read)?;
    rows.into_iter()
        .map(|row| whole(connection, row).map(|record| record.description))
        .collect()
}

/// Every secret by its row number, without its versions.
pub(super) fn without_versions(
    connection: &Connection,
) -> Result<Vec<(i64, SecretRecord)>, StoreError> {
    let mut tags = all_tags(connection)?;
    all(connection, SECRETS, [], SecretRow::read)?
        .into_iter()
        .map(|row| {
            let secret = row.id;
            let tags = tags.remove(&secret).unwrap_or_default();
            Ok((secret, row.record(tags)?))
        })
        .collect()
}

/// Adds the versions to a record that was read without.
pub(super) fn add_versions(
    connection: &Connection,
    secret: i64,
    record: &mut SecretRecord,
) -> Result<(), StoreError> {
    record.description.versions = versions(connection, secret)?;
    Ok(())
}

/// Whether the ARN of the secret with this name ends so.
pub(super) fn has_arn_suffix(
    connection: &Connection,
    name: &SecretName,
    suffix: &str,
) -> Result<bool, StoreError> {
    let found = one(
        connection,
        "SELECT arn_suffix = ?2 FROM secret WHERE name = ?1",
        [name.as_str(), suffix],
        |row| row.get(0),
    )?;
    Ok(found.unwrap_or(false))
}

fn whole(connection: &Connection, row: SecretRow) -> Result<SecretRecord, StoreError> {
    let secret = row.id;
    let mut record = row.record(tags(connection, secret)?)?;
    add_versions(connection, secret, &mut record)?;
    Ok(record)
}

fn versions(connection: &Connection, secret: i64) -> Result<Vec<VersionDescription>, StoreError> {
    let held = held(connection, secret)?;
    let versions: Vec<(String, bool, i64)> = all(connection, VERSION_SUMMARIES, [secret], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    versions
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
        .collect()
}

fn all_tags(connection: &Connection) -> Result<BTreeMap<i64, Tags>, StoreError> {
    let rows: Vec<(i64, String, String)> = all(
        connection,
        "SELECT secret_id, key, value FROM tag",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let mut tags = BTreeMap::<i64, Tags>::new();
    for (secret, key, value) in rows {
        tags.entry(secret).or_default().insert(key, value);
    }
    Ok(tags)
}

fn settings(json: &str) -> Result<RotationSettings, StoreError> {
    serde_json::from_str(json).map_err(|error| {
        impossible_row("the store holds rotation settings that cannot be read").with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::schema;

    #[test]
    fn a_description_reads_no_page_of_values() {
        let connection = Connection::open_in_memory().unwrap();
        schema::bring_up_to_date(&connection, 0).unwrap();
        let explain = format!("EXPLAIN QUERY PLAN {VERSION_SUMMARIES}");
        let plan: Vec<String> = all(&connection, &explain, [1], |row| row.get("detail")).unwrap();
        assert_eq!(
            plan,
            ["SEARCH version USING COVERING INDEX version_summary (secret_id=?)"]
        );
    }
}
