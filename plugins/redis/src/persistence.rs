//! Whether a change outlives a restart of its node. Users stand in the ACL file where there is one, else in the
//! configuration file; `requirepass` and `masterauth` always stand in the configuration file. What that holds of
//! `requirepass` while users are changed by ACL is old and harmless: on start the user's own line comes last.

use crate::errors::GENERIC;
use crate::facts::{Facts, unexpected};
use crate::resp::Reply;
use crate::session::Session;
use crate::settings::Persistence;
use keyturn_sdk::{Error, Finding, Level};

/// Which file a node writes its users to, and its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Files {
    users: Option<File>,
    settings: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum File {
    Acl,
    Config,
}

impl Files {
    /// Finds out, and tries the write that will be needed: what cannot be kept is better not changed.
    ///
    /// # Errors
    /// If users cannot be kept and the operator has not said that this is known.
    pub(crate) fn find(
        session: &mut Session,
        facts: &Facts,
        wanted: Persistence,
    ) -> Result<Files, Error> {
        let settings = facts.has_config && facts.config_file;
        let files = Files {
            users: users_file(session, facts)?,
            settings,
        };
        let refused = match files.users {
            None => no_file(session),
            Some(_) => match files.write_users(session) {
                Ok(()) => return Ok(files),
                // The path broke: that says nothing about files.
                Err(error) if error.code.is_none() => return Err(error),
                // What the server says then is how to set CONFIG, which nobody may run there.
                Err(error) if !facts.has_config && error.code.as_deref() == Some(GENERIC) => {
                    unkept(session, error)
                }
                Err(error) => error,
            },
        };
        match wanted {
            Persistence::Required => Err(refused),
            Persistence::IfPossible => Ok(Files {
                users: None,
                settings,
            }),
        }
    }

    pub(crate) fn keep_users(self) -> bool {
        self.users.is_some()
    }

    pub(crate) fn keep_settings(self) -> bool {
        self.settings
    }

    pub(crate) fn write_users(self, session: &mut Session) -> Result<(), Error> {
        match self.users {
            Some(File::Acl) => session
                .ask("writing the ACL file (ACL SAVE)", &["ACL", "SAVE"])
                .map(drop),
            Some(File::Config) => rewrite(session),
            None => Ok(()),
        }
    }

    pub(crate) fn write_settings(self, session: &mut Session) -> Result<(), Error> {
        if self.settings {
            rewrite(session)?;
        }
        Ok(())
    }

    /// Said where the operator has said that it is known.
    pub(crate) fn finding(self, session: &Session) -> Option<Finding> {
        (!self.keep_users()).then(|| Finding {
            id: "not-kept".into(),
            level: Level::Warning,
            summary: format!(
                "node {} cannot write its users to disk: a restart brings the old password back",
                session.node
            ),
            fix: None,
        })
    }
}

fn rewrite(session: &mut Session) -> Result<(), Error> {
    let doing = "writing the configuration file (CONFIG REWRITE)";
    session.ask(doing, &["CONFIG", "REWRITE"]).map(drop)
}

fn users_file(session: &mut Session, facts: &Facts) -> Result<Option<File>, Error> {
    if !facts.has_config {
        // Without CONFIG only the attempt tells whether there is an ACL file.
        return Ok(facts.has_acl.then_some(File::Acl));
    }
    let acl_file = config(session, "aclfile")?.is_some_and(|path| !path.is_empty());
    Ok(match (acl_file, facts.has_acl) {
        (true, true) => Some(File::Acl),
        // It would be read at the next start and cannot be written.
        (true, false) => None,
        (false, _) => facts.config_file.then_some(File::Config),
    })
}

const WHAT_HELPS: &str = "a restart would bring the old password back; nothing changed; mend that, or set persistence = \
                          \"if-possible\" if restarts are taken care of otherwise";

fn no_file(session: &Session) -> Error {
    Error::invalid_settings(format!(
        "node {} was started with no file that it can write its users to: {WHAT_HELPS}",
        session.node
    ))
}

/// Whether there is no file or it cannot be written, the server has one word for.
fn unkept(session: &Session, error: Error) -> Error {
    let mut refused = Error::unsupported(format!(
        "node {} lets nobody run CONFIG, as managed services do, and does not write its users to an ACL file: \
         {WHAT_HELPS}; where the service has an interface of its own for users, rotate through that",
        session.node
    ));
    refused.details = error.details;
    refused
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
