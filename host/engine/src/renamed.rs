//! Credentials whose name in the configuration has changed. The name stands in notes and in a label, so that a new one
//! finds nothing. What a secret's only credential left while it had no name is its own, unless the values say that
//! another one was rotated, and is taken over; of every other name it is shown what is left behind: whether that is the
//! same credential, nobody can tell.

use std::collections::BTreeSet;

use keyturn_protocol::Label;
use keyturn_store::{SecretDescription, SecretStore, StoreError, VersionId};
use serde::Serialize;

use crate::{
    call::CallSource,
    credential::Credential,
    notes::{Notes, Obligation},
};

/// What stands under a name that is not configured any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftBehind {
    /// That name; empty if it had none.
    pub credential: String,
    /// The version whose value waits for its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owes: Option<String>,
    /// The candidate of its rotation, or the version with an operator's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
}

/// What a secret's only credential has under no name yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unnamed {
    /// The version under the label without a name.
    pub(crate) retiring: Option<VersionId>,
}

impl Unnamed {
    /// Whether there can be any: not where the credential has no name either, or is one of several.
    pub(crate) fn is_possible(credential: &Credential) -> bool {
        !credential.name.is_empty() && credential.beside.is_empty()
    }

    /// `None` where there is nothing, or another credential is or might be meant, or the credential waits for the end of
    /// another value under its name: there is one label for both, and the notes say what is owed.
    pub(crate) async fn of(
        source: &CallSource<'_>,
        described: &SecretDescription,
        notes: &Notes,
    ) -> Result<Option<Self>, StoreError> {
        let credential = source.credential;
        if !Self::is_possible(credential) {
            return Ok(None);
        }
        let held = |label: &str| described.holder(label).map(|version| version.id.clone());
        let is_own = |subject: &VersionId| {
            let debtor = notes.debtor(subject.as_str());
            debtor.is_none_or(|debtor| debtor.is_empty() || debtor == credential.name)
        };
        let retiring = held(Label::Retiring.as_str())
            .filter(|_| credential.has_own(Label::Retiring))
            .filter(is_own);
        let named = held(&credential.label(Label::Retiring));
        if retiring.is_some() && named.is_some() && named != retiring {
            return Ok(None);
        }
        let is_noted = notes.credentials.contains_key("");
        if retiring.is_none() && !is_noted || !source.rotated_unnamed(described, notes).await? {
            return Ok(None);
        }
        Ok(Some(Self { retiring }))
    }

    /// As it will be once it is taken over.
    pub(crate) fn show(
        &self,
        credential: &Credential,
        described: &mut SecretDescription,
        notes: &mut Notes,
    ) {
        let own = credential.label(Label::Retiring);
        let labels = described
            .versions
            .iter_mut()
            .filter(|version| Some(&version.id) == self.retiring.as_ref())
            .flat_map(|version| &mut version.labels);
        for label in labels.filter(|label| label.as_str() == Label::Retiring.as_str()) {
            *label = own.to_string();
        }
        notes.name_the_unnamed(&credential.name);
    }

    /// Each write may be the last one: what is left is taken over by the next run.
    pub(crate) async fn take_over(
        &self,
        store: &dyn SecretStore,
        credential: &Credential,
    ) -> Result<(), StoreError> {
        let secret = &credential.secret;
        if let Some(subject) = &self.retiring {
            let own = credential.label(Label::Retiring);
            store.move_label(secret, &own, None, Some(subject)).await?;
            let unnamed = Label::Retiring.as_str();
            store
                .move_label(secret, unnamed, Some(subject), None)
                .await?;
        }
        Notes::update(store, secret, |notes| {
            notes.name_the_unnamed(&credential.name);
        })
        .await
    }
}

