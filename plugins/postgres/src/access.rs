//! Who can get in, and as whom the plugin may change roles. Tries CURRENT, then the older values
//! in the order given; the admin secret is used for changes only and never to conclude that an
//! application's value works.

use crate::door::{Door, Knock, Link};
use crate::errors::INVALID_PASSWORD;
use crate::secret::Login;
use keyturn_sdk::{Context, Error, Version};

/// A value that opened a door, with the session that it opened.
pub(crate) struct Key {
    pub(crate) version_id: String,
    pub(crate) login: Login,
    pub(crate) link: Link,
}

/// The first of CURRENT and the older values that logs in, among those that `fits` lets through.
/// `None` if every one of them is refused; a broken path is an error.
pub(crate) fn open_with(
    ctx: &Context,
    door: &Door,
    fits: impl Fn(&Login) -> bool,
) -> Result<Option<Key>, Error> {
    let current = Login::read(&ctx.current, "AWSCURRENT")?;
    let older = ctx.others.iter().map(|other| &other.version);
    // An older value that cannot even be read opens nothing; CURRENT's shape was checked above.
    let logins = older.filter_map(|v| Login::read(v, "an older version").ok().map(|l| (v, l)));
    for (version, login) in std::iter::once((&ctx.current, current)).chain(logins) {
        if !fits(&login) {
            continue;
        }
        if let Knock::Opened(link) = door.knock(&login)? {
            return Ok(Some(Key {
                version_id: version.id.clone(),
                login,
                link,
            }));
        }
    }
    Ok(None)
}

/// CURRENT's own key, or the error that says why it does not open.
pub(crate) fn current_only(ctx: &Context, door: &Door) -> Result<Key, Error> {
    let login = Login::read(&ctx.current, "AWSCURRENT")?;
    let link = enter(door, &login, "the login of AWSCURRENT")?;
    Ok(Key {
        version_id: ctx.current.id.clone(),
        login,
        link,
    })
}

/// A session with the right to change roles (or the hope of it): the admin secret's where there is
/// one, else that of the value which opened the application's door.
pub(crate) fn administrator(ctx: &Context, door: &Door, key: Option<Key>) -> Result<Link, Error> {
    if let Some(version) = companion(ctx) {
        let current = Login::read(&ctx.current, "AWSCURRENT")?;
        let admin = Login::read(version, "the admin secret")?.in_database(&current.database);
        return enter(door, &admin, "the login of the admin secret")
            .map_err(|error| error.detail("companion", "admin"));
    }
    match key {
        // The same door: the session that is open already serves.
        Some(key) if door.endpoint == Door::PRIMARY => Ok(key.link),
        Some(key) => enter(
            door,
            &key.login,
            "the login of AWSCURRENT's user as administrator",
        ),
        None => Err(Error::auth(
            "no known value logs in and there is no admin secret; nothing changed; name one in \
             `masterarn` and grant it, or reset the password and store it as AWSCURRENT",
        )
        .code(INVALID_PASSWORD)),
    }
}

/// Somebody who can look at the server on which roles are changed: the admin, or any known value.
/// `None`: nobody gets in.
pub(crate) fn observer(ctx: &Context, door: &Door) -> Result<Option<Link>, Error> {
    if companion(ctx).is_some()
        && let Ok(link) = administrator(ctx, door, None)
    {
        return Ok(Some(link));
    }
    Ok(open_with(ctx, door, |_| true)?.map(|key| key.link))
}

fn companion(ctx: &Context) -> Option<&Version> {
    ctx.companion("admin").map(|companion| &companion.version)
}

fn enter(door: &Door, login: &Login, whose: &str) -> Result<Link, Error> {
    match door.knock(login)? {
        Knock::Opened(link) => Ok(link),
        Knock::WrongPassword(error) | Knock::Barred { error, .. } => Err(error.context(whose)),
    }
}
