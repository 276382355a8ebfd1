//! `retire`: kills a value that AWSCURRENT does not hold, and proves it dead. It removes the
//! password of the *other* user and never touches the role that AWSCURRENT names; where both are
//! the same role, the old password died when the new one was set, and only the proof is left.

use crate::access::{self, Attempt, Key};
use crate::change::{in_transaction, statement};
use crate::door::{Door, Link};
use crate::knocking::take_turns;
use crate::probe;
use crate::secret::Login;
use crate::server::{RoleFacts, Server};
use crate::sessions;
use crate::set::explain_right;
use crate::sql::{ident, remove_password};
use keyturn_sdk::{
    Applied, Context, Error, ErrorKind, Finding, Level, Liveness, Outcome, RetireRequest, Status,
};
use std::iter;

pub(crate) fn retire(ctx: &Context, request: &RetireRequest) -> Result<Outcome, Error> {
    let current = Login::read(&ctx.current, "AWSCURRENT")?;
    let old = Login::read(&request.subject, "the value to retire")?;
    if old.user == current.user && old.password.expose() == current.password.expose() {
        return Ok(in_use_again());
    }
    let mut key = access::current(ctx, &Door::primary()?)?;
    let mut work = Work {
        ctx,
        door: Door::writable()?,
        old,
        applied: Applied::No,
        findings: Vec::new(),
    };
    // The application has moved on to other users: these are not ours to change, but may be dead.
    if !work.old.is_of_the_family_of(&current) {
        enter(key)?.link.close();
        let liveness = probe::liveness(ctx, &work.door, &work.old);
        return work.proven(liveness, "Keyturn does not change users of another name than AWSCURRENT's: remove its password or the role");
    }
    // Whichever is answered first, nothing is changed before all of them are judged. Of one role no two are made
    // together: it may have CONNECTION LIMIT 1, and its refusals may count towards a lockout until a login succeeds.
    let mut admin = access::admin(ctx, &work.door);
    let one_role = work.old.user == current.user;
    let mut old = (!one_role).then(|| work.door.knocking(&work.old));
    take_turns(
        iter::once(&mut key.knocking)
            .chain(access::of_another_role(&mut admin, [&current, &work.old]))
            .chain(&mut old),
    );
    let mut link = access::administrator(&work.door, Some(enter(key)?), admin?)?;
    let refused = match old {
        Some(old) => old.answer()?.found_wrong_password(),
        None => false,
    };
    if !one_role {
        work.remove_password(&mut link, refused)?;
    }
    if let Some(age_ms) = request.end_sessions_older_than_ms {
        work.end_sessions(&mut link, age_ms)?;
    }
    let liveness = if one_role {
        // Between its two refusals the role logs in anew.
        link.close();
        probe::liveness(ctx, &work.door, &work.old)
    } else {
        work.liveness(link, refused)
    };
    work.proven(
        liveness,
        "look at pg_hba.conf and at who else sets this role's password",
    )
}

/// If AWSCURRENT were dead, the value to retire could be the last one that works.
fn enter(current: Attempt) -> Result<Key, Error> {
    current.must_open("the login of AWSCURRENT").map_err(kept)
}

/// After a failover to a server that lacks the last change, this is how it looks.
fn kept(mut error: Error) -> Error {
    if error.kind == ErrorKind::Auth {
        error.message = format!(
            "{}; the value to retire may be the one that still works, so it was kept: store that one as \
             AWSCURRENT, or set the password that AWSCURRENT names at the server again",
            error.message
        );
    }
    error
}

/// Somebody has put the old login back by hand, with other members changed: then it is not superseded
/// any more, and what AWSCURRENT holds is never killed.
fn in_use_again() -> Outcome {
    let mut outcome = Outcome::new(Status::Unchanged);
    let summary = "AWSCURRENT holds this very user and password, so there is nothing to retire";
    outcome.findings.push(note("in-use-again", summary));
    outcome
}

fn note(id: &str, summary: impl Into<String>) -> Finding {
    Finding {
        id: id.into(),
        level: Level::Note,
        summary: summary.into(),
        fix: None,
    }
}

struct Work<'a> {
    ctx: &'a Context,
    door: Door,
    old: Login,
    applied: Applied,
    findings: Vec<Finding>,
}

impl Work<'_> {
    /// `refused`: the old password was wrong just now.
    fn remove_password(&mut self, link: &mut Link, refused: bool) -> Result<(), Error> {
        let server = Server::ask(link)?;
        server.must_be_writable(self.door.endpoint)?;
        let role = self.old.user.clone();
        match RoleFacts::read(link, &role)? {
            None => {
                let summary = format!("role {} does not exist", ident(&role));
                self.findings.push(note("role-absent", summary));
                return Ok(());
            }
            // A refusal proves the password gone only if nothing else would be refused likewise:
            // once VALID UNTIL is extended, an expired password opens again.
            Some(facts) if refused && facts.can_login && !facts.expired => return Ok(()),
            Some(_) => {}
        }
        let doing = "removing the old user's password";
        let sql = remove_password(&role);
        in_transaction(link, doing, |link| {
            statement(link, doing, &sql).map_err(|e| explain_right(e, &server, &role))
        })?;
        self.applied = Applied::Yes;
        Ok(())
    }

    fn end_sessions(&mut self, link: &mut Link, age_ms: u64) -> Result<(), Error> {
        let applied = self.applied;
        let ended =
            sessions::end(link, &self.old.user, age_ms).map_err(|error| match error.applied {
                Applied::No => error.applied(applied),
                Applied::Yes | Applied::Unknown => error,
            })?;
        if ended > 0 {
            self.applied = Applied::Yes;
        }
        let summary = format!("{ended} session(s) of {} ended", ident(&self.old.user));
        self.findings.push(note("sessions-ended", summary));
        Ok(())
    }

    /// What a probe would say, with the session that is there as the observer: it is at the server where roles are
    /// changed, and what it changed itself is committed. `refused`: the first of the two refusals was seen in this
    /// call; what changed since then the second finds out.
    fn liveness(&self, observer: Link, refused: bool) -> Result<Liveness, Error> {
        if !refused && let Some(liveness) = probe::at_first_sight(&self.door, &self.old)? {
            observer.close();
            return Ok(liveness);
        }
        probe::confirm_dead(self.ctx, &self.door, &self.old, Some(observer))
    }

    /// `otherwise` says what to do if it is not dead.
    fn proven(self, liveness: Result<Liveness, Error>, otherwise: &str) -> Result<Outcome, Error> {
        let liveness = liveness.map_err(|error| error.applied(self.applied))?;
        if liveness != Liveness::Dead {
            let (user, door) = (ident(&self.old.user), &self.door);
            let found = match liveness {
                Liveness::Live | Liveness::Mixed => "it still opens",
                Liveness::Unknown | Liveness::Dead => {
                    "the server is a standby, or refuses this role for another reason than its password"
                }
            };
            return Err(Error::unprotected(format!(
                "the old password of {user} is not proven dead at endpoint `{door}`: {found}; {otherwise}"
            ))
            .applied(self.applied));
        }
        let status = match self.applied {
            Applied::Yes => Status::Done,
            Applied::No | Applied::Unknown => Status::Unchanged,
        };
        let mut outcome = Outcome::new(status).member(self.door.report(self.applied, liveness));
        outcome.findings = self.findings;
        Ok(outcome)
    }
}
