//! Are all the nodes there that replicate from one another? A node that the secret does not name would keep the
//! old password for ever: users are not replicated.

use crate::facts::Facts;
use crate::node::Node;
use keyturn_sdk::Error;

/// Nodes name one another by addresses and the secret may name them by other ones, so that what matches is
/// counted first and the rest is compared by number.
pub(crate) fn must_be_complete(nodes: &[(&Node, &Facts)]) -> Result<(), Error> {
    must_be_distinct(nodes)?;
    for (node, facts) in nodes {
        let group = Group {
            nodes,
            members: nodes
                .iter()
                .filter(|(_, other)| other.replication_id == facts.replication_id)
                .collect(),
        };
        let unknown = group.unknown_replicas();
        if unknown.len() > group.replicas_that_nobody_lists() {
            return Err(missing(
                node,
                &format!(
                    "{} replicates from it or from its primary",
                    unknown.join(", ")
                ),
            ));
        }
        if let Some(primary) = &facts.follows
            && !group.has_primary_of(node, primary)
        {
            return Err(missing(node, &format!("it replicates from {primary}")));
        }
        if let Some(known) = facts.cluster_nodes
            && known > nodes.len()
        {
            return Err(missing(
                node,
                &format!(
                    "its cluster has {known} nodes and the secret names {}",
                    nodes.len()
                ),
            ));
        }
    }
    Ok(())
}

/// The same server twice would be changed twice at once.
fn must_be_distinct(nodes: &[(&Node, &Facts)]) -> Result<(), Error> {
    for (number, (node, facts)) in nodes.iter().enumerate() {
        let twin = nodes[..number]
            .iter()
            .find(|(_, other)| other.run_id == facts.run_id);
        if let Some((other, _)) = twin {
            return Err(Error::invalid_secret(format!(
                "{other} and {node} are the same server; nothing changed; name it once in `nodes`"
            )));
        }
    }
    Ok(())
}

/// The nodes that replicate from one another.
struct Group<'a> {
    nodes: &'a [(&'a Node, &'a Facts)],
    members: Vec<&'a (&'a Node, &'a Facts)>,
}

impl Group<'_> {
    fn is_named(&self, address: &str) -> bool {
        self.nodes.iter().any(|(node, _)| node.label == address)
    }

    /// Listed by a member, and not named like that in the secret.
    fn unknown_replicas(&self) -> Vec<&str> {
        let listed = self.members.iter().flat_map(|(_, facts)| &facts.replicas);
        listed
            .map(String::as_str)
            .filter(|address| !self.is_named(address))
            .collect()
    }

    /// Each may be one of those, under another name. Whoever has lost its primary is on nobody's list.
    fn replicas_that_nobody_lists(&self) -> usize {
        self.members
            .iter()
            .filter(|(node, facts)| {
                facts.follows.is_some() && facts.link_is_up && !is_listed(self.nodes, node)
            })
            .count()
    }

    /// A member that has replicas and can stand behind that address: a replica itself if somebody lists the address as
    /// one, else the primary of all.
    fn has_primary_of(&self, node: &Node, address: &str) -> bool {
        let is_replica = self
            .members
            .iter()
            .any(|(_, facts)| facts.replicas.iter().any(|listed| listed == address));
        self.is_named(address)
            || self.members.iter().any(|(other, facts)| {
                other.label != node.label
                    && !facts.replicas.is_empty()
                    && facts.follows.is_some() == is_replica
            })
    }
}

fn is_listed(nodes: &[(&Node, &Facts)], node: &Node) -> bool {
    nodes
        .iter()
        .any(|(_, facts)| facts.replicas.contains(&node.label))
}

