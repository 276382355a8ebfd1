//! Rotation where the service lets nobody run ACL or CONFIG: ElastiCache's API changes the passwords, and logins at
//! the nodes tell which of them work. There are two at most, AWSCURRENT's being one of them at every instant. A change
//! takes its time, and nothing is remembered between calls: each looks first whether one is under way, and answers
//! `pending` for as long as it is.

mod api;
mod auth_token;
mod check;
mod doors;
mod form;
mod user;

use crate::access::{self, Value};
use crate::clients;
use crate::errors::WRONG_PASSWORD;
use crate::retire::{in_use_again, kept, sessions_ended};
use crate::secret::{Login, members};
use crate::trial;
use auth_token::Group;
use doors::Doors;
use keyturn_sdk::{
    Context, Error, Finding, Level, Liveness, Outcome, RetireRequest, Verdict, Version,
};
use user::User;

pub(crate) use check::check;
pub(crate) use form::create;

pub(crate) const USER: &str = "elasticache-user";
pub(crate) const AUTH_TOKEN: &str = "elasticache-auth-token";

/// A broken call is repeated twice at most, a change that is under way asks for more patience than that.
const PATIENCE_FACTOR: u64 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    AuthToken,
}

/// What ElastiCache keeps passwords for. A change answers how many milliseconds to wait before the next look.
trait Holder {
    /// For errors: "the replication group `cache`".
    fn called(&self) -> String;

    fn look(&self) -> Result<State, Error>;

    /// Has the candidate's password accepted beside AWSCURRENT's, or, where an older one is accepted, too
    /// (`is_crowded`), takes a step towards that.
    fn admit(&self, current: &Login, wanted: &Login, is_crowded: bool) -> Result<u64, Error>;

    /// Has AWSCURRENT's password accepted and no other, or takes a step towards that.
    fn admit_only(&self, current: &Login) -> Result<u64, Error>;

    fn unusable(&self, status: &str) -> Error {
        Error::conflict(format!(
            "{} is in the state `{status}`, in which nothing is changed; look at it in ElastiCache",
            self.called()
        ))
        .retryable(false)
    }
}

struct State {
    /// A change is under way: how long to wait before the next look.
    pause_ms: Option<u64>,
    /// How many it has, where ElastiCache tells.
    passwords: Option<usize>,
    /// No password opens it.
    is_off: bool,
}

fn holder(ctx: &Context, kind: Kind) -> Result<Box<dyn Holder>, Error> {
    const WHOSE: &str = "AWSCURRENT";
    let (members, login) = (
        members(&ctx.current, WHOSE)?,
        Login::read(&ctx.current, WHOSE)?,
    );
    let holder: Result<Box<dyn Holder>, Error> = match kind {
        Kind::User => User::of(&members, &login).map(|user| Box::new(user) as _),
        Kind::AuthToken => Group::of(&members, &login).map(|group| Box::new(group) as _),
    };
    holder.map_err(|error| error.context(WHOSE))
}

/// How the passwords of `set` are tried; older ones follow.
const WANTED: usize = 0;
const CURRENT: usize = 1;

pub(crate) fn set(ctx: &Context, candidate: &Version, kind: Kind) -> Result<Outcome, Error> {
    let holder = holder(ctx, kind)?;
    let wanted = Value::read(candidate, "the candidate")?;
    let current = Value::read(&ctx.current, "AWSCURRENT")?;
    wanted.login.must_be_of_the_user_of(&current.login)?;
    form::must_fit(kind, &wanted.login, "the candidate")?;
    form::must_fit(kind, &current.login, "AWSCURRENT")?;
    let state = holder.look()?;
    if let Some(pause_ms) = state.pause_ms {
        return Ok(Outcome::pending(pause_ms));
    }
    let older = access::older(ctx, &current.login);
    let mut logins = vec![&wanted.login, &current.login];
    logins.extend(older.iter().map(|older| &older.login));
    let doors = Doors::try_all(&logins)?;
    if doors.all_open_to(WANTED) {
        return Ok(done(&doors, &wanted, &current));
    }
    if let Some(node) = doors.closed_to(CURRENT) {
        let node = node.to_string();
        return Err(shut_out(&doors, &node, &current, &older));
    }
    let open = logins.iter().enumerate().skip(CURRENT);
    let open = open.filter(|(index, _)| doors.any_opens_to(*index)).count();
    let pause_ms = holder.admit(&current.login, &wanted.login, open > 1)?;
    let mut outcome = Outcome::pending(pause_ms).opened_with(current.id);
    outcome.findings.extend(strangers(&*holder, &state, open));
    Ok(outcome)
}

/// No change is under way, and the candidate opens every node.
fn done(doors: &Doors, wanted: &Value<'_>, current: &Value<'_>) -> Outcome {
    let mut outcome = Outcome::unchanged();
    outcome.members = doors.reports(Liveness::Live);
    if doors.all_open_to(CURRENT) {
        return outcome.opened_with(current.id);
    }
    let summary = format!(
        "AWSCURRENT does not open `{}` any more, and the candidate does",
        current.login.user
    );
    outcome
        .opened_with(wanted.id)
        .finding(warning("current-refused", summary, None))
}

