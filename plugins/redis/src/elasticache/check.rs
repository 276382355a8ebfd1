//! `check`: a preflight without a candidate. It changes nothing; whether this host may change passwords shows when it
//! does, for AWS has no way to ask.

use super::doors::Doors;
use super::{Kind, form, holder, strangers, warning};
use crate::access::Value;
use crate::check::Findings;
use crate::trial::may_do_something;
use keyturn_sdk::{Context, Error, Finding, Level};

pub(crate) fn check(ctx: &Context, kind: Kind) -> Result<Vec<Finding>, Error> {
    let mut found = Findings::default();
    let shape = Value::read(&ctx.current, "AWSCURRENT").and_then(|current| {
        form::must_fit(kind, &current.login, "AWSCURRENT")?;
        Ok((holder(ctx, kind)?, current.login))
    });
    let (holder, current) = match shape {
        Ok(shape) => shape,
        Err(error) => return Ok(found.with("shape", error)),
    };
    found.ok(
        "shape",
        format!("AWSCURRENT is a password of {}", holder.called()),
    );
    let state = match holder.look() {
        Ok(state) => state,
        Err(error) => return Ok(found.with("api", error)),
    };
    found.ok("api", format!("ElastiCache describes {}", holder.called()));
    if state.pause_ms.is_some() {
        let summary = format!(
            "{} is being changed; a rotation waits for that",
            holder.called()
        );
        found.add(warning("changing", summary, None));
    }
    let mut doors = match Doors::try_all(&[&current]) {
        Ok(doors) => doors,
        Err(error) => return Ok(found.with("nodes", error)),
    };
    found.ok("nodes", format!("all {} node(s) answer", doors.0.len()));
    if let Some(node) = doors.closed_to(0) {
        found.add(Finding {
            id: "login".into(),
            level: Level::Failure,
            summary: format!(
                "AWSCURRENT is refused for the user `{}` at node {node}",
                current.user
            ),
            fix: Some("store the password that works there".into()),
        });
        return Ok(found.into_inner());
    }
    for door in &mut doors.0 {
        if let Err(error) = may_do_something(&mut door.session, &current) {
            return Ok(found.with("login", error));
        }
        found.ok(
            "login",
            format!("AWSCURRENT logs in at node {}", door.session.node),
        );
    }
    if let Some(finding) = strangers(&*holder, &state, 1) {
        found.add(finding);
    }
    Ok(found.into_inner())
}
