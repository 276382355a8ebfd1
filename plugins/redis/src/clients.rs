//! CLIENT LIST: is somebody changing a user, and whose sessions are old.

use crate::facts::unexpected;
use crate::resp::Reply;
use crate::session::{CHANGING, Session};
use keyturn_sdk::Error;

/// One line of CLIENT LIST, as far as it is needed.
#[derive(Debug, PartialEq, Eq)]
struct Client<'a> {
    id: &'a str,
    address: &'a str,
    name: &'a str,
    /// Since Redis 6.
    user: Option<&'a str>,
    age_seconds: u64,
    /// Not a replica, nor the primary of one.
    is_application: bool,
}

/// # Errors
/// `permission` if one may not ask; `conflict` if a connection is open that announced a change: its command may still arrive.
pub(crate) fn nobody_is_changing(session: &mut Session) -> Result<(), Error> {
    let asked = ["CLIENT", "LIST"];
    let Reply::Text(list) = session.ask("reading who is connected", &asked)? else {
        return Err(unexpected(session, "CLIENT LIST"));
    };
    let changing = list
        .lines()
        .filter_map(read)
        .find(|client| client.name == CHANGING);
    match changing {
        None => Ok(()),
        Some(client) => Err(Error::conflict(format!(
            "at node {} the connection from {} (id {}) is changing a user, or was when its process ended; try again, \
             and if it stays, run CLIENT KILL ID {}",
            session.node, client.address, client.id, client.id
        ))),
    }
}

/// Ends the sessions of `user` that are older than `age_ms`; says how many. A session begun with the new password cannot
/// be told from one begun with the old one but by its age, of which the server counts whole seconds.
pub(crate) fn end_sessions(session: &mut Session, user: &str, age_ms: u64) -> Result<u64, Error> {
    let asked = ["CLIENT", "LIST"];
    let Reply::Text(list) = session.ask("reading who is connected", &asked)? else {
        return Err(unexpected(session, "CLIENT LIST"));
    };
    let own = match session.ask("asking for the connection's number", &["CLIENT", "ID"])? {
        Reply::Integer(id) => id.to_string(),
        _ => return Err(unexpected(session, "CLIENT ID")),
    };
    let mut ended = 0;
    for client in list.lines().filter_map(read) {
        let old = client.age_seconds.saturating_add(1).saturating_mul(1000) > age_ms;
        let theirs = client.user.is_none_or(|theirs| theirs == user);
        if !(old && theirs && client.is_application) || client.id == own {
            continue;
        }
        let killed = session.ask("ending a session", &["CLIENT", "KILL", "ID", client.id])?;
        if killed == Reply::Integer(1) {
            ended += 1;
        }
    }
    Ok(ended)
}

/// `id=3 addr=127.0.0.1:1234 … name= age=12 … flags=N … user=app …`
fn read(line: &str) -> Option<Client<'_>> {
    let field = |name: &str| {
        line.split(' ')
            .filter_map(|field| field.split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    };
    Some(Client {
        id: field("id")?,
        address: field("addr")?,
        name: field("name").unwrap_or_default(),
        user: field("user"),
        age_seconds: field("age")?.parse().ok()?,
        is_application: !field("flags").is_some_and(|flags| flags.contains(['S', 'M', 'O'])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_by_the_names_of_its_fields() {
        let line = "id=7 addr=127.0.0.1:52414 laddr=127.0.0.1:6379 fd=8 name=keyturn-changing age=12 idle=0 flags=N db=0 \
                    cmd=client|list user=app redir=-1 resp=2";
        let expected = Client {
            id: "7",
            address: "127.0.0.1:52414",
            name: CHANGING,
            user: Some("app"),
            age_seconds: 12,
            is_application: true,
        };
        assert_eq!(read(line), Some(expected));
        let before_6 = "id=3 addr=[::1]:1 fd=8 name= age=1 idle=0 flags=S db=0 cmd=replconf";
        let replica = read(before_6).unwrap();
        assert_eq!((replica.user, replica.is_application), (None, false));
        assert_eq!(read("no line at all"), None);
    }
}