fn missing(node: &Node, why: &str) -> Error {
    Error::invalid_secret(format!(
        "the secret does not name every node: at node {node} it shows that {why}; nothing changed; name all of them \
         in `nodes` and grant their hosts, for users and passwords are not replicated"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyturn_sdk::endpoint::Security;
    use keyturn_sdk::fake::{self, Script};
    use std::sync::atomic::{AtomicU32, Ordering};

    fn facts(id: &str, follows: Option<&str>, replicas: &[&str]) -> Facts {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Facts {
            run_id: NUMBER.fetch_add(1, Ordering::Relaxed).to_string(),
            link_is_up: follows.is_some(),
            replication_id: id.into(),
            follows: follows.map(str::to_owned),
            replicas: replicas.iter().map(|&replica| replica.to_owned()).collect(),
            ..Facts::default()
        }
    }

    struct Labels(Vec<String>);

    impl fake::Connector for Labels {
        fn labels(&self) -> Vec<String> {
            self.0.clone()
        }

        fn connect(
            &self,
            member: u32,
        ) -> Result<Box<dyn fake::Stream>, keyturn_sdk::endpoint::NetError> {
            Script::new(Security::Plaintext, []).connect(member)
        }
    }

    fn check(nodes: &[(&str, Facts)]) -> Result<(), String> {
        let labels = nodes.iter().map(|(label, _)| (*label).to_owned()).collect();
        let _host = fake::Host::new()
            .endpoint("nodes", Labels(labels))
            .install();
        let named = Node::all().unwrap();
        let together: Vec<_> = named
            .iter()
            .zip(nodes.iter().map(|(_, facts)| facts))
            .collect();
        must_be_complete(&together).map_err(|error| error.message)
    }

    #[track_caller]
    fn check_missing(nodes: &[(&str, Facts)], named: &str) {
        let message = check(nodes).unwrap_err();
        assert!(message.contains(named), "{message}");
    }

    #[test]
    fn a_primary_with_all_of_its_replicas_is_complete() {
        let primary = || facts("x", None, &["10.0.0.2:6379", "10.0.0.3:6379"]);
        let replica = || facts("x", Some("10.0.0.1:6379"), &[]);
        let by_address = [
            ("10.0.0.1:6379", primary()),
            ("10.0.0.2:6379", replica()),
            ("10.0.0.3:6379", replica()),
        ];
        assert_eq!(check(&by_address), Ok(()));
        let by_name = [
            ("a:6379", primary()),
            ("b:6379", replica()),
            ("c:6379", replica()),
        ];
        assert_eq!(check(&by_name), Ok(()));
        assert_eq!(check(&[("alone:6379", facts("y", None, &[]))]), Ok(()));
    }

    #[test]
    fn a_replica_that_the_secret_lacks_is_named() {
        let primary = || facts("x", None, &["10.0.0.2:6379", "10.0.0.3:6379"]);
        let replica = || facts("x", Some("10.0.0.1:6379"), &[]);
        check_missing(
            &[("10.0.0.1:6379", primary()), ("10.0.0.2:6379", replica())],
            "10.0.0.3:6379",
        );
        check_missing(
            &[("a:6379", primary()), ("b:6379", replica())],
            "10.0.0.3:6379",
        );
        check_missing(&[("a:6379", primary())], "10.0.0.2:6379, 10.0.0.3:6379");
    }

    #[test]
    fn a_replica_of_a_replica_counts_like_any_other() {
        let chain = [
            ("a:1", facts("x", None, &["10.0.0.2:1"])),
            ("b:1", facts("x", Some("10.0.0.1:1"), &["10.0.0.3:1"])),
            ("c:1", facts("x", Some("10.0.0.2:1"), &[])),
        ];
        assert_eq!(check(&chain), Ok(()));
        check_missing(&chain[..2], "10.0.0.2:1");
        // The one in the middle, and the first.
        check_missing(&[chain[0].clone(), chain[2].clone()], "10.0.0.2:1");
        check_missing(&chain[1..], "10.0.0.1:1");
    }

    #[test]
    fn a_replica_that_lost_its_primary_does_not_hide_another_one() {
        let mut lost = facts("x", Some("10.0.0.1:1"), &[]);
        lost.link_is_up = false;
        let primary = facts("x", None, &["10.0.0.3:1"]);
        check_missing(
            &[("10.0.0.1:1", primary), ("10.0.0.2:1", lost)],
            "10.0.0.3:1",
        );
    }

    #[test]
    fn a_server_under_two_names_is_one() {
        let node = facts("x", None, &[]);
        let message = check(&[("a:1", node.clone()), ("b:1", node)]).unwrap_err();
        assert!(
            message.contains("b:1") && message.contains("a:1"),
            "{message}"
        );
    }

    #[test]
    fn a_primary_that_the_secret_lacks_is_named() {
        check_missing(
            &[("b:1", facts("x", Some("10.0.0.1:1"), &[]))],
            "10.0.0.1:1",
        );
    }

    #[test]
    fn a_cluster_must_be_named_whole() {
        let mut node = facts("x", None, &[]);
        node.cluster_nodes = Some(3);
        check_missing(&[("a:1", node.clone())], "3 nodes");
        node.cluster_nodes = Some(1);
        assert_eq!(check(&[("a:1", node)]), Ok(()));
    }
}
