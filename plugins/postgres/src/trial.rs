//! `test`: what has to be true before AWSCURRENT moves to the candidate. On every member a fresh
//! login, a query, and a wrong password that is refused; and for alternating users the drift gate.
//! It changes nothing.

use crate::access;
use crate::door::{Door, Knock, Link};
use crate::drift::Drift;
use crate::secret::{Login, in_order};
use crate::server::{self, Server};
use crate::sql::ident;
use keyturn_sdk::{
    Applied, Context, Error, Finding, Level, Liveness, Outcome, SecretText, Status, Version, random,
};

/// How soon a lagging replica is asked again.
const LAG_POLL_MS: u64 = 500;

pub(crate) fn test(
    ctx: &Context,
    candidate: &Version,
    alternating: bool,
) -> Result<Outcome, Error> {
    let current = Login::read(&ctx.current, "AWSCURRENT")?;
    let wanted = Login::read(candidate, "the candidate")?;
    wanted.must_be_of_the_family_of(&current)?;
    let mut outcome = Outcome::done().opened_with(&candidate.id);

    let mut doors = vec![Door::primary()?];
    doors.extend(Door::readers()?);
    for door in &doors {
        // Nothing is made together here: a module that locks roles out counts refusals until a login succeeds, so the
        // wrong password waits until the candidate has opened; and the members may all lead to one server, where
        // the role may have CONNECTION LIMIT 1.
        let Some((mut link, server)) = visit(ctx, door, &wanted)? else {
            outcome.status = Status::Pending(LAG_POLL_MS);
            outcome
                .members
                .push(door.report(Applied::No, Liveness::Dead));
            continue;
        };
        if alternating && door.endpoint == Door::PRIMARY && wanted.user != current.user {
            outcome
                .findings
                .extend(drift_gate(&mut link, &current, &wanted, &server)?);
        }
        link.close();
        let wrong = door.knock(&wanted.with_password(wrong_password()))?;
        must_be_refused(door, &wanted, wrong)?;
        outcome
            .members
            .push(door.report(Applied::No, Liveness::Live));
    }
    Ok(outcome)
}

/// `None`: the member is a standby that has not heard of the new password yet.
fn visit(ctx: &Context, door: &Door, wanted: &Login) -> Result<Option<(Link, Server)>, Error> {
    let error = match door.knock(wanted)? {
        Knock::Opened(link) => return entered(link),
        Knock::Barred { error, .. } => return Err(error),
        Knock::WrongPassword(error) => error,
    };
    let Some(mut link) = access::open(ctx, door)?.map(|key| key.link) else {
        // It may have heard of the new password between the two looks, and then the old one is refused.
        return match door.knock(wanted)? {
            Knock::Opened(link) => entered(link),
            Knock::WrongPassword(_) | Knock::Barred { .. } => Err(error),
        };
    };
    let standby = Server::ask(&mut link)?.in_recovery;
    link.close();
    if standby { Ok(None) } else { Err(error) }
}

fn entered(mut link: Link) -> Result<Option<(Link, Server)>, Error> {
    let server = Server::ask(&mut link)?;
    Ok(Some((link, server)))
}

/// The negative control, without which `trust` in pg_hba.conf makes every test pass.
fn must_be_refused(door: &Door, wanted: &Login, answer: Knock) -> Result<(), Error> {
    match answer {
        Knock::WrongPassword(_) => Ok(()),
        Knock::Opened(_) => Err(Error::unprotected(format!(
            "{} at endpoint `{door}` was let in with a wrong password; correct pg_hba.conf \
             (scram-sha-256 instead of trust, peer, ident or cert) before rotating",
            ident(&wanted.user)
        ))),
        Knock::Barred { error, .. } => {
            Err(error.context("a wrong password was refused, but not as a wrong password (28P01)"))
        }
    }
}

fn wrong_password() -> SecretText {
    let digits = random::bytes(16)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect::<String>();
    SecretText::new(digits)
}

