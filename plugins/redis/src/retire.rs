//! `retire`: kills a value that AWSCURRENT does not hold, and proves it dead at every node. It removes one hash of the
//! user and never the one that AWSCURRENT holds. With the strategy `single` the old password died when the new one
//! was set, and only the proof is left.

use crate::access::{self, Place, Value};
use crate::changes::Changes;
use crate::clients;
use crate::errors::WRONG_PASSWORD;
use crate::masterauth;
use crate::persistence::Files;
use crate::preparation;
use crate::probe;
use crate::secret::Login;
use crate::session::Session;
use crate::settings::Settings;
use crate::user::User;
use keyturn_sdk::{
    Context, Error, ErrorKind, Finding, Level, Liveness, Outcome, RetireRequest, Status,
};

pub(crate) fn retire(ctx: &Context, request: &RetireRequest, dual: bool) -> Result<Outcome, Error> {
    let settings: Settings = ctx.settings()?;
    let current = Value::read(&ctx.current, "AWSCURRENT")?;
    let old = Login::read(&request.subject, "the value to retire")?;
    if old.same_as(&current.login) {
        return Ok(in_use_again());
    }
    old.must_be_of_the_user_of(&current.login)?;
    let mut places = access::enter_all(ctx, &[&current]).map_err(kept)?;
    for Place {
        session,
        opened_with,
        ..
    } in &places
    {
        if opened_with.is_none() {
            let error = Error::auth(format!("AWSCURRENT is refused at node {}", session.node));
            return Err(kept(error.code(WRONG_PASSWORD)));
        }
    }
    let (mut changes, mut findings) = (Changes::default(), Vec::new());
    if dual {
        let work = Removal {
            current: &current.login,
            hash: old.hash(),
        };
        findings = work.carry_out(&mut places, &settings, &mut changes)?;
    }
    if let Some(age_ms) = request.end_sessions_older_than_ms {
        for place in &mut places {
            let session = &mut place.session;
            let ended = changes.then(clients::end_sessions(session, &old.user, age_ms))?;
            findings.push(sessions_ended(session, &old.user, ended));
        }
    }
    for place in &places {
        changes.then(prove_dead(ctx, place, &old))?;
    }
    let mut outcome = changes.outcome(&places, Liveness::Dead);
    outcome.findings = findings;
    Ok(outcome)
}

struct Removal<'a> {
    current: &'a Login,
    /// Of the old password.
    hash: String,
}

impl Removal<'_> {
    fn carry_out(
        &self,
        places: &mut [Place],
        settings: &Settings,
        changes: &mut Changes,
    ) -> Result<Vec<Finding>, Error> {
        let mut ready = Vec::new();
        for place in &mut *places {
            ready.push(preparation::of_user(place, self.current, settings)?.0);
        }
        preparation::must_know_replicas(places, &ready, &self.current.user)?;
        // All of them, and on disk, before the first removal: each may replicate from any other.
        for (place, ready) in places.iter_mut().zip(&ready) {
            let with = ready.replicates_with.as_ref();
            if with.is_some_and(|with| !with.same_as(self.current)) {
                let session = &mut place.session;
                changes.make(session, |session| masterauth::change(session, self.current))?;
                changes.then(ready.files.write_settings(session))?;
            }
        }
        for (place, ready) in places.iter_mut().zip(&ready) {
            self.remove(&mut place.session, ready.files, changes)?;
        }
        Ok(ready.into_iter().flat_map(|ready| ready.findings).collect())
    }

    fn remove(
        &self,
        session: &mut Session,
        files: Files,
        changes: &mut Changes,
    ) -> Result<(), Error> {
        let name = &self.current.user;
        if changes.then(self.is_there(session))? {
            let rule = format!("!{}", self.hash);
            changes.make(session, |session| {
                session.change(
                    "removing the old password",
                    &["ACL", "SETUSER", name, &rule],
                )
            })?;
        }
        if changes.then(self.is_there(session))? {
            return changes.then(Err(Error::conflict(format!(
                "node {} removed the old password and has it again: somebody else changes the user `{name}` at this moment",
                session.node
            ))));
        }
        // Also where it was gone already: the run that removed it may have ended before it was written.
        changes.then(files.write_users(session))?;
        changes.then(session.end_change())
    }

    fn is_there(&self, session: &mut Session) -> Result<bool, Error> {
        let user = User::read(session, &self.current.user)?;
        Ok(user.is_some_and(|user| user.accepts(&self.hash)))
    }
}

fn prove_dead(ctx: &Context, place: &Place, old: &Login) -> Result<(), Error> {
    let node = &place.session.node;
    let found = match probe::liveness(ctx, node, old)? {
        Liveness::Dead => return Ok(()),
        Liveness::Live | Liveness::Mixed => "it still opens",
        Liveness::Unknown => "the user is off, and would accept it again once it is on",
    };
    Err(Error::unprotected(format!(
        "the old password of `{user}` is not proven dead at node {node}: {found}; look at ACL GETUSER {user} and at who \
         else sets this user's passwords",
        user = old.user
    )))
}

/// If AWSCURRENT were dead somewhere, the value to retire could be the one that still works there.
pub(crate) fn kept(mut error: Error) -> Error {
    if error.kind == ErrorKind::Auth {
        error.message = format!(
            "{}; the value to retire may be the one that still works there, so it was kept",
            error.message
        );
    }
    error
}

/// Somebody has put the old password back by hand: then it is not superseded any more, and what AWSCURRENT holds is
/// never killed.
pub(crate) fn in_use_again() -> Outcome {
    let summary = "AWSCURRENT holds this very user and password, so there is nothing to retire";
    Outcome::new(Status::Unchanged).finding(note("in-use-again", summary.to_owned()))
}

pub(crate) fn sessions_ended(session: &Session, user: &str, ended: u64) -> Finding {
    note(
        "sessions-ended",
        format!(
            "{ended} session(s) of `{user}` ended at node {}",
            session.node
        ),
    )
}

fn note(id: &str, summary: String) -> Finding {
    Finding {
        id: id.into(),
        level: Level::Note,
        summary,
        fix: None,
    }
}
