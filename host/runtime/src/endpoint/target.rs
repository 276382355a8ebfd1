//! Which servers stand behind each endpoint of one call. Decided before the plugin is
//! instantiated, from CURRENT, companions and grant; a candidate has no say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value;

use super::policy::{EndpointPolicy, HostPattern};
use crate::error::{CallError, ErrorKind};
use crate::grant::TlsMode;
use crate::manifest::{EndpointSource, ValueSource};
use crate::text;
use crate::value::{port_at, refused, string_at};

/// One server, not resolved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The grant's floor, raised by the value's `sslmode` or `ssl`.
    pub(crate) tls: TlsMode,
    /// The grant names this very loopback host.
    pub(crate) loopback: bool,
}

impl Target {
    /// `host:port`, for messages and as the member's label.
    pub(crate) fn label(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// The servers of every endpoint that is there. An optional endpoint without a value is absent.
pub(crate) fn resolve_targets(
    policies: &BTreeMap<String, EndpointPolicy>,
    current: &Value,
    companions: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Vec<Target>>, CallError> {
    let mut targets = BTreeMap::new();
    let mut own_hosts = BTreeSet::new();
    for (name, policy) in policies {
        if let EndpointSource::Secret(at) = &policy.manifest.from {
            let found = from_value(policy, at, current, "CURRENT")?;
            own_hosts.extend(found.iter().flatten().map(|target| target.host.clone()));
            targets.extend(found.map(|found| (name.clone(), found)));
        }
    }
    for (name, policy) in policies {
        let found = match &policy.manifest.from {
            EndpointSource::Secret(_) => continue,
            EndpointSource::Companion { companion, at } => {
                from_companion(policy, companion, at, companions, &own_hosts)?
            }
            EndpointSource::Grant => Some(from_grant(policy)),
            EndpointSource::Fixed { host, port } => Some(vec![fixed(policy, host, *port)?]),
        };
        targets.extend(found.map(|found| (name.clone(), found)));
    }
    Ok(targets)
}

fn from_value(
    policy: &EndpointPolicy,
    at: &ValueSource,
    value: &Value,
    whose: &str,
) -> Result<Option<Vec<Target>>, CallError> {
    let tls = policy.tls.max(tls_wish(value, whose)?);
    let list = at
        .list
        .as_ref()
        .and_then(|pointer| Some((pointer, value.pointer(pointer)?)));
    let Some((pointer, list)) = list.filter(|(_, list)| !list.is_null()) else {
        let Some(host) = string_at(value, &at.host, whose)? else {
            return absent(policy, &at.host, tls, whose);
        };
        let port = at
            .port
            .as_ref()
            .map_or(Ok(None), |pointer| port_at(value, pointer, whose))?;
        return Ok(Some(vec![granted(policy, at, host, port, tls, whose)?]));
    };
    let items = list
        .as_array()
        .filter(|items| !items.is_empty())
        .ok_or_else(|| {
            let message = format!(
                "{pointer} of {whose} is not a list with members; correct the stored value"
            );
            refused(ErrorKind::InvalidSecret, message)
        })?;
    let members_max = policy.manifest.members_max as usize;
    if items.len() > members_max {
        let message = format!(
            "{pointer} of {whose} has {} members; the plugin takes at most {members_max}",
            items.len()
        );
        return Err(refused(ErrorKind::InvalidSecret, message));
    }
    let member = |item: &Value| {
        let (host, port) = list_item(item, at, whose)?;
        granted(policy, at, &host, port, tls, whose)
    };
    items.iter().map(member).collect::<Result<_, _>>().map(Some)
}

/// `{"host": …, "port": …}`, `"host:port"` or `"host"`.
fn list_item(
    item: &Value,
    at: &ValueSource,
    whose: &str,
) -> Result<(String, Option<u16>), CallError> {
    if let Value::String(text) = item {
        let split = text
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse().ok()?)));
        return Ok(match split {
            Some((host, port)) if !host.contains(':') || host.starts_with('[') => {
                (host.trim_matches(['[', ']']).to_owned(), Some(port))
            }
            _ => (text.clone(), None),
        });
    }
    let host = string_at(item, &at.host, whose)?.ok_or_else(|| {
        let message = format!(
            "a member in {whose} has no {}; correct the stored value",
            at.host
        );
        refused(ErrorKind::InvalidSecret, message)
    })?;
    let port = at
        .port
        .as_ref()
        .map_or(Ok(None), |pointer| port_at(item, pointer, whose))?;
    Ok((host.to_owned(), port))
}

fn absent(
    policy: &EndpointPolicy,
    pointer: &str,
    tls: TlsMode,
    whose: &str,
) -> Result<Option<Vec<Target>>, CallError> {
    // Only the grant of an endpoint that may come from it has members.
    if !policy.members.is_empty() {
        let members = from_grant(policy).into_iter();
        return Ok(Some(
            members.map(|member| Target { tls, ..member }).collect(),
        ));
    }
    if policy.manifest.optional {
        return Ok(None);
    }
    let name = &policy.name;
    let message = format!(
        "{whose} has no {pointer}, which says where the endpoint \"{name}\" is; add it to the stored value"
    );
    Err(refused(ErrorKind::InvalidSecret, message))
}

