//! `set` with the one password that servers before Redis 6 have: `requirepass` is replaced, and with it the
//! password that replicas log in with. All nodes are entered and found fit before the first is changed.

use crate::access::{self, Place, Value};
use crate::changes::Changes;
use crate::errors::WRONG_PASSWORD;
use crate::masterauth;
use crate::preparation::{self, Ready, must_be_default};
use crate::secret::Login;
use crate::session::Session;
use crate::settings::Settings;
use keyturn_sdk::{Context, Error, Liveness, Outcome, Version};

pub(crate) fn set(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
    let settings: Settings = ctx.settings()?;
    let wanted = Value::read(candidate, "the candidate")?;
    let current = Value::read(&ctx.current, "AWSCURRENT")?;
    wanted.login.must_be_of_the_user_of(&current.login)?;
    must_be_default(&wanted.login)?;
    let older = access::older(ctx, &current.login);
    let in_order: Vec<_> = [&wanted, &current].into_iter().chain(&older).collect();
    let mut places = access::enter_all(ctx, &in_order)?;
    let ready = places
        .iter_mut()
        .map(|place| preparation::of_requirepass(place, &settings))
        .collect::<Result<Vec<_>, Error>>()?;

    let mut changes = Changes::default();
    for (place, ready) in places.iter_mut().zip(&ready) {
        let applied = place.opened_with.as_deref() == Some(candidate.id.as_str());
        replace(place, &wanted.login, applied, ready, &mut changes)?;
    }
    let mut outcome = changes.outcome(&places, Liveness::Live);
    outcome.opened_with = access::opened_with(&places, &ctx.current.id, &candidate.id);
    outcome.findings = ready.into_iter().flat_map(|ready| ready.findings).collect();
    Ok(outcome)
}

/// `applied`: the new password opened it.
fn replace(
    place: &mut Place,
    wanted: &Login,
    applied: bool,
    ready: &Ready,
    changes: &mut Changes,
) -> Result<(), Error> {
    let session = &mut place.session;
    if !applied {
        changes.make(session, |session| {
            let words = ["CONFIG", "SET", "requirepass", wanted.password.expose()];
            session.change("replacing the password", &words)
        })?;
    }
    let replicates_with = ready.replicates_with.as_ref();
    if replicates_with.is_some_and(|with| !with.same_as(wanted)) {
        changes.make(session, |session| masterauth::change(session, wanted))?;
    }
    changes.then(must_open(session, wanted))?;
    // Also where nothing was to be changed: the run that did it may have ended before it was written.
    changes.then(ready.files.write_users(session))?;
    changes.then(session.end_change())
}

fn must_open(session: &mut Session, wanted: &Login) -> Result<(), Error> {
    if session.login(wanted)? {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "node {} took the new password and refuses it now: somebody else changes it at this moment",
        session.node
    ))
    .code(WRONG_PASSWORD))
}
