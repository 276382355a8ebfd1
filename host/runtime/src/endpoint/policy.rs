//! One endpoint under its grant: the grant's words checked and made ready for use.

use std::sync::Arc;

use rustls::pki_types::ServerName;

use super::tls::TlsTrust;
use crate::error::GrantError;
use crate::grant::{EndpointGrant, TlsMode};
use crate::manifest::{EndpointManifest, EndpointSource};
use crate::signing::{self, Scope};

/// What may be reached under one name of the manifest.
#[derive(Clone)]
pub(crate) struct EndpointPolicy {
    pub(crate) name: String,
    pub(crate) manifest: EndpointManifest,
    pub(crate) hosts: Vec<HostPattern>,
    pub(crate) ports: Vec<u16>,
    pub(crate) any_port: bool,
    pub(crate) members: Vec<(String, u16)>,
    pub(crate) private: bool,
    pub(crate) tls: TlsMode,
    pub(crate) trust: Arc<TlsTrust>,
    pub(crate) server_name: Option<ServerName<'static>>,
    pub(crate) same_server_as: Vec<HostPattern>,
    /// As whose client the host signs each request there.
    pub(crate) signed_for: Option<Scope>,
}

/// `*`, `*.suffix` or an exact name, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostPattern {
    Any,
    Suffix(String),
    Exact(String),
}

impl HostPattern {
    pub(crate) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Suffix(suffix) => host
                .strip_suffix(suffix.as_str())
                .is_some_and(|label| label.len() > 1 && label.ends_with('.')),
            Self::Exact(exact) => exact == host,
        }
    }
}

impl EndpointPolicy {
    pub(crate) fn new(
        name: &str,
        manifest: &EndpointManifest,
        grant: &EndpointGrant,
        system: &Arc<TlsTrust>,
    ) -> Result<Self, GrantError> {
        let fail = |key, cause| GrantError::Endpoint {
            endpoint: name.into(),
            key,
            cause,
        };
        let patterns = |key, hosts: &[String]| {
            hosts
                .iter()
                .map(|host| pattern(host))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|cause| fail(key, cause))
        };
        let members = grant
            .members
            .iter()
            .map(|member| split_member(member))
            .collect::<Result<Vec<_>, _>>();
        let server_name = grant
            .server_name
            .clone()
            .map(ServerName::try_from)
            .transpose();
        let trust = match (&grant.ca, &grant.ca_beside_system) {
            (Some(path), _) => {
                Arc::new(TlsTrust::from_file(path).map_err(|cause| fail("ca", cause))?)
            }
            (None, Some(path)) => {
                let trust = TlsTrust::system_and(path).map_err(|cause| fail("ca", cause))?;
                Arc::new(trust)
            }
            (None, None) => system.clone(),
        };
        let policy = Self {
            name: name.into(),
            manifest: manifest.clone(),
            hosts: patterns("hosts", &grant.hosts)?,
            ports: grant.ports.clone(),
            any_port: grant.any_port,
            members: members.map_err(|cause| fail("members", cause))?,
            private: grant.private,
            tls: grant.tls,
            trust,
            server_name: server_name.map_err(|_| fail("server_name", "not a host name".into()))?,
            same_server_as: patterns("same_server_as", &grant.same_server_as)?,
            signed_for: signing::scope(manifest.sign.as_deref(), grant)
                .map_err(|(key, cause)| fail(key, cause))?,
        };
        policy
            .check_source()
            .map_err(|(key, cause)| fail(key, cause))?;
        Ok(policy)
    }

    /// Whether the grant gives what the manifest's source of hosts needs.
    fn check_source(&self) -> Result<(), (&'static str, String)> {
        let members_max = self.manifest.members_max as usize;
        if self.members.len() > members_max {
            return Err(("members", format!("the plugin takes at most {members_max}")));
        }
        match &self.manifest.from {
            // The grant's members stand in where the value names no host.
            EndpointSource::Secret(_) if self.hosts.is_empty() && !self.members.is_empty() => {}
            EndpointSource::Companion { .. } if !self.members.is_empty() => {
                return Err((
                    "members",
                    "the hosts come from the companion's value; use `hosts`".into(),
                ));
            }
            EndpointSource::Secret(at) | EndpointSource::Companion { at, .. } => {
                if self.hosts.is_empty() {
                    return Err((
                        "hosts",
                        "empty; name the hosts that the secret's value may point to".into(),
                    ));
                }
                if self.ports.is_empty() && !self.any_port && at.port_default.is_none() {
                    return Err((
                        "ports",
                        "empty, and the plugin has no default; name the ports".into(),
                    ));
                }
            }
            EndpointSource::Grant if self.members.is_empty() && self.only_host().is_none() => {
                return Err((
                    "members",
                    "empty; write \"host:port\" for each node, or one exact host and one port"
                        .into(),
                ));
            }
            EndpointSource::Grant | EndpointSource::Fixed { .. } => {}
        }
        Ok(())
    }

    /// The one exact host and port of the grant, if it has just one of each.
    pub(crate) fn only_host(&self) -> Option<(String, u16)> {
        match (self.hosts.as_slice(), self.ports.as_slice()) {
            ([HostPattern::Exact(host)], [port]) => Some((host.clone(), *port)),
            _ => None,
        }
    }
}

fn pattern(text: &str) -> Result<HostPattern, String> {
    let lower = text.to_ascii_lowercase();
    if lower == "*" {
        return Ok(HostPattern::Any);
    }
    if let Some(suffix) = lower.strip_prefix("*.") {
        check_host(suffix, text)?;
        return Ok(HostPattern::Suffix(suffix.into()));
    }
    check_host(&lower, text)?;
    Ok(HostPattern::Exact(lower))
}

fn check_host(host: &str, text: &str) -> Result<(), String> {
    if ServerName::try_from(host).is_ok() {
        return Ok(());
    }
    Err(format!(
        "\"{text}\" is not a host; write a name, an address, *.suffix or *"
    ))
}

fn split_member(text: &str) -> Result<(String, u16), String> {
    let wrong = || format!("\"{text}\" is not host:port");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_ascii_lowercase();
    let port = port
        .parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(wrong)?;
    ServerName::try_from(host.as_str()).map_err(|_| wrong())?;
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, host: &str, expected: bool) {
        assert_eq!(
            pattern(text).unwrap().matches(host),
            expected,
            "{text} against {host}"
        );
    }

    #[test]
    fn patterns_match_whole_labels() {
        check("db.internal", "db.internal", true);
        check("DB.internal", "db.internal", true);
        check("db.internal", "evil-db.internal", false);
        check("*.internal", "db.internal", true);
        check("*.internal", "a.b.internal", true);
        check("*.internal", "internal", false);
        check("*.internal", "evilinternal", false);
        check("*.internal", ".internal", false);
        check("*", "anything.example", true);
    }

    #[test]
    fn what_is_no_host_is_refused() {
        assert_eq!(
            pattern("http://db").unwrap_err(),
            "\"http://db\" is not a host; write a name, an address, *.suffix or *"
        );
        assert_eq!(
            split_member("db.internal").unwrap_err(),
            "\"db.internal\" is not host:port"
        );
        assert_eq!(split_member("[::1]:5432").unwrap(), ("::1".into(), 5432));
    }
}
