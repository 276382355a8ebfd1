//! What a service keeps of a secret beside its versions, and only a service writes: the calls of AWS Secrets Manager
//! that are not part of [`SecretStore`](crate::SecretStore), because nothing that rotates makes them. Like the store's
//! other calls each is one transaction: after a crash either its whole effect is there or nothing of it.

use std::collections::BTreeMap;

use super::records::{self, has_arn_suffix};
use super::write::Write;
use super::{EmbeddedStore, holds, rows, store_version};
use crate::error::{ErrorKind, StoreError};
use crate::labels;
use crate::rules::{self, CurrentMove};
use crate::service::rules as service_rules;
use crate::service::{
    Deletion, NewRecord, Recovery, RotationSettings, SecretRecord, Update, policy,
};
use crate::tags::{self, Tags};
use crate::types::{Put, SecretName, VersionId, Which};

impl EmbeddedStore {
    /// Makes a secret, with a first version or without, and answers the end of its ARN. The name of a secret whose
    /// deletion is due is free.
    ///
    /// After a crash: as for [`SecretStore::create_secret`](crate::SecretStore::create_secret), if it has a value;
    /// without one, a secret that is there already is never taken for the one that was to be made.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken by a secret that was not made by this very call; `InvalidRequest` if that
    /// one is marked for deletion; `InvalidParameter` for anything outside the limits.
    pub async fn create_record(
        &self,
        name: &SecretName,
        new: NewRecord,
    ) -> Result<String, StoreError> {
        service_rules::check_new(&new)?;
        let now_ms = self.clock.now_ms();
        let sealed = match &new.value {
            Some((id, value)) => Some((id.clone(), self.key.seal_value(name, id, value)?)),
            None => None,
        };
        let (name, key) = (name.clone(), self.key.clone());
        self.write(move |write| {
            match rows::find_secret(write.statement(), &name)? {
                Some((secret, Some(deletion))) if deletion.due_at_ms <= now_ms => {
                    write.remove(secret)?;
                }
                Some((_, Some(_))) => return Err(service_rules::name_waits_for_deletion(&name)),
                Some((_, None)) => {
                    let record = records::record(write.statement(), &name)?;
                    let Some((id, value)) = &new.value else {
                        return Err(rules::secret_exists(&name));
                    };
                    let which = Which::Id(id.clone());
                    let found = rows::find(write.statement(), &name, Some(&which))?;
                    let stored = found.version.and_then(|version| version.sealed);
                    let same_value = match stored {
                        Some(stored) => holds(&key.open_value(&name, id, &stored)?, value),
                        None => false,
                    };
                    return if same_value && same_details(&record, &new) {
                        Ok(record.arn_suffix)
                    } else {
                        Err(rules::secret_exists(&name))
                    };
                }
                None => {}
            }
            let secret = rows::insert_secret(write.statement(), &name, &new, now_ms)?;
            write.tags(secret, &Tags::new(), &new.tags)?;
            if let Some((id, sealed)) = &sealed {
                rows::insert_version(write.statement(), secret, id, Some(sealed), now_ms)?;
                rows::attach_label(write.statement(), secret, labels::CURRENT, id)?;
            }
            let (suffix, _) = rows::arn_suffix_and_access(write.statement(), secret)?;
            write.commit()?;
            Ok(suffix)
        })
        .await
    }

    /// Everything that is known of a secret but its values and its policy, whether or not it is marked for deletion.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret.
    pub async fn record(&self, name: &SecretName) -> Result<SecretRecord, StoreError> {
        let name = name.clone();
        self.read(move |file| records::record(file, &name)).await
    }

    /// The end of a secret's ARN, without reading more of it.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret; `InvalidRequest` if it is marked for deletion.
    pub async fn arn_suffix(&self, name: &SecretName) -> Result<String, StoreError> {
        let name = name.clone();
        self.read(move |file| {
            let secret = rows::secret(file, &name)?;
            Ok(rows::arn_suffix_and_access(file, secret)?.0)
        })
        .await
    }