fn granted(
    policy: &EndpointPolicy,
    at: &ValueSource,
    host: &str,
    port: Option<u16>,
    tls: TlsMode,
    whose: &str,
) -> Result<Target, CallError> {
    let host = host.to_ascii_lowercase();
    let (name, shown) = (&policy.name, text::line(&host, 253));
    if !policy.hosts.iter().any(|pattern| pattern.matches(&host)) {
        let message = format!(
            "endpoint \"{name}\": the host \"{shown}\" of {whose} is not granted; if it is right, \
             add it to grant.endpoint.{name}.hosts"
        );
        return Err(refused(ErrorKind::Denied, message));
    }
    let port = port.or(at.port_default).ok_or_else(|| {
        let message =
            format!("endpoint \"{name}\": {whose} has no port; add it to the stored value");
        refused(ErrorKind::InvalidSecret, message)
    })?;
    let allowed = if policy.any_port {
        true
    } else if policy.ports.is_empty() {
        at.port_default == Some(port)
    } else {
        policy.ports.contains(&port)
    };
    if !allowed {
        let message = format!(
            "endpoint \"{name}\": port {port} of {whose} is not granted; if it is right, add it to \
             grant.endpoint.{name}.ports"
        );
        return Err(refused(ErrorKind::Denied, message));
    }
    Ok(target(policy, host, port, tls))
}

fn from_companion(
    policy: &EndpointPolicy,
    companion: &str,
    at: &ValueSource,
    companions: &BTreeMap<String, Value>,
    own_hosts: &BTreeSet<String>,
) -> Result<Option<Vec<Target>>, CallError> {
    let name = &policy.name;
    let Some(value) = companions.get(companion) else {
        if policy.manifest.optional {
            return Ok(None);
        }
        let message = format!(
            "endpoint \"{name}\" needs the companion \"{companion}\", which was not handed over"
        );
        return Err(refused(ErrorKind::Denied, message));
    };
    let whose = format!("the {companion} secret");
    let Some(found) = from_value(policy, at, value, &whose)? else {
        return Ok(None);
    };
    for target in &found {
        let same = own_hosts.is_empty()
            || own_hosts.contains(&target.host)
            || own_hosts.iter().all(|own| {
                policy
                    .same_server_as
                    .iter()
                    .any(|pattern| pattern.matches(own))
            });
        if !same {
            let own = own_hosts.iter().next().map_or("", String::as_str);
            let message = format!(
                "endpoint \"{name}\": {whose} points to \"{}\", CURRENT to \"{}\"; if both are the \
                 same server, set grant.endpoint.{name}.same_server_as = [\"{}\"]",
                text::line(&target.host, 253),
                text::line(own, 253),
                text::line(own, 253),
            );
            return Err(refused(ErrorKind::Denied, message));
        }
    }
    Ok(Some(found))
}

fn from_grant(policy: &EndpointPolicy) -> Vec<Target> {
    let members = if policy.members.is_empty() {
        policy.only_host().into_iter().collect()
    } else {
        policy.members.clone()
    };
    members
        .into_iter()
        .map(|(host, port)| spelled_out(policy, host, port))
        .collect()
}

/// The manifest's host, unless the grant spells out exactly one other.
fn fixed(policy: &EndpointPolicy, host: &str, port: u16) -> Result<Target, CallError> {
    let by_grant = policy.hosts.iter().any(|pattern| pattern.matches(host));
    if by_grant && (policy.ports.is_empty() || policy.ports.contains(&port)) {
        return Ok(target(policy, host.to_owned(), port, policy.tls));
    }
    let (host_granted, port_granted) = policy.only_host().ok_or_else(|| {
        let name = &policy.name;
        let message = format!(
            "endpoint \"{name}\": {host}:{port} is not granted; set grant.endpoint.{name} = \
             {{ hosts = [\"{host}\"], ports = [{port}] }}"
        );
        refused(ErrorKind::Denied, message)
    })?;
    Ok(spelled_out(policy, host_granted, port_granted))
}

fn target(policy: &EndpointPolicy, host: String, port: u16, tls: TlsMode) -> Target {
    let literal = policy.hosts.contains(&HostPattern::Exact(host.clone()));
    let loopback = literal && names_loopback(&host);
    Target {
        host,
        port,
        tls,
        loopback,
    }
}

fn spelled_out(policy: &EndpointPolicy, host: String, port: u16) -> Target {
    let loopback = names_loopback(&host);
    Target {
        host,
        port,
        tls: policy.tls,
        loopback,
    }
}

fn names_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// How much TLS the value asks for. It can only add to the grant.
fn tls_wish(value: &Value, whose: &str) -> Result<TlsMode, CallError> {
    let by_flag = match value.pointer("/ssl") {
        Some(Value::Bool(true)) => TlsMode::Require,
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => TlsMode::Require,
        _ => TlsMode::Disable,
    };
    let by_mode = match string_at(value, "/sslmode", whose)? {
        None | Some("" | "disable" | "allow" | "prefer") => TlsMode::Disable,
        Some("require") => TlsMode::Require,
        Some("verify-ca") => TlsMode::VerifyCa,
        Some("verify-full") => TlsMode::VerifyFull,
        Some(_) => {
            let known = "disable, allow, prefer, require, verify-ca or verify-full";
            let message =
                format!("/sslmode of {whose} is not one of {known}; correct the stored value");
            return Err(refused(ErrorKind::InvalidSecret, message));
        }
    };
    Ok(by_flag.max(by_mode))
}
