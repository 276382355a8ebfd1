//! `set` with the one password that servers before Redis 6 have: `requirepass` is replaced, and with it the
//! password that replicas log in with. All nodes are entered and found fit before the first is changed.

use crate::access::{self, Place, Value};
use crate::changes::Changes;
use crate::clients;
use crate::dual::opened_with;
use crate::errors::WRONG_PASSWORD;
use crate::facts::Facts;
use crate::masterauth;
use crate::persistence::Files;
use crate::secret::{DEFAULT_USER, Login};
use crate::session::Session;
use crate::settings::Settings;
use keyturn_sdk::{Applied, Context, Error, Liveness, Outcome, Version};

pub(crate) fn set(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
    let settings: Settings = ctx.settings()?;
    let wanted = Value::read(candidate, "the candidate")?;
    let known = access::known(ctx)?;
    if let Some(current) = known.first() {
        wanted.login.must_be_of_the_user_of(&current.login)?;
    }
    must_be_default(&wanted.login)?;
    let in_order: Vec<_> = std::iter::once(&wanted).chain(&known).collect();
    let mut places = access::enter_all(ctx, &in_order)?;
    let mut files = Vec::new();
    for place in &mut places {
        must_have_config(&place.session, &place.facts)?;
        let found = Files::find(&mut place.session, &place.facts, settings.persistence)?;
        found.write(&mut place.session)?;
        clients::nobody_is_changing(&mut place.session)?;
        place.session.announce_change()?;
        files.push(found);
    }

    let mut changes = Changes::to_be(Liveness::Live);
    for (place, files) in places.iter_mut().zip(files) {
        let applied = place.opened_with.as_deref() == Some(candidate.id.as_str());
        let answer = replace(place, &wanted.login, applied, files);
        changes.note(&place.session.node, answer)?;
    }
    let mut outcome = changes.outcome();
    outcome.opened_with = opened_with(&places, ctx, &candidate.id);
    Ok(outcome)
}

/// `requirepass` is the password of no other user.
pub(crate) fn must_be_default(login: &Login) -> Result<(), Error> {
    if login.is_default() {
        return Ok(());
    }
    Err(Error::invalid_settings(format!(
        "the strategy `single` changes requirepass, the password of the user `{DEFAULT_USER}`, and the secret names \
         the user `{}`; nothing changed; use the strategy `dual`",
        login.user
    )))
}

pub(crate) fn must_have_config(session: &Session, facts: &Facts) -> Result<(), Error> {
    if facts.has_config {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "node {} (version {}) does not let anybody run CONFIG, as managed services do; nothing changed; rotate through \
         the service's own interface",
        session.node, facts.version
    )))
}

/// True if the node was changed. `applied`: the new password opened it.
fn replace(place: &mut Place, wanted: &Login, applied: bool, files: Files) -> Result<bool, Error> {
    let Place { session, facts, .. } = place;
    if !applied {
        let words = ["CONFIG", "SET", "requirepass", wanted.password.expose()];
        session.change("replacing the password", &words)?;
    }
    let rest = masterauth::update(session, facts, wanted).and_then(|updated| {
        if !session.login(wanted)? {
            return Err(Error::conflict(format!(
                "node {} took the new password and refuses it now: somebody else changes it at this moment",
                session.node
            ))
            .code(WRONG_PASSWORD));
        }
        files.write(session)?;
        session.end_change()?;
        Ok(updated)
    });
    let updated = rest.map_err(|error| error.applied(Applied::Yes))?;
    Ok(!applied || updated)
}
