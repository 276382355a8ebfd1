//! Whether a change outlives a restart of its node. Users stand in the ACL file where there is one, else in the
//! configuration file; `requirepass` and `masterauth` stand in the configuration file. What the file holds of
//! `requirepass` while users are changed by ACL is old and harmless: on start the user's own line comes last.

use crate::errors::GENERIC;
use crate::facts::{Facts, unexpected};
use crate::resp::Reply;
use crate::session::Session;
use crate::settings::Persistence;
use keyturn_sdk::{Applied, Error};

/// Which files a node has to write its users and settings to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Files {
    acl: bool,
    config: bool,
}

impl Files {
    /// # Errors
    /// `invalid-settings` if users cannot be kept and the operator has not said that this is known.
    pub(crate) fn find(
        session: &mut Session,
        facts: &Facts,
        wanted: Persistence,
    ) -> Result<Files, Error> {
        let files = Files {
            acl: facts.has_acl && has_acl_file(session, facts)?,
            config: facts.has_config && facts.config_file,
        };
        if files.keep_users() || wanted == Persistence::IfPossible {
            return Ok(files);
        }
        Err(Error::invalid_settings(format!(
            "node {} cannot write its users to disk: it was started with neither an ACL file nor a configuration \
             file, so that a restart would bring the old password back; nothing changed; give it one, or set \
             persistence = \"if-possible\" if restarts are taken care of otherwise",
            session.node
        )))
    }

    pub(crate) fn keep_users(self) -> bool {
        self.acl || self.config
    }

    /// Writes all of them. Tried before the first change, too: what cannot be kept is better not changed.
    pub(crate) fn write(self, session: &mut Session) -> Result<(), Error> {
        if self.acl {
            session.ask("writing the ACL file (ACL SAVE)", &["ACL", "SAVE"])?;
        }
        if self.config {
            let doing = "writing the configuration file (CONFIG REWRITE)";
            session.ask(doing, &["CONFIG", "REWRITE"])?;
        }
        Ok(())
    }

    /// After a change: a failure leaves the node changed.
    pub(crate) fn keep_change(self, session: &mut Session) -> Result<(), Error> {
        self.write(session)
            .map_err(|error| error.applied(Applied::Yes))
    }
}

fn has_acl_file(session: &mut Session, facts: &Facts) -> Result<bool, Error> {
    if facts.has_config {
        return Ok(config(session, "aclfile")?.is_some_and(|path| !path.is_empty()));
    }
    // Without CONFIG only the attempt tells.
    match session.ask("writing the ACL file (ACL SAVE)", &["ACL", "SAVE"]) {
        Ok(_) => Ok(true),
        Err(error) if error.code.as_deref() == Some(GENERIC) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A setting of the server's; `None` if its version does not have it. Never asked for `requirepass`: that text is
/// not what the server checks once users were changed by ACL.
pub(crate) fn config(session: &mut Session, name: &str) -> Result<Option<String>, Error> {
    let reply = session.ask("reading the configuration", &["CONFIG", "GET", name])?;
    let Reply::List(found) = reply else {
        return Err(unexpected(session, "CONFIG GET"));
    };
    match found.as_slice() {
        [] => Ok(None),
        [_, Reply::Text(value)] => Ok(Some(value.clone())),
        _ => Err(unexpected(session, "CONFIG GET")),
    }
}
