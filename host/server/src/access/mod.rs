//! Who may do what: access keys with the secrets and the actions that each is granted. A key's secret half is used to
//! verify signatures and is never shown; a grant names what is allowed, and everything else is denied.

mod file;

use std::collections::HashMap;
use std::fmt;

use keyturn_store::SecretName;
use secrecy::SecretString;

use crate::operations::Operation;
pub use file::{KeyFileError, KeyPair};

/// `*` at the end stands for anything; elsewhere it is a character like any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    is_prefix: bool,
}

impl Pattern {
    pub fn new(pattern: &str) -> Self {
        match pattern.strip_suffix('*') {
            Some(prefix) => Self {
                text: prefix.to_owned(),
                is_prefix: true,
            },
            None => Self {
                text: pattern.to_owned(),
                is_prefix: false,
            },
        }
    }

    /// Whether it means any operation that there is; if not, it was mistyped.
    pub fn is_an_action(&self) -> bool {
        Operation::NAMES.iter().any(|name| self.matches(name))
    }

    /// Whether any secret could have a name that it means; if not, it was mistyped.
    pub fn is_of_secrets(&self) -> bool {
        (self.is_prefix && self.text.is_empty()) || SecretName::new(self.text.as_str()).is_ok()
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        if self.is_prefix {
            text.starts_with(&self.text)
        } else {
            text == self.text
        }
    }
}

/// What one access key may do: any of the actions with any of the secrets.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Names of secrets.
    pub secrets: Vec<Pattern>,
    /// Operations, such as `GetSecretValue`.
    pub actions: Vec<Pattern>,
}

impl Grant {
    pub(crate) fn allows_action(&self, action: &str) -> bool {
        self.actions.iter().any(|allowed| allowed.matches(action))
    }

    pub(crate) fn allows_secret(&self, name: &str) -> bool {
        self.secrets.iter().any(|allowed| allowed.matches(name))
    }
}

/// An access key and its holder.
pub struct AccessKey {
    /// What the request log and the audit trail call its holder.
    pub name: String,
    /// The public half.
    pub id: String,
    pub secret: SecretString,
    pub grant: Grant,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessKey({}, {})", self.name, self.id)
    }
}

/// All access keys of a server, by their ids.
#[derive(Debug)]
pub struct AccessKeys(HashMap<String, AccessKey>);

/// Two holders with the same access key, whose grants nobody could tell apart.
#[derive(Debug, thiserror::Error)]
#[error("{first} and {second} have the same access key; make a key for each")]
pub struct SameKey {
    first: String,
    second: String,
}

impl AccessKeys {
    /// # Errors
    /// [`SameKey`]
    pub fn new(keys: impl IntoIterator<Item = AccessKey>) -> Result<Self, SameKey> {
        let mut by_id: HashMap<String, AccessKey> = HashMap::new();
        for key in keys {
            if let Some(known) = by_id.get(&key.id) {
                return Err(SameKey {
                    first: known.name.clone(),
                    second: key.name,
                });
            }
            by_id.insert(key.id.clone(), key);
        }
        Ok(Self(by_id))
    }

    pub(crate) fn find(&self, id: &str) -> Option<&AccessKey> {
        self.0.get(id)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_pattern_that_means_no_secret_is_told_from_one_that_does() {
        for good in ["*", "prod/*", "prod/database", "rds!*"] {
            assert!(Pattern::new(good).is_of_secrets(), "{good}");
        }
        for bad in ["", "*/database", "prod/*/x", "prod/**", "prod database"] {
            assert!(!Pattern::new(bad).is_of_secrets(), "{bad}");
        }
    }
}
