//! What the store says about a secret at one moment, and what the notes add to it. A snapshot is
//! all that planning starts from: after a crash there is nothing else.

use alloc::collections::BTreeMap;

use crate::facts::How;
use crate::labels::{Label, Labels, VersionId};

/// The answer to [`Command::Observe`](crate::Command::Observe).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Snapshot {
    /// Which version holds each label.
    pub labels: Labels,
    /// Every version that the store knows.
    pub versions: BTreeMap<VersionId, Content>,
    /// Whether the service rotates this secret. Absent counts as allowed, and only AWS's own
    /// invocation asks.
    pub rotation_enabled: Option<bool>,
    /// What is owed to a superseded version. `None` when nothing is, and also when the notes speak
    /// of a promotion that never came (they are written before it): a note binds while its
    /// successor is current, and while `KEYTURN_RETIRING` is on its subject and that is not current
    /// (somebody has superseded the successor by hand meanwhile). It may be forgotten once that
    /// label is off and, where `new_version` is set, a retire round was promoted; not earlier. Where
    /// the credential under `KEYTURN_RETIRING` is in use again, it is what was in use meanwhile that
    /// is owed, if that is known.
    pub owed: Option<Obligation>,
    /// The version whose next value has been published but is not in use yet, if that version is
    /// still current.
    pub announced: Option<Announced>,
    /// Whether the version under `KEYTURN_INDOUBT` is known never to have reached the target: `set`
    /// was called on it, and every call was answered with `applied: no`. Where nobody knows, false.
    pub never_applied: bool,
    /// Whether an operator's answer is stored that no promotion has used: it was asked for, and nobody has to be asked
    /// again.
    pub answered: bool,
}

impl Snapshot {
    /// The version that holds the label.
    pub fn holder(&self, label: Label) -> Option<&VersionId> {
        self.labels.holder(label)
    }

    /// Whether a superseded version's credential is the one that the current version holds again.
    pub(crate) fn is_in_use_again(&self, version: &VersionId) -> bool {
        !self.labels.is_on(Label::Current, version)
            && self.versions.get(version) == Some(&Content::SameAsCurrent)
    }

    /// Whether that version has a value of its own to read.
    pub fn has_value(&self, version: &VersionId) -> bool {
        !matches!(self.versions.get(version), None | Some(Content::Absent))
    }
}

/// Whether a version has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// The id exists without a value, as the service leaves it before `createSecret`.
    Absent,
    /// It has a value.
    Present,
    /// It has the same value as the current version. Asked of the version under `AWSPENDING` in an
    /// invocation of `testSecret`, and of the credential of the version under `KEYTURN_RETIRING`
    /// where an operator ends it; elsewhere `Present` is as good.
    SameAsCurrent,
}

/// A superseded value that still has to die.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Obligation {
    /// The version whose value that is.
    pub subject: VersionId,
    /// How it ends.
    pub how: How,
    /// How long it must stay accepted; 0 = its end is due. Rounded up, so that it never ends early.
    pub grace_left_seconds: u64,
}

/// The first half of a rotation that publishes a key before using it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Announced {
    /// The version that an announce round promoted.
    pub version: VersionId,
    /// How long the verifiers may still hold an older copy; 0 = all have the new key.
    pub lead_left_ms: u64,
}
