//! `set` with two passwords: the candidate's hash is added to the user at every node, and CURRENT's stays. All
//! nodes are entered and found fit before the first is changed; the server gets hashes and no password.

use crate::access::{self, Place, Value};
use crate::changes::Changes;
use crate::clients;
use crate::facts::Facts;
use crate::persistence::Files;
use crate::secret::Login;
use crate::session::Session;
use crate::settings::Settings;
use crate::user::User;
use keyturn_sdk::{Applied, Context, Error, Finding, Level, Liveness, Outcome, Version};

pub(crate) fn set(ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
    let settings: Settings = ctx.settings()?;
    let wanted = Value::read(candidate, "the candidate")?;
    let known = access::known(ctx)?;
    let Some(current) = known.first() else {
        return Err(Error::internal("there is no AWSCURRENT"));
    };
    wanted.login.must_be_of_the_user_of(&current.login)?;
    let in_order: Vec<_> = std::iter::once(&wanted).chain(&known).collect();
    let mut places = access::enter_all(ctx, &in_order)?;
    let plans = places
        .iter_mut()
        .map(|place| Plan::make(place, &wanted.login, &known, &settings))
        .collect::<Result<Vec<_>, Error>>()?;

    let mut changes = Changes::to_be(Liveness::Live);
    for (place, plan) in places.iter_mut().zip(&plans) {
        let answer = plan.carry_out(&mut place.session);
        changes.note(&place.session.node, answer)?;
    }
    let mut outcome = changes.outcome();
    outcome.opened_with = opened_with(&places, ctx, &candidate.id);
    outcome.findings = plans.into_iter().flat_map(|plan| plan.findings).collect();
    Ok(outcome)
}

/// Of several openers the one that tells most: anything but CURRENT and the candidate is drift.
pub(crate) fn opened_with(places: &[Place], ctx: &Context, candidate: &str) -> Option<String> {
    let openers = || {
        places
            .iter()
            .filter_map(|place| place.opened_with.as_deref())
    };
    openers()
        .find(|id| *id != ctx.current.id && *id != candidate)
        .or_else(|| openers().find(|id| *id == ctx.current.id))
        .or_else(|| openers().next())
        .map(str::to_owned)
}

/// ACL is there and what it is needed for is allowed.
pub(crate) fn must_have_acl(session: &Session, facts: &Facts) -> Result<(), Error> {
    if facts.has_acl {
        return Ok(());
    }
    let major: Option<u32> = facts.version.split('.').next().and_then(|n| n.parse().ok());
    let (node, version) = (&session.node, &facts.version);
    Err(Error::unsupported(match major {
        Some(0..=5) => format!(
            "node {node} runs Redis {version}, which has one password (requirepass) and no users; nothing changed; \
             set strategy = \"single\", and mind its gap"
        ),
        _ => format!(
            "node {node} (version {version}) does not let anybody run ACL, as managed services do; nothing changed; \
             rotate through the service's own interface"
        ),
    }))
}

/// What has to be done at one node; nothing is done yet.
struct Plan {
    user: String,
    hash: String,
    /// Not there yet.
    add: bool,
    /// Hashes of older values that are superseded.
    remove: Vec<String>,
    files: Files,
    findings: Vec<Finding>,
}

impl Plan {
    fn make(
        place: &mut Place,
        wanted: &Login,
        known: &[Value<'_>],
        settings: &Settings,
    ) -> Result<Plan, Error> {
        let Place { session, facts, .. } = place;
        must_have_acl(session, facts)?;
        let name = &wanted.user;
        let user = User::read(session, name)?.ok_or_else(|| no_such_user(session, name))?;
        user.must_be_usable(name, session)?;
        let files = Files::find(session, facts, settings.persistence)?;
        // Without rules it changes nothing, and a missing right is found before anything has changed.
        session.ask("changing the user", &["ACL", "SETUSER", name])?;
        files.write(session)?;
        clients::nobody_is_changing(session)?;
        session.announce_change()?;

        let hash = wanted.hash();
        let current = known.first().map(|value| value.login.hash());
        let mut remove: Vec<String> = known
            .iter()
            .skip(1)
            .map(|older| older.login.hash())
            .filter(|older| *older != hash && Some(older) != current.as_ref())
            .filter(|older| user.accepts(older))
            .collect();
        remove.sort();
        remove.dedup();
        let strangers = user
            .hashes
            .iter()
            .filter(|found| **found != hash && Some(*found) != current.as_ref())
            .filter(|found| !remove.contains(found))
            .count();
        let mut findings = Vec::new();
        if strangers > 0 {
            findings.push(strange_passwords(session, name, strangers));
        }
        if !files.keep_users() {
            findings.push(not_kept(session));
        }
        Ok(Plan {
            user: name.clone(),
            add: !user.accepts(&hash),
            hash,
            remove,
            files,
            findings,
        })
    }

    /// True if the node was changed.
    fn carry_out(&self, session: &mut Session) -> Result<bool, Error> {
        let changes = self.add || !self.remove.is_empty();
        if changes {
            let rules: Vec<String> = self
                .add
                .then(|| format!("#{}", self.hash))
                .into_iter()
                .chain(self.remove.iter().map(|hash| format!("!{hash}")))
                .collect();
            let words: Vec<&str> = ["ACL", "SETUSER", &self.user]
                .into_iter()
                .chain(rules.iter().map(String::as_str))
                .collect();
            session.change("adding the password", &words)?;
            self.read_back(session)
                .map_err(|error| error.applied(Applied::Yes))?;
        }
        // Also where nothing was to be changed: the run that did it may have ended before it was written.
        self.files.keep_change(session)?;
        session
            .end_change()
            .map_err(|error| error.applied(Applied::Yes))?;
        Ok(changes)
    }

    fn read_back(&self, session: &mut Session) -> Result<(), Error> {
        let user = User::read(session, &self.user)?;
        if user.is_some_and(|user| user.accepts(&self.hash)) {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "node {} took the new password and does not have it any more: somebody else changes the user `{}` at \
             this moment",
            session.node, self.user
        )))
    }
}

pub(crate) fn no_such_user(session: &Session, name: &str) -> Error {
    Error::invalid_secret(format!(
        "there is no user `{name}` at node {}; nothing changed; create it there as it is at the other nodes (users are \
         not replicated)",
        session.node
    ))
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

fn not_kept(session: &Session) -> Finding {
    Finding {
        id: "not-kept".into(),
        level: Level::Warning,
        summary: format!(
            "node {} has neither an ACL file nor a configuration file: a restart brings the old password back",
            session.node
        ),
        fix: None,
    }
}
