//! `set`: makes the server accept the candidate. It logs in before it changes anything, so that a
//! server that lets everybody in, a wrong CURRENT and a standby are found while nothing has
//! changed; it never sends a password, and it changes one role and no other.

use crate::access::{self, Key};
use crate::change::{in_transaction, statement};
use crate::door::{Door, Knock, Link};
use crate::errors::INVALID_PASSWORD;
use crate::knocking::take_turns;
use crate::secret::{Login, family};
use crate::server::{self, RoleFacts, Server};
use crate::sql::{self, ident};
use crate::verifier::{ITERATIONS, SALT_BYTES, verifier};
use keyturn_sdk::{
    Applied, Context, Error, ErrorKind, Finding, Level, Liveness, Outcome, Status, Version, random,
};
use std::iter;

/// Two users in turn: the candidate's role gets a new password, CURRENT's is not touched.
pub(crate) fn alternating(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
    let current = Login::read(&ctx.current, "AWSCURRENT")?;
    let wanted = Login::read(candidate, "the candidate")?;
    wanted.must_be_partner_of(&current)?;
    let door = Door::writable()?;
    // They are judged in this order, whichever is answered first. CURRENT logs in on primary, because that is
    // where the application uses it.
    let mut applied = door.knocking(&wanted);
    let mut keys = access::attempts(ctx, &Door::primary()?, |_| true)?;
    let mut admin = access::admin(ctx, &door);
    take_turns(
        iter::once(&mut applied)
            .chain(keys.first_mut().map(|key| &mut key.knocking))
            .chain(access::of_another_role(&mut admin, [&wanted, &current])),
    );
    if already_applied(&door, applied.answer()?)? {
        return Ok(finished(&door, Status::Unchanged, Applied::No).opened_with(&candidate.id));
    }
    let key = access::first_to_open(keys)?;
    if let Some(key) = &key {
        spare_the_last_one(key, ctx, &wanted)?;
    }
    let opened_with = key.as_ref().map(|key| key.version_id.clone());
    let mut link = access::administrator(&door, key, admin?)?;
    let made = give_password(&mut link, &door, &current, &wanted)?;
    link.close();

    let mut outcome = finished(&door, Status::Done, Applied::Yes);
    outcome.findings.extend(made);
    Ok(opened_by(outcome, ctx, opened_with))
}

/// One user: its own password is replaced, from its own session.
pub(crate) fn single(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
    let wanted = Login::read(candidate, "the candidate")?;
    wanted.must_be_of_the_family_of(&Login::read(&ctx.current, "AWSCURRENT")?)?;
    let door = Door::primary()?;
    // The candidate's refusal is also the negative control: a wrong value, on the very path. AWSCURRENT's login
    // comes after it, because it is of the same role and ends what a lockout counts.
    if already_applied(&door, door.knock(&wanted)?)? {
        return Ok(finished(&door, Status::Unchanged, Applied::No).opened_with(&candidate.id));
    }
    let keys = access::attempts(ctx, &door, |login| login.user == wanted.user)?;
    let Some(mut key) = access::first_to_open(keys)? else {
        return Err(Error::auth(format!(
            "no known password opens role {} at endpoint `{door}`; nothing changed; set one with \
             \\password in psql as an administrator and store it as AWSCURRENT",
            ident(&wanted.user)
        ))
        .code(INVALID_PASSWORD));
    };
    let server = Server::ask(&mut key.link)?;
    server.must_be_writable(door.endpoint)?;
    if server.session_user != wanted.user {
        return Err(Error::drift(format!(
            "the session at endpoint `{door}` belongs to {} and not to {}: a pooler maps users; \
             nothing changed; grant the endpoint of the server itself",
            ident(&server.session_user),
            ident(&wanted.user)
        )));
    }
    let sql = sql::set_password(&wanted.user, &new_verifier(&wanted));
    in_transaction(&mut key.link, "changing the password", |link| {
        statement(link, "changing the password", &sql)
    })?;
    key.link.close();
    Ok(opened_by(
        finished(&door, Status::Done, Applied::Yes),
        ctx,
        Some(key.version_id),
    ))
}

