//! The members of the secret that this plugin owns: the key in use, the one before it, and the time of the rotation.

use crate::key::Key;
use keyturn_sdk::{Error, Members, SecretText, Version};

pub(crate) const SECRET_KEY: &str = "secret_key";
pub(crate) const PREVIOUS_SECRET_KEY: &str = "previous_secret_key";
pub(crate) const ROTATION_TIMESTAMP: &str = "rotation_timestamp";

/// `whose` names the version in errors: "AWSCURRENT", "the candidate".
pub(crate) fn members(version: &Version, whose: &str) -> Result<Members, Error> {
    Members::parse(version.value.expose()).map_err(|error| error.context(whose))
}

pub(crate) fn key(version: &Version, whose: &str) -> Result<Key, Error> {
    let text = members(version, whose)?
        .require::<String>(SECRET_KEY)
        .map_err(|error| error.context(whose))?;
    Key::parse(SecretText::new(text), &format!("`{SECRET_KEY}` of {whose}"))
}
