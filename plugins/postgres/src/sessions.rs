//! Open sessions of a user, from pg_stat_activity: who they are, and how to end them. Logins are
//! asked for (`usename`), not the roles they act as. What the looking role may not see is NULL
//! there, so everything here says when it could not see.

use crate::access;
use crate::change::statement;
use crate::client::{Session, Stream};
use crate::door::Door;
use crate::secret::Login;
use crate::sql::{BEGIN_READ, ident, literal};
use crate::wire::Row;
use keyturn_sdk::{Applied, Consumer, Context, Error, ErrorKind, UsageReport, Version};

/// Who has a session as the subject's user. The same user with another password cannot be told
/// apart, so that is not observable.
pub(crate) fn usage(ctx: &Context, subject: &Version) -> Result<UsageReport, Error> {
    let current = Login::read(&ctx.current, "AWSCURRENT")?;
    let subject_login = Login::read(subject, "the value in question")?;
    if subject.id != ctx.current.id && subject_login.user == current.user {
        return Ok(UsageReport {
            observable: false,
            consumers: Vec::new(),
            note: Some(
                "AWSCURRENT names the same user: sessions opened with either password look alike"
                    .into(),
            ),
        });
    }
    let door = Door::writable()?;
    let key = access::open(ctx, &Door::primary()?)?;
    let mut link = access::administrator(&door, key, access::admin(ctx, &door)?)?;
    let report = report(&mut link, &subject_login.user)?;
    link.close();
    Ok(report)
}

/// Ends the sessions of `user` that are older than `age_ms`; the looking session is spared.
/// An age, so that no two clocks are compared. Answers how many were ended.
pub(crate) fn end<S: Stream>(
    session: &mut Session<S>,
    user: &str,
    age_ms: u64,
) -> Result<u32, Error> {
    let doing = "ending the old sessions";
    statement(session, doing, BEGIN_READ)?;
    // Every session is at least 0 old, so for age 0 an unseen start time does not matter.
    let old_enough = if age_ms == 0 {
        "true".to_owned()
    } else {
        format!("now() - backend_start >= {age_ms} * interval '1 millisecond'")
    };
    let sessions = format!(
        "FROM pg_catalog.pg_stat_activity WHERE usename = {} AND pid <> pg_backend_pid()",
        literal(user)
    );
    let unseen = statement(
        session,
        doing,
        &format!("SELECT count(*) {sessions} AND ({old_enough}) IS NULL"),
    )?;
    if count(&unseen.rows)? > 0 {
        return Err(Error::permission(format!(
            "the start times of {}'s sessions are not visible, so none was ended; run: GRANT \
             pg_read_all_stats TO <rotating role>;",
            ident(user)
        )));
    }
    let ended = statement(
        session,
        doing,
        &format!(
            "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) {sessions} AND {old_enough}"
        ),
    )
    .map_err(|error| explain(error, user))?;
    let ended = count(&ended.rows)?;
    statement(session, doing, "ROLLBACK").map_err(|e| e.applied(Applied::Yes))?;
    Ok(ended)
}

fn explain(mut error: Error, user: &str) -> Error {
    if error.kind == ErrorKind::Permission {
        error.message = format!(
            "{}; sessions of {} may go on; run: GRANT pg_signal_backend TO <rotating role>;",
            error.message,
            ident(user)
        );
    }
    // Some of several sessions may have been ended before the error.
    error.applied(Applied::Unknown)
}

fn count(rows: &[Row]) -> Result<u32, Error> {
    match rows {
        [row] => row.first().cloned().flatten().and_then(|n| n.parse().ok()),
        _ => None,
    }
    .ok_or_else(|| Error::protocol("the server's answer has another shape than the question"))
}

/// Who has a session as `user` right now.
fn report<S: Stream>(session: &mut Session<S>, user: &str) -> Result<UsageReport, Error> {
    let doing = "looking for sessions";
    statement(session, doing, BEGIN_READ)?;
    let rows = statement(
        session,
        doing,
        &format!(
            "SELECT coalesce(nullif(application_name, ''), '(no application_name)'), \
             host(client_addr), count(*), bool_and(backend_start IS NULL), \
             floor(extract(epoch FROM min(now() - state_change) FILTER (WHERE state LIKE 'idle%')))::bigint \
             FROM pg_catalog.pg_stat_activity WHERE usename = {} AND pid <> pg_backend_pid() \
             GROUP BY 1, 2 ORDER BY 3 DESC, 1 LIMIT 100",
            literal(user)
        ),
    )?
    .rows;
    statement(session, doing, "ROLLBACK")?;
    let mut unseen = false;
    let mut consumers = Vec::new();
    for row in rows {
        let [Some(name), address, Some(sessions), Some(hidden), idle] = row.as_slice() else {
            return Err(Error::protocol(
                "a row of pg_stat_activity has another shape",
            ));
        };
        unseen |= hidden == "t";
        consumers.push(Consumer {
            name: name.clone(),
            address: address.clone(),
            sessions: sessions.parse().unwrap_or(u32::MAX),
            idle_seconds: idle.as_deref().and_then(|s| s.parse().ok()),
        });
    }
    let note = unseen.then(|| {
        "addresses and idle times are hidden; GRANT pg_read_all_stats to the rotating role shows them"
            .to_owned()
    });
    Ok(UsageReport {
        observable: true,
        consumers,
        note,
    })
}
