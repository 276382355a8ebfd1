//! The trait that every store implements. It exists so that the engine cannot tell a SQLite file from AWS Secrets
//! Manager; it never offers what only one of them could keep.

use std::any::Any;
use std::fmt;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::error::StoreError;
use crate::types::{
    NewSecret, Notes, Put, SecretDescription, SecretName, StoredVersion, VersionId, Which,
};

/// Secrets, their versions and their staging labels, with the semantics of AWS Secrets Manager.
///
/// **What always holds**, for every reader, at every instant, whatever process dies when:
/// - each secret that has a version has exactly one that carries AWSCURRENT, and that version has a value (only a
///   service makes secrets without a version; their first one gets AWSCURRENT);
/// - a label is on at most one version of a secret;
/// - a value, once stored under a version id, never changes;
/// - a version that carries a label is never removed;
/// - a method takes effect as a whole or not at all, and once it returned `Ok` its effect survives a crash.
///
/// **After a crash** of the caller or of the store: *before* a method's effect is durable, the state is the one
/// before the call; *during* means before or after, never between; *after* it, before the caller saw the answer, the
/// state is the one after the call. What a caller that does not know which of the two holds should do stands with
/// each method. An error whose [`StoreError::changed`] is `Unknown` is the same situation without the crash.
///
/// **A secret that a service has marked for deletion** can be described, and its notes read; every other method answers
/// `InvalidRequest` for it.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// Makes a secret whose first version carries AWSCURRENT.
    ///
    /// After a crash: either no secret of this name exists or the whole of it does. Call again with the same
    /// arguments: that succeeds in both cases, and changes nothing in the second.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken by a secret that was not made by this very call; `InvalidParameter` for
    /// a value or description outside the limits.
    async fn create_secret(&self, name: &SecretName, new: NewSecret) -> Result<(), StoreError>;

    /// Describes a secret: its versions and their labels, without any value. Changes nothing.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret.
    async fn describe(&self, name: &SecretName) -> Result<SecretDescription, StoreError>;

    /// The name of the secret that an id means: its name, or its ARN. Changes nothing, and need not look whether there is
    /// a secret of that name.
    ///
    /// # Errors
    /// `NotFound` for an ARN of no secret here; `InvalidParameter` for what is neither.
    async fn name_of(&self, id: &str) -> Result<SecretName, StoreError>;

    /// Describes every secret that is not marked for deletion, ordered by name. Changes nothing.
    ///
    /// # Errors
    /// Only those of a store that cannot be read.
    async fn list(&self) -> Result<Vec<SecretDescription>, StoreError>;

    /// Reads one version with its value. Changes nothing.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret or version, if no version carries the label, or if the version has no
    /// value yet; `InvalidRequest` if the version exists with a value and does not carry the label asked for beside
    /// its id; `Decryption` if the value was altered in the store.
    async fn get(&self, name: &SecretName, which: &Which) -> Result<StoredVersion, StoreError>;

    /// Stores a new version and moves `labels` to it; no labels at all means AWSCURRENT.
    ///
    /// Moving AWSCURRENT moves AWSPREVIOUS to the version that loses it, and takes AWSPENDING off whichever version
    /// carries it unless `labels` names it: a value written by hand abandons the rotation in progress. A version that
    /// was announced without a value is filled. If a version of this id already has this very value, the call succeeds
    /// and changes nothing, labels included. In the same step, versions without a label that are neither among the
    /// 100 newest nor younger than 24 hours are removed.
    ///
    /// After a crash: the version and all the labels, or neither. Call again with the same arguments: it stores the
    /// version if it is missing and does nothing otherwise.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret; `AlreadyExists` if the id already has another value;
    /// `InvalidParameter` for a value or label outside the limits, `LimitExceeded` if the secret would have more
    /// than 20 labels, or more than 5,000 versions.
    async fn put(
        &self,
        name: &SecretName,
        id: &VersionId,
        value: &SecretString,
        labels: &[&str],
    ) -> Result<Put, StoreError>;

    /// Attaches, moves or removes one label; the compare-and-swap of the whole protocol.
    ///
    /// `from` must name the version that carries the label, if one does and it is to lose it; `to` is the version
    /// that gets it, `None` to remove it. Moving AWSCURRENT moves AWSPREVIOUS to the version that loses it. Attaching
    /// a label to the version that already carries it changes nothing.
    ///
    /// After a crash: all the labels as before or all as after. Read them before calling again, because a move that
    /// did take effect is refused the second time (`from` no longer carries the label).
    ///
    /// # Errors
    /// `NotFound` if there is no such secret, or `to` is not one of its versions; `InvalidParameter` if neither
    /// `from` nor `to` is given, if the label sits on a version other than `from`, or if AWSCURRENT would be removed;
    /// `InvalidRequest` if AWSCURRENT would move to a version without a value; `LimitExceeded` if the secret would
    /// have more than 20 labels.
    async fn move_label(
        &self,
        name: &SecretName,
        label: &str,
        from: Option<&VersionId>,
        to: Option<&VersionId>,
    ) -> Result<(), StoreError>;

    /// Keeps every other run away from a secret, in this process and in others, until the answer is dropped or the
    /// process ends; `None` if a run is at work already. It guards nothing else: values are written and labels are
    /// moved without it. A store that many machines share may keep nobody away and always answer a guard; there the
    /// labels alone have to do, and they leave a window of one call to the target.
    ///
    /// After a crash of the caller: no run is at work.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret (a store that keeps nobody away may leave that to the next call);
    /// `Unavailable` if the guard cannot be had for another reason.
    async fn begin_run(&self, name: &SecretName) -> Result<Option<RunGuard>, StoreError>;

    /// Reads the secret's notes. Changes nothing.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret.
    async fn notes(&self, name: &SecretName) -> Result<Notes, StoreError>;

    /// Replaces the secret's notes, if they still have the revision that the caller read, and answers the new one.
    ///
    /// After a crash: the old notes or the new ones. Read them before calling again.
    ///
    /// # Errors
    /// `NotFound` if there is no such secret; `PreconditionNotMet` if someone else wrote meanwhile;
    /// `InvalidParameter` if `json` is not a JSON object or larger than 65,536 bytes, `LimitExceeded` where the store has
    /// less room; `AccessDenied` if the caller may work on the secret and keep no notes of it.
    async fn write_notes(
        &self,
        name: &SecretName,
        expected_revision: u64,
        json: &str,
    ) -> Result<u64, StoreError>;
}

/// The right to work on one secret; see [`SecretStore::begin_run`].
#[must_use = "the next run may begin when this is dropped"]
pub struct RunGuard {
    _held: Box<dyn Any + Send + Sync>,
}

impl RunGuard {
    /// A guard that lasts as long as `held`.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self {
            _held: Box::new(held),
        }
    }
}

impl fmt::Debug for RunGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunGuard")
    }
}
