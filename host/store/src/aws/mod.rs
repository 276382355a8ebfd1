//! The store that is AWS Secrets Manager, or what speaks like it (`keyturn serve`). The service decides every move; this
//! module passes it on, and adds what its clients have to do themselves: repeat what was throttled, read back what got
//! no answer, wait for reads and replicas that lag. It keeps no value and starts no rotation of the service.
//!
//! Source: the AWS Secrets Manager API reference.

mod arns;
mod calls;
mod described;
mod errors;
mod notes;
mod options;
mod recent;
mod replicas;
mod stages;
mod tags;
#[cfg(test)]
mod wire_tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_config::BehaviorVersion;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Region;
use secrecy::{ExposeSecret, SecretString};

use crate::error::{ErrorKind, StoreError};
use crate::labels;
use crate::rules;
use crate::store::{RunGuard, SecretStore};
use crate::types::{
    NewSecret, Notes, Put, SecretDescription, SecretName, StoredVersion, VersionId, Which,
};
use arns::Arns;
use recent::Recent;

pub use options::{AwsOptions, Invocation, RotationToken};

/// Requests for one call, with growing pauses of random length between them.
const ATTEMPTS_MAX: u32 = 8;
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A [`SecretStore`] that is AWS Secrets Manager.
#[derive(Clone)]
pub struct AwsStore {
    client: Client,
    invocation: Invocation,
    /// When the call that is under way has to be over.
    until: Option<Instant>,
    recent: Arc<Recent>,
    arns: Arc<Arns>,
    /// Writers of notes in this process take turns: between processes, tags know no compare-and-swap.
    notes_turn: Arc<tokio::sync::Mutex<()>>,
    /// Secrets whose versions may not be listed; each is asked once.
    unlisted: Arc<Mutex<BTreeSet<SecretName>>>,
}

impl AwsStore {
    /// Finds region and credentials where AWS's own tools look for them. Nothing is sent to the service yet.
    ///
    /// # Errors
    /// `InvalidParameter` for an endpoint that would show values to a network, and where no region is known.
    pub async fn connect(options: &AwsOptions) -> Result<Self, StoreError> {
        let mut config = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = &options.region {
            config = config.region(Region::new(region.clone()));
        }
        if let Some(profile) = &options.profile {
            config = config.profile_name(profile);
        }
        if let Some(url) = &options.endpoint_url {
            options::check_endpoint(url)?;
            config = config.endpoint_url(url);
        }
        let config = config.load().await;
        if config
            .region()
            .is_none_or(|region| region.as_ref().is_empty())
        {
            return Err(StoreError::new(
                ErrorKind::InvalidParameter,
                "no AWS region is known",
                "set `region` in [store], the environment variable AWS_REGION, or a region in the profile",
            ));
        }
        Ok(Self::new(Client::new(&config)))
    }