fn drift_gate(
    link: &mut Link,
    current: &Login,
    wanted: &Login,
    server: &Server,
) -> Result<Option<Finding>, Error> {
    let users = in_order(&current.user, &wanted.user);
    let summary = match server::drift(link, users, server.version)? {
        None => {
            return Err(Error::drift(format!(
                "AWSCURRENT's user {} does not exist any more at the server, so nobody who holds AWSCURRENT \
                 can log in; make it again with the set-up SQL of the plugin's README, then rotate",
                ident(&current.user)
            )));
        }
        Some(Drift::Apart { differences, fix }) => return Err(apart(users, &differences, &fix)),
        Some(Drift::SharedOwner(owner)) if owner != server.current_user => {
            return Err(Error::drift(format!(
                "{} should act as {} and acts as {}; AWSCURRENT stays; is a pooler reusing \
                 sessions that were opened before ALTER ROLE … SET role?",
                ident(&wanted.user),
                ident(&owner),
                ident(&server.current_user)
            )));
        }
        Some(Drift::SharedOwner(owner)) => format!("both users act as {}", ident(&owner)),
        Some(Drift::Twins) => "both users own nothing and have equal rights".to_owned(),
    };
    Ok(Some(Finding {
        id: "no-drift".into(),
        level: Level::Ok,
        summary,
        fix: None,
    }))
}

/// The refusal, with the repair. Shared with `check`.
pub(crate) fn apart(users: [&str; 2], differences: &[String], fix: &str) -> Error {
    const NAMED_MAX: usize = 5;
    let mut named = differences
        .iter()
        .take(NAMED_MAX)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    if differences.len() > NAMED_MAX {
        named += &format!("; and {} more differences", differences.len() - NAMED_MAX);
    }
    Error::drift(format!(
        "the application would not see the same database as {} and as {}: {named}. AWSCURRENT \
         stays; as an administrator run in this database: {fix}",
        ident(users[0]),
        ident(users[1])
    ))
    .detail("fix", fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::frame;
    use keyturn_sdk::endpoint::Security;
    use keyturn_sdk::fake::{self, Host, Script, Step};
    use keyturn_sdk::{ErrorKind, SecretText};

    /// A server that asks for an MD5 response and then gives `answer` to whatever it gets.
    fn login(answer: Vec<u8>) -> Vec<Step> {
        vec![
            Step::ExpectAny,
            Step::Reply(frame(b'R', b"\0\0\0\x05salt")),
            Step::ExpectAny,
            Step::Reply(answer),
        ]
    }

    fn accepted() -> Vec<u8> {
        [frame(b'R', &[0; 4]), frame(b'Z', b"I")].concat()
    }

    fn control(answer: Vec<u8>) -> Result<(), Error> {
        let script = Script::new(Security::Encrypted, [login(answer)]);
        let _host = Host::new().endpoint("primary", script).install();
        let version = fake::version("v1", r#"{"username":"app","password":"right"}"#);
        let wanted = Login::read(&version, "the candidate")?;
        let door = Door::primary()?;
        let wrong = door.knock(&wanted.with_password(wrong_password()))?;
        must_be_refused(&door, &wanted, wrong)
    }

    #[test]
    fn a_server_that_asks_and_then_takes_anything_is_unprotected() {
        assert_eq!(
            control(accepted()).unwrap_err().kind,
            ErrorKind::Unprotected
        );
    }

    #[test]
    fn only_the_exact_refusal_is_the_control() {
        let refused =
            |code: &str| frame(b'E', format!("SFATAL\0VFATAL\0C{code}\0Mno\0\0").as_bytes());
        control(refused("28P01")).unwrap();
        assert_eq!(control(refused("28000")).unwrap_err().kind, ErrorKind::Auth);
        assert_eq!(
            control(refused("57P03")).unwrap_err().kind,
            ErrorKind::Throttled
        );
    }

    #[test]
    fn the_wrong_password_is_another_each_time() {
        let _host = Host::new().install();
        let exposed = |text: SecretText| text.expose().to_owned();
        assert_ne!(exposed(wrong_password()), exposed(wrong_password()));
    }
}
