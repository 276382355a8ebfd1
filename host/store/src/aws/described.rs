//! From the service's descriptions to ours. The staging labels always come from one answer, because two answers may
//! show two moments; a list of versions only adds dates, order and the versions without a label.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::primitives::DateTime;
use aws_sdk_secretsmanager::types::{
    ReplicationStatusType, SecretListEntry, SecretVersionsListEntry, Tag,
};

use super::tags::{self, Tags};
use crate::error::{ErrorKind, StoreError};
use crate::labels;
use crate::rules::{self, Held};
use crate::types::{SecretDescription, SecretName, VersionDescription, VersionId};

/// A secret as one answer of the service shows it.
pub(super) struct Seen {
    pub(super) name: SecretName,
    pub(super) held: Held,
    pub(super) tags: Tags,
    /// The region that takes writes, where this one is a replica.
    pub(super) primary_region: Option<String>,
    pub(super) replicas: Vec<ReplicationStatusType>,
    pub(super) description: Option<String>,
    created_at_ms: u64,
    changed_at_ms: u64,
    rotation_enabled: Option<bool>,
    last_rotated_at_ms: Option<u64>,
    next_rotation_at_ms: Option<u64>,
}

impl Seen {
    pub(super) fn of(name: &SecretName, answer: DescribeSecretOutput) -> Result<Self, StoreError> {
        let created_at_ms = milliseconds(answer.created_date.as_ref());
        let region = answer.arn().and_then(region_of);
        let primary = answer
            .primary_region
            .filter(|primary| Some(primary.as_str()) != region.as_deref());
        Ok(Self {
            name: name.clone(),
            held: held_of(answer.version_ids_to_stages)?,
            tags: tags_of(answer.tags),
            primary_region: primary,
            replicas: answer.replication_status.unwrap_or_default(),
            description: answer.description.filter(|text| !text.is_empty()),
            created_at_ms,
            changed_at_ms: milliseconds(answer.last_changed_date.as_ref()).max(created_at_ms),
            rotation_enabled: answer.rotation_enabled,
            last_rotated_at_ms: answer.last_rotated_date.as_ref().map(at_ms),
            next_rotation_at_ms: answer.next_rotation_date.as_ref().map(at_ms),
        })
    }

    pub(super) fn listed(answer: SecretListEntry) -> Result<Self, StoreError> {
        let created_at_ms = milliseconds(answer.created_date.as_ref());
        Ok(Self {
            name: SecretName::new(answer.name.unwrap_or_default())?,
            held: held_of(answer.secret_versions_to_stages)?,
            tags: tags_of(answer.tags),
            primary_region: None,
            replicas: Vec::new(),
            description: answer.description.filter(|text| !text.is_empty()),
            created_at_ms,
            changed_at_ms: milliseconds(answer.last_changed_date.as_ref()).max(created_at_ms),
            rotation_enabled: answer.rotation_enabled,
            last_rotated_at_ms: answer.last_rotated_date.as_ref().map(at_ms),
            next_rotation_at_ms: answer.next_rotation_date.as_ref().map(at_ms),
        })
    }

    /// The version of a rotation that may not have a value yet.
    pub(super) fn pending(&self) -> Option<&VersionId> {
        let pending = self.held.get(labels::PENDING)?;
        (self.held.get(labels::CURRENT) != Some(pending)).then_some(pending)
    }

    pub(super) fn notes_revision(&self) -> Option<u64> {
        tags::read(&self.tags).ok().map(|notes| notes.revision)
    }

    /// The whole description. `listed` is `None` where the versions may not be listed: then those without a label are
    /// missing, and all are as old as the secret.
    pub(super) fn describe(
        self,
        listed: Option<Vec<SecretVersionsListEntry>>,
        empty: Option<&VersionId>,
    ) -> SecretDescription {
        let mut listed: Vec<(u64, VersionId)> = listed
            .unwrap_or_default()
            .into_iter()
            .filter_map(|entry| {
                let id = VersionId::new(entry.version_id?).ok()?;
                Some((milliseconds(entry.created_date.as_ref()), id))
            })
            .collect();
        // Stable: what was made in the same moment stays in the service's order.
        listed.sort_by_key(|(created_at_ms, _)| *created_at_ms);
        let known: BTreeSet<_> = listed.iter().map(|(_, id)| id.clone()).collect();
        let unlisted = self.in_likely_order().filter(|id| !known.contains(id));
        let unlisted: Vec<_> = unlisted.map(|id| (self.created_at_ms, id)).collect();
        let versions = listed
            .into_iter()
            .chain(unlisted)
            .map(|(created_at_ms, id)| VersionDescription {
                labels: rules::labels_of(&self.held, &id),
                has_value: Some(&id) != empty,
                created_at_ms,
                id,
            });
        SecretDescription {
            versions: versions.collect(),
            name: self.name,
            description: self.description,
            created_at_ms: self.created_at_ms,
            changed_at_ms: self.changed_at_ms,
            tags: self
                .tags
                .into_iter()
                .filter(|(key, _)| !tags::is_note(key))
                .collect(),
            rotation_enabled: self.rotation_enabled,
            last_rotated_at_ms: self.last_rotated_at_ms,
            next_rotation_at_ms: self.next_rotation_at_ms,
        }
    }

    /// The labelled versions, each once: what was superseded, what is current, what comes.
    fn in_likely_order(&self) -> impl Iterator<Item = VersionId> + use<> {
        let place = |label: &str| match label {
            labels::PREVIOUS => 0,
            labels::CURRENT => 2,
            labels::PENDING => 3,
            _ => 1,
        };
        let mut places: BTreeMap<&VersionId, u8> = BTreeMap::new();
        for (label, id) in &self.held {
            let known = places.entry(id).or_default();
            *known = (*known).max(place(label));
        }
        let mut ids: Vec<_> = places.into_iter().collect();
        ids.sort_by_key(|(_, place)| *place);
        let ids: Vec<_> = ids.into_iter().map(|(id, _)| id.clone()).collect();
        ids.into_iter()
    }
}

fn held_of(stages: Option<HashMap<String, Vec<String>>>) -> Result<Held, StoreError> {
    let mut held = Held::new();
    for (id, labels) in stages.unwrap_or_default() {
        let id = VersionId::new(id)?;
        for label in labels {
            if let Some(other) = held.insert(label.clone(), id.clone()) {
                return Err(StoreError::new(
                    ErrorKind::Internal,
                    format!("the label {label:?} is on the versions {other} and {id} at once"),
                    "this is not AWS Secrets Manager, or a fault of it; take the label off one of them",
                ));
            }
        }
    }
    Ok(held)
}

fn tags_of(tags: Option<Vec<Tag>>) -> Tags {
    let tags = tags.unwrap_or_default().into_iter();
    tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
        .collect()
}

/// `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX`
fn region_of(arn: &str) -> Option<String> {
    arn.split(':').nth(3).map(str::to_owned)
}

/// 0 where the service tells no time.
pub(super) fn milliseconds(time: Option<&DateTime>) -> u64 {
    time.map_or(0, at_ms)
}

/// The service's times have fractions of seconds as binary numbers, so that cutting off would lose a millisecond.
fn at_ms(time: &DateTime) -> u64 {
    u64::try_from((time.as_nanos() + 500_000) / 1_000_000).unwrap_or(0)
}
