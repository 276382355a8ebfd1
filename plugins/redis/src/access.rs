//! Who can get in at each node, and as whom the plugin changes users there. Tries the candidate where there is
//! one, then CURRENT, then the older values in the order given; the admin secret is used for changes only and
//! never to conclude that an application's value works.

use crate::errors::WRONG_PASSWORD;
use crate::facts::Facts;
use crate::node::Node;
use crate::secret::Login;
use crate::session::Session;
use crate::topology;
use keyturn_sdk::{Context, Error, Version};

/// A value that may open a node.
pub(crate) struct Value<'a> {
    pub(crate) id: &'a str,
    pub(crate) login: Login,
}

/// A node whose facts were read in a session that may change users (or hopes so).
pub(crate) struct Place {
    pub(crate) session: Session,
    pub(crate) facts: Facts,
    /// The version that opened it; `None`: only the admin gets in.
    pub(crate) opened_with: Option<String>,
}

impl<'a> Value<'a> {
    pub(crate) fn read(version: &'a Version, whose: &str) -> Result<Value<'a>, Error> {
        Ok(Value {
            id: &version.id,
            login: Login::read(version, whose)?,
        })
    }
}

/// The older values of CURRENT's user, in the order in which they are tried.
pub(crate) fn older<'a>(ctx: &'a Context, current: &Login) -> Vec<Value<'a>> {
    // One that cannot even be read opens nothing.
    ctx.others
        .iter()
        .filter_map(|other| Value::read(&other.version, "an older version").ok())
        .filter(|older| older.login.user == current.user)
        .collect()
}

/// The admin's login, where the host handed the admin secret over.
pub(crate) fn admin(ctx: &Context) -> Result<Option<Login>, Error> {
    ctx.companion("admin")
        .map(|companion| Login::read(&companion.version, "the admin secret"))
        .transpose()
}

/// Enters every node by the first of `values` that opens it and reads its facts, before anything is changed anywhere.
/// A node that is down or refuses everybody ends it, and so does one that the secret does not name.
pub(crate) fn enter_all(ctx: &Context, values: &[&Value<'_>]) -> Result<Vec<Place>, Error> {
    let admin = admin(ctx)?;
    let places = Node::all()?
        .iter()
        .map(|node| enter(node, values, admin.as_ref()))
        .collect::<Result<Vec<_>, Error>>()?;
    let known: Vec<_> = places
        .iter()
        .map(|place| (&place.session.node, &place.facts))
        .collect();
    topology::must_be_complete(&known)?;
    Ok(places)
}

fn enter(node: &Node, values: &[&Value<'_>], admin: Option<&Login>) -> Result<Place, Error> {
    let Some(first) = values.first() else {
        return Err(Error::internal("there is no value to log in with"));
    };
    let mut session = Session::open(node, &first.login)?;
    let opened_with = first_to_open(&mut session, values)?;
    match admin {
        Some(admin) => enter_as_admin(&mut session, admin)?,
        None if opened_with.is_none() => {
            let user = &first.login.user;
            return Err(Error::auth(format!(
                "no known password opens the user `{user}` at node {node}, and there is no admin secret; nothing \
                 changed; name one in `masterarn` and grant it, or set the password there and store it as AWSCURRENT"
            ))
            .code(WRONG_PASSWORD));
        }
        None => {}
    }
    let facts = Facts::ask(&mut session)?;
    Ok(Place {
        session,
        facts,
        opened_with,
    })
}

fn first_to_open(session: &mut Session, values: &[&Value<'_>]) -> Result<Option<String>, Error> {
    for value in values {
        if session.login(&value.login)? {
            return Ok(Some(value.id.to_owned()));
        }
    }
    Ok(None)
}

pub(crate) fn enter_as_admin(session: &mut Session, admin: &Login) -> Result<(), Error> {
    if session.login(admin)? {
        return Ok(());
    }
    Err(Error::auth(format!(
        "the admin secret's user `{}` is refused at node {}; nothing changed; correct the secret behind `masterarn`",
        admin.user, session.node
    ))
    .code(WRONG_PASSWORD)
    .detail("companion", "admin"))
}

/// Of several openers the one that tells most: anything but CURRENT and the candidate is drift.
pub(crate) fn opened_with(places: &[Place], current: &str, candidate: &str) -> Option<String> {
    let openers = || {
        places
            .iter()
            .filter_map(|place| place.opened_with.as_deref())
    };
    openers()
        .find(|id| *id != current && *id != candidate)
        .or_else(|| openers().find(|id| *id == current))
        .or_else(|| openers().next())
        .map(str::to_owned)
}
