//! `retire`: kills a value that AWSCURRENT does not hold, and proves it dead at every node. It removes one hash of the
//! user and never the one that AWSCURRENT holds. With the strategy `single` the old password died when the new one
//! was set, and only the proof is left.

use crate::access::{self, Place, Value};
use crate::changes::Changes;
use crate::clients;
use crate::dual::{must_have_acl, no_such_user};
use crate::errors::WRONG_PASSWORD;
use crate::masterauth;
use crate::node::Node;
use crate::persistence::Files;
use crate::probe;
use crate::secret::Login;
use crate::session::Session;
use crate::settings::Persistence;
use crate::user::User;
use keyturn_sdk::{
    Applied, Context, Error, ErrorKind, Finding, Level, Liveness, Outcome, RetireRequest, Status,
};

pub(crate) fn retire(ctx: &Context, request: &RetireRequest, dual: bool) -> Result<Outcome, Error> {
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
    let mut changes = Changes::to_be(Liveness::Dead);
    if dual {
        let work = Removal {
            current: &current.login,
            old: &old,
        };
        work.carry_out(&mut places, &mut changes)?;
    } else {
        for place in &places {
            changes.note(&place.session.node, Ok(false))?;
        }
    }
    let mut findings = Vec::new();
    if let Some(age_ms) = request.end_sessions_older_than_ms {
        for place in &mut places {
            let ended = clients::end_sessions(&mut place.session, &old.user, age_ms)
                .map_err(|error| changes.after(error))?;
            findings.push(sessions_ended(&place.session, &old.user, ended));
        }
    }
    let nodes: Vec<Node> = places.into_iter().map(|place| place.session.node).collect();
    for node in &nodes {
        prove_dead(ctx, node, &old).map_err(|error| changes.after(error))?;
    }
    let mut outcome = changes.outcome();
    outcome.findings = findings;
    Ok(outcome)
}

struct Removal<'a> {
    current: &'a Login,
    old: &'a Login,
}

impl Removal<'_> {
    fn carry_out(&self, places: &mut [Place], changes: &mut Changes) -> Result<(), Error> {
        let mut files = Vec::new();
        for place in &mut *places {
            must_have_acl(&place.session, &place.facts)?;
            // To kill a password, a node that cannot keep it dead is still better than one where it lives.
            let found = Files::find(&mut place.session, &place.facts, Persistence::IfPossible)?;
            let name = &self.old.user;
            if User::read(&mut place.session, name)?.is_none() {
                return Err(no_such_user(&place.session, name));
            }
            clients::nobody_is_changing(&mut place.session)?;
            place.session.announce_change()?;
            files.push(found);
        }
        // All replicas before the first removal: each may replicate from any of them.
        for place in &mut *places {
            masterauth::update(&mut place.session, &place.facts, self.current)
                .map_err(|error| changes.after(error))?;
        }
        for (place, files) in places.iter_mut().zip(files) {
            let answer = self.remove(&mut place.session, files);
            changes.note(&place.session.node, answer)?;
        }
        Ok(())
    }

    /// True if it was still there.
    fn remove(&self, session: &mut Session, files: Files) -> Result<bool, Error> {
        let hash = self.old.hash();
        let was_there = self.is_there(session, &hash)?;
        if was_there {
            let rule = format!("!{hash}");
            let words = ["ACL", "SETUSER", &self.old.user, &rule];
            session.change("removing the old password", &words)?;
        }
        let applied = if was_there { Applied::Yes } else { Applied::No };
        self.complete(session, &hash, files)
            .map_err(|error| error.applied(applied))?;
        Ok(was_there)
    }

    /// Also where it was gone already: the run that removed it may have ended before it was written.
    fn complete(&self, session: &mut Session, hash: &str, files: Files) -> Result<(), Error> {
        if self.is_there(session, hash)? {
            return Err(Error::conflict(format!(
                "node {} removed the old password and has it again: somebody else changes the user `{}` at this moment",
                session.node, self.old.user
            )));
        }
        files.write(session)?;
        session.end_change()
    }

    fn is_there(&self, session: &mut Session, hash: &str) -> Result<bool, Error> {
        let user = User::read(session, &self.old.user)?;
        Ok(user.is_some_and(|user| user.accepts(hash)))
    }
}

fn prove_dead(ctx: &Context, node: &Node, old: &Login) -> Result<(), Error> {
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
fn kept(mut error: Error) -> Error {
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
fn in_use_again() -> Outcome {
    let summary = "AWSCURRENT holds this very user and password, so there is nothing to retire";
    Outcome::new(Status::Unchanged).finding(note("in-use-again", summary.to_owned()))
}

fn sessions_ended(session: &Session, user: &str, ended: u64) -> Finding {
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
