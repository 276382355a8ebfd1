//! The servers behind the endpoint `nodes`: each has users and passwords of its own, because neither is
//! replicated.

use keyturn_sdk::{Applied, Error, Liveness, MemberReport, endpoint};
use std::fmt;

const ENDPOINT: &str = "nodes";

#[derive(Debug, Clone)]
pub(crate) struct Node {
    index: u32,
    /// `host:port`, as the secret names it.
    pub(crate) label: String,
}

impl Node {
    /// All of them, at least one.
    pub(crate) fn all() -> Result<Vec<Node>, Error> {
        let members = endpoint::members(ENDPOINT)?;
        if members.is_empty() {
            return Err(Error::unreachable("endpoint `nodes` has no member"));
        }
        Ok(members
            .into_iter()
            .map(|member| Node {
                index: member.index,
                label: member.label,
            })
            .collect())
    }

    pub(crate) fn connect(&self) -> Result<endpoint::Connection, Error> {
        endpoint::connect(ENDPOINT, self.index)
            .map_err(|error| Error::from(error).context(&format!("connecting to node {self}")))
    }

    pub(crate) fn report(&self, applied: Applied, liveness: Liveness) -> MemberReport {
        MemberReport {
            endpoint: ENDPOINT.to_owned(),
            member: self.label.clone(),
            applied,
            liveness,
            error: None,
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}
