//! A credential that was split off its secret stands in two secrets for a while, and one of them rotates it: two that did
//! would end each other's values. Who that is stands in the notes of the other one, which refuses every run of it.

use keyturn_protocol::{Effect, Goal, Label, Labels, VersionId};
use keyturn_store::{ErrorKind, SecretName, StoreError, Which};

use crate::{call::CallSource, credential::Credential, notes::Notes};

/// The kind of a problem that another secret is the cause of.
pub(crate) const OWNED: &str = "owned-elsewhere";

/// Who rotates the credential, if this secret does not.
pub(crate) fn owner(notes: &Notes, credential: &Credential) -> Option<String> {
    let mut moved = notes.moved.iter();
    let found = moved.find(|(member, _)| credential.plugin.owns(member));
    found.map(|(_, owner)| owner.clone())
}

impl CallSource<'_> {
    /// The version that waits for its end, and NAME#CREDENTIAL where AWSCURRENT holds its credential still: applications
    /// read it there until the split is finished.
    pub(crate) async fn still_read(
        &self,
        notes: &Notes,
        labels: &Labels,
    ) -> Result<Option<(VersionId, String)>, StoreError> {
        let retiring = labels.holder(Label::Retiring);
        let retiring = retiring.filter(|subject| !labels.is_on(Label::Current, subject));
        self.still_read_as(notes, labels, retiring).await
    }

    /// The same of what is about to be replaced at the target, which ends it at once. What is in doubt may have ended it
    /// already, and has to be finished.
    pub(crate) async fn still_read_when_replaced(
        &self,
        notes: &Notes,
        labels: &Labels,
        goal: &Goal,
    ) -> Result<Option<(VersionId, String)>, StoreError> {
        let replaces = matches!(goal, Goal::Rotate { .. } | Goal::Restore { .. })
            && self.credential.facts().effect == Effect::Replacing
            && labels.holder(Label::InDoubt).is_none();
        let current = labels.holder(Label::Current).filter(|_| replaces);
        self.still_read_as(notes, labels, current).await
    }

    async fn still_read_as(
        &self,
        notes: &Notes,
        labels: &Labels,
        subject: Option<&VersionId>,
    ) -> Result<Option<(VersionId, String)>, StoreError> {
        let (Some(subject), Some(old_name)) = (subject, &notes.split_off) else {
            return Ok(None);
        };
        // Back in use here, too, it does not wait for its end any more.
        if self.put_back(labels).await?.is_some() {
            return Ok(None);
        }
        let theirs = SecretName::new(secret_of(old_name))?;
        let theirs = match self.store.get(&theirs, &Which::current()).await {
            Ok(stored) => stored,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let own = self.value_if_any(subject).await?;
        let plugin = &self.credential.plugin;
        let same = own.is_some_and(|own| plugin.is_same_credential(&own.value, &theirs.value));
        Ok(same.then(|| (subject.clone(), old_name.clone())))
    }
}

fn secret_of(name: &str) -> &str {
    name.split_once('#').map_or(name, |(secret, _)| secret)
}

/// Where else the value that waits for its end is in use, and the commands that lead out of it.
pub(crate) fn in_use(credential: &Credential, old_name: &str) -> String {
    let secret = &credential.secret;
    let old_secret = secret_of(old_name);
    format!(
        "AWSCURRENT of {old_secret} holds its credential still, and applications may read it there; do not end it by \
         hand; when all read {secret}, `keyturn secret split {old_name} --to {secret} --remove` takes it out of \
         {old_secret}; or put the present one there, too, with `keyturn secret put`"
    )
}

/// Who it is, and the commands that lead out of it.
pub(crate) fn problem(credential: &Credential, owner: &str) -> String {
    let secret = &credential.secret;
    if owner.contains('#') {
        // Back where it was: this is the secret that it was split into.
        format!(
            "rotate {owner}, which rotates it since the split was undone; `keyturn secret split {owner} --to {secret}` \
             hands it over to {secret} again"
        )
    } else {
        let part = match credential.name.as_str() {
            "" => "CREDENTIAL",
            name => name,
        };
        let split = format!("keyturn secret split {secret}#{part} --to {owner}");
        format!(
            "rotate {owner}, into which it was split; `{split}` says what is left to do, with --remove it takes the \
             members out of {secret}, with --undo {secret} rotates them again"
        )
    }
}
