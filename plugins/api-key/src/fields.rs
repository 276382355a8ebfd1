//! The members of the secret that this plugin owns, and nothing but them. Other credentials may
//! stand beside them; their text is never touched.

use keyturn_sdk::{Error, Members, SecretText, timestamp};

use crate::hash::{self, Form};

pub(crate) const KEY: &str = "internal_api_key";
pub(crate) const HASH: &str = "internal_api_key_hash";
pub(crate) const PREVIOUS_KEY: &str = "previous_internal_api_key";
pub(crate) const PREVIOUS_HASH: &str = "previous_internal_api_key_hash";
pub(crate) const KEY_VERSION: &str = "key_version";
pub(crate) const CREATED_AT: &str = "created_at";
pub(crate) const EXPIRES_AT: &str = "expires_at";
pub(crate) const ROTATION_TIMESTAMP: &str = "rotation_timestamp";
/// Ours: says that the previous_* members hold the next key, not the last one.
pub(crate) const ANNOUNCED_AT: &str = "announced_at";

/// A secret's members with the owned ones read.
pub(crate) struct Fields {
    pub(crate) members: Members,
    pub(crate) key: SecretText,
    pub(crate) hash: Option<String>,
    /// Absent as well if the member is empty, as guide-era rotations left it.
    pub(crate) previous: Option<SecretText>,
    pub(crate) previous_hash: Option<String>,
    pub(crate) key_version: u64,
}

impl Fields {
    /// Reads a secret's text.
    ///
    /// # Errors
    /// `invalid-secret` if an owned member is missing or has another type.
    pub(crate) fn parse(value: &SecretText) -> Result<Self, Error> {
        let members = Members::parse(value.expose())?;
        let key: String = members.require(KEY)?;
        if key.is_empty() {
            return Err(Error::invalid_secret(format!(
                "the member `{KEY}` of the secret is empty; store a key"
            )));
        }
        let text =
            |name| Ok::<_, Error>(members.get::<String>(name)?.filter(|text| !text.is_empty()));
        Ok(Self {
            hash: text(HASH)?,
            previous: text(PREVIOUS_KEY)?.map(SecretText::from),
            previous_hash: text(PREVIOUS_HASH)?,
            key_version: members.get(KEY_VERSION)?.unwrap_or(0),
            key: SecretText::from(key),
            members,
        })
    }

    /// The form in which this secret spells hashes. A secret without any gets the bare one, which
    /// is what validators that hash and compare expect.
    pub(crate) fn hash_form(&self) -> Form {
        self.hash
            .as_deref()
            .or(self.previous_hash.as_deref())
            .map_or(Form::Bare, Form::of)
    }

    /// Would a validator that reads this secret accept `key`?
    pub(crate) fn accepts(&self, key: &str) -> bool {
        let current = self
            .hash
            .clone()
            .unwrap_or_else(|| Form::Bare.hash(self.key.expose()));
        let previous = match (&self.previous_hash, &self.previous) {
            (Some(hash), _) => Some(hash.clone()),
            (None, Some(previous)) => Some(Form::Bare.hash(previous.expose())),
            (None, None) => None,
        };
        hash::matches(&current, key)
            || previous.is_some_and(|previous| hash::matches(&previous, key))
    }

    /// Do the previous_* members hold the next key?
    pub(crate) fn is_announced(&self) -> bool {
        self.members.contains(ANNOUNCED_AT)
    }

    /// A timestamp among the owned members.
    ///
    /// # Errors
    /// `invalid-secret` if it is there and is none.
    pub(crate) fn time(&self, member: &str) -> Result<Option<u64>, Error> {
        match self.members.get::<String>(member)? {
            Some(text) => timestamp::parse(member, &text).map(Some),
            None => Ok(None),
        }
    }
}
