//! Version ids and staging labels: the only things about a secret that the core ever sees, and
//! therefore the only things that it can log, compare or lose. Values never come here.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

/// The id of one version of a secret. Opaque, except that ids minted by the standalone driver
/// start with [`VersionId::OWN_PREFIX`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(pub String);

impl VersionId {
    /// What every id minted by the standalone driver starts with (`keyturn-<uuid>`, 44 characters).
    pub const OWN_PREFIX: &'static str = "keyturn-";

    /// An id as the store spells it.
    pub fn new(id: impl Into<String>) -> Self {
        VersionId(id.into())
    }

    /// Whether the standalone driver minted this id. A pending version with any other id belongs
    /// to the rotation service, or to a person.
    pub fn is_own(&self) -> bool {
        self.0.starts_with(Self::OWN_PREFIX)
    }

    /// The id as the store spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A staging label. Each is on at most one version of a secret at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// What applications read.
    Current,
    /// What was current before; the store moves it whenever `Current` moves.
    Previous,
    /// The candidate of a rotation.
    Pending,
    /// The version that may have reached the target without being current: journal and fence in
    /// one, because the store refuses to attach it while another version holds it.
    InDoubt,
    /// The version that has to die at the target once its grace is over.
    Retiring,
    /// The version that the candidate was made from; promotion succeeds only while it is current.
    Base,
    /// The candidate of a round that no rotation service started, which must not use `Pending`.
    Staged,
}

impl Label {
    /// Every label, in the order of the enum.
    pub const ALL: [Label; 7] = [
        Label::Current,
        Label::Previous,
        Label::Pending,
        Label::InDoubt,
        Label::Retiring,
        Label::Base,
        Label::Staged,
    ];

    /// The label as the store spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Label::Current => "AWSCURRENT",
            Label::Previous => "AWSPREVIOUS",
            Label::Pending => "AWSPENDING",
            Label::InDoubt => "KEYTURN_INDOUBT",
            Label::Retiring => "KEYTURN_RETIRING",
            Label::Base => "KEYTURN_BASE",
            Label::Staged => "KEYTURN_STAGED",
        }
    }

    /// The label of that spelling; `None` for a label that is not the protocol's.
    pub fn parse(text: &str) -> Option<Label> {
        Label::ALL.into_iter().find(|label| label.as_str() == text)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which version holds each label.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(BTreeMap<Label, VersionId>);

impl Labels {
    /// The version that holds the label.
    pub fn holder(&self, label: Label) -> Option<&VersionId> {
        self.0.get(&label)
    }

    /// Puts the label on a version, or on none.
    pub fn put(&mut self, label: Label, holder: Option<VersionId>) {
        match holder {
            Some(version) => self.0.insert(label, version),
            None => self.0.remove(&label),
        };
    }

    /// Whether that version holds the label.
    pub fn is_on(&self, label: Label, version: &VersionId) -> bool {
        self.holder(label) == Some(version)
    }

    /// Every label that some version holds.
    pub fn iter(&self) -> impl Iterator<Item = (Label, &VersionId)> {
        self.0.iter().map(|(label, version)| (*label, version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_read_back_from_its_spelling() {
        for label in Label::ALL {
            assert_eq!(Label::parse(label.as_str()), Some(label));
        }
        assert_eq!(Label::parse("LAST_GOOD"), None);
    }

    #[test]
    fn only_minted_ids_are_own() {
        assert!(VersionId::new("keyturn-5d7e").is_own());
        assert!(!VersionId::new("5d7e-keyturn-").is_own());
    }
}
