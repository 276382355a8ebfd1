//! What the door's plugin reads in a value.

use keyturn_sdk::{Error, Members, Version};

use crate::has;

#[derive(PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Login {
    pub(crate) fn of(version: &Version) -> Result<Self, Error> {
        let members = Members::parse(version.value.expose())?;
        let text = |name: &str| -> Result<String, Error> {
            if has("malformed") {
                return Ok(members.get::<String>(name)?.unwrap());
            }
            let text: String = members.require(name)?;
            if text.is_empty()
                || !text.bytes().all(|byte| byte.is_ascii_graphic())
                || text.len() > 200
            {
                return Err(Error::invalid_secret(format!(
                    "the member `{name}` must have 1 to 200 visible ASCII characters"
                )));
            }
            Ok(text)
        };
        Ok(Self {
            user: text("username")?,
            password: text("password")?,
        })
    }
}
