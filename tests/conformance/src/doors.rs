//! Opens a gate before every server that a scene names, and writes the grant that leads to those servers and nowhere
//! else. Values and grant keep the servers' own names: it is the sandbox that goes to the gates instead.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use keyturn_runtime::{
    EndpointGrant, EndpointManifest, EndpointSource, Grant, LimitsOverride, Manifest, Resolver,
    Resolving, TlsMode,
};

use crate::gate::{Gate, Wire};
use crate::kit::{Stop, lock};
use crate::stage::Scene;
use crate::value::{self, Address};

/// No name server knows it (RFC 6761).
const NOWHERE: &str = "nowhere.invalid";

/// Where the sandbox finds the gates: those of the world that was raised last.
#[derive(Default)]
pub(crate) struct Routes(Mutex<HashMap<Address, u16>>);

impl Resolver for Routes {
    /// Where no gate stands, nobody is to be reached.
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Resolving<'a> {
        Box::pin(async { Err(io::Error::other("the check has no gate there")) })
    }

    fn stands_in(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let gate = *lock(&self.0).get(&Address::new(host, port))?;
        Some((Ipv4Addr::LOCALHOST, gate).into())
    }
}

/// The gates of a scene.
pub(crate) struct Doors {
    pub(crate) wire: Arc<Wire>,
    pub(crate) gates: Vec<Gate>,
    /// By gate: the server behind it.
    servers: Vec<Address>,
}

impl Doors {
    /// One gate for each server, whoever names it.
    pub(crate) async fn open(
        scene: &Scene,
        manifest: &Manifest,
        has_target: bool,
    ) -> Result<Self, Stop> {
        let mut doors = Self {
            wire: Arc::default(),
            gates: Vec::new(),
            servers: Vec::new(),
        };
        let secrets = [
            Some(&scene.secret),
            scene.unprivileged.as_ref(),
            scene.unprotected.as_ref(),
        ];
        let secrets = secrets.into_iter().flatten().map(|text| (text, None));
        let companions = scene.companions.iter();
        let companions = companions.map(|(name, text)| (text, Some(name.as_str())));
        for (text, whose) in secrets.chain(companions) {
            for server in value::addresses(text, manifest, whose) {
                doors.stand_before(server, scene, has_target).await?;
            }
        }
        for (name, endpoint) in &manifest.endpoints {
            if let Some(addresses) = scene.endpoints.get(name) {
                for address in addresses {
                    let server = Address::parse(address, None);
                    doors.stand_before(server, scene, has_target).await?;
                }
            } else if let EndpointSource::Fixed { host, port } = &endpoint.from {
                // What the plugin itself names is nobody's target.
                let server = Address::new(host, *port);
                doors.stand_before(server, scene, false).await?;
            }
        }
        Ok(doors)
    }

    /// A gate that `leads` nowhere hangs up.
    async fn stand_before(
        &mut self,
        server: Address,
        scene: &Scene,
        leads: bool,
    ) -> Result<(), Stop> {
        if self.servers.contains(&server) {
            return Ok(());
        }
        let name = server.to_string();
        let reached = scene.reached_at.get(&name).cloned();
        let upstream = leads.then(|| reached.unwrap_or(name));
        let gate = Gate::open(upstream, Arc::clone(&self.wire)).await;
        let gate =
            gate.map_err(|error| Stop::NotCovered(format!("no listener on loopback: {error}")))?;
        self.gates.push(gate);
        self.servers.push(server);
        Ok(())
    }

    /// From now on the sandbox goes to these gates.
    pub(crate) fn lead(&self, routes: &Routes) {
        let ports = self.gates.iter().map(Gate::port);
        *lock(&routes.0) = self.servers.iter().cloned().zip(ports).collect();
    }

    pub(crate) fn grant(
        &self,
        scene: &Scene,
        manifest: &Manifest,
        limits: LimitsOverride,
    ) -> Grant {
        let mut endpoints = BTreeMap::new();
        for (name, endpoint) in &manifest.endpoints {
            let own = scene.endpoints.get(name).map(Vec::as_slice);
            // Nobody is to be reached there.
            if matches!(endpoint.from, EndpointSource::Grant) && own.is_none() {
                continue;
            }
            let granted = self.granted(endpoint, own.unwrap_or_default(), scene);
            endpoints.insert(name.clone(), granted);
        }
        let companions = scene.companions.keys();
        let companions = companions.map(|name| (name.clone(), vec![value::companion_secret(name)]));
        Grant {
            companions: companions.collect(),
            endpoints,
            limits,
            settings: scene.settings.clone(),
            ..Grant::default()
        }
    }

    /// What one endpoint is granted: its own servers where the grant says where it leads, else all, as the value says.
    fn granted(&self, endpoint: &EndpointManifest, own: &[String], scene: &Scene) -> EndpointGrant {
        let mut grant = EndpointGrant {
            tls: scene.tls.mode,
            ca: scene.tls.ca.clone(),
            server_name: scene.tls.server_name.clone(),
            ..EndpointGrant::default()
        };
        if endpoint.sign.is_some() {
            // Nothing is signed for a server that nobody has verified, whatever the others are.
            grant.tls = grant.tls.max(TlsMode::VerifyCa);
            grant.sign = true;
        }
        let own: Vec<_> = own.iter().map(|own| Address::parse(own, None)).collect();
        let servers = match &endpoint.from {
            EndpointSource::Grant => {
                grant.members = own.iter().map(Address::to_string).collect();
                return grant;
            }
            EndpointSource::Fixed { host, port } if own.is_empty() => {
                vec![Address::new(host, *port)]
            }
            EndpointSource::Fixed { .. } => own,
            // A value without an address has an endpoint that leads nowhere.
            _ if self.servers.is_empty() => vec![Address::new(NOWHERE, 1)],
            _ => self.servers.clone(),
        };
        grant.hosts = servers
            .iter()
            .map(|server| server.host().to_owned())
            .collect();
        grant.ports = servers.iter().map(Address::port).collect();
        grant.same_server_as.clone_from(&grant.hosts);
        grant
    }
}
