//! `check`: a preflight without a candidate. Each question becomes a finding, the failing ones
//! with the SQL or the advice that mends them; it changes nothing.

use crate::access;
use crate::change::statement;
use crate::door::{Door, Knock, Link};
use crate::drift::Drift;
use crate::secret::{Login, in_order, members};
use crate::server::{self, RoleFacts, Server};
use crate::sql::{ident, literal};
use crate::trial::apart;
use keyturn_sdk::{Context, Error, Finding, Level};

pub(crate) fn check(ctx: &Context, alternating: bool) -> Result<Vec<Finding>, Error> {
    let mut found = Findings(Vec::new());
    let current = match Login::read(&ctx.current, "AWSCURRENT") {
        Ok(current) => current,
        Err(error) => return Ok(found.with("shape", error)),
    };
    found.ok(
        "shape",
        format!("AWSCURRENT is a login of {}", ident(&current.user)),
    );
    found.0.extend(copies_of_the_password(ctx, &current)?);
    let link = match Door::primary().and_then(|door| enter(&door, &current)) {
        Ok(link) => link,
        Err(error) => return Ok(found.with("login", error)),
    };
    let mut key = access::Key {
        version_id: ctx.current.id.clone(),
        login: current.clone(),
        link,
    };
    let server = Server::ask(&mut key.link)?;
    found.ok(
        "login",
        format!(
            "AWSCURRENT logs in to PostgreSQL {}",
            server.version / 10_000
        ),
    );
    if alternating {
        if let Err(error) = pair(ctx, &current, key, &mut found) {
            return Ok(found.with("pair", error));
        }
    } else if let Err(error) = server.must_be_writable(Door::PRIMARY) {
        return Ok(found.with("writable", error));
    }
    Ok(found.0)
}

/// The two users and whoever may change them.
fn pair(
    ctx: &Context,
    current: &Login,
    key: access::Key,
    found: &mut Findings,
) -> Result<(), Error> {
    let partner = current.partner()?;
    let door = Door::writable()?;
    let admin = access::admin(ctx, &door);
    let mut link = match admin.and_then(|admin| access::administrator(&door, Some(key), admin)) {
        Ok(link) => link,
        Err(error) => {
            found.fail("admin-login", error);
            return Ok(());
        }
    };
    let server = Server::ask(&mut link)?;
    server.must_be_writable(door.endpoint)?;
    match RoleFacts::read(&mut link, &partner)? {
        Some(facts) => {
            if let Err(error) = facts.must_be_usable(&partner) {
                found.fail("partner", error);
            }
            found.0.push(right_over(&mut link, &partner, &server)?);
            drift(&mut link, current, &partner, &server, found)?;
        }
        None => {
            found.0.push(Finding {
                id: "partner".into(),
                level: Level::Note,
                summary: format!(
                    "role {} does not exist; the first rotation makes it",
                    ident(&partner)
                ),
                fix: None,
            });
            found.0.push(right_over(&mut link, &current.user, &server)?);
        }
    }
    link.close();
    Ok(())
}

/// May this session change `role` (or, for a role to be made, grant its model to it)?
fn right_over(link: &mut Link, role: &str, server: &Server) -> Result<Finding, Error> {
    // From 16 on CREATEROLE alone is not enough. ADMIN OPTION on a role is asked for as the
    // privilege 'MEMBER WITH ADMIN OPTION'.
    let admin_option = if server.version >= 160_000 {
        format!(
            "pg_catalog.pg_has_role(session_user, {}, 'MEMBER WITH ADMIN OPTION')",
            literal(role)
        )
    } else {
        "true".to_owned()
    };
    let sql = format!(
        "SELECT session_user, rolsuper OR (rolcreaterole AND {admin_option}) \
         FROM pg_catalog.pg_roles WHERE rolname = session_user"
    );
    let rows = statement(link, "asking for the right to change roles", &sql)?.rows;
    let Some([Some(who), Some(may)]) = rows.first().map(Vec::as_slice) else {
        return Err(Error::protocol(
            "the server's answer has another shape than the question",
        ));
    };
    let (who, of) = (ident(who), ident(role));
    if may == "t" {
        let summary = format!("{who} may change {of}");
        return Ok(Finding {
            id: "privileges".into(),
            level: Level::Ok,
            summary,
            fix: None,
        });
    }
    Ok(Finding {
        id: "privileges".into(),
        level: Level::Failure,
        summary: format!("{who} may not change {of}"),
        fix: Some(server.sql_for_right_over(role)),
    })
}

fn drift(
    link: &mut Link,
    current: &Login,
    partner: &str,
    server: &Server,
    found: &mut Findings,
) -> Result<(), Error> {
    let users = in_order(&current.user, partner);
    match server::drift(link, users, server.version)? {
        Some(Drift::Apart { differences, fix }) => {
            found.fail("drift", apart(users, &differences, &fix))
        }
        Some(Drift::SharedOwner(owner)) => {
            found.ok("drift", format!("both users act as {}", ident(&owner)));
        }
        Some(Drift::Twins) => found.ok(
            "drift",
            "both users own nothing and have equal rights".into(),
        ),
        None => {}
    }
    Ok(())
}

fn enter(door: &Door, login: &Login) -> Result<Link, Error> {
    match door.knock(login)? {
        Knock::Opened(link) => Ok(link),
        Knock::WrongPassword(error) | Knock::Barred { error, .. } => Err(error),
    }
}

/// A connection string beside the password would keep the old one.
fn copies_of_the_password(ctx: &Context, current: &Login) -> Result<Vec<Finding>, Error> {
    let members = members(&ctx.current, "AWSCURRENT")?;
    let holds = |name: &&str| {
        !matches!(*name, "password" | "previous_password")
            && members
                .raw(name)
                .is_some_and(|raw| raw.contains(current.password.expose()))
    };
    let finding = |name: &str| Finding {
        id: "password-copied".into(),
        level: Level::Warning,
        summary: format!(
            "the member `{name}` holds the password too and keeps the old one after a rotation"
        ),
        fix: Some(format!(
            "build what `{name}` holds from the other members, and remove it"
        )),
    };
    Ok(members.names().filter(holds).map(finding).collect())
}

struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, id: &str, summary: String) {
        self.0.push(Finding {
            id: id.into(),
            level: Level::Ok,
            summary,
            fix: None,
        });
    }

    fn fail(&mut self, id: &str, error: Error) {
        let fix = error
            .details
            .iter()
            .find(|(name, _)| name == "fix")
            .map(|(_, fix)| fix.clone());
        self.0.push(Finding {
            id: id.into(),
            level: Level::Failure,
            summary: error.to_string(),
            fix,
        });
    }

    fn with(mut self, id: &str, error: Error) -> Vec<Finding> {
        self.fail(id, error);
        self.0
    }
}
