//! `probe`: does this value open every node right now? A verdict needs proof: a login for `live`, a refusal for
//! `dead` from a node at which the user is on, and on which nobody still changes a user. It changes nothing.

use crate::access;
use crate::clients;
use crate::facts;
use crate::node::Node;
use crate::secret::Login;
use crate::session::Session;
use crate::user::User;
use keyturn_sdk::{Applied, Context, Error, ErrorKind, Liveness, Verdict, Version};

pub(crate) fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error> {
    let login = Login::read(subject, "the value to probe")?;
    let reports = Node::all()?
        .iter()
        .map(|node| Ok(node.report(Applied::No, liveness(ctx, node, &login)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(Verdict::of_members(reports))
}

pub(crate) fn liveness(ctx: &Context, node: &Node, login: &Login) -> Result<Liveness, Error> {
    let mut session = Session::open(node, login)?;
    if session.login(login)? {
        return Ok(Liveness::Live);
    }
    confirm_dead(ctx, &mut session, login)
}

/// The server says the same of a wrong password, of a user that is off and of one that does not exist; and the process
/// that last changed it may be gone while its command is still on its way. Whoever can log in is asked. If nobody
/// can, no value is live, and `dead` endangers none.
fn confirm_dead(ctx: &Context, session: &mut Session, login: &Login) -> Result<Liveness, Error> {
    if !enter_as_observer(ctx, session)? {
        return Ok(Liveness::Dead);
    }
    match clients::list(session) {
        Ok(clients) => clients::nobody_else_is_changing(session, &clients)?,
        // Without an admin it is this user that changes itself, and `set` refuses to begin without this right.
        Err(error) if error.kind == ErrorKind::Permission && ctx.companion("admin").is_none() => {}
        Err(error) => return Err(error),
    }
    // Whoever got in without an admin is of this user himself: it is on.
    if facts::has_acl(session)?
        && let Ok(Some(user)) = User::try_read(session, &login.user)?
        && !user.is_on()
    {
        return Ok(Liveness::Unknown);
    }
    // Once more, and never before the look has ended: what was still on its way is seen now.
    Ok(if session.login(login)? {
        Liveness::Live
    } else {
        Liveness::Dead
    })
}

fn enter_as_observer(ctx: &Context, session: &mut Session) -> Result<bool, Error> {
    if let Some(admin) = access::admin(ctx)? {
        access::enter_as_admin(session, &admin)?;
        return Ok(true);
    }
    let current = Login::read(&ctx.current, "AWSCURRENT")?;
    let older = access::older(ctx, &current)
        .into_iter()
        .map(|older| older.login);
    for login in std::iter::once(current.clone()).chain(older) {
        if session.login(&login)? {
            return Ok(true);
        }
    }
    Ok(false)
}
