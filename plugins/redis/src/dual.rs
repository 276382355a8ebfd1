//! `set` with two passwords: the candidate's hash is added to the user at every node, and CURRENT's stays. All
//! nodes are entered and found fit before the first is changed; the server gets hashes and no password. Older
//! passwords go last, when no node replicates with one any more.

use crate::access::{self, Place, Value};
use crate::changes::Changes;
use crate::errors::WRONG_PASSWORD;
use crate::masterauth;
use crate::persistence::Files;
use crate::preparation::{self, Ready};
use crate::secret::Login;
use crate::session::Session;
use crate::settings::Settings;
use crate::user::User;
use keyturn_sdk::{Context, Error, Finding, Level, Liveness, Outcome, Version};

pub(crate) fn set(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
    let settings: Settings = ctx.settings()?;
    let wanted = Value::read(candidate, "the candidate")?;
    let current = Value::read(&ctx.current, "AWSCURRENT")?;
    wanted.login.must_be_of_the_user_of(&current.login)?;
    let older = access::older(ctx, &current.login);
    let in_order: Vec<_> = [&wanted, &current].into_iter().chain(&older).collect();
    let mut places = access::enter_all(ctx, &in_order)?;
    spare_the_last_one(&places, &wanted, &current, &older)?;
    let (mut ready, mut users) = (Vec::new(), Vec::new());
    for place in &mut places {
        let (node, user) = preparation::of_user(place, &wanted.login, &settings)?;
        ready.push(node);
        users.push(user);
    }
    preparation::must_know_replicas(&places, &ready, &wanted.login.user)?;
    let plans: Vec<Plan> = places
        .iter()
        .zip(ready.into_iter().zip(users))
        .map(|(place, found)| Plan::make(place, found, &wanted.login, &current.login, &older))
        .collect();

    let mut changes = Changes::default();
    for (place, plan) in places.iter_mut().zip(&plans) {
        plan.add(&mut place.session, &mut changes)?;
    }
    let removed: Vec<&String> = plans.iter().flat_map(|plan| &plan.remove).collect();
    for (place, plan) in places.iter_mut().zip(&plans) {
        plan.keep_replicating(&mut place.session, &removed, &mut changes)?;
    }
    for (place, plan) in places.iter_mut().zip(&plans) {
        plan.remove(&mut place.session, &mut changes)?;
    }
    let mut outcome = changes.outcome(&places, Liveness::Live);
    outcome.opened_with = access::opened_with(&places, &ctx.current.id, &candidate.id);
    outcome.findings = plans.into_iter().flat_map(|plan| plan.findings).collect();
    Ok(outcome)
}

/// AWSCURRENT opens no node and an older value does: going on would take that from everybody who still has it, for what
/// may be a mistake in the store.
fn spare_the_last_one(
    places: &[Place],
    wanted: &Value<'_>,
    current: &Value<'_>,
    older: &[Value<'_>],
) -> Result<(), Error> {
    let opened = |id: &str| {
        places
            .iter()
            .any(|place| place.opened_with.as_deref() == Some(id))
    };
    if opened(wanted.id) || opened(current.id) {
        return Ok(());
    }
    let Some(opener) = older.iter().find(|older| opened(older.id)) else {
        return Ok(());
    };
    Err(Error::auth(format!(
        "AWSCURRENT opens no node, but version {} does, and this rotation would end it at once; nothing changed; put \
         that value back with `keyturn secret put`, then rotate",
        opener.id
    ))
    .code(WRONG_PASSWORD))
}

/// What has to be done at one node; nothing is done yet.
struct Plan {
    wanted: Login,
    hash: String,
    /// Not there yet.
    add: bool,
    /// Hashes of older values that are superseded.
    remove: Vec<String>,
    files: Files,
    replicates_with: Option<Login>,
    findings: Vec<Finding>,
}

impl Plan {
    fn make(
        place: &Place,
        (ready, user): (Ready, User),
        wanted: &Login,
        current: &Login,
        older: &[Value<'_>],
    ) -> Plan {
        let mut findings = ready.findings;
        let kept = [wanted.hash(), current.hash()];
        let mut remove: Vec<String> = older
            .iter()
            .map(|older| older.login.hash())
            .filter(|hash| !kept.contains(hash) && user.accepts(hash))
            .collect();
        remove.sort();
        remove.dedup();
        let known = |hash: &String| kept.contains(hash) || remove.contains(hash);
        let strangers = user.hashes.iter().filter(|hash| !known(hash)).count();
        if strangers > 0 {
            findings.push(strange_passwords(&place.session, &wanted.user, strangers));
        }
        if place.opened_with.is_none() {
            findings.push(current_refused(&place.session, &wanted.user));
        }
        let [hash, _] = kept;
        Plan {
            wanted: wanted.clone(),
            add: !user.accepts(&hash),
            hash,
            remove,
            files: ready.files,
            replicates_with: ready.replicates_with,
            findings,
        }
    }

    fn add(&self, session: &mut Session, changes: &mut Changes) -> Result<(), Error> {
        if self.add {
            let rule = format!("#{}", self.hash);
            changes.make(session, |session| {
                let words = ["ACL", "SETUSER", &self.wanted.user, &rule];
                session.change("adding the password", &words)
            })?;
            changes.then(self.read_back(session))?;
        }
        // Also where nothing was to be added: the run that did it may have ended before it was written.
        changes.then(self.files.write_users(session))
    }

    fn read_back(&self, session: &mut Session) -> Result<(), Error> {
        let user = User::read(session, &self.wanted.user)?;
        if user.is_some_and(|user| user.accepts(&self.hash)) {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "node {} took the new password and does not have it any more: somebody else changes the user `{}` at this \
             moment",
            session.node, self.wanted.user
        )))
    }

    /// The candidate lives at every node by now.
    fn keep_replicating(
        &self,
        session: &mut Session,
        removed: &[&String],
        changes: &mut Changes,
    ) -> Result<(), Error> {
        let with = self.replicates_with.as_ref().map(Login::hash);
        if !with.is_some_and(|hash| removed.contains(&&hash)) {
            return Ok(());
        }
        changes.make(session, |session| masterauth::change(session, &self.wanted))?;
        changes.then(self.files.write_settings(session))
    }

    fn remove(&self, session: &mut Session, changes: &mut Changes) -> Result<(), Error> {
        if !self.remove.is_empty() {
            let rules: Vec<String> = self.remove.iter().map(|hash| format!("!{hash}")).collect();
            changes.make(session, |session| {
                let words = ["ACL", "SETUSER", &self.wanted.user].into_iter();
                let words: Vec<&str> = words.chain(rules.iter().map(String::as_str)).collect();
                session.change("removing older passwords", &words)
            })?;
            changes.then(self.files.write_users(session))?;
        }
        changes.then(session.end_change())
    }
}

fn strange_passwords(session: &Session, name: &str, count: usize) -> Finding {
    Finding {
        id: "strange-passwords".into(),
        level: Level::Warning,
        summary: format!(
            "{count} password(s) of `{name}` at node {} belong to no version that is known; they were left",
            session.node
        ),
        fix: Some(format!(
            "look at ACL GETUSER {name} and remove them with ACL SETUSER {name} !HASH"
        )),
    }
}

fn current_refused(session: &Session, name: &str) -> Finding {
    Finding {
        id: "current-refused".into(),
        level: Level::Warning,
        summary: format!(
            "neither AWSCURRENT nor an older value opened `{name}` at node {}; the admin has given it the new password",
            session.node
        ),
        fix: None,
    }
}
