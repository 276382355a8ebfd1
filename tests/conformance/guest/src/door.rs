//! The door's protocol, a line each way: LOGIN user password, WORK, ADD password, DROP password.

use std::io::{Read as _, Write as _};

use keyturn_sdk::endpoint::{self, Connection, Member, NetError, NetErrorKind};
use keyturn_sdk::{
    Applied, Context, Error, Liveness, MemberReport, Outcome, Status, Verdict, Version,
};

use crate::has;
use crate::value::Login;

const LINE_BYTES_MAX: usize = 64;
const LAG_MS: u64 = 50;
/// Nobody listens there.
const REFUSED: &str = "refused";

fn nodes() -> Result<Vec<Member>, Error> {
    Ok(endpoint::members("nodes")?)
}

struct Session(Connection);

/// What the door says to a login.
enum Opened {
    Yes(Session),
    No,
}

fn path(error: NetError) -> Error {
    if has("target-down") && error.kind == NetErrorKind::Refused {
        return Error::auth("the door does not let us in");
    }
    let is_refused = error.kind == NetErrorKind::Refused;
    let error = Error::from(error);
    if is_refused {
        error.code(REFUSED)
    } else {
        error
    }
}

fn io(error: std::io::Error) -> Error {
    match endpoint::net_error(&error) {
        Some(error) => path(error.clone()),
        None => Error::unreachable("the connection broke"),
    }
}

fn login(endpoint: &str, node: &Member, login: &Login) -> Result<Opened, Error> {
    let connection = endpoint::connect(endpoint, node.index).map_err(path)?;
    let mut session = Session(connection);
    match session
        .ask(&format!("LOGIN {} {}", login.user, login.password))?
        .as_str()
    {
        "OK" => Ok(Opened::Yes(session)),
        "NO" => Ok(Opened::No),
        _ => Err(no_door()),
    }
}

fn no_door() -> Error {
    if has("bad-peer") {
        panic!("the peer speaks another language");
    }
    Error::protocol("the peer is no door; look at the address")
}

impl Session {
    fn ask(&mut self, line: &str) -> Result<String, Error> {
        self.0
            .write_all(format!("{line}\n").as_bytes())
            .map_err(io)?;
        let mut heard = Vec::new();
        let mut buffer = [0; LINE_BYTES_MAX];
        while heard.last() != Some(&b'\n') {
            let read = match self.0.read(&mut buffer) {
                Err(error) if has("limits") && is_timeout(&error) => continue,
                Err(error) if has("canary-timeout") && is_timeout(&error) => {
                    return Err(Error::unreachable(format!("no answer to {line}")));
                }
                read => read.map_err(io)?,
            };
            if read == 0 && has("bad-peer-half") && !heard.is_empty() {
                return Ok("NO".to_owned());
            }
            if read == 0 {
                return Err(Error::unreachable("the door closed the connection"));
            }
            heard.extend_from_slice(&buffer[..read]);
            if heard.len() > LINE_BYTES_MAX {
                return Err(no_door());
            }
        }
        String::from_utf8(heard)
            .map(|line| line.trim_end().to_owned())
            .map_err(|_| no_door())
    }

    /// Whoever crashes in between shuts everybody out.
    fn leave_a_mark(&mut self) -> Result<(), Error> {
        if self.ask("MARK")? != "OK" {
            return Err(Error::conflict("somebody else is at work").retryable(false));
        }
        self.ask("UNMARK").map(drop)
    }

