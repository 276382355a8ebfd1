//! Secrets that are copied to other regions: a copy takes no writes, and AWSCURRENT is not moved while a copy lags, for
//! its readers would keep a value that is about to die.

use std::time::Duration;

use aws_sdk_secretsmanager::types::{ReplicationStatusType, StatusType};

use super::AwsStore;
use super::calls::Lag;
use super::described::Seen;
use crate::error::{ErrorKind, StoreError};
use crate::types::SecretName;

/// How long a promotion waits for the copies: on top of what its call may take, unless the invocation ends before.
const IN_SYNC_MAX: Duration = Duration::from_secs(30);

/// Says where a copy has to be changed instead.
pub(super) fn check_writable(seen: &Seen) -> Result<(), StoreError> {
    match &seen.primary_region {
        None => Ok(()),
        Some(primary) => Err(StoreError::new(
            ErrorKind::InvalidRequest,
            format!(
                "{} is a replica here, and a replica takes no writes",
                seen.name
            ),
            format!("work in the region of its primary, {primary}"),
        )),
    }
}

/// Refuses a candidate that could not become AWSCURRENT in time: by then its target has been changed.
pub(super) fn check_none_failed(seen: &Seen) -> Result<(), StoreError> {
    let mut replicas = seen.replicas.iter();
    let failed = replicas.find(|replica| replica.status() == Some(&StatusType::Failed));
    failed.map_or(Ok(()), |replica| Err(has_failed(&seen.name, replica)))
}

fn has_failed(name: &SecretName, replica: &ReplicationStatusType) -> StoreError {
    StoreError::new(
        ErrorKind::InvalidRequest,
        format!(
            "the replica of {name} in {} has failed: {}",
            region_of(replica),
            replica.status_message().unwrap_or("no reason was given")
        ),
        "replicate the secret to that region again, or remove the replica",
    )
}

fn region_of(replica: &ReplicationStatusType) -> &str {
    replica.region().unwrap_or("another region")
}

impl AwsStore {
    /// Waits until every copy shows what the primary holds.
    pub(super) async fn wait_for_replicas(
        &self,
        name: &SecretName,
        mut seen: Seen,
    ) -> Result<(), StoreError> {
        let mut lag = Lag::until(self.within_deadline(IN_SYNC_MAX));
        while let Some(behind) = behind(&seen.replicas) {
            if behind.status() == Some(&StatusType::Failed) {
                return Err(has_failed(name, behind));
            }
            if !lag.wait().await {
                return Err(StoreError::new(
                    ErrorKind::Unavailable,
                    format!(
                        "the replica of {name} in {} is not in sync yet",
                        region_of(behind)
                    ),
                    "try again in a minute; AWSCURRENT moves once it is",
                ));
            }
            seen = self.look(name).await?;
        }
        Ok(())
    }
}

fn behind(replicas: &[ReplicationStatusType]) -> Option<&ReplicationStatusType> {
    let mut replicas = replicas.iter();
    replicas.find(|replica| replica.status() != Some(&StatusType::InSync))
}