impl CallSource<'_> {
    /// Whether the rotations that are noted under no name can be this credential's.
    async fn rotated_unnamed(
        &self,
        described: &SecretDescription,
        notes: &Notes,
    ) -> Result<bool, StoreError> {
        let unnamed = notes.of("");
        // The oldest version that owes it has superseded the value; later ones have the note from there.
        for version in &described.versions {
            let by = version.id.as_str();
            let known = unnamed.versions.get(by);
            if let Some(owed) = known.and_then(|known| known.owes.as_ref()) {
                return self.may_supersede(&owed.subject, by).await;
            }
        }
        Ok(true)
    }

    /// What is noted under names that are not configured and may be this credential's own. Its next rotation supersedes
    /// another value than that of which the notes speak.
    pub(crate) async fn former_names(&self, current: &str) -> Result<BTreeSet<String>, StoreError> {
        let notes = Notes::read(self.store, &self.credential.secret).await?;
        let former = self.owed_under_former_names(&notes, current).await?;
        Ok(former.into_iter().map(|(name, _)| name).collect())
    }

    /// The longest grace that runs under such names, of what AWSCURRENT's value still carries.
    pub(crate) async fn promised_under_former_names(
        &self,
        notes: &Notes,
        current: &str,
        now_ms: u64,
    ) -> Result<Option<keyturn_protocol::Obligation>, StoreError> {
        let former = self.owed_under_former_names(notes, current).await?;
        let former = former.into_iter().map(|(_, owed)| owed);
        let promised = former.filter(|owed| owed.new_version);
        let promised = promised.map(|owed| owed.as_of(now_ms));
        let longest = promised.max_by_key(|owed| owed.grace_left_seconds);
        Ok(longest.filter(|owed| owed.grace_left_seconds > 0))
    }

    async fn owed_under_former_names(
        &self,
        notes: &Notes,
        current: &str,
    ) -> Result<Vec<(String, Obligation)>, StoreError> {
        let mut former = Vec::new();
        for (name, known) in &notes.credentials {
            let known = known.versions.get(current);
            let Some(owed) = known.and_then(|known| known.owes.as_ref()) else {
                continue;
            };
            if !self.credential.is_configured(name)
                && self.may_supersede(&owed.subject, current).await?
            {
                former.push((name.clone(), owed.clone()));
            }
        }
        Ok(former)
    }

    /// Not if both values hold the same of the credential.
    async fn may_supersede(&self, subject: &str, by: &str) -> Result<bool, StoreError> {
        let value = async |id: &str| {
            self.value_if_any(&keyturn_protocol::VersionId::new(id))
                .await
        };
        let (old, new) = (value(subject).await?, value(by).await?);
        let is_same = old.zip(new).is_some_and(|(old, new)| {
            let plugin = &self.credential.plugin;
            plugin.is_untouched(&old.value, &new.value)
        });
        Ok(!is_same)
    }
}

/// What is left behind in a secret under names that are not configured.
pub(crate) fn left_behind(
    credential: &Credential,
    described: &SecretDescription,
    notes: &Notes,
) -> Vec<LeftBehind> {
    let prefix = format!("{}_", Label::Retiring);
    let labels = described
        .versions
        .iter()
        .flat_map(|version| &version.labels);
    let labelled = labels.filter_map(|label| label.strip_prefix(&prefix));
    let names: BTreeSet<&str> = notes
        .credentials
        .keys()
        .map(String::as_str)
        .chain(labelled)
        .collect();
    names
        .into_iter()
        .filter(|name| !credential.is_configured(name))
        .filter_map(|name| left_under(name, described, notes))
        .collect()
}

fn left_under(name: &str, described: &SecretDescription, notes: &Notes) -> Option<LeftBehind> {
    let held = |label: &str| described.holder(label).map(|version| version.id.as_str());
    let current = held(Label::Current.as_str()).unwrap_or_default();
    let pending = |label: &str| held(label).filter(|version| *version != current);
    let known = notes.of(name);
    let labelled = pending(&format!("{}_{name}", Label::Retiring)).or_else(|| {
        let unnamed = pending(Label::Retiring.as_str());
        unnamed.filter(|subject| known.obligation(subject).is_some())
    });
    let noted = || {
        let owed = known.versions.get(current)?.owes.as_ref();
        owed.filter(|owed| owed.new_version)
            .map(|owed| owed.subject.as_str())
    };
    let made = [Label::InDoubt, Label::Pending, Label::Staged]
        .into_iter()
        .filter_map(|label| pending(label.as_str()))
        .find(|version| notes.maker(version) == Some(name));
    let answered = || Some(known.unused_answer(current)?.version.as_str());
    let owes = labelled.or_else(noted).map(str::to_owned);
    let unfinished = made.or_else(answered).map(str::to_owned);
    (owes.is_some() || unfinished.is_some()).then(|| LeftBehind {
        credential: name.to_owned(),
        owes,
        unfinished,
    })
}
