//! All that one call may reach: its targets, the addresses that they resolved to, and how many
//! connections are left. Each member is resolved once per call, so that a name server that changes
//! its answers changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use keyturn_policy::address::{self, Allowance};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::connection::{Connection, TlsPlan};
use super::net_error::{NetError, NetErrorKind};
use super::policy::EndpointPolicy;
use super::resolve::Resolver;
use super::target::Target;
use super::way::{Reached, Way, Ways};
use crate::grant::TlsMode;
use crate::limits::Limits;
use crate::manifest::Protocol;
use crate::signing::Scope;
use crate::text;

/// Addresses tried per member; a name with more is served by any of the first.
const ADDRESSES_MAX: usize = 4;

pub(crate) struct Network {
    policies: Arc<BTreeMap<String, EndpointPolicy>>,
    targets: BTreeMap<String, Vec<Target>>,
    resolver: Arc<dyn Resolver>,
    resolved: HashMap<(String, u16), Vec<SocketAddr>>,
    connections_left: u32,
    connected: bool,
    ways: Ways,
    limits: Limits,
    /// When reads and writes must have ended.
    deadline: Instant,
}

impl Network {
    pub(crate) fn new(
        policies: Arc<BTreeMap<String, EndpointPolicy>>,
        targets: BTreeMap<String, Vec<Target>>,
        resolver: Arc<dyn Resolver>,
        limits: Limits,
        deadline: Instant,
    ) -> Self {
        let connections_left = limits.connections;
        Self {
            policies,
            targets,
            resolver,
            resolved: HashMap::new(),
            connections_left,
            connected: false,
            ways: Ways::default(),
            limits,
            deadline,
        }
    }

    /// Whether any connection came about.
    pub(crate) fn connected(&self) -> bool {
        self.connected
    }

    /// `host:port` of each member.
    pub(crate) fn members(&self, endpoint: &str) -> Result<Vec<String>, NetError> {
        let targets = self
            .targets
            .get(endpoint)
            .ok_or_else(|| self.unknown(endpoint))?;
        Ok(targets.iter().map(Target::label).collect())
    }

    /// The host of a member as the grant spells it, and whether TLS protects it.
    pub(crate) fn origin(&self, endpoint: &str, member: u32) -> Result<(String, bool), NetError> {
        let target = self.target(endpoint, member)?;
        Ok((target.label(), target.tls != TlsMode::Disable))
    }

    /// As whose client the host signs requests there, if it does.
    pub(crate) fn signed_for(&self, endpoint: &str) -> Result<Option<Scope>, NetError> {
        Ok(self.policy(endpoint)?.signed_for.clone())
    }

    /// Opens a connection for a plugin that speaks its own protocol.
    pub(crate) async fn connect(
        &mut self,
        endpoint: &str,
        member: u32,
    ) -> Result<Connection, NetError> {
        let target = self.target(endpoint, member)?.clone();
        let policy = self.policy(endpoint)?;
        let protocol = policy.manifest.protocol;
        let pre_tls = (protocol == Protocol::TcpUpgrade && target.tls != TlsMode::Disable)
            .then_some(policy.manifest.pre_tls_bytes_max);
        let plan = self.plan(endpoint, &target)?;
        // Counted before the name is looked up: what does not come about would otherwise let a plugin
        // ask the name server without end.
        self.connections_left = self.connections_left.checked_sub(1).ok_or_else(|| {
            let max = self.limits.connections;
            let message = format!("more than {max} connections in one call; raise grant.limits.connections if that is expected");
            NetError::new(NetErrorKind::Limit, message)
        })?;
        let (ways, label) = (self.ways.clone(), target.label());
        let addresses = self.addresses(endpoint, &target).await;
        let addresses = ways.note(endpoint, &label, Reached::Dns, addresses)?;
        let tcp = self.open(&addresses, &label).await;
        let tcp = ways.note(endpoint, &label, Reached::Tcp, tcp)?;
        self.connected = true;
        let bytes_max = self.limits.connection_bytes;
        let mut connection = Connection::new(tcp, label, plan, pre_tls, bytes_max, self.deadline);
        if target.tls == TlsMode::Disable {
            self.ways.without_tls(endpoint, &target.label());
        } else if protocol != Protocol::TcpUpgrade {
            connection.handshake().await?;
        }
        Ok(connection)
    }

    /// How far each member was reached. What the plugin did not try is tried now: its name, a connection, and TLS where
    /// that comes first; where TLS begins in the plugin's protocol, only the plugin can begin it.
    pub(crate) async fn ways(&mut self) -> Vec<Way> {
        let members: Vec<(String, Vec<String>)> = self
            .targets
            .iter()
            .map(|(endpoint, targets)| {
                (
                    endpoint.clone(),
                    targets.iter().map(Target::label).collect(),
                )
            })
            .collect();
        for (endpoint, labels) in members {
            for (index, label) in (0..).zip(labels) {
                if !self.ways.is_known(&endpoint, &label) {
                    // What came of it is noted on the way.
                    let _ = self.connect(&endpoint, index).await;
                }
            }
        }
        self.ways.all()
    }

