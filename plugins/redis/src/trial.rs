//! `test`: the candidate logs in afresh at every node, where a wrong password was refused a moment before, and does
//! what every application does first.

use crate::errors::{PRIMARY_DOWN, WRONG_PASSWORD};
use crate::node::Node;
use crate::resp::Reply;
use crate::secret::Login;
use crate::session::{Answer, Session};
use keyturn_sdk::{Applied, Context, Error, Liveness, Outcome, Version};

pub(crate) fn test(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
    let wanted = Login::read(candidate, "the candidate")?;
    wanted.must_be_of_the_user_of(&Login::read(&ctx.current, "AWSCURRENT")?)?;
    let mut outcome = Outcome::done();
    for node in Node::all()? {
        let mut session = Session::open(&node, &wanted)?;
        if !session.login(&wanted)? {
            return Err(Error::auth(format!(
                "the candidate's password is refused for the user `{}` at node {node}; AWSCURRENT stays; was the \
                 user changed by somebody else, or the node restarted from an old file?",
                wanted.user
            ))
            .code(WRONG_PASSWORD));
        }
        may_do_something(&mut session, &wanted)?;
        outcome = outcome.member(node.report(Applied::No, Liveness::Live));
    }
    Ok(outcome)
}

pub(crate) fn may_do_something(session: &mut Session, login: &Login) -> Result<(), Error> {
    let answer = match session.try_ask("the first command after the login", &["PING"]) {
        // A replica that has lost its primary says this to whoever is let in.
        Err(error) if error.code.as_deref() == Some(PRIMARY_DOWN) => return Ok(()),
        answer => answer?,
    };
    match answer {
        Answer::Given(Reply::Text(_)) => Ok(()),
        Answer::Given(_) => Err(Error::protocol(format!(
            "node {} answered PING in a form that no Redis uses",
            session.node
        ))),
        Answer::NotPermitted(error) => {
            let mut error = error;
            error.message = format!(
                "the user `{user}` logs in at node {node} and may not even PING; AWSCURRENT stays; run ACL SETUSER \
                 {user} +ping",
                user = login.user,
                node = session.node
            );
            Err(error)
        }
    }
}
