//! `probe`: does this value open the door right now, where `set` applies? A verdict needs proof: a
//! login for `live`, SQLSTATE 28P01 for `dead`, and in both cases a server that is no standby.
//! It changes nothing.

use crate::access;
use crate::door::{Door, Knock};
use crate::secret::Login;
use crate::server::Server;
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
    match door.knock(login)? {
        Knock::Opened(mut link) => {
            let standby = Server::ask(&mut link)?.in_recovery;
            link.close();
            Ok(if standby {
                Liveness::Unknown
            } else {
                Liveness::Live
            })
        }
        Knock::WrongPassword(_) => {
            // The refusal counts only where roles are changed: a standby may lag behind. Whoever
            // can log in is asked. If nobody can, no value is live, and `dead` endangers none.
            let Some(mut link) = access::observer(ctx, door)? else {
                return Ok(Liveness::Dead);
            };
            let standby = Server::ask(&mut link)?.in_recovery;
            link.close();
            Ok(if standby {
                Liveness::Unknown
            } else {
                Liveness::Dead
            })
        }
        // 28000: the role is barred for another reason than its password, or for NOLOGIN although
        // the password was right. Either says nothing about what happens once that is lifted.
        Knock::Barred { .. } => Ok(Liveness::Unknown),
    }
}