    fn plan(&self, endpoint: &str, target: &Target) -> Result<TlsPlan, NetError> {
        let policy = self.policy(endpoint)?;
        let name = match &policy.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(target.host.clone()).map_err(|_| {
                let host = text::line(&target.host, 253);
                NetError::new(
                    NetErrorKind::Dns,
                    format!("\"{host}\" is not a host name; correct the stored value"),
                )
            })?,
        };
        let handshake = Duration::from_secs(self.limits.connect_seconds);
        let (endpoint, trust) = (endpoint.to_owned(), policy.trust.clone());
        Ok(TlsPlan {
            endpoint,
            mode: target.tls,
            trust,
            name,
            handshake,
            ways: self.ways.clone(),
        })
    }

    fn policy(&self, endpoint: &str) -> Result<&EndpointPolicy, NetError> {
        self.policies
            .get(endpoint)
            .ok_or_else(|| self.unknown(endpoint))
    }

    fn target(&self, endpoint: &str, member: u32) -> Result<&Target, NetError> {
        let targets = self
            .targets
            .get(endpoint)
            .ok_or_else(|| self.unknown(endpoint))?;
        targets.get(member as usize).ok_or_else(|| {
            let message = format!(
                "endpoint \"{endpoint}\" has {} members, no number {member}",
                targets.len()
            );
            NetError::new(NetErrorKind::UnknownEndpoint, message)
        })
    }

    fn unknown(&self, endpoint: &str) -> NetError {
        let known: Vec<_> = self.targets.keys().map(String::as_str).collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        let endpoint = text::line(endpoint, 64);
        let message = format!(
            "endpoint \"{endpoint}\" is not there (there is: {known}); it needs the manifest, the \
             grant and a host in the value"
        );
        NetError::new(NetErrorKind::UnknownEndpoint, message)
    }

    /// The addresses of a target that may be connected to.
    async fn addresses(
        &mut self,
        endpoint: &str,
        target: &Target,
    ) -> Result<Vec<SocketAddr>, NetError> {
        if let Some(address) = self.resolver.stands_in(&target.host, target.port) {
            return Ok(vec![address]);
        }
        let key = (target.host.clone(), target.port);
        let found = match self.resolved.get(&key) {
            Some(found) => found.clone(),
            None => {
                let found = self.look_up(target).await?;
                self.resolved.insert(key, found.clone());
                found
            }
        };
        let allowance = Allowance {
            private: self.policy(endpoint)?.private,
            loopback: target.loopback,
        };
        let check = |address: &SocketAddr| address::check(address.ip(), allowance);
        let allowed: Vec<_> = found
            .iter()
            .copied()
            .filter(|address| check(address).is_ok())
            .collect();
        match found.iter().find_map(|address| check(address).err()) {
            Some(cause) if allowed.is_empty() => {
                let message = format!(
                    "endpoint \"{endpoint}\": {} resolves to an address that is refused: {cause}",
                    target.label()
                );
                Err(NetError::new(NetErrorKind::Denied, message))
            }
            _ => Ok(allowed),
        }
    }

    async fn look_up(&self, target: &Target) -> Result<Vec<SocketAddr>, NetError> {
        let label = target.label();
        let looking = self.resolver.resolve(&target.host, target.port);
        let found = timeout(self.connect_patience(), looking).await;
        let found = found.map_err(|_| NetError::timeout("looking up", &label))?;
        let mut found = found.map_err(|error| {
            let message = format!(
                "the name of {label} does not resolve ({error}); check the host and the name server"
            );
            NetError::new(NetErrorKind::Dns, message)
        })?;
        if found.is_empty() {
            let message =
                format!("the name of {label} has no address; check the host and the name server");
            return Err(NetError::new(NetErrorKind::Dns, message));
        }
        // The port is the target's, whatever the resolver says.
        found
            .iter_mut()
            .for_each(|address| address.set_port(target.port));
        found.truncate(ADDRESSES_MAX);
        Ok(found)
    }

    async fn open(&self, addresses: &[SocketAddr], label: &str) -> Result<TcpStream, NetError> {
        let mut last = NetError::timeout("connecting to", label);
        for address in addresses {
            match timeout(self.connect_patience(), TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    // Plugins write whole messages; waiting for more would only add latency.
                    tcp.set_nodelay(true)
                        .map_err(|error| NetError::from_io(&error, label))?;
                    return Ok(tcp);
                }
                Ok(Err(error)) => last = NetError::from_io(&error, label),
                Err(_) => last = NetError::timeout("connecting to", label),
            }
        }
        Err(last)
    }

    fn connect_patience(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        left.min(Duration::from_secs(self.limits.connect_seconds))
    }
}