    /// The name of the secret that an ARN means, by what follows `secret:` in it: the name and the suffix, or only the
    /// name.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret.
    pub async fn name_in_arn(&self, resource: &str) -> Result<SecretName, StoreError> {
        let resource = resource.to_owned();
        self.read(move |file| {
            if let Some((name, suffix)) = resource.rsplit_once('-')
                && let Ok(name) = SecretName::new(name)
                && has_arn_suffix(file, &name, suffix)?
            {
                return Ok(name);
            }
            let name = SecretName::new(resource)?;
            match rows::find_secret(file, &name)? {
                Some(_) => Ok(name),
                None => Err(rules::no_secret(&name)),
            }
        })
        .await
    }

    /// Changes details of a secret, and puts a new version if there is one. Unlike
    /// [`SecretStore::put`](crate::SecretStore::put) it refuses a version id that has a value already, even this one.
    ///
    /// After a crash: all of it or nothing. Called again, a version that is there already is refused.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret; `AlreadyExists` if the id has a value; `InvalidParameter` and
    /// `LimitExceeded` for anything outside the limits.
    pub async fn update(
        &self,
        name: &SecretName,
        update: Update,
    ) -> Result<Option<Put>, StoreError> {
        service_rules::check_update(&update)?;
        let now_ms = self.clock.now_ms();
        let sealed = match &update.value {
            Some((id, value)) => Some((id.clone(), self.key.seal_value(name, id, value)?)),
            None => None,
        };
        let name = name.clone();
        self.write(move |write| {
            let which = sealed.as_ref().map(|(id, _)| Which::Id(id.clone()));
            let found = rows::find(write.statement(), &name, which.as_ref())?;
            let secret = found.secret;
            let (description, kms_key_id) = (&update.description, &update.kms_key_id);
            let details = (description.as_deref(), kms_key_id.as_deref());
            rows::update_details(write.statement(), secret, details.0, details.1)?;
            let Some((id, sealed)) = sealed else {
                rows::touch_secret(write.statement(), secret, CurrentMove::None, now_ms)?;
                write.commit()?;
                return Ok(None);
            };
            if found
                .version
                .as_ref()
                .is_some_and(|version| version.sealed.is_some())
            {
                return Err(rules::version_exists(&id));
            }
            let after = store_version(&write, &found, &id, &sealed, &[], now_ms)?;
            write.commit()?;
            Ok(Some(Put {
                stored: true,
                labels: rules::labels_of(&after.held, &id),
                abandoned: after.abandoned,
            }))
        })
        .await
    }

    /// Marks a secret for deletion, or removes it at once.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret; `InvalidRequest` if it is marked already, unless it is to go at once;
    /// `InvalidParameter` for other than 7 to 30 days.
    pub async fn delete(
        &self,
        name: &SecretName,
        recovery: Recovery,
    ) -> Result<Deletion, StoreError> {
        let now_ms = self.clock.now_ms();
        let deletion = service_rules::deletion(recovery, now_ms)?;
        let name = name.clone();
        self.write(move |write| {
            let found = rows::find_secret(write.statement(), &name)?;
            let (secret, marked) = found.ok_or_else(|| rules::no_secret(&name))?;
            if marked.is_some() && recovery != Recovery::None {
                return Err(service_rules::deleted_already());
            }
            rows::mark(write.statement(), secret, Some(deletion))?;
            match recovery {
                Recovery::None => write.remove(secret)?,
                Recovery::Days(_) => {
                    rows::touch_secret(write.statement(), secret, CurrentMove::None, now_ms)?;
                }
            }
            write.commit()?;
            Ok(deletion)
        })
        .await
    }

