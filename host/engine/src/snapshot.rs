//! Reads what planning starts from: labels and versions from the store, times and obligations from
//! the notes, turned into the core's snapshot.

use std::collections::BTreeMap;

use keyturn_protocol::{Announced, Content, How, Label, Labels, Obligation, Snapshot, VersionId};
use keyturn_store::{SecretDescription, SecretStore, StoreError};

use crate::{
    credential::Credential,
    notes::{self, Notes},
};

/// Reads a secret's state as the core needs it.
pub(crate) async fn observe(
    store: &dyn SecretStore,
    credential: &Credential,
    now_ms: u64,
) -> Result<Snapshot, StoreError> {
    let description = store.describe(&credential.secret).await?;
    let notes = Notes::read(store, &credential.secret).await?;
    let labels = labels_of(&description);
    let current = labels.holder(Label::Current).map_or("", VersionId::as_str);
    let known = notes.of_version(&credential.name, current);
    let owed = owed(&notes, credential, &labels).map(|owed| Obligation {
        subject: VersionId::new(owed.subject),
        how: How {
            at_target: owed.at_target,
            new_version: owed.new_version,
            by_operator: owed.by_operator,
        },
        // Rounded up: a grace never ends early.
        grace_left_seconds: owed.due_at_ms.saturating_sub(now_ms).div_ceil(1000),
    });
    let announced = known.announced_at_ms.map(|at_ms| Announced {
        version: VersionId::new(current),
        lead_left_ms: at_ms
            .saturating_add(credential.lead_seconds * 1000)
            .saturating_sub(now_ms),
    });
    Ok(Snapshot {
        labels,
        versions: contents_of(&description),
        rotation_enabled: description.rotation_enabled,
        owed,
        announced,
    })
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

/// Which version holds each of the protocol's labels.
pub(crate) fn labels_of(description: &SecretDescription) -> Labels {
    let mut labels = Labels::default();
    for label in Label::ALL {
        let holder = description
            .holder(label.as_str())
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
