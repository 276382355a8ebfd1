//! CLIENT LIST: is somebody changing a user, who replicates, who watches, and whose sessions are old.

use crate::facts::unexpected;
use crate::resp::Reply;
use crate::session::{CHANGING, Session};
use keyturn_sdk::Error;

/// Sentinels name their connections so.
const SENTINEL: &str = "sentinel-";

/// One line of CLIENT LIST, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    id: String,
    address: String,
    name: String,
    /// Since Redis 6.
    user: Option<String>,
    age_seconds: u64,
    flags: String,
}

impl Client {
    fn is_of(&self, user: &str) -> bool {
        self.user.as_deref() == Some(user)
    }

    /// It logged in as that user to replicate.
    pub(crate) fn replicates_as(&self, user: &str) -> bool {
        self.flags.contains('S') && self.is_of(user)
    }

    /// A Sentinel that logged in as that user.
    pub(crate) fn watches_as(&self, user: &str) -> bool {
        self.name.starts_with(SENTINEL) && self.is_of(user)
    }

    /// The node's own connection to its primary.
    fn is_primary(&self) -> bool {
        self.flags.contains('M')
    }
}

pub(crate) fn list(session: &mut Session) -> Result<Vec<Client>, Error> {
    match session.ask("reading who is connected", &["CLIENT", "LIST"])? {
        Reply::Text(list) => Ok(list.lines().filter_map(read).collect()),
        _ => Err(unexpected(session, "CLIENT LIST")),
    }
}

/// # Errors
/// `conflict` if another connection is open that announced a change: its command may still arrive.
pub(crate) fn nobody_else_is_changing(session: &Session, clients: &[Client]) -> Result<(), Error> {
    let own = session.name.as_deref();
    let other = clients
        .iter()
        .find(|client| client.name.starts_with(CHANGING) && Some(client.name.as_str()) != own);
    match other {
        None => Ok(()),
        Some(client) => Err(Error::conflict(format!(
            "at node {} the connection from {} (id {}) is changing a user, or was when its process ended; try again, \
             and if it stays, run CLIENT KILL ID {}",
            session.node, client.address, client.id, client.id
        ))),
    }
}

/// Ends the sessions of `user` that are older than `age_ms`; says how many. A session begun with the new password cannot
/// be told from one begun with the old one but by its age, of which the server counts whole seconds. MONITOR and
/// replication are sessions as well: an honest replica comes back with the new password.
pub(crate) fn end_sessions(session: &mut Session, user: &str, age_ms: u64) -> Result<u64, Error> {
    let own = match session.ask("asking for the connection's number", &["CLIENT", "ID"])? {
        Reply::Integer(id) => id.to_string(),
        _ => return Err(unexpected(session, "CLIENT ID")),
    };
    let mut ended = 0;
    for client in list(session)? {
        let old = client.age_seconds.saturating_add(1).saturating_mul(1000) > age_ms;
        let theirs = client.user.is_none() || client.is_of(user);
        if !(old && theirs) || client.is_primary() || client.id == own {
            continue;
        }
        let killed = session.ask("ending a session", &["CLIENT", "KILL", "ID", &client.id])?;
        if killed == Reply::Integer(1) {
            ended += 1;
        }
    }
    Ok(ended)
}

/// `id=3 addr=127.0.0.1:1234 … name= age=12 … flags=N … user=app …`
fn read(line: &str) -> Option<Client> {
    let field = |name: &str| {
        line.split(' ')
            .filter_map(|field| field.split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value.to_owned())
    };
    Some(Client {
        id: field("id")?,
        address: field("addr")?,
        name: field("name").unwrap_or_default(),
        user: field("user"),
        age_seconds: field("age")?.parse().ok()?,
        flags: field("flags").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_by_the_names_of_its_fields() {
        let line = "id=7 addr=127.0.0.1:52414 laddr=127.0.0.1:6379 fd=8 name=sentinel-1a2b-cmd age=12 idle=0 flags=N db=0 \
                    cmd=client|list user=app redir=-1 resp=2";
        let client = read(line).unwrap();
        assert_eq!((client.id.as_str(), client.age_seconds), ("7", 12));
        assert!(client.watches_as("app") && !client.watches_as("other"));
        let before_6 = "id=3 addr=[::1]:1 fd=8 name= age=1 idle=0 flags=S db=0 cmd=replconf";
        let replica = read(before_6).unwrap();
        assert!(replica.user.is_none() && !replica.replicates_as("app"));
        assert!(
            read(&format!("{before_6} user=app"))
                .unwrap()
                .replicates_as("app")
        );
        assert_eq!(read("no line at all"), None);
    }
}