    /// Takes the mark off a secret; one that is not marked stays as it is.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret, or its deletion is due.
    pub async fn restore(&self, name: &SecretName) -> Result<(), StoreError> {
        let (name, now_ms) = (name.clone(), self.clock.now_ms());
        self.write(move |write| {
            let (secret, deletion) = match rows::find_secret(write.statement(), &name)? {
                Some((_, Some(deletion))) if deletion.due_at_ms <= now_ms => None,
                found => found,
            }
            .ok_or_else(|| rules::no_secret(&name))?;
            if deletion.is_none() {
                return Ok(());
            }
            rows::mark(write.statement(), secret, None)?;
            rows::touch_secret(write.statement(), secret, CurrentMove::None, now_ms)?;
            write.commit()
        })
        .await
    }

    /// Removes the secrets whose deletion is due, and answers their names.
    ///
    /// # Errors
    /// Only those of a store that cannot be read or written.
    pub async fn purge_due(&self) -> Result<Vec<SecretName>, StoreError> {
        let now_ms = self.clock.now_ms();
        // Mostly there is none, and then nobody has to wait for the one writer.
        if self
            .read(move |file| rows::due(file, now_ms))
            .await?
            .is_empty()
        {
            return Ok(Vec::new());
        }
        self.write(move |write| {
            let due = rows::due(write.statement(), now_ms)?;
            for (secret, _) in &due {
                write.remove(*secret)?;
            }
            write.commit()?;
            due.into_iter()
                .map(|(_, name)| SecretName::new(name))
                .collect()
        })
        .await
    }

    /// Adds tags to a secret; a key that is there already gets the new value.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret; `InvalidParameter` for a tag outside the limits or one too many.
    pub async fn tag(
        &self,
        name: &SecretName,
        add: &BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        tags::check(add)?;
        let add = add.clone();
        self.change_tags(name, move |held| tags::merged(held, &add))
            .await
    }

    /// Removes the tags with these keys; a key that no tag has is no error.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret.
    pub async fn untag(&self, name: &SecretName, keys: &[String]) -> Result<(), StoreError> {
        let keys = keys.to_owned();
        self.change_tags(name, move |held| Ok(tags::without(held, &keys)))
            .await
    }

    async fn change_tags(
        &self,
        name: &SecretName,
        change: impl FnOnce(&Tags) -> Result<Tags, StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.change_secret(name, move |write, secret| {
            let held = rows::tags(write.statement(), secret)?;
            let after = change(&held)?;
            write.tags(secret, &held, &after)?;
            Ok(after != held)
        })
        .await
    }

    /// Sets when and by what a secret rotates. Settings that are there already keep their date.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret; `InvalidParameter` for rules that are no schedule.
    pub async fn set_rotation(
        &self,
        name: &SecretName,
        settings: &RotationSettings,
    ) -> Result<(), StoreError> {
        let (settings, now_ms) = (checked(settings)?, self.clock.now_ms());
        self.change_secret(name, move |write, secret| {
            set_rotation(write, secret, &settings, now_ms)
        })
        .await
    }

    /// Sets the same and begins a rotation: announces the version `id` under AWSPENDING, without a value. Answers
    /// false, and announces nothing, if there is a version of this id already: then the call was made before.
    ///
    /// # Errors
    /// As for [`EmbeddedStore::set_rotation`]; `InvalidRequest` while another rotation is in progress, or for a secret
    /// that never had a value.
    pub async fn begin_rotation(
        &self,
        name: &SecretName,
        id: &VersionId,
        settings: &RotationSettings,
    ) -> Result<bool, StoreError> {
        let (settings, now_ms) = (checked(settings)?, self.clock.now_ms());
        let (name, id) = (name.clone(), id.clone());
        self.write(move |write| {
            let which = Which::Id(id.clone());
            let found = rows::find(write.statement(), &name, Some(&which))?;
            if found.version.is_some() {
                // Cancelled since, it goes on only if that is taken back.
                if set_rotation(&write, found.secret, &settings, now_ms)? {
                    rows::touch_secret(write.statement(), found.secret, CurrentMove::None, now_ms)?;
                    write.commit()?;
                }
                return Ok(false);
            }
            let after = rules::reserve(&found.held, &id)?;
            set_rotation(&write, found.secret, &settings, now_ms)?;
            rows::insert_version(write.statement(), found.secret, &id, None, now_ms)?;
            write.labels(found.secret, &found.held, &after, now_ms)?;
            write.commit()?;
            Ok(true)
        })
        .await
    }

