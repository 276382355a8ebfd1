//! Gathers the values that one plugin call may see: CURRENT, the older values that may still open
//! the door, and the companions that manifest and grant both name. What is gathered here is exactly
//! what the plugin saw.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use keyturn_protocol::{Label, Labels, VersionId};
use keyturn_runtime::{Call, CallError, Companion, OtherVersion, Standing, Version};
use keyturn_store::{ErrorKind, SecretStore, StoreError, StoredVersion, Which};

use crate::{credential::Credential, problem::Failed, snapshot::labels_of};

/// Time for one plugin call where neither the plugin nor the caller asks for less.
pub(crate) const CALL_BUDGET: Duration = Duration::from_secs(30);

/// The parts of a call that do not change between two calls of a run.
pub(crate) struct CallSource<'a> {
    pub(crate) store: &'a dyn SecretStore,
    pub(crate) credential: &'a Credential,
    pub(crate) rotation_id: &'a str,
    pub(crate) values: &'a ValuesRead,
}

/// The values that a run has read, by version. A stored value never changes, so each is read once.
#[derive(Default)]
pub(crate) struct ValuesRead(Mutex<BTreeMap<VersionId, Version>>);

impl ValuesRead {
    fn find(&self, id: &VersionId) -> Option<Version> {
        self.lock().get(id).cloned()
    }

    fn add(&self, id: &VersionId, version: &Version) {
        self.lock().insert(id.clone(), version.clone());
    }

    /// Whole entries are whole after a panic, too.
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<VersionId, Version>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallSource<'_> {
    /// A call as of now; `candidate` is what the call is about, and so is not among the others.
    pub(crate) async fn gather(
        &self,
        candidate: Option<&VersionId>,
        attempt: u32,
    ) -> Result<Call, Box<Failed>> {
        let secret = &self.credential.secret;
        let labels = labels_of(&self.store.describe(secret).await?, self.credential);
        let current = self.current(&labels).await?;
        let mut others = Vec::new();
        for (standing, label) in [
            (Standing::InDoubt, Label::InDoubt),
            (Standing::Previous, Label::Previous),
            (Standing::Retiring, Label::Retiring),
        ] {
            let Some(id) = labels.holder(label) else {
                continue;
            };
            let seen = id.as_str() == current.id
                || Some(id) == candidate
                || others
                    .iter()
                    .any(|other: &OtherVersion| other.version.id == id.as_str());
            if seen {
                continue;
            }
            // A value of another place opens nothing where the call leads.
            if let Some(version) = self.value_if_any(id).await?
                && self
                    .credential
                    .plugin
                    .compare_identity(&current.value, &version.value)
                    .is_ok()
            {
                others.push(OtherVersion { standing, version });
            }
        }
        let companions = self.companions(&current).await?;
        Ok(Call {
            secret: secret.to_string(),
            credential: self.credential.name.clone(),
            environment: self.credential.environment.clone(),
            rotation_id: self.rotation_id.to_owned(),
            attempt,
            budget: CALL_BUDGET,
            strategy: self.credential.strategy.name.clone(),
            current,
            others,
            companions,
        })
    }

    /// Makes a call, and makes it once more if a companion's login failed before anything changed: that
    /// secret may have been rotated between reading it and using it.
    pub(crate) async fn call<T>(
        &self,
        candidate: &VersionId,
        function: impl AsyncFn(&Call) -> Result<T, CallError>,
    ) -> Result<T, Box<Failed>> {
        match function(&self.gather(Some(candidate), 1).await?).await {
            Err(error)
                if error.failed_companion().is_some()
                    && error.applied == keyturn_runtime::Applied::No =>
            {
                Ok(function(&self.gather(Some(candidate), 2).await?).await?)
            }
            answer => Ok(answer?),
        }
    }

    /// A call whose CURRENT is exactly that version: what `create` makes the new value from.
    pub(crate) async fn gather_from(
        &self,
        base: &VersionId,
        attempt: u32,
    ) -> Result<Call, Box<Failed>> {
        let mut call = self.gather(None, attempt).await?;
        if call.current.id != base.as_str() {
            call.current = self.value(base).await?;
        }
        Ok(call)
    }

    /// One version's value, read by its id.
    pub(crate) async fn value(&self, id: &VersionId) -> Result<Version, StoreError> {
        if let Some(known) = self.values.find(id) {
            return Ok(known);
        }
        let which = Which::Id(keyturn_store::VersionId::new(id.as_str())?);
        let version = version(self.store.get(&self.credential.secret, &which).await?);
        self.values.add(id, &version);
        Ok(version)
    }

    async fn companions(&self, current: &Version) -> Result<Vec<Companion>, Box<Failed>> {
        let needs = self.credential.plugin.companions_needed(&current.value)?;
        let mut companions = Vec::with_capacity(needs.len());
        for need in needs {
            let secret = self.store.name_of(&need.secret).await?;
            self.credential
                .plugin
                .check_companion(&need.name, secret.as_str())?;
            let stored = self.store.get(&secret, &Which::current()).await?;
            companions.push(Companion {
                name: need.name,
                secret: secret.to_string(),
                version: version(stored),
            });
        }
        Ok(companions)
    }

    async fn current(&self, labels: &Labels) -> Result<Version, StoreError> {
        match labels.holder(Label::Current) {
            Some(id) => self.value(id).await,
            None => Err(StoreError::new(
                ErrorKind::InvalidRequest,
                format!("no version of {} is AWSCURRENT", self.credential.secret),
                "put a value first",
            )),
        }
    }

    /// A version that the service announced and nobody filled has no value to try.
    pub(crate) async fn value_if_any(&self, id: &VersionId) -> Result<Option<Version>, StoreError> {
        match self.value(id).await {
            Ok(version) => Ok(Some(version)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn version(stored: StoredVersion) -> Version {
    Version {
        id: stored.id.to_string(),
        value: stored.value,
    }
}
