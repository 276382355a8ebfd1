//! What a session finds out about its server and about roles there: standby or not, version, as
//! whom it acts, whether a role can log in at all. Read-only.

use crate::change::statement;
use crate::client::{Session, Stream};
use crate::drift::{self, Drift};
use crate::sql::{BEGIN_READ, Setting, Template, ident, literal};
use crate::wire::Row;
use keyturn_sdk::Error;

/// One round trip with every login; it also is the permitted action that `test` asks for.
pub(crate) struct Server {
    pub(crate) in_recovery: bool,
    /// `server_version_num`, e.g. 150018.
    pub(crate) version: u32,
    pub(crate) session_user: String,
    pub(crate) current_user: String,
}

impl Server {
    pub(crate) fn ask<S: Stream>(session: &mut Session<S>) -> Result<Server, Error> {
        let reply = statement(
            session,
            "asking the server who and what it is",
            "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('server_version_num'), \
             session_user, current_user",
        )?;
        match reply.rows.as_slice() {
            [row] => match row.as_slice() {
                [
                    Some(recovery),
                    Some(version),
                    Some(session_user),
                    Some(current_user),
                ] => Ok(Server {
                    in_recovery: recovery == "t",
                    version: version.parse().map_err(|_| odd_rows())?,
                    session_user: session_user.clone(),
                    current_user: current_user.clone(),
                }),
                _ => Err(odd_rows()),
            },
            _ => Err(odd_rows()),
        }
    }

    /// What gives this session's user the right to change a role, in the server's own terms.
    pub(crate) fn sql_for_right_over(&self, role: &str) -> String {
        let (who, role) = (ident(&self.session_user), ident(role));
        let mut sql = format!("ALTER ROLE {who} CREATEROLE;");
        // From 16 on CREATEROLE alone reaches no role that somebody else made.
        if self.version >= 160_000 {
            sql.push_str(&format!(" GRANT {role} TO {who} WITH ADMIN OPTION;"));
        }
        sql
    }

    /// Roles cannot be changed on a standby, and what it says about a password may be old.
    pub(crate) fn must_be_writable(&self, endpoint: &str) -> Result<(), Error> {
        if !self.in_recovery {
            return Ok(());
        }
        Err(Error::unsupported(format!(
            "the server behind endpoint `{endpoint}` is a standby; nothing changed; let the endpoint \
             name the writable server, or wait for the failover to end"
        ))
        .code("25006")
        .retryable(true))
    }
}

fn odd_rows() -> Error {
    Error::protocol("the server's answer has another shape than the question")
}

/// What decides whether a password can open anything.
pub(crate) struct RoleFacts {
    pub(crate) can_login: bool,
    /// VALID UNTIL has passed.
    pub(crate) expired: bool,
}

impl RoleFacts {
    pub(crate) fn read<S: Stream>(
        session: &mut Session<S>,
        role: &str,
    ) -> Result<Option<RoleFacts>, Error> {
        let reply = statement(
            session,
            "reading the role",
            &format!(
                "SELECT rolcanlogin, coalesce(rolvaliduntil <= now(), false) \
                 FROM pg_catalog.pg_roles WHERE rolname = {}",
                literal(role)
            ),
        )?;
        match reply.rows.first().map(Row::as_slice) {
            None => Ok(None),
            Some([Some(can_login), Some(expired)]) => Ok(Some(RoleFacts {
                can_login: can_login == "t",
                expired: expired == "t",
            })),
            Some(_) => Err(odd_rows()),
        }
    }

    /// A password given to such a role would open nothing, so it is not given.
    pub(crate) fn must_be_usable(&self, role: &str) -> Result<(), Error> {
        let (what, fix) = match (self.can_login, self.expired) {
            (true, false) => return Ok(()),
            (false, _) => ("is NOLOGIN", "LOGIN"),
            (true, true) => ("has a VALID UNTIL in the past", "VALID UNTIL 'infinity'"),
        };
        let role = ident(role);
        Err(Error::permission(format!(
            "role {role} {what}, so no password opens it; nothing changed; run: ALTER ROLE {role} {fix};"
        )))
    }
}