    /// Takes an announced version back: AWS's service does so with the one under which it only tests a secret. A
    /// version that has a value stays, whatever becomes of its rotation.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret or version; `InvalidRequest` if the version has a value.
    pub async fn withdraw(&self, name: &SecretName, id: &VersionId) -> Result<(), StoreError> {
        let (name, id, now_ms) = (name.clone(), id.clone(), self.clock.now_ms());
        self.write(move |write| {
            let which = Which::Id(id.clone());
            let found = rows::find(write.statement(), &name, Some(&which))?;
            match found.version {
                None => return Err(rules::no_version(&id)),
                Some(version) if version.sealed.is_some() => {
                    return Err(service_rules::has_a_value(&id));
                }
                Some(_) => {}
            }
            let mut after = found.held.clone();
            after.retain(|_, holder| *holder != id);
            write.labels(found.secret, &found.held, &after, now_ms)?;
            rows::remove_version(write.statement(), found.secret, &id)?;
            write.commit()
        })
        .await
    }

    /// The resource policy of a secret, as it was written.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret.
    pub async fn resource_policy(&self, name: &SecretName) -> Result<Option<String>, StoreError> {
        let name = name.clone();
        self.read(move |file| {
            let secret = rows::secret(file, &name)?;
            rows::resource_policy(file, secret)
        })
        .await
    }

    /// Replaces the resource policy of a secret, or removes it.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret; `MalformedPolicy` if it is no policy, `InvalidParameter` if it is too
    /// long; `PublicPolicy` if it lets everybody in and `block_public` is set.
    pub async fn set_resource_policy(
        &self,
        name: &SecretName,
        text: Option<&str>,
        block_public: bool,
    ) -> Result<(), StoreError> {
        if let Some(text) = text
            && policy::check(text)?.is_public
            && block_public
        {
            return Err(policy::public());
        }
        let text = text.map(str::to_owned);
        self.change_secret(name, move |write, secret| {
            rows::set_resource_policy(write.statement(), secret, text.as_deref())?;
            Ok(true)
        })
        .await
    }

    /// Changes one secret's own row, and dates that if `change` answers that it did.
    async fn change_secret(
        &self,
        name: &SecretName,
        change: impl FnOnce(&Write<'_>, i64) -> Result<bool, StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let (name, now_ms) = (name.clone(), self.clock.now_ms());
        self.write(move |write| {
            let secret = rows::secret(write.statement(), &name)?;
            if !change(&write, secret)? {
                return Ok(());
            }
            rows::touch_secret(write.statement(), secret, CurrentMove::None, now_ms)?;
            write.commit()
        })
        .await
    }
}

/// Whether the call that made a secret can have been this one. Tags and a key that it did not name may have come later.
fn same_details(record: &SecretRecord, new: &NewRecord) -> bool {
    let (held, wanted) = (&record.description.tags, &new.tags);
    record.description.description == new.description
        && (new.kms_key_id.is_none() || record.kms_key_id == new.kms_key_id)
        && wanted
            .iter()
            .all(|(key, value)| held.get(key) == Some(value))
}

fn checked(settings: &RotationSettings) -> Result<String, StoreError> {
    service_rules::check_rotation(settings)?;
    serde_json::to_string(settings).map_err(|error| {
        StoreError::new(
            ErrorKind::Internal,
            "rotation settings could not be written down",
            "please report this as a bug with the cause",
        )
        .with_source(error)
    })
}

fn set_rotation(
    write: &Write<'_>,
    secret: i64,
    settings: &str,
    now_ms: u64,
) -> Result<bool, StoreError> {
    let held = rows::rotation(write.statement(), secret)?;
    let changes = held.as_deref() != Some(settings);
    if changes {
        rows::set_rotation(write.statement(), secret, settings, now_ms)?;
    }
    Ok(changes)
}
