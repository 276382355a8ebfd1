//! Reads what planning starts from: labels and versions from the store, times and obligations from
//! the notes, turned into the core's snapshot.

use std::collections::BTreeMap;

use keyturn_protocol::{Announced, Content, Effect, Label, Labels, Snapshot, VersionId};
use keyturn_store::{SecretDescription, SecretStore, StoreError};

use crate::{
    credential::Credential,
    elsewhere::Elsewhere,
    moved,
    notes::{self, Notes},
};

/// What a look at a secret showed.
pub(crate) struct Observed {
    pub(crate) snapshot: Snapshot,
    pub(crate) elsewhere: Option<Elsewhere>,
}

/// Reads a secret's state as the core needs it.
pub(crate) async fn observe(
    store: &dyn SecretStore,
    credential: &Credential,
    now_ms: u64,
) -> Result<Observed, StoreError> {
    let description = store.describe(&credential.secret).await?;
    let notes = Notes::read(store, &credential.secret).await?;
    let mut labels = labels_of(&description, credential);
    let elsewhere = moved::owner(&notes, credential)
        .map(Elsewhere::Owned)
        .or_else(|| elsewhere(&notes, credential, &mut labels));
    let current = labels.holder(Label::Current).map_or("", VersionId::as_str);
    let known = notes.of_version(&credential.name, current);
    let owed = owed(&notes, credential, &labels).map(|owed| owed.as_of(now_ms));
    let announced = known.announced_at_ms.map(|at_ms| Announced {
        version: VersionId::new(current),
        lead_left_ms: at_ms
            .saturating_add(credential.lead_seconds.saturating_mul(1000))
            .saturating_sub(now_ms),
    });
    let never_applied = labels.holder(Label::InDoubt).is_some_and(|doubt| {
        let known = notes.of_version(&credential.name, doubt.as_str());
        known.never_applied()
    });
    let answered = notes.of(&credential.name).unused_answer(current).is_some();
    let snapshot = Snapshot {
        labels,
        versions: contents_of(&description),
        rotation_enabled: description.rotation_enabled,
        owed,
        announced,
        never_applied,
        answered,
    };
    Ok(Observed {
        snapshot,
        elsewhere,
    })
}

/// Labels belong to the secret, a run to one of its credentials. A candidate that another credential's
/// rotation made is that one's to finish, so its version and maker are answered; an old value that
/// another one has to bring to its end is hidden where it is in nobody's way.
pub(crate) fn elsewhere(
    notes: &Notes,
    credential: &Credential,
    labels: &mut Labels,
) -> Option<Elsewhere> {
    let is_other = |name: &&str| *name != credential.name;
    let current = labels.holder(Label::Current).cloned();
    for label in [Label::InDoubt, Label::Pending, Label::Staged] {
        let holder = labels
            .holder(label)
            .filter(|holder| Some(*holder) != current.as_ref());
        let Some(holder) = holder else { continue };
        if let Some(maker) = notes.maker(holder.as_str()).filter(is_other) {
            return Some(Elsewhere::Unfinished(holder.clone(), maker.to_owned()));
        }
    }
    let doubt = labels.holder(Label::InDoubt);
    if let Some(doubt) = doubt.filter(|doubt| Some(*doubt) != current.as_ref()) {
        let known = notes.of_version(&credential.name, doubt.as_str());
        if ![credential.strategy.name.as_str(), ""].contains(&known.strategy.as_str()) {
            return Some(Elsewhere::Begun(doubt.clone(), known.strategy));
        }
    }
    let retiring = labels.holder(Label::Retiring).cloned()?;
    let facts = credential.facts();
    let is_own = notes
        .credentials
        .get(&credential.name)
        .is_some_and(|known| {
            let owed = known.obligation(retiring.as_str());
            owed.is_some_and(|owed| facts.needs_proof(owed.how()))
        });
    // A label of its own speaks of nobody else's value, and what a candidate of another one would have owed is less
    // than what this one owes.
    if is_own || credential.has_own(Label::Retiring) {
        return None;
    }
    let debtor = notes.debtor(retiring.as_str()).filter(is_other)?;
    if facts.effect != Effect::None {
        return Some(Elsewhere::Unfinished(retiring, debtor.to_owned()));
    }
    labels.put(Label::Retiring, None);
    None
}

/// What is owed to a superseded value: by the version that is current, or, where a value written by
/// hand has superseded that one too, by whichever version the label KEYTURN_RETIRING still speaks of.
/// A death that has to be proven is settled when the label is off.
pub(crate) fn owed(
    notes: &Notes,
    credential: &Credential,
    labels: &Labels,
) -> Option<notes::Obligation> {
    let retiring = labels.holder(Label::Retiring).map(VersionId::as_str);
    let current = labels.holder(Label::Current).map(VersionId::as_str);
    let versions = &notes.credentials.get(&credential.name)?.versions;
    let by_current = current
        .and_then(|current| versions.get(current)?.owes.as_ref())
        .filter(|owed| owed.new_version || retiring == Some(owed.subject.as_str()));
    let by_another = || {
        let mut obligations = versions.values().filter_map(|notes| notes.owes.as_ref());
        obligations.find(|owed| retiring == Some(owed.subject.as_str()) && retiring != current)
    };
    by_current.or_else(by_another).cloned()
}

/// Which version holds each of the protocol's labels, as this credential names them.
pub(crate) fn labels_of(description: &SecretDescription, credential: &Credential) -> Labels {
    let mut labels = Labels::default();
    for label in Label::ALL {
        let holder = description
            .holder(&credential.label(label))
            .map(|version| VersionId::new(version.id.as_str()));
        labels.put(label, holder);
    }
    labels
}

/// The same by name, for reports and events.
pub(crate) fn label_names(labels: &Labels) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|(label, version)| (label.to_string(), version.to_string()))
        .collect()
}

fn contents_of(description: &SecretDescription) -> BTreeMap<VersionId, Content> {
    description
        .versions
        .iter()
        .map(|version| {
            let content = if version.has_value {
                Content::Present
            } else {
                Content::Absent
            };
            (VersionId::new(version.id.as_str()), content)
        })
        .collect()
}