fn already_applied(door: &Door, answer: Knock) -> Result<bool, Error> {
    match answer {
        Knock::Opened(mut link) => {
            Server::ask(&mut link)?.must_be_writable(door.endpoint)?;
            link.close();
            Ok(true)
        }
        Knock::WrongPassword(_) => Ok(false),
        Knock::Barred {
            error,
            password_was_right,
        } => {
            // On the way of the administrator another pg_hba.conf line may apply than on the
            // application's; on the application's own way it is final.
            if password_was_right || door.endpoint == Door::PRIMARY {
                return Err(error);
            }
            Ok(false)
        }
    }
}

/// CURRENT is dead and the very user whose password would be replaced is the one that still works:
/// going on would take the last working credential away.
fn spare_the_last_one(key: &Key, ctx: &Context, wanted: &Login) -> Result<(), Error> {
    if key.version_id == ctx.current.id || key.login.user != wanted.user {
        return Ok(());
    }
    Err(Error::auth(format!(
        "AWSCURRENT does not log in, but version {} does, as the user {} whose password this \
         rotation would replace; nothing changed; restore that version first, or reset the password \
         of AWSCURRENT's user",
        key.version_id,
        ident(&wanted.user)
    ))
    .code(INVALID_PASSWORD))
}

fn give_password(
    link: &mut Link,
    door: &Door,
    current: &Login,
    wanted: &Login,
) -> Result<Option<Finding>, Error> {
    let server = Server::ask(link)?;
    server.must_be_writable(door.endpoint)?;
    let verifier = new_verifier(wanted);
    let doing = "giving the second user its password";
    in_transaction(link, doing, |link| {
        if let Some(facts) = RoleFacts::read(link, &wanted.user)? {
            facts.must_be_usable(&wanted.user)?;
            let sql = sql::set_password(&wanted.user, &verifier);
            statement(link, doing, &sql).map_err(|e| explain_right(e, &server, &wanted.user))?;
            return Ok(None);
        }
        let Some(template) = server::template(link, &current.user)? else {
            return Err(Error::conflict(format!(
                "role {} does not exist any more; nothing changed",
                ident(&current.user)
            )));
        };
        let doing = "making the second user";
        for sql in sql::create_double(&wanted.user, &template, &verifier) {
            statement(link, doing, &sql).map_err(|e| explain_right(e, &server, &current.user))?;
        }
        Ok(Some(Finding {
            id: "second-user-made".into(),
            level: Level::Note,
            summary: format!(
                "role {} did not exist; it was made as a member of {} that acts as the same role",
                ident(&wanted.user),
                ident(&current.user)
            ),
            fix: None,
        }))
    })
}

/// The commonest failure of a first rotation, so it names the grant.
pub(crate) fn explain_right(mut error: Error, server: &Server, role: &str) -> Error {
    if error.kind == ErrorKind::Permission {
        let sql = server.sql_for_right_over(role);
        // To let an application's own user change roles is the last thing to do.
        let or_else = if family(&server.session_user) == family(role) {
            "name an admin secret in `masterarn` and grant.companion.admin; or, if this user itself is to have the \
             right, run, as a superuser"
        } else {
            "run, as a superuser"
        };
        error.message = format!("{}; nothing changed; {or_else}: {sql}", error.message);
    }
    error
}

fn new_verifier(login: &Login) -> String {
    let mut salt = [0; SALT_BYTES];
    random::fill(&mut salt);
    verifier(login.password.expose(), &salt, ITERATIONS)
}

fn finished(door: &Door, status: Status, applied: Applied) -> Outcome {
    Outcome::new(status).member(door.report(applied, Liveness::Live))
}

fn opened_by(outcome: Outcome, ctx: &Context, version_id: Option<String>) -> Outcome {
    let warning = |id: &str, summary: String| Finding {
        id: id.into(),
        level: Level::Warning,
        summary,
        fix: None,
    };
    match version_id {
        Some(id) if id == ctx.current.id => outcome.opened_with(id),
        Some(id) => outcome
            .finding(warning(
                "opened-with-other",
                format!("AWSCURRENT does not log in; version {id} did"),
            ))
            .opened_with(id),
        None => outcome.finding(warning(
            "current-dead",
            "neither AWSCURRENT nor any other known version logs in; the administrator set the new password".into(),
        )),
    }
}
