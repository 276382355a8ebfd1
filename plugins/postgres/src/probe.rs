//! `probe`: does this value open the door right now, where `set` applies? A verdict needs proof: a
//! login for `live`, SQLSTATE 28P01 for `dead`, and in both cases a server that is no standby.
//! It changes nothing.

use crate::access;
use crate::door::{Door, Knock, Link};
use crate::secret::Login;
use crate::server::{self, Server};
use keyturn_sdk::{Applied, Context, Error, Liveness, Verdict, Version};

pub(crate) fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error> {
    let door = Door::writable()?;
    let login = Login::read(subject, "the value to probe")?;
    let liveness = liveness(ctx, &door, &login)?;
    Ok(Verdict::of_members(vec![
        door.report(Applied::No, liveness),
    ]))
}

/// No further wrong value is tried: in `dead`, one has just been refused on this path; and a door
/// that opens without checking is an error of [`Door::knock`], so it is never taken for `live`.
pub(crate) fn liveness(ctx: &Context, door: &Door, login: &Login) -> Result<Liveness, Error> {
    match at_first_sight(door, login)? {
        Some(liveness) => Ok(liveness),
        // Not together with the first: most values that are probed are live, and nobody has to look.
        None => confirm_dead(ctx, door, login, access::observer(ctx, door)?),
    }
}

/// `None`: it is refused, and what that means is for [`confirm_dead`] to say.
pub(crate) fn at_first_sight(door: &Door, login: &Login) -> Result<Option<Liveness>, Error> {
    match door.knock(login)? {
        Knock::Opened(mut link) => {
            let standby = Server::ask(&mut link)?.in_recovery;
            link.close();
            Ok(Some(if standby {
                Liveness::Unknown
            } else {
                Liveness::Live
            }))
        }
        Knock::WrongPassword(_) => Ok(None),
        // 28000: the role is barred for another reason than its password, or for NOLOGIN although
        // the password was right. Either says nothing about what happens once that is lifted.
        Knock::Barred { .. } => Ok(Some(Liveness::Unknown)),
    }
}

/// A refusal counts only where roles are changed (a standby may lag behind), and only if no change is
/// still on its way there: the process that began it may be gone and its COMMIT held up by the network.
/// Whoever can log in is asked (`observer`). If nobody can, no value is live, and `dead` endangers none.
pub(crate) fn confirm_dead(
    ctx: &Context,
    door: &Door,
    login: &Login,
    observer: Option<Link>,
) -> Result<Liveness, Error> {
    if let Some(mut link) = observer {
        let server = Server::ask(&mut link)?;
        if server.in_recovery {
            link.close();
            return Ok(Liveness::Unknown);
        }
        let current = Login::read(&ctx.current, "AWSCURRENT")?;
        let users = [&server.session_user, &login.user, &current.user];
        server::no_change_is_open(&mut link, users)?;
        link.close();
    }
    // Once more, and never before the look has ended: a change that was committed after the refusal is seen now
    // (with one user it also kept AWSCURRENT from looking), and a later one can only be begun by somebody who runs.
    // The observer has left by then: it may be of the same role, which may have CONNECTION LIMIT 1.
    Ok(match door.knock(login)? {
        Knock::Opened(link) => {
            link.close();
            Liveness::Live
        }
        Knock::WrongPassword(_) => Liveness::Dead,
        Knock::Barred { .. } => Liveness::Unknown,
    })
}
