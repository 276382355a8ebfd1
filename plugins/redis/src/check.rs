//! `check`: a preflight without a candidate. Each question becomes a finding, the failing ones with the command or
//! the advice that mends them. It changes no password; nodes write what they have to disk, because only that shows that
//! they can.

use crate::access::{self, Place, Value};
use crate::preparation::{self, must_be_default};
use crate::secret::members;
use crate::settings::Settings;
use crate::trial::may_do_something;
use keyturn_sdk::{Context, Error, Finding, Level};

pub(crate) fn check(ctx: &Context, dual: bool) -> Result<Vec<Finding>, Error> {
    let mut found = Findings::default();
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
    found.0.extend(host_is_no_node(ctx, &places)?);
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
    let (name, node) = (&current.login.user, place.session.node.clone());
    let ready = if dual {
        preparation::of_user(place, &current.login, settings)?.0
    } else {
        preparation::of_requirepass(place, settings)?
    };
    place.session.end_change()?;
    if place.opened_with.is_none() {
        found.0.push(Finding {
            id: "login".into(),
            level: Level::Failure,
            summary: format!("AWSCURRENT is refused for the user `{name}` at node {node}"),
            fix: Some("store the password that works there, or rotate".into()),
        });
        return Ok(());
    }
    found.ok("login", format!("AWSCURRENT logs in at node {node}"));
    if !place.session.asks_for_login {
        found.0.push(Finding {
            id: "default-open".into(),
            level: Level::Warning,
            summary: format!(
                "node {node} answers commands without any login: its user `default` has no password"
            ),
            fix: Some("run ACL SETUSER default off once no client needs it".into()),
        });
    }
    if ready.files.keep_users() {
        found.ok(
            "persistence",
            format!("node {node} keeps its users over a restart"),
        );
    }
    found.0.extend(ready.findings);
    place.session.login(&current.login)?;
    may_do_something(&mut place.session, &current.login)?;
    found.ok("rights", format!("node {node} can be changed"));
    Ok(())
}

/// Where the application connects is tested only if it is a node.
fn host_is_no_node(ctx: &Context, places: &[Place]) -> Result<Option<Finding>, Error> {
    let members = members(&ctx.current, "AWSCURRENT")?;
    let Some(host) = members
        .get::<String>("host")?
        .filter(|_| members.contains("nodes"))
    else {
        return Ok(None);
    };
    let is_node = places.iter().any(|place| {
        let label = &place.session.node.label;
        label
            .rsplit_once(':')
            .is_some_and(|(named, _)| named.trim_matches(['[', ']']) == host)
    });
    Ok((!is_node).then(|| Finding {
        id: "host-is-no-node".into(),
        level: Level::Warning,
        summary: format!(
            "`host` ({host}) is none of `nodes`: whether AWSCURRENT logs in there is not tested"
        ),
        fix: Some("add it to `nodes`, unless it leads to one of them".into()),
    }))
}

#[derive(Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn ok(&mut self, id: &str, summary: String) {
        self.0.push(Finding {
            id: id.into(),
            level: Level::Ok,
            summary,
            fix: None,
        });
    }

    pub(crate) fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub(crate) fn into_inner(self) -> Vec<Finding> {
        self.0
    }

    /// All findings so far and this failure.
    pub(crate) fn with(mut self, id: &str, error: Error) -> Vec<Finding> {
        self.0.push(Finding {
            id: id.into(),
            level: Level::Failure,
            summary: error.to_string(),
            fix: None,
        });
        self.0
    }
}