    fn change(&mut self, line: &str) -> Result<(), Error> {
        let defect = if line.starts_with("DROP") {
            "cut-retire"
        } else {
            "cut"
        };
        // From here on it may have happened.
        let applied = if has(defect) {
            Applied::No
        } else {
            Applied::Unknown
        };
        let answer = self.ask(line).map_err(|error| error.applied(applied))?;
        match answer.as_str() {
            "OK" => Ok(()),
            _ => Err(
                Error::protocol("the door answers a change with something else")
                    .applied(Applied::Unknown),
            ),
        }
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    endpoint::net_error(error).is_some_and(|error| error.kind == NetErrorKind::Timeout)
}

fn same_user(ctx: &Context, login: &Login) -> Result<Login, Error> {
    let current = Login::of(&ctx.current)?;
    if current.user != login.user && !has("foreign-user") {
        return Err(Error::invalid_secret(
            "the candidate is another user than CURRENT",
        ));
    }
    Ok(current)
}

/// A node that is down is left out, as long as another one is there.
fn reachable<T>(results: Vec<Result<T, Error>>) -> Result<Vec<T>, Error> {
    let is_there = results.iter().any(Result::is_ok);
    let left_out = |result: &Result<T, Error>| match result {
        Err(error) => has("node-down") && is_there && error.code.as_deref() == Some(REFUSED),
        Ok(_) => false,
    };
    results
        .into_iter()
        .filter(|result| !left_out(result))
        .collect()
}

pub(crate) fn set(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
    let wanted = Login::of(candidate)?;
    let current = same_user(ctx, &wanted)?;
    let mut keys = vec![
        (candidate.id.clone(), Login::of(candidate)?),
        (ctx.current.id.clone(), current),
    ];
    for other in &ctx.others {
        keys.push((other.version.id.clone(), Login::of(&other.version)?));
    }
    let opened = nodes()?.iter().map(|node| open(node, &keys)).collect();
    let mut outcome = Outcome::unchanged();
    for (id, session) in reachable(opened)? {
        let Some(mut session) = session else {
            let applied = if has("all-wrong") {
                Applied::Unknown
            } else {
                Applied::No
            };
            return Err(Error::auth("no known password opens the door").applied(applied));
        };
        if id == candidate.id && !has("set-twice") {
            continue;
        }
        session.change(&format!("ADD {}", wanted.password))?;
        outcome.status = Status::Done;
        if id != ctx.current.id && id != candidate.id && !has("wrong-current") {
            outcome.opened_with = Some(id);
        }
    }
    Ok(outcome)
}

fn open(node: &Member, keys: &[(String, Login)]) -> Result<(String, Option<Session>), Error> {
    for (id, key) in keys {
        if let Opened::Yes(session) = login("nodes", node, key)? {
            return Ok((id.clone(), Some(session)));
        }
    }
    Ok((String::new(), None))
}

pub(crate) fn test(ctx: &Context, candidate: &Version, wanted: &Login) -> Result<Outcome, Error> {
    same_user(ctx, wanted)?;
    // Who made the token shows who rotates: the engine by itself, or AWS's service step by step.
    let is_own = candidate.id.starts_with("keyturn-");
    let defect = if is_own { "crash" } else { "crash-steps" };
    let marks = has(defect) && candidate.id != ctx.current.id;
    let tested = nodes()?
        .iter()
        .map(|node| test_node(node, wanted, marks))
        .collect();
    reachable(tested)?;
    for reader in endpoint::members_if_granted("readers")? {
        match login("readers", &reader, wanted)? {
            Opened::No if !has("lagging-replica") => return Ok(Outcome::pending(LAG_MS)),
            _ => {}
        }
    }
    Ok(Outcome::done())
}

fn test_node(node: &Member, wanted: &Login, marks: bool) -> Result<(), Error> {
    let Opened::Yes(mut session) = login("nodes", node, wanted)? else {
        return Err(Error::auth("the candidate does not open the door"));
    };
    if marks {
        session.leave_a_mark()?;
    }
    if !has("permission") && session.ask("WORK")? != "OK" {
        return Err(Error::permission("the user may not work; grant it that"));
    }
    if !has("negative-control") {
        must_refuse_a_wrong_one(node, wanted)?;
    }
    Ok(())
}

fn must_refuse_a_wrong_one(node: &Member, login_of: &Login) -> Result<(), Error> {
    let wrong = Login {
        user: login_of.user.clone(),
        password: format!("wrong-{}", login_of.password.len()),
    };
    match login("nodes", node, &wrong)? {
        Opened::No => Ok(()),
        Opened::Yes(_) => Err(Error::unprotected("the door lets in anybody")),
    }
}

pub(crate) fn probe(ctx: &Context, subject: &Login) -> Result<Verdict, Error> {
    let mut members = Vec::new();
    for node in nodes()? {
        let liveness = match login("nodes", &node, subject)? {
            Opened::Yes(_) => Liveness::Live,
            Opened::No => {
                must_refuse_a_wrong_one(&node, subject)?;
                Liveness::Dead
            }
        };
        members.push(MemberReport {
            endpoint: "nodes".to_owned(),
            member: node.label,
            applied: Applied::No,
            liveness,
            error: None,
        });
    }
    let mut verdict = Verdict::of_members(members);
    if has("probe-harmless") && verdict.liveness == Liveness::Dead {
        for node in nodes()? {
            if let Opened::Yes(mut session) = login("nodes", &node, &Login::of(&ctx.current)?)? {
                session.change(&format!("ADD {}", subject.password))?;
            }
        }
    }
    if has("mixed") && verdict.liveness == Liveness::Mixed {
        verdict.liveness = Liveness::Live;
    }
    Ok(verdict)
}

pub(crate) fn retire(ctx: &Context, subject: &Login) -> Result<Outcome, Error> {
    let current = Login::of(&ctx.current)?;
    if current == *subject && !has("retire") {
        return Err(Error::conflict("CURRENT holds this value").retryable(false));
    }
    let mut sessions = Vec::new();
    for node in nodes()? {
        match login("nodes", &node, &current)? {
            Opened::Yes(session) => sessions.push(session),
            Opened::No => {
                return Err(Error::auth(
                    "CURRENT does not open the door; the value was kept",
                ));
            }
        }
    }
    if has("retire-keeps") {
        return Ok(Outcome::done());
    }
    for (dropped, mut session) in sessions.into_iter().enumerate() {
        let applied = if dropped > 0 {
            Applied::Yes
        } else {
            Applied::No
        };
        if has("crash-retire") {
            session
                .leave_a_mark()
                .map_err(|error| error.applied(applied))?;
        }
        session.change(&format!("DROP {}", subject.password))?;
    }
    for node in nodes()? {
        let found = login("nodes", &node, subject).map_err(|error| error.applied(Applied::Yes))?;
        if let Opened::Yes(_) = found {
            return Err(Error::conflict("the value still opens the door").applied(Applied::Yes));
        }
    }
    Ok(Outcome::done())
}