/// AWSCURRENT's password is among those that are sent, and whatever else works would end.
fn shut_out(doors: &Doors, node: &str, current: &Value<'_>, older: &[Value<'_>]) -> Error {
    let user = &current.login.user;
    let opens = |place: usize| doors.any_opens_to(place);
    let opener = (CURRENT + 1..).zip(older).find(|(place, _)| opens(*place));
    let message = if opens(CURRENT) {
        format!(
            "AWSCURRENT opens `{user}` at some nodes and not at {node}; nothing changed; are all nodes of the secret \
             or grant the cache's own?"
        )
    } else if let Some((_, older)) = opener {
        format!(
            "AWSCURRENT opens no node, but version {} does, and this rotation would end it at once; nothing changed; \
             put that value back with `keyturn secret put`, then rotate",
            older.id
        )
    } else {
        format!(
            "no known password opens the user `{user}` at node {node}; nothing changed; set one in ElastiCache and \
             store it as AWSCURRENT"
        )
    };
    Error::auth(message).code(WRONG_PASSWORD)
}

pub(crate) fn test(ctx: &Context, candidate: &Version, kind: Kind) -> Result<Outcome, Error> {
    match holder(ctx, kind)?.look()?.pause_ms {
        // Some nodes may not have it yet.
        Some(pause_ms) => Ok(Outcome::pending(pause_ms)),
        None => trial::test(ctx, candidate),
    }
}

pub(crate) fn probe(ctx: &Context, subject: &Version, kind: Kind) -> Result<Verdict, Error> {
    let login = Login::read(subject, "the value to probe")?;
    let doors = Doors::try_all(&[&login])?;
    if doors.all_open_to(0) {
        return Ok(Verdict::of_members(doors.reports(Liveness::Live)));
    }
    let holder = holder(ctx, kind)?;
    let state = holder.look()?;
    if let Some(pause_ms) = state.pause_ms {
        return Err(Error::conflict(format!(
            "{} is being changed, so that a password which is refused now may be accepted in a moment; try again",
            holder.called()
        ))
        .retry_after_ms(pause_ms * PATIENCE_FACTOR));
    }
    // Once more, and never before the look has ended: a change that was under way then is seen now.
    let doors = Doors::try_all(&[&login])?;
    let reports = doors.0.iter().map(|door| {
        let liveness = match (door.opens_to(0), state.is_off) {
            (true, _) => Liveness::Live,
            // It would be accepted again once the user is on.
            (false, true) => Liveness::Unknown,
            (false, false) => Liveness::Dead,
        };
        door.report(liveness)
    });
    Ok(Verdict::of_members(reports.collect()))
}

pub(crate) fn retire(ctx: &Context, request: &RetireRequest, kind: Kind) -> Result<Outcome, Error> {
    let holder = holder(ctx, kind)?;
    let current = Login::read(&ctx.current, "AWSCURRENT")?;
    let old = Login::read(&request.subject, "the value to retire")?;
    if old.same_as(&current) {
        return Ok(in_use_again());
    }
    old.must_be_of_the_user_of(&current)?;
    if let Some(pause_ms) = holder.look()?.pause_ms {
        return Ok(Outcome::pending(pause_ms));
    }
    let mut doors = Doors::try_all(&[&old, &current])?;
    let (old_place, current_place) = (0, 1);
    if let Some(node) = doors.closed_to(current_place) {
        let error = Error::auth(format!("AWSCURRENT is refused at node {node}"));
        return Err(kept(error.code(WRONG_PASSWORD)));
    }
    if doors.any_opens_to(old_place) {
        form::must_fit(kind, &current, "AWSCURRENT")?;
        return Ok(Outcome::pending(holder.admit_only(&current)?));
    }
    let mut outcome = Outcome::unchanged();
    if let Some(age_ms) = request.end_sessions_older_than_ms {
        for door in &mut doors.0 {
            let ended = clients::end_sessions(&mut door.session, &old.user, age_ms)?;
            outcome = outcome.finding(sessions_ended(&door.session, &old.user, ended));
        }
    }
    outcome.members = doors.reports(Liveness::Dead);
    Ok(outcome)
}

/// `open`: how many of its passwords are known.
fn strangers(holder: &dyn Holder, state: &State, open: usize) -> Option<Finding> {
    let strangers = state
        .passwords?
        .checked_sub(open)
        .filter(|count| *count > 0)?;
    let summary = format!(
        "{strangers} password(s) of {} belong to no version that is known, and end with a rotation: there can be two",
        holder.called()
    );
    let fix = "whoever still uses one has to read the secret instead";
    Some(warning("strange-passwords", summary, Some(fix)))
}

fn warning(id: &str, summary: String, fix: Option<&str>) -> Finding {
    Finding {
        id: id.to_owned(),
        level: Level::Warning,
        summary,
        fix: fix.map(str::to_owned),
    }
}
