//! What a service keeps of a secret beside its versions, in the words of AWS Secrets Manager, and the rules for it as
//! pure functions: nothing here stores, reads a clock or keeps a value. The calls that write it are
//! [`crate::embedded::EmbeddedStore`]'s.

pub(crate) mod calendar;
mod cron;
pub mod filter;
pub mod paging;
pub mod policy;
pub(crate) mod rules;
pub mod schedule;

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::types::{SecretDescription, StoredVersion, VersionId};
use filter::Filter;
use schedule::{RotationRules, Window};

/// Everything that a service tells of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRecord {
    pub description: SecretDescription,
    /// Six letters and digits at the end of its ARN, which tell it from an earlier secret of its name.
    pub arn_suffix: String,
    pub kms_key_id: Option<String>,
    /// `None` if rotation was never set up.
    pub rotation: Option<Rotation>,
    /// Unix milliseconds since when AWSCURRENT is on the version that it is on.
    pub current_since_ms: Option<u64>,
    /// Unix milliseconds of the last promotion of a version that a rotation had prepared.
    pub rotated_at_ms: Option<u64>,
    /// Unix milliseconds of the midnight (UTC) that began the day of the last read.
    pub accessed_at_ms: Option<u64>,
    pub deletion: Option<Deletion>,
}

impl SecretRecord {
    /// When the secret is to rotate next; `None` if it is not to. A change by hand counts as a rotation, and so does
    /// setting other rules: neither must be followed by a rotation that nobody expects.
    pub fn next_rotation(&self, now_ms: u64) -> Option<Window> {
        let rotation = self.rotation.as_ref().filter(|_| self.deletion.is_none())?;
        let rules = rotation.settings.rules.as_ref();
        let rules = rules.filter(|_| rotation.settings.enabled)?;
        let since_ms = self.current_since_ms?.max(rotation.set_at_ms);
        rules.schedule().ok()?.next_window(since_ms, now_ms)
    }
}

/// Whether and when a service rotates a secret by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotationSettings {
    pub enabled: bool,
    pub lambda_arn: Option<String>,
    pub rules: Option<RotationRules>,
}

/// Settings as they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    pub settings: RotationSettings,
    /// Unix milliseconds since when they are what they are.
    pub set_at_ms: u64,
}

/// A secret that is marked for deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    /// Unix milliseconds.
    pub deleted_at_ms: u64,
    /// Unix milliseconds; from then on it cannot be restored.
    pub due_at_ms: u64,
}

/// What becomes of a secret that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// It can be restored for so many days, 7 to 30.
    Days(u64),
    /// It is gone at once.
    None,
}

/// The days of AWS where a client names none.
pub const RECOVERY_DAYS_DEFAULT: u64 = 30;

/// What a new secret starts with, in a service.
#[derive(Debug, Clone, Default)]
pub struct NewRecord {
    /// Its first version; without one it is a name that waits for a value.
    pub value: Option<(VersionId, SecretString)>,
    pub description: Option<String>,
    pub kms_key_id: Option<String>,
    pub tags: BTreeMap<String, String>,
}

/// What changes in a secret; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// A new version, which becomes AWSCURRENT.
    pub value: Option<(VersionId, SecretString)>,
    pub description: Option<String>,
    pub kms_key_id: Option<String>,
}

/// A value that was read for a client.
#[derive(Debug, Clone)]
pub struct Accessed {
    pub arn_suffix: String,
    pub version: StoredVersion,
}

/// In which order secrets are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SortBy {
    #[default]
    Created,
    Changed,
    Accessed,
    Name,
}

/// Which secrets to list.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// All of them have to match.
    pub filters: Vec<Filter>,
    /// The region that the service says it is, for filters.
    pub region: String,
    pub with_deleted: bool,
    pub sort_by: SortBy,
    /// AWS does not document which way it lists where a client does not say (?): `list-secrets` without `--sort-order`
    /// on a real account would show it. Here it is ascending.
    pub descending: bool,
    /// At most so many, 1 to 100.
    pub limit: usize,
    /// [`Page::next_token`] of the page before.
    pub token: Option<String>,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            filters: Vec::new(),
            region: String::new(),
            with_deleted: false,
            sort_by: SortBy::default(),
            descending: false,
            limit: PAGE_MAX,
            token: None,
        }
    }
}

/// Most secrets of one page.
pub const PAGE_MAX: usize = 100;

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub records: Vec<SecretRecord>,
    /// `None` on the last page.
    pub next_token: Option<String>,
}
