//! What a node logs in with where it replicates from: `masteruser` and `masterauth`. A replica that logs in as the
//! rotated user must know a password that lives, or replication dies at the next reconnect. A primary counts,
//! too: after a failover it is a replica.

use crate::facts::Facts;
use crate::persistence::{Files, config};
use crate::secret::{DEFAULT_USER, Login};
use crate::session::Session;
use crate::settings::Persistence;
use keyturn_sdk::Error;

/// The login with which the node replicates, or would, if it is of `user`.
///
/// # Errors
/// If it could not be changed for good.
pub(crate) fn of_user(
    session: &mut Session,
    facts: &Facts,
    files: Files,
    user: &str,
    wanted: Persistence,
) -> Result<Option<Login>, Error> {
    if !facts.has_config {
        return Ok(None);
    }
    // Before Redis 6 there is no `masteruser`, and empty it means `default`.
    let named = config(session, "masteruser")?.filter(|named| !named.is_empty());
    if named.as_deref().unwrap_or(DEFAULT_USER) != user {
        return Ok(None);
    }
    let password = config(session, "masterauth")?.filter(|password| !password.is_empty());
    let Some(password) = password else {
        return Ok(None);
    };
    // Tried, like all that a rotation will need: it sets what is there.
    let words = ["CONFIG", "SET", "masterauth", &password];
    session.ask("setting masterauth", &words)?;
    if files.keep_settings() {
        files.write_settings(session)?;
    } else if wanted == Persistence::Required {
        return Err(Error::invalid_settings(format!(
            "node {} replicates as `{user}` and has no configuration file that it could write a new masterauth to: after \
             a restart replication would be dead; nothing changed; give replicas a user of their own",
            session.node
        )));
    }
    Ok(Some(Login {
        user: user.to_owned(),
        password: password.into(),
    }))
}

/// Gives the node another password to replicate with.
pub(crate) fn change(session: &mut Session, login: &Login) -> Result<(), Error> {
    let words = ["CONFIG", "SET", "masterauth", login.password.expose()];
    session.change("setting masterauth", &words)
}
