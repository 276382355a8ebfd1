//! The words that every store speaks. Names and ids are checked where they are made, so that no store has to check
//! them again. Values are `SecretString`s: nothing here prints, compares or serialises one.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, StoreError};
use crate::limits;

/// The name of a secret: 1 to 512 of the characters `A-Z a-z 0-9 / _ + = . @ - !`. AWS
/// makes names with `!` for the secrets that its services manage (`rds!cluster-…`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretName(String);

impl SecretName {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for an empty name, a longer one, or another character.
    pub fn new(name: impl Into<String>) -> Result<Self, StoreError> {
        let name = name.into();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-!".contains(c);
        if let Some(wrong) = wrong_text(&name, 1..=limits::NAME_BYTES_MAX, allowed) {
            return Err(StoreError::new(
                ErrorKind::InvalidParameter,
                format!("this is not the name of a secret: {wrong}"),
                "use 1 to 512 of the characters A-Z a-z 0-9 / _ + = . @ - !",
            ));
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id of a version, which is also the caller's idempotency token: 32 to 64 of the characters `A-Z a-z 0-9 -`.
///
/// AWS limits only the length; letters, digits and the hyphen are what its SDKs and its service send (UUIDs).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionId(String);

impl VersionId {
    /// Checks and takes an id.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for a shorter or longer id, or another character.
    pub fn new(id: impl Into<String>) -> Result<Self, StoreError> {
        let id = id.into();
        let lengths = limits::VERSION_ID_BYTES_MIN..=limits::VERSION_ID_BYTES_MAX;
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if let Some(wrong) = wrong_text(&id, lengths, allowed) {
            return Err(StoreError::new(
                ErrorKind::InvalidParameter,
                format!("this is not a version id: {wrong}"),
                "use 32 to 64 of the characters A-Z a-z 0-9 -, such as a UUID",
            ));
        }
        Ok(Self(id))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a new secret starts with.
#[derive(Debug, Clone)]
pub struct NewSecret {
    /// The id of its first version.
    pub id: VersionId,
    /// The value of its first version: 1 to 65,536 bytes.
    pub value: SecretString,
    /// A text for people, at most 2,048 characters. Not sealed, so never a secret.
    pub description: Option<String>,
}

/// A secret without its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretDescription {
    pub name: SecretName,
    pub description: Option<String>,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// Unix milliseconds of the last change of a version, a label or a tag; notes do not count.
    pub changed_at_ms: u64,
    /// Words of the operator's, key to value. Not sealed, so never a secret.
    pub tags: BTreeMap<String, String>,
    /// Whether the store itself would rotate this secret; `None` where it holds no such setting.
    pub rotation_enabled: Option<bool>,
    /// Unix milliseconds of the last rotation, where the store counts them.
    pub last_rotated_at_ms: Option<u64>,
    /// Unix milliseconds at which the next rotation is due, where the store itself starts them.
    pub next_rotation_at_ms: Option<u64>,
    /// In the order in which they were made, oldest first.
    pub versions: Vec<VersionDescription>,
}

impl SecretDescription {
    /// The version that carries `label`.
    pub fn holder(&self, label: &str) -> Option<&VersionDescription> {
        self.versions
            .iter()
            .find(|version| version.labels.iter().any(|held| held == label))
    }

    /// The version with this id.
    pub fn version(&self, id: &VersionId) -> Option<&VersionDescription> {
        self.versions.iter().find(|version| version.id == *id)
    }
}

/// A version without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionDescription {
    pub id: VersionId,
    /// Sorted.
    pub labels: Vec<String>,
    /// False for a version that a rotation service has announced and nobody has filled yet.
    pub has_value: bool,
    /// Unix milliseconds.
    pub created_at_ms: u64,
}

/// Which version of a secret to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The version that carries this label.
    Label(String),
    /// The version with this id, labelled or not.
    Id(VersionId),
    /// The version with this id, provided that it carries this label.
    IdWithLabel(VersionId, String),
}

impl Which {
    /// The version that applications read.
    pub fn current() -> Self {
        Self::Label(crate::labels::CURRENT.to_owned())
    }
}

/// A version with its value.
#[derive(Debug, Clone)]
pub struct StoredVersion {
    pub id: VersionId,
    pub value: SecretString,
    /// Sorted.
    pub labels: Vec<String>,
    /// Unix milliseconds.
    pub created_at_ms: u64,
}

/// What a successful put did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Put {
    /// False when the version was there already with the same value: then nothing at all was changed.
    pub stored: bool,
    /// The labels that the version carries now, sorted.
    pub labels: Vec<String>,
    /// The version that lost AWSPENDING because this put made another value current.
    pub abandoned: Option<VersionId>,
}

/// What labels can't carry: a small JSON object per secret, readable without the master key, so never a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notes {
    /// A JSON object; `{}` when nothing was ever written.
    pub json: String,
    /// Rises by one with each write; 0 when nothing was ever written.
    pub revision: u64,
}

/// What is wrong with a text. It is not repeated: it could be a value that was pasted into the wrong place.
fn wrong_text(
    text: &str,
    bytes: RangeInclusive<usize>,
    allowed: impl Fn(char) -> bool,
) -> Option<String> {
    if !bytes.contains(&text.len()) {
        return Some(format!("it has {} bytes", text.len()));
    }
    let (at, wrong) = text.char_indices().find(|(_, c)| !allowed(*c))?;
    Some(format!("it has {wrong:?} at byte {at}"))
}

macro_rules! text_newtype {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = StoreError;
            fn try_from(text: String) -> Result<Self, StoreError> {
                Self::new(text)
            }
        }
        impl FromStr for $name {
            type Err = StoreError;
            fn from_str(text: &str) -> Result<Self, StoreError> {
                Self::new(text)
            }
        }
    };
}

text_newtype!(SecretName);
text_newtype!(VersionId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_awss_characters_and_length() {
        for good in [
            "a",
            "festival-prod/database",
            "A_z0/+=.@-",
            "rds!cluster-0123abcd",
            &"n".repeat(512),
        ] {
            assert_eq!(SecretName::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            " ",
            "a b",
            "a#b",
            "a:b",
            "\u{e4}",
            "a\n",
            "a?",
            &"n".repeat(513),
        ] {
            let error = SecretName::new(bad).unwrap_err();
            assert_eq!(error.code(), "InvalidParameterException", "{bad:?}");
        }
    }

    #[test]
    fn ids_have_32_to_64_letters_digits_and_hyphens() {
        let keyturns_own = format!("keyturn-{}", "0123abcd-0123-0123-0123-0123456789ab");
        for good in [
            &"a".repeat(32),
            &"Z9-".repeat(21),
            &"0".repeat(64),
            &keyturns_own,
        ] {
            assert_eq!(VersionId::new(good.clone()).unwrap().as_str(), good);
        }
        let long = "a".repeat(31);
        for bad in [
            "",
            &long,
            &"a".repeat(65),
            &format!("{long}_"),
            &format!("{long}\u{e4}"),
        ] {
            let error = VersionId::new(bad).unwrap_err();
            assert_eq!(error.code(), "InvalidParameterException", "{bad:?}");
        }
    }

    #[test]
    fn names_and_ids_are_checked_when_they_are_read_back() {
        assert!(serde_json::from_str::<SecretName>("\"a b\"").is_err());
        assert!(serde_json::from_str::<VersionId>("\"short\"").is_err());
        let name: SecretName = serde_json::from_str("\"a/b\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"a/b\"");
    }
}
