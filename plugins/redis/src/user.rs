//! An ACL user as a node knows it: `ACL GETUSER`, which shows hashes and no passwords.

use crate::facts::unexpected;
use crate::resp::Reply;
use crate::session::{Answer, Session};
use keyturn_sdk::Error;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    flags: Vec<String>,
    /// SHA-256 of each password, as hexadecimal digits.
    pub(crate) hashes: Vec<String>,
}

impl User {
    /// `None`: there is no such user.
    pub(crate) fn read(session: &mut Session, name: &str) -> Result<Option<User>, Error> {
        match Self::try_read(session, name)? {
            Ok(user) => Ok(user),
            Err(not_permitted) => Err(not_permitted),
        }
    }

    /// The same, where a missing right is an answer, too.
    pub(crate) fn try_read(
        session: &mut Session,
        name: &str,
    ) -> Result<Result<Option<User>, Error>, Error> {
        let asked = ["ACL", "GETUSER", name];
        match session.try_ask("reading the user", &asked)? {
            Answer::NotPermitted(error) => Ok(Err(error)),
            Answer::Given(Reply::Null) => Ok(Ok(None)),
            Answer::Given(Reply::List(fields)) => Ok(Ok(Some(Self::of(&fields)))),
            Answer::Given(_) => Err(unexpected(session, "ACL GETUSER")),
        }
    }

    /// Names and values in turn.
    fn of(fields: &[Reply]) -> User {
        let texts = |wanted: &str| {
            fields
                .chunks_exact(2)
                .find_map(|pair| match pair {
                    [Reply::Text(name), Reply::List(items)] if name == wanted => Some(items),
                    _ => None,
                })
                .into_iter()
                .flatten()
                .filter_map(|item| match item {
                    Reply::Text(text) => Some(text.clone()),
                    _ => None,
                })
                .collect()
        };
        User {
            flags: texts("flags"),
            hashes: texts("passwords"),
        }
    }

    fn has_flag(&self, wanted: &str) -> bool {
        self.flags.iter().any(|flag| flag == wanted)
    }

    pub(crate) fn is_on(&self) -> bool {
        self.has_flag("on")
    }

    pub(crate) fn accepts(&self, hash: &str) -> bool {
        self.hashes.iter().any(|known| known == hash)
    }

    /// Before a password of it is changed.
    pub(crate) fn must_be_usable(&self, name: &str, session: &Session) -> Result<(), Error> {
        let node = &session.node;
        if !self.is_on() {
            return Err(Error::permission(format!(
                "the user `{name}` is off at node {node}, so that no password opens it; nothing changed; run \
                     ACL SETUSER {name} on"
            )));
        }
        if self.has_flag("nopass") {
            return Err(Error::unprotected(format!(
                "the user `{name}` has the flag nopass at node {node}, so that any password opens it; nothing \
                     changed; run ACL SETUSER {name} resetpass and give it a password"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_read_from_names_and_values_in_turn() {
        let text = |text: &str| Reply::Text(text.into());
        let user = User::of(&[
            text("flags"),
            Reply::List(vec![text("on"), text("sanitize-payload")]),
            text("passwords"),
            Reply::List(vec![text("aa"), text("bb")]),
            text("commands"),
            text("+@all"),
        ]);
        assert!(user.is_on() && user.accepts("bb") && !user.accepts("on"));
        assert!(!User::of(&[]).is_on());
    }
}
