//! `check`: a preflight without a candidate. Each question becomes a finding, the failing ones with the command or
//! the advice that mends them; it changes nothing.

use crate::access::{self, Place, Value};
use crate::clients;
use crate::dual::{must_have_acl, no_such_user};
use crate::persistence::Files;
use crate::settings::Settings;
use crate::single::{must_be_default, must_have_config};
use crate::trial::may_do_something;
use crate::user::User;
use keyturn_sdk::{Context, Error, Finding, Level};

pub(crate) fn check(ctx: &Context, dual: bool) -> Result<Vec<Finding>, Error> {
    let mut found = Findings(Vec::new());
    let current = match Value::read(&ctx.current, "AWSCURRENT") {
        Ok(current) => current,
        Err(error) => return Ok(found.with("shape", error)),
    };
    let user = &current.login.user;
    found.ok("shape", format!("AWSCURRENT is a password of `{user}`"));
    if !dual && let Err(error) = must_be_default(&current.login) {
        return Ok(found.with("shape", error));
    }
    let settings: Settings = ctx.settings()?;
    let mut places = match access::enter_all(ctx, &[&current]) {
        Ok(places) => places,
        Err(error) => return Ok(found.with("nodes", error)),
    };
    found.ok("nodes", format!("all {} node(s) answer", places.len()));
    for place in &mut places {
        if let Err(error) = node(place, &current, dual, &settings, &mut found) {
            return Ok(found.with("node", error));
        }
    }
    Ok(found.0)
}

fn node(
    place: &mut Place,
    current: &Value<'_>,
    dual: bool,
    settings: &Settings,
    found: &mut Findings,
) -> Result<(), Error> {
    let Place {
        session,
        facts,
        opened_with,
    } = place;
    let (name, node) = (&current.login.user, session.node.clone());
    if opened_with.is_none() {
        found.0.push(Finding {
            id: "login".into(),
            level: Level::Failure,
            summary: format!("AWSCURRENT is refused for the user `{name}` at node {node}"),
            fix: Some("store the password that works there, or rotate".into()),
        });
        return Ok(());
    }
    found.ok("login", format!("AWSCURRENT logs in at node {node}"));
    if !session.asks_for_login {
        found.0.push(Finding {
            id: "default-open".into(),
            level: Level::Warning,
            summary: format!(
                "node {node} answers commands without any login: its user `default` has no password"
            ),
            fix: Some("run ACL SETUSER default off once no client needs it".into()),
        });
    }
    if dual {
        must_have_acl(session, facts)?;
        let user = User::read(session, name)?.ok_or_else(|| no_such_user(session, name))?;
        user.must_be_usable(name, session)?;
        // Without rules it changes nothing and still needs the right.
        session.ask("changing the user", &["ACL", "SETUSER", name])?;
    } else {
        must_have_config(session, facts)?;
    }
    clients::nobody_is_changing(session)?;
    let files = Files::find(session, facts, settings.persistence)?;
    found.ok(
        "persistence",
        format!(
            "node {node} {} a restart",
            if files.keep_users() {
                "keeps its users over"
            } else {
                "forgets a change at"
            }
        ),
    );
    session.login(&current.login)?;
    may_do_something(session, &current.login)?;
    found.ok("rights", format!("node {node} can be changed"));
    Ok(())
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

    /// All findings so far and this failure.
    fn with(mut self, id: &str, error: Error) -> Vec<Finding> {
        self.0.push(Finding {
            id: id.into(),
            level: Level::Failure,
            summary: error.to_string(),
            fix: None,
        });
        self.0
    }
}