/// An error if a session of one of these users has changed roles and not ended its transaction: its
/// COMMIT may arrive at any time, even from a process that is gone.
pub(crate) fn no_change_is_open<S: Stream>(
    session: &mut Session<S>,
    users: [&String; 3],
) -> Result<(), Error> {
    let doing = "looking for a change that is still open";
    let users = users.map(|user| literal(user)).join(", ");
    statement(session, doing, BEGIN_READ)?;
    // Changing a role takes this lock on the catalogue, in any database, until the transaction ends.
    let open = statement(
        session,
        doing,
        &format!(
            "SELECT l.pid FROM pg_catalog.pg_locks l \
             JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
             WHERE l.locktype = 'relation' AND l.relation = 'pg_catalog.pg_authid'::regclass \
             AND l.mode = 'RowExclusiveLock' AND l.granted AND a.usename IN ({users})"
        ),
    )?;
    statement(session, doing, "ROLLBACK")?;
    match open.rows.first().map(Row::as_slice) {
        None => Ok(()),
        Some([Some(pid)]) => Err(Error::conflict(format!(
            "a transaction that changes roles is still open at the server (process {pid}) and may yet be \
             committed, so a refused password is not proven dead; nothing changed; it ends by itself, or \
             with SELECT pg_terminate_backend({pid})"
        ))
        .retryable(true)),
        Some(_) => Err(odd_rows()),
    }
}

/// What a second user has to copy from `role`; `None` if there is no such role.
pub(crate) fn template<S: Stream>(
    session: &mut Session<S>,
    role: &str,
) -> Result<Option<Template>, Error> {
    let doing = "reading the first user";
    let reply = statement(
        session,
        doing,
        &format!(
            "SELECT r.rolinherit, r.rolconnlimit, d.datname, s.setting \
             FROM pg_catalog.pg_roles r LEFT JOIN LATERAL ( \
               SELECT g.setdatabase, c AS setting FROM pg_catalog.pg_db_role_setting g \
               CROSS JOIN LATERAL unnest(g.setconfig) AS c WHERE g.setrole = r.oid) s ON true \
             LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase WHERE r.rolname = {}",
            literal(role)
        ),
    )?;
    let mut template = None;
    for row in &reply.rows {
        let [Some(inherits), Some(limit), database, setting] = row.as_slice() else {
            return Err(odd_rows());
        };
        let template = template.get_or_insert_with(|| Template {
            name: role.to_owned(),
            inherits: inherits == "t",
            connection_limit: -1,
            settings: Vec::new(),
        });
        template.connection_limit = limit.parse().map_err(|_| odd_rows())?;
        if let Some(text) = setting {
            template
                .settings
                .extend(Setting::parse(database.as_deref(), text));
        }
    }
    Ok(template)
}

/// The drift gate's answer for two users, the one without the suffix first.
/// `None`: one of them does not exist.
pub(crate) fn drift<S: Stream>(
    session: &mut Session<S>,
    users: [&str; 2],
    version: u32,
) -> Result<Option<Drift>, Error> {
    let doing = "comparing the two users";
    let malformed = |error: crate::wire::WireError| Error::protocol(error.0);
    statement(session, doing, BEGIN_READ)?;
    let rows = statement(session, doing, &drift::acting_query(users, version))?.rows;
    let acting = drift::parse_acting(&rows, users).map_err(malformed)?;
    let [Some(first), Some(clone)] = &acting else {
        return finish(session, None);
    };
    if let Some(shared) = drift::shared_owner(first, clone) {
        return finish(session, Some(shared));
    }
    let rows = statement(session, doing, &drift::detail_query(users, version))?.rows;
    let [of_first, of_clone] = drift::parse_details(&rows, users).map_err(malformed)?;
    finish(
        session,
        Some(drift::compare((first, &of_first), (clone, &of_clone))),
    )
}

fn finish<S: Stream>(
    session: &mut Session<S>,
    answer: Option<Drift>,
) -> Result<Option<Drift>, Error> {
    statement(session, "ending the comparison", "ROLLBACK")?;
    Ok(answer)
}
