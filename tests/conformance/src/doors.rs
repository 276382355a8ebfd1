//! Opens a gate before every address that a scene names, and writes the grant that leads there and nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyturn_runtime::{
    EndpointGrant, EndpointManifest, EndpointSource, Grant, LimitsOverride, Manifest,
};

use crate::gate::{Gate, Wire};
use crate::kit::Stop;
use crate::stage::{Scene, Tls};
use crate::value;
use crate::world::companion_secret;

/// The gates while they are opened.
pub(crate) struct Doors {
    has_target: bool,
    pub(crate) wire: Arc<Wire>,
    pub(crate) gates: Vec<Gate>,
    /// By gate: the target's own address.
    pub(crate) addresses: Vec<(String, u16)>,
}

impl Doors {
    pub(crate) fn new(has_target: bool) -> Self {
        Self {
            has_target,
            wire: Arc::default(),
            gates: Vec::new(),
            addresses: Vec::new(),
        }
    }

    /// A value whose addresses are gates.
    pub(crate) async fn lead(
        &mut self,
        text: &str,
        manifest: &Manifest,
        whose: Option<&str>,
    ) -> Result<String, Stop> {
        let mut wanted = Vec::new();
        value::redirect(text, manifest, whose, &mut |_, host, port| {
            wanted.push((host.to_owned(), port));
            None
        });
        let mut ports = BTreeMap::new();
        for address in wanted {
            let port = self.gate(&address).await?;
            ports.insert(address, port);
        }
        Ok(value::redirect(
            text,
            manifest,
            whose,
            &mut |_, host, port| {
                let gate = ports.get(&(host.to_owned(), port))?;
                Some(("127.0.0.1".to_owned(), *gate))
            },
        ))
    }

    /// One gate for each address, whoever names it.
    async fn gate(&mut self, address: &(String, u16)) -> Result<u16, Stop> {
        let known = self.addresses.iter().position(|known| known == address);
        if let Some(gate) = known.and_then(|known| self.gates.get(known)) {
            return Ok(gate.port());
        }
        let (host, port) = address;
        let upstream = self.has_target.then(|| format!("{host}:{port}"));
        self.open(address.clone(), upstream).await
    }

    /// Without an upstream it leads nowhere.
    async fn open(
        &mut self,
        address: (String, u16),
        upstream: Option<String>,
    ) -> Result<u16, Stop> {
        let gate = Gate::open(upstream, Arc::clone(&self.wire)).await;
        let gate =
            gate.map_err(|error| Stop::NotCovered(format!("no listener on loopback: {error}")))?;
        let port = gate.port();
        self.gates.push(gate);
        self.addresses.push(address);
        Ok(port)
    }

    pub(crate) async fn grant(
        &mut self,
        scene: &Scene,
        manifest: &Manifest,
        limits: LimitsOverride,
    ) -> Result<Grant, Stop> {
        let mut members = BTreeMap::new();
        for (name, endpoint) in &manifest.endpoints {
            let mut ports = Vec::new();
            match (scene.endpoints.get(name), &endpoint.from) {
                (Some(addresses), _) => {
                    for address in addresses {
                        ports.push(self.gate(&value::split(address, None)).await?);
                    }
                }
                // What the plugin itself names is nobody's target: its gate leads nowhere.
                (None, EndpointSource::Fixed { host, port }) => {
                    ports.push(self.open((host.clone(), *port), None).await?);
                }
                (None, _) => {}
            }
            members.insert(name.clone(), ports);
        }
        let all: Vec<u16> = self.gates.iter().map(Gate::port).collect();
        let mut endpoints = BTreeMap::new();
        for (name, endpoint) in &manifest.endpoints {
            let own = members.remove(name).unwrap_or_default();
            // Nobody is to be reached there.
            if matches!(endpoint.from, EndpointSource::Grant) && own.is_empty() {
                continue;
            }
            endpoints.insert(name.clone(), granted(endpoint, &own, &all, &scene.tls));
        }
        let companions = scene.companions.keys();
        let companions = companions.map(|name| (name.clone(), vec![companion_secret(name)]));
        Ok(Grant {
            companions: companions.collect(),
            endpoints,
            limits,
            settings: scene.settings.clone(),
            ..Grant::default()
        })
    }
}

/// What one endpoint is granted: its own gates where the grant says where it leads, else all of them, as the value says.
fn granted(endpoint: &EndpointManifest, own: &[u16], all: &[u16], tls: &Tls) -> EndpointGrant {
    let mut grant = EndpointGrant {
        tls: tls.mode,
        ca: tls.ca.clone(),
        server_name: tls.server_name.clone(),
        ..EndpointGrant::default()
    };
    match endpoint.from {
        EndpointSource::Grant => {
            let members = own.iter().map(|port| format!("127.0.0.1:{port}"));
            grant.members = members.collect();
        }
        EndpointSource::Fixed { .. } => {
            grant.hosts = vec!["127.0.0.1".to_owned()];
            grant.ports = own.to_vec();
        }
        EndpointSource::Secret(_) | EndpointSource::Companion { .. } => {
            grant.hosts = vec!["127.0.0.1".to_owned()];
            grant.ports = all.to_vec();
        }
    }
    grant
}
