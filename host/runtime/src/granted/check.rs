//! Holds the operator's grant against what the plugin declares and imports. Whatever is wrong is
//! found here, when the configuration is read, and not in the middle of a rotation.

use std::collections::BTreeMap;

use serde_json::Value;
use wasmtime::component::Linker;

use crate::bindings::PluginPre;
use crate::capability::Capability;
use crate::contract;
use crate::endpoint::EndpointPolicy;
use crate::error::GrantError;
use crate::grant::Grant;
use crate::host::{self, HostState};
use crate::limits::Limits;
use crate::manifest::{EndpointSource, Manifest};
use crate::plugin::Plugin;
use crate::settings;

/// A grant that fits, made ready for calls.
pub(super) struct Checked {
    pub(super) settings: String,
    pub(super) limits: Limits,
    pub(super) policies: BTreeMap<String, EndpointPolicy>,
    pub(super) pre: PluginPre<HostState>,
}

pub(super) fn check(plugin: &Plugin, grant: &Grant) -> Result<Checked, GrantError> {
    let manifest = plugin.manifest();
    check_imports(plugin, grant)?;
    check_companions(manifest, grant)?;
    let policies = policies(plugin, grant)?;
    let settings = settings(plugin, &grant.settings)?;
    grant
        .password
        .check()
        .map_err(|cause| GrantError::Password { cause })?;
    let limits = Limits::agreed(&manifest.name, &manifest.limits, &grant.limits)?;
    let mut linker = Linker::new(&plugin.inner.shared.engine);
    // Only what was granted is linked: an import that slipped past the checks above would still
    // find nothing.
    let linked = host::link(&mut linker, plugin.imports().iter().copied())
        .and_then(|()| linker.instantiate_pre(&plugin.inner.component))
        .and_then(PluginPre::new);
    let pre = linked.map_err(|error| GrantError::Link {
        plugin: manifest.name.clone(),
        cause: format!("{error:#}"),
    })?;
    Ok(Checked {
        settings,
        limits,
        policies,
        pre,
    })
}

fn check_imports(plugin: &Plugin, grant: &Grant) -> Result<(), GrantError> {
    for capability in plugin.imports() {
        let fix = match &grant.capabilities {
            Some(granted) if !granted.contains(capability) => {
                format!("add \"{capability}\" to grant.capabilities")
            }
            // An endpoint that must be there is asked for by name below; one that may be absent leads nowhere.
            _ if capability.reaches_out() && plugin.manifest().endpoints.is_empty() => {
                "its manifest declares no endpoint, so ask its author".into()
            }
            _ => continue,
        };
        return Err(not_granted(plugin, *capability, fix));
    }
    Ok(())
}

fn not_granted(plugin: &Plugin, capability: Capability, fix: String) -> GrantError {
    let manifest = plugin.manifest();
    GrantError::ImportNotGranted {
        plugin: manifest.name.clone(),
        import: contract::interface(capability.name(), &manifest.contract),
        fix,
    }
}

fn check_companions(manifest: &Manifest, grant: &Grant) -> Result<(), GrantError> {
    for companion in grant.companions.keys() {
        if !manifest.companions.contains_key(companion) {
            let known = known("companion", manifest.companions.keys());
            let (plugin, companion) = (manifest.name.clone(), companion.clone());
            return Err(GrantError::CompanionUnknown {
                plugin,
                companion,
                known,
            });
        }
    }
    for (name, companion) in &manifest.companions {
        if !companion.optional && grant.companions.get(name).is_none_or(Vec::is_empty) {
            let (plugin, companion) = (manifest.name.clone(), name.clone());
            return Err(GrantError::CompanionMissing { plugin, companion });
        }
    }
    Ok(())
}

fn policies(
    plugin: &Plugin,
    grant: &Grant,
) -> Result<BTreeMap<String, EndpointPolicy>, GrantError> {
    let manifest = plugin.manifest();
    for endpoint in grant.endpoints.keys() {
        if !manifest.endpoints.contains_key(endpoint) {
            let known = known("endpoint", manifest.endpoints.keys());
            let (plugin, endpoint) = (manifest.name.clone(), endpoint.clone());
            return Err(GrantError::EndpointUnknown {
                plugin,
                endpoint,
                known,
            });
        }
    }
    let mut policies = BTreeMap::new();
    for (name, declared) in &manifest.endpoints {
        match grant.endpoints.get(name) {
            Some(granted) => {
                let system = &plugin.inner.shared.system_trust;
                let policy = EndpointPolicy::new(name, declared, granted, system)?;
                policies.insert(name.clone(), policy);
            }
            None if declared.optional => {}
            None => {
                let needs = match &declared.from {
                    EndpointSource::Grant => "members".to_owned(),
                    EndpointSource::Fixed { host, port } => {
                        format!("hosts = [\"{host}\"] and ports = [{port}]")
                    }
                    EndpointSource::Secret(_) | EndpointSource::Companion { .. } => {
                        "hosts".to_owned()
                    }
                };
                let (plugin, endpoint) = (manifest.name.clone(), name.clone());
                return Err(GrantError::EndpointMissing {
                    plugin,
                    endpoint,
                    needs,
                });
            }
        }
    }
    Ok(policies)
}

fn known<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<_> = names.map(String::as_str).collect();
    if names.is_empty() {
        format!("it declares no {what} at all")
    } else {
        format!("it declares {}", names.join(", "))
    }
}

fn settings(plugin: &Plugin, granted: &Value) -> Result<String, GrantError> {
    let empty = Value::Object(serde_json::Map::new());
    let granted = if granted.is_null() { &empty } else { granted };
    settings::check(&plugin.descriptor().settings_schema, granted).map_err(|violation| {
        let settings::Violation { at, cause } = violation;
        GrantError::Settings {
            plugin: plugin.manifest().name.clone(),
            at,
            cause,
        }
    })?;
    Ok(granted.to_string())
}
