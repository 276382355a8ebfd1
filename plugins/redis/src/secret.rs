//! What this plugin reads in a secret's value: `username` (absent: the user `default`) and `password`. The
//! address is the host's business and is not read here.

use keyturn_sdk::{Error, Members, SecretText, Version};
use sha2::{Digest, Sha256};
use std::fmt::Write;

pub(crate) const USERNAME: &str = "username";
pub(crate) const PASSWORD: &str = "password";
pub(crate) const PREVIOUS_PASSWORD: &str = "previous_password";
pub(crate) const ROTATION_TIMESTAMP: &str = "rotation_timestamp";

/// The user that a connection is without naming one.
pub(crate) const DEFAULT_USER: &str = "default";
/// CONFIG_AUTHPASS_MAX_LEN of Redis: `requirepass` and `masterauth` take no more.
pub(crate) const PASSWORD_BYTES_MAX: usize = 512;
const USER_BYTES_MAX: usize = 255;

/// A user and its password.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: SecretText,
}

/// The members of a version, for changing them.
pub(crate) fn members(version: &Version, whose: &str) -> Result<Members, Error> {
    Members::parse(version.value.expose()).map_err(|error| error.context(whose))
}

impl Login {
    /// `whose` names the version in errors: "AWSCURRENT", "the candidate".
    pub(crate) fn read(version: &Version, whose: &str) -> Result<Login, Error> {
        Self::of(&members(version, whose)?).map_err(|error| error.context(whose))
    }

    fn of(members: &Members) -> Result<Login, Error> {
        let user: Option<String> = members.get(USERNAME)?;
        let user = user.unwrap_or_else(|| DEFAULT_USER.to_owned());
        if user.is_empty()
            || user.len() > USER_BYTES_MAX
            || user.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            return Err(Error::invalid_secret(format!(
                "the member `username` must be 1 to {USER_BYTES_MAX} bytes long without white space; leave it out \
                 for the user `{DEFAULT_USER}`"
            )));
        }
        let password = SecretText::new(members.require::<String>(PASSWORD)?);
        let length = password.expose().len();
        if length == 0 || length > PASSWORD_BYTES_MAX || password.expose().contains('\0') {
            return Err(Error::invalid_secret(format!(
                "the member `password` must be 1 to {PASSWORD_BYTES_MAX} bytes long and hold no NUL"
            )));
        }
        Ok(Login { user, password })
    }

    pub(crate) fn is_default(&self) -> bool {
        self.user == DEFAULT_USER
    }

    pub(crate) fn same_as(&self, other: &Login) -> bool {
        self.user == other.user && self.password.expose() == other.password.expose()
    }

    /// A candidate of another user was not made by this plugin; it is refused before it logs in.
    pub(crate) fn must_be_of_the_user_of(&self, current: &Login) -> Result<(), Error> {
        if self.user == current.user {
            return Ok(());
        }
        Err(Error::invalid_secret(format!(
            "the candidate's user is `{}` and AWSCURRENT's is `{}`; nothing changed",
            self.user, current.user
        )))
    }

    /// What the server keeps of the password: its SHA-256, as lower-case hexadecimal digits.
    pub(crate) fn hash(&self) -> String {
        let mut text = String::with_capacity(64);
        for byte in Sha256::digest(self.password.expose().as_bytes()) {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyturn_sdk::{ErrorKind, fake};

    fn read(value: &str) -> Result<Login, Error> {
        Login::read(&fake::version("v1", value), "AWSCURRENT")
    }

    #[test]
    fn no_user_name_means_default() {
        assert!(read(r#"{"host":"h","password":"p"}"#).unwrap().is_default());
        assert!(
            read(r#"{"username":null,"password":"p"}"#)
                .unwrap()
                .is_default()
        );
        assert_eq!(
            read(r#"{"username":"app","password":"p"}"#).unwrap().user,
            "app"
        );
    }

    #[test]
    fn the_hash_is_the_one_that_redis_documents() {
        // The example of "ACL SETUSER" in Redis's documentation.
        let login = read(r#"{"password":"password"}"#).unwrap();
        assert_eq!(
            login.hash(),
            "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
        );
    }

    #[track_caller]
    fn check_refused(value: &str) {
        let error = read(value).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSecret);
        assert!(error.message.starts_with("AWSCURRENT: "));
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn values_that_redis_cannot_take_are_refused() {
        check_refused("hunter2");
        check_refused(r#"{"username":"app"}"#);
        check_refused(r#"{"password":""}"#);
        check_refused(r#"{"password":"hunter2\u0000"}"#);
        check_refused(r#"{"username":"","password":"hunter2"}"#);
        check_refused(r#"{"username":"a b","password":"hunter2"}"#);
        check_refused(&format!(r#"{{"password":"{}"}}"#, "p".repeat(513)));
    }
}
