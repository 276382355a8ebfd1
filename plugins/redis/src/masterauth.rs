//! What a node logs in with where it replicates from: `masteruser` and `masterauth`. A replica that logs in as the
//! rotated user must know a password that lives, or replication dies at the next reconnect. A primary counts,
//! too: after a failover it is a replica.

use crate::facts::Facts;
use crate::persistence::config;
use crate::secret::{DEFAULT_USER, Login};
use crate::session::Session;
use keyturn_sdk::{Error, SecretText};

/// The password with which the node logs in as `login`'s user, if it does.
fn known(session: &mut Session, facts: &Facts, login: &Login) -> Result<Option<SecretText>, Error> {
    if !facts.has_config {
        return Ok(None);
    }
    // Before Redis 6 there is no `masteruser`, and empty it means `default`.
    let user = config(session, "masteruser")?.filter(|user| !user.is_empty());
    if user.as_deref().unwrap_or(DEFAULT_USER) != login.user {
        return Ok(None);
    }
    let password = config(session, "masterauth")?.filter(|password| !password.is_empty());
    Ok(password.map(SecretText::new))
}

/// Gives the node `login`'s password to log in with, where it logs in as that user with another one; says whether
/// it had to. To be written to disk by the caller.
pub(crate) fn update(session: &mut Session, facts: &Facts, login: &Login) -> Result<bool, Error> {
    let password = login.password.expose();
    match known(session, facts, login)? {
        Some(known) if known.expose() != password => {
            session.change(
                "setting masterauth",
                &["CONFIG", "SET", "masterauth", password],
            )?;
            Ok(true)
        }
        _ => Ok(false),
    }
}
