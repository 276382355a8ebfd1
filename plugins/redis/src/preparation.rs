//! What has to be right at a node before the first password is changed anywhere, asked of all nodes and tried where
//! only a try can tell. It changes no password.

use crate::access::Place;
use crate::clients;
use crate::elasticache;
use crate::errors::GENERIC;
use crate::facts::Facts;
use crate::masterauth;
use crate::persistence::Files;
use crate::secret::{DEFAULT_USER, Login};
use crate::session::Session;
use crate::settings::Settings;
use crate::user::User;
use keyturn_sdk::{Error, Finding, Level};

/// A node that is fit.
pub(crate) struct Ready {
    pub(crate) files: Files,
    /// The login with which it replicates, if that is one of the rotated user.
    pub(crate) replicates_with: Option<Login>,
    /// Replicas have logged in here as that user.
    feeds_replicas: bool,
    /// Whether it replicates as that user, nobody may look.
    hides_settings: bool,
    pub(crate) findings: Vec<Finding>,
}

/// Of all nodes together.
///
/// # Errors
/// `unsupported` if a replica logs in as the user whose password is rotated, and may be one that nobody can give another
/// password to replicate with.
pub(crate) fn must_know_replicas(
    places: &[Place],
    ready: &[Ready],
    user: &str,
) -> Result<(), Error> {
    let hides = places
        .iter()
        .zip(ready)
        .find(|(_, ready)| ready.hides_settings);
    let Some((place, _)) = hides.filter(|_| ready.iter().any(|ready| ready.feeds_replicas)) else {
        return Ok(());
    };
    Err(Error::unsupported(format!(
        "replicas log in to their primary as `{user}`, and node {} lets nobody run CONFIG, with which its masterauth would \
         have to be changed; nothing changed; give replicas a user of their own",
        place.session.node
    )))
}

/// With the strategy `dual`: the user as it is, too.
pub(crate) fn of_user(
    place: &mut Place,
    login: &Login,
    settings: &Settings,
) -> Result<(Ready, User), Error> {
    let Place { session, facts, .. } = place;
    must_have_acl(session, facts)?;
    let name = &login.user;
    let user = User::read(session, name)
        .map_err(|error| managed(session, error))?
        .ok_or_else(|| no_such_user(session, name))?;
    user.must_be_usable(name, session)?;
    // Without rules it changes nothing, and a missing right is found before anything has changed.
    session
        .ask("changing the user", &["ACL", "SETUSER", name])
        .map_err(|error| managed(session, error))?;
    Ok((ready(place, name, settings)?, user))
}

/// With the strategy `single`.
pub(crate) fn of_requirepass(place: &mut Place, settings: &Settings) -> Result<Ready, Error> {
    let Place { session, facts, .. } = place;
    if facts.has_acl {
        return Err(Error::unsupported(format!(
            "node {} (version {}) has users, and setting requirepass would remove all other passwords of `{DEFAULT_USER}` \
             at once; nothing changed; use the strategy `dual`",
            session.node, facts.version
        )));
    }
    if !facts.has_config {
        return Err(takes_away(session, "CONFIG"));
    }
    ready(place, DEFAULT_USER, settings)
}

fn ready(place: &mut Place, user: &str, settings: &Settings) -> Result<Ready, Error> {
    let Place { session, facts, .. } = place;
    // First, so that of two that do this at once at least one sees the other.
    session.announce_change()?;
    let clients = clients::list(session)?;
    clients::nobody_else_is_changing(session, &clients)?;
    let files = Files::find(session, facts, settings.persistence)?;
    let replicates_with = masterauth::of_user(session, facts, files, user, settings.persistence)?;
    let watched = clients.iter().any(|client| client.watches_as(user));
    let findings = files
        .finding(session)
        .into_iter()
        .chain(watched.then(|| watched_by_a_sentinel(session, user)))
        .collect();
    Ok(Ready {
        files,
        replicates_with,
        feeds_replicas: clients.iter().any(|client| client.replicates_as(user)),
        hides_settings: !facts.has_config,
        findings,
    })
}

/// `single` changes the password of no other user.
pub(crate) fn must_be_default(login: &Login) -> Result<(), Error> {
    if login.is_default() {
        return Ok(());
    }
    Err(Error::invalid_settings(format!(
        "the strategy `single` changes requirepass, the password of the user `{DEFAULT_USER}`, and the secret names the \
         user `{}`; nothing changed; use the strategy `dual`, or, where the server has no users, leave `username` out of \
         the secret",
        login.user
    )))
}

fn must_have_acl(session: &Session, facts: &Facts) -> Result<(), Error> {
    if facts.has_acl {
        return Ok(());
    }
    let major: Option<u32> = facts.version.split('.').next().and_then(|n| n.parse().ok());
    let Some(0..=5) = major else {
        return Err(takes_away(session, "ACL"));
    };
    Err(Error::unsupported(format!(
        "node {} runs Redis {}, which has one password (requirepass) and no users; nothing changed; set strategy = \
         \"single\", and mind its gap",
        session.node, facts.version
    )))
}

fn takes_away(session: &Session, command: &str) -> Error {
    Error::unsupported(format!(
        "node {} does not let anybody run {command}, as managed services do; nothing changed; on ElastiCache use the \
         strategy `{}` or `{}`, elsewhere the service's own interface",
        session.node,
        elasticache::USER,
        elasticache::AUTH_TOKEN
    ))
}

/// These commands have no errors of their own: the server does not let anybody run them, whatever COMMAND says.
fn managed(session: &Session, error: Error) -> Error {
    if error.code.as_deref() == Some(GENERIC) {
        let mut refused = takes_away(session, "ACL");
        refused.details = error.details;
        return refused;
    }
    error
}

fn no_such_user(session: &Session, name: &str) -> Error {
    Error::invalid_secret(format!(
        "there is no user `{name}` at node {}; nothing changed; create it there as it is at the other nodes (users are \
         not replicated)",
        session.node
    ))
}

fn watched_by_a_sentinel(session: &Session, user: &str) -> Finding {
    Finding {
        id: "sentinel".into(),
        level: Level::Warning,
        summary: format!(
            "a Sentinel logs in at node {} as `{user}`: it takes the node for dead once the old password is removed",
            session.node
        ),
        fix: Some(format!(
            "give Sentinels a user of their own, or the new password (SENTINEL SET … auth-pass) before `{user}`'s old one \
             is retired"
        )),
    }
}