    /// The store behind a client that somebody else has configured; how often requests are repeated and how long they
    /// may take is decided here all the same.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            invocation: Invocation::default(),
            until: None,
            recent: Arc::default(),
            arns: Arc::default(),
            notes_turn: Arc::default(),
            unlisted: Arc::default(),
        }
    }

    /// The same store, bound to one invocation.
    #[must_use]
    pub fn within(&self, invocation: Invocation) -> Self {
        Self {
            invocation,
            ..self.clone()
        }
    }

    /// The names of the secrets that keyturn has notes of, or an operator has tagged for it, ordered.
    ///
    /// # Errors
    /// `AccessDenied` without the right to list secrets.
    pub async fn tagged(&self) -> Result<Vec<SecretName>, StoreError> {
        let seen = self.secrets(Some(tags::OURS)).await?;
        let mut names: Vec<_> = seen.into_iter().map(|seen| seen.name).collect();
        names.sort();
        Ok(names)
    }

    /// Whether a secret that could not be created is there because an earlier answer to this very call was lost.
    async fn is_made(&self, name: &SecretName, new: &NewSecret) -> Result<bool, StoreError> {
        let seen = self.look(name).await?;
        if seen.description != new.description.clone().filter(|text| !text.is_empty()) {
            return Ok(false);
        }
        match self.read(name, &Which::Id(new.id.clone())).await {
            Ok(found) => Ok(found.value.expose_secret() == new.value.expose_secret()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The version of this id, if it is there and may be read.
    async fn stored(
        &self,
        name: &SecretName,
        id: &VersionId,
    ) -> Result<Option<StoredVersion>, StoreError> {
        match self.read(name, &Which::Id(id.clone())).await {
            Ok(found) => Ok(Some(found)),
            // Whoever may only write is answered by the service itself.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AccessDenied) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl SecretStore for AwsStore {
    async fn create_secret(&self, name: &SecretName, new: NewSecret) -> Result<(), StoreError> {
        rules::check_new_secret(&new)?;
        let call = self.for_one_call();
        match call.send_create(name, &new).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if call.is_made(name, &new).await? {
                    Ok(())
                } else {
                    Err(rules::secret_exists(name))
                }
            }
            Err(error) => Err(error),
        }?;
        self.recent.fill(name, &new.id);
        Ok(())
    }

    async fn describe(&self, name: &SecretName) -> Result<SecretDescription, StoreError> {
        let call = self.for_one_call();
        let (seen, listed) = tokio::join!(call.look(name), call.versions(name));
        call.complete(seen?, listed?).await
    }

    async fn name_of(&self, id: &str) -> Result<SecretName, StoreError> {
        match rules::resource_of(id) {
            Some(_) => self.name_behind(id).await,
            None => SecretName::new(id),
        }
    }

    async fn list(&self) -> Result<Vec<SecretDescription>, StoreError> {
        let mut described = Vec::new();
        for seen in self.secrets(None).await? {
            let listed = self.versions(&seen.name).await?;
            described.push(self.complete(seen, listed).await?);
        }
        described.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(described)
    }

    async fn get(&self, name: &SecretName, which: &Which) -> Result<StoredVersion, StoreError> {
        self.for_one_call().read(name, which).await
    }

    async fn put(
        &self,
        name: &SecretName,
        id: &VersionId,
        value: &SecretString,
        labels: &[&str],
    ) -> Result<Put, StoreError> {
        rules::check_put(value, labels)?;
        // Without a label named, the service moves AWSCURRENT; here that is always said.
        let labels = if labels.is_empty() {
            &[labels::CURRENT]
        } else {
            labels
        };
        let call = self.for_one_call();
        if let Some(found) = call.stored(name, id).await? {
            if found.value.expose_secret() != value.expose_secret() {
                return Err(rules::version_exists(id));
            }
            return Ok(Put {
                stored: false,
                labels: found.labels,
                abandoned: None,
            });
        }
        let before = call.look(name).await?;
        replicas::check_writable(&before)?;
        // Whoever puts a value by hand has seen to its target already.
        if !labels.contains(&labels::CURRENT) {
            replicas::check_none_failed(&before)?;
        }
        let after = rules::put(&before.held, id, labels)?;
        let labels = call.send_put(name, id, value, labels).await?;
        self.recent.fill(name, id);
        self.recent.put_labels(name, &before.held, &after.held);
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
        self.swap(name, label, from, to).await
    }

    /// The service keeps nobody away, so the labels do.
    async fn begin_run(&self, _: &SecretName) -> Result<Option<RunGuard>, StoreError> {
        Ok(Some(RunGuard::new(())))
    }

    async fn notes(&self, name: &SecretName) -> Result<Notes, StoreError> {
        self.read_notes(name).await
    }

    async fn write_notes(
        &self,
        name: &SecretName,
        expected_revision: u64,
        json: &str,
    ) -> Result<u64, StoreError> {
        rules::check_notes(json)?;
        let call = self.for_one_call();
        call.replace_notes(name, expected_revision, json).await
    }
}
