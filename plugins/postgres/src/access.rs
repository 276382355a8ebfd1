//! Who can get in, and as whom the plugin may change roles. Tries CURRENT, then the older values
//! in the order given; the admin secret is used for changes only and never to conclude that an
//! application's value works.

use crate::door::{Door, Knock, Link};
use crate::errors::INVALID_PASSWORD;
use crate::knocking::Knocking;
use crate::secret::Login;
use keyturn_sdk::{Context, Error, Version};

/// A value that may open a door, with its login there, which may be under way.
pub(crate) struct Attempt {
    version_id: String,
    login: Login,
    pub(crate) knocking: Knocking,
}

/// A value that opened a door, with the session that it opened.
pub(crate) struct Key {
    pub(crate) version_id: String,
    pub(crate) login: Login,
    pub(crate) link: Link,
}

impl Attempt {
    fn new(version: &Version, login: Login, door: &Door) -> Attempt {
        Attempt {
            version_id: version.id.clone(),
            knocking: door.knocking(&login),
            login,
        }
    }

    /// The key, or the error that says why it does not open.
    pub(crate) fn must_open(self, whose: &str) -> Result<Key, Error> {
        Ok(Key {
            link: enter(self.knocking, whose)?,
            version_id: self.version_id,
            login: self.login,
        })
    }
}

/// CURRENT's own login, not begun yet.
pub(crate) fn current(ctx: &Context, door: &Door) -> Result<Attempt, Error> {
    let login = Login::read(&ctx.current, "AWSCURRENT")?;
    Ok(Attempt::new(&ctx.current, login, door))
}

/// Of CURRENT and the older values those that `fits` lets through, none of them begun yet.
pub(crate) fn attempts(
    ctx: &Context,
    door: &Door,
    fits: impl Fn(&Login) -> bool,
) -> Result<Vec<Attempt>, Error> {
    let current = Login::read(&ctx.current, "AWSCURRENT")?;
    let older = ctx.others.iter().map(|other| &other.version);
    // An older value that cannot even be read opens nothing; CURRENT's shape was checked above.
    let logins = older.filter_map(|v| Login::read(v, "an older version").ok().map(|l| (v, l)));
    let logins = std::iter::once((&ctx.current, current)).chain(logins);
    Ok(logins
        .filter(|(_, login)| fits(login))
        .map(|(version, login)| Attempt::new(version, login, door))
        .collect())
}

/// The first that logs in; those behind it are not tried. `None` if every one of them is refused; a
/// broken path is an error.
pub(crate) fn first_to_open(attempts: Vec<Attempt>) -> Result<Option<Key>, Error> {
    for attempt in attempts {
        if let Knock::Opened(link) = attempt.knocking.answer()? {
            return Ok(Some(Key {
                version_id: attempt.version_id,
                login: attempt.login,
                link,
            }));
        }
    }
    Ok(None)
}

/// The first of CURRENT and the older values that logs in.
pub(crate) fn open(ctx: &Context, door: &Door) -> Result<Option<Key>, Error> {
    first_to_open(attempts(ctx, door, |_| true)?)
}

/// The admin secret's login, not begun yet, if there is one.
pub(crate) fn admin(ctx: &Context, door: &Door) -> Result<Option<Knocking>, Error> {
    let Some(companion) = ctx.companion("admin") else {
        return Ok(None);
    };
    let current = Login::read(&ctx.current, "AWSCURRENT")?;
    let admin = Login::read(&companion.version, "the admin secret")?;
    Ok(Some(door.knocking(&admin.in_database(&current.database))))
}

/// The admin's login, if it may be made together with those of these roles: two sessions of one role may be more than
/// it may have.
pub(crate) fn of_another_role<'a>(
    admin: &'a mut Result<Option<Knocking>, Error>,
    logins: [&Login; 2],
) -> Option<&'a mut Knocking> {
    let admin = admin.as_mut().ok()?.as_mut()?;
    let is_one_of_them = logins.iter().any(|login| admin.is_of(&login.user));
    (!is_one_of_them).then_some(admin)
}

/// A session with the right to change roles (or the hope of it): the admin secret's where there is
/// one, else that of the value which opened the application's door.
pub(crate) fn administrator(
    door: &Door,
    key: Option<Key>,
    admin: Option<Knocking>,
) -> Result<Link, Error> {
    if let Some(admin) = admin {
        if let Some(key) = key {
            key.link.close();
        }
        return enter(admin, "the login of the admin secret")
            .map_err(|error| error.detail("companion", "admin"));
    }
    match key {
        // The same door: the session that is open already serves.
        Some(key) if door.endpoint == Door::PRIMARY => Ok(key.link),
        Some(Key { link, login, .. }) => {
            link.close();
            let whose = "the login of AWSCURRENT's user as administrator";
            enter(door.knocking(&login), whose)
        }
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
    if let Ok(Some(admin)) = admin(ctx, door)
        && let Ok(Knock::Opened(link)) = admin.answer()
    {
        return Ok(Some(link));
    }
    Ok(open(ctx, door)?.map(|key| key.link))
}

fn enter(login: Knocking, whose: &str) -> Result<Link, Error> {
    match login.answer()? {
        Knock::Opened(link) => Ok(link),
        Knock::WrongPassword(error) | Knock::Barred { error, .. } => Err(error.context(whose)),
    }
}
