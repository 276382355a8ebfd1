//! What a node says of itself: its version, its commands, its place in the replication, how it keeps its users.

use crate::errors::GENERIC;
use crate::resp::Reply;
use crate::session::{Answer, Session};
use keyturn_sdk::Error;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// As the server writes it, e.g. `7.0.15`.
    pub(crate) version: String,
    pub(crate) has_acl: bool,
    pub(crate) has_config: bool,
    /// It was started with a configuration file.
    pub(crate) config_file: bool,
    /// Of this very process.
    pub(crate) run_id: String,
    /// The same on a primary and all of its replicas.
    pub(crate) replication_id: String,
    /// `host:port` of the primary that it follows.
    pub(crate) follows: Option<String>,
    /// The link to that primary is up.
    pub(crate) link_is_up: bool,
    /// `host:port` of its own replicas, as it sees them.
    pub(crate) replicas: Vec<String>,
    /// How many nodes its cluster has, itself included.
    pub(crate) cluster_nodes: Option<usize>,
}

impl Facts {
    pub(crate) fn ask(session: &mut Session) -> Result<Facts, Error> {
        let [has_acl, has_config] = commands(session)?;
        let info = session.ask("reading INFO", &["INFO"])?;
        let Reply::Text(info) = info else {
            return Err(unexpected(session, "INFO"));
        };
        let mut facts = Self::of_info(&info);
        (facts.has_acl, facts.has_config) = (has_acl, has_config);
        if facts.cluster_nodes.is_some() {
            let Reply::Text(info) = session.ask("reading CLUSTER INFO", &["CLUSTER", "INFO"])?
            else {
                return Err(unexpected(session, "CLUSTER INFO"));
            };
            let known = fields(&info)
                .get("cluster_known_nodes")
                .and_then(|n| n.parse().ok());
            facts.cluster_nodes = known;
        }
        Ok(facts)
    }

    /// A cluster's node has `cluster_nodes` 0 here: INFO does not count them.
    fn of_info(info: &str) -> Facts {
        let fields = fields(info);
        let text = |name: &str| fields.get(name).copied().unwrap_or_default().to_owned();
        let follows = (fields.get("role") == Some(&"slave"))
            .then(|| format!("{}:{}", text("master_host"), text("master_port")));
        Facts {
            // Valkey goes on naming the Redis whose commands it has.
            version: text("redis_version"),
            run_id: text("run_id"),
            link_is_up: fields.get("master_link_status") == Some(&"up"),
            config_file: !text("config_file").is_empty(),
            replication_id: text("master_replid"),
            follows,
            replicas: fields
                .iter()
                .filter(|(name, _)| is_replica(name))
                .filter_map(|(_, value)| address(value))
                .collect(),
            cluster_nodes: (fields.get("cluster_enabled") == Some(&"1")).then_some(0),
            ..Facts::default()
        }
    }
}

fn fields(info: &str) -> BTreeMap<&str, &str> {
    info.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name, value.trim_end()))
        .collect()
}

/// `slave0`, `slave1`, …
fn is_replica(name: &str) -> bool {
    name.strip_prefix("slave")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// From `ip=10.0.0.2,port=6379,state=online,…`.
fn address(value: &str) -> Option<String> {
    let field = |name: &str| value.split(',').find_map(|field| field.strip_prefix(name));
    Some(format!("{}:{}", field("ip=")?, field("port=")?))
}

pub(crate) fn has_acl(session: &mut Session) -> Result<bool, Error> {
    commands(session).map(|[has_acl, _]| has_acl)
}

/// Are ACL and CONFIG there? Managed services take them away, and Redis before 6 has no ACL. Who may not ask is
/// told by the commands themselves.
fn commands(session: &mut Session) -> Result<[bool; 2], Error> {
    let asked = ["COMMAND", "INFO", "ACL", "CONFIG"];
    let answer = match session.try_ask("asking which commands there are", &asked) {
        // It has been renamed.
        Err(error) if error.code.as_deref() == Some(GENERIC) => return Ok([true, true]),
        answer => answer?,
    };
    match answer {
        Answer::NotPermitted(_) => Ok([true, true]),
        Answer::Given(Reply::List(found)) => match found.as_slice() {
            [acl, config] => Ok([is_there(acl), is_there(config)]),
            _ => Err(unexpected(session, "COMMAND INFO")),
        },
        Answer::Given(_) => Err(unexpected(session, "COMMAND INFO")),
    }
}

fn is_there(command: &Reply) -> bool {
    matches!(command, Reply::List(_))
}

pub(crate) fn unexpected(session: &Session, command: &str) -> Error {
    Error::protocol(format!(
        "node {} answered {command} in a form that this plugin does not know",
        session.node
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primary_names_its_replicas() {
        let facts = Facts::of_info(
            "# Server\r\nredis_version:7.0.15\r\nrun_id:def\r\nconfig_file:/etc/redis/redis.conf\r\n\r\n# Replication\r\n\
             role:master\r\nconnected_slaves:2\r\nslave0:ip=10.0.0.2,port=6379,state=online,offset=1,lag=0\r\n\
             slave1:ip=::1,port=6380,state=wait_bgsave,offset=0,lag=0\r\nslave_read_only:1\r\n\
             master_replid:abc\r\n# Cluster\r\ncluster_enabled:0\r\n",
        );
        let expected = Facts {
            version: "7.0.15".into(),
            config_file: true,
            replication_id: "abc".into(),
            run_id: "def".into(),
            replicas: vec!["10.0.0.2:6379".into(), "::1:6380".into()],
            ..Facts::default()
        };
        assert_eq!(facts, expected);
    }

    #[test]
    fn a_replica_names_its_primary() {
        let facts = Facts::of_info(
            "role:slave\r\nmaster_host:db.internal\r\nmaster_port:6379\r\nmaster_link_status:up\r\nconfig_file:\r\ncluster_enabled:1\r\n",
        );
        assert_eq!(facts.follows.as_deref(), Some("db.internal:6379"));
        assert!(facts.link_is_up && !facts.config_file);
        assert_eq!(facts.cluster_nodes, Some(0));
    }
}
