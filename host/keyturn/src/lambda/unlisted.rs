//! A secret that no file speaks of: its plugin may go where its value points, as AWS's own rotation functions do. What
//! the function's role may read, and where its network lets it go, are the fence. A table of keyturn.toml is a
//! narrower one.

use keyturn_engine::Credential;
use keyturn_runtime::{EndpointGrant, EndpointSource, Grant, Plugin};
use keyturn_store::SecretDescription;

use super::{environment::Environment, failure::Failure};

pub(super) fn credential(
    secret: &SecretDescription,
    plugin: &Plugin,
    variables: &Environment,
    environment: String,
) -> Result<Credential, Failure> {
    let refused = |problem: String| {
        let name = &secret.name;
        let plugin = &plugin.manifest().name;
        Failure::configuration(format!(
            "{name}: plugin {plugin} needs a table of its own in keyturn.toml: {problem}; nothing was changed"
        ))
    };
    let granted = plugin.grant(grant(plugin, variables));
    let granted = granted.map_err(|error| refused(error.to_string()))?;
    let strategy = plugin.descriptor().strategies.first().cloned();
    Ok(Credential {
        secret: secret.name.clone(),
        name: String::new(),
        beside: Vec::new(),
        environment,
        plugin: granted,
        strategy: strategy.ok_or_else(|| refused("it has no strategy".to_owned()))?,
        grace_seconds: None,
        lead_seconds: 0,
        rotate_after_days: None,
    })
}

/// Verified TLS to any host and port that the value names, and any secret that it names as its companion.
fn grant(plugin: &Plugin, variables: &Environment) -> Grant {
    let manifest = plugin.manifest();
    let any = || vec!["*".to_owned()];
    let endpoint = EndpointGrant {
        hosts: any(),
        any_port: true,
        private: true,
        ca_beside_system: variables.ca_bundle.clone(),
        ..EndpointGrant::default()
    };
    let companions = manifest.companions.keys();
    let endpoints = manifest.endpoints.iter();
    // Addresses that only a grant could name stay unknown.
    let endpoints = endpoints.filter(|(_, declared)| declared.from != EndpointSource::Grant);
    Grant {
        companions: companions.map(|name| (name.clone(), any())).collect(),
        endpoints: endpoints
            .map(|(name, _)| (name.clone(), endpoint.clone()))
            .collect(),
        password: variables.password.clone(),
        ..Grant::default()
    }
}
