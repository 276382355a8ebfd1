//! Whether bytes are a plugin of this contract whose imports its manifest declares. Nothing is
//! compiled before this said yes.

use std::collections::BTreeSet;

use wasmtime::Engine;

use super::inspect::{Inspection, inspect};
use crate::capability::Capability;
use crate::contract;
use crate::error::LoadError;
use crate::manifest::Manifest;

#[derive(Debug)]
pub(super) struct Verified {
    pub(super) manifest: Manifest,
    pub(super) imports: BTreeSet<Capability>,
}

pub(super) fn verify(label: &str, wasm: &[u8]) -> Result<Verified, LoadError> {
    let plugin = || label.to_owned();
    if Engine::detect_precompiled(wasm).is_some() {
        return Err(LoadError::Precompiled { plugin: plugin() });
    }
    if !wasm.starts_with(b"\0asm") {
        return Err(LoadError::NotWasm { plugin: plugin() });
    }
    let inspection = inspect(wasm).map_err(|error| LoadError::Invalid {
        plugin: plugin(),
        cause: error.to_string(),
    })?;
    if inspection.core_module {
        let foreign = foreign_in_core(label, &inspection);
        return Err(foreign.unwrap_or_else(|| LoadError::CoreModule { plugin: plugin() }));
    }
    let version = version(label, &inspection)?;
    let imports = imports(label, &inspection, version)?;
    let manifest = manifest(label, &inspection, version)?;
    if let Some(undeclared) = imports.difference(&manifest.capabilities).next() {
        return Err(LoadError::ImportUndeclared {
            plugin: plugin(),
            import: contract::interface(undeclared.name(), version),
            capability: *undeclared,
        });
    }
    Ok(Verified { manifest, imports })
}

/// That of the rotator which the component exports; of several the newest, which is the one that wasmtime calls.
fn version(label: &str, inspection: &Inspection) -> Result<&'static str, LoadError> {
    for name in inspection.exports.iter().chain(&inspection.imports) {
        if let Some((_, version)) = split(name) {
            known(label, version)?;
        }
    }
    let mut versions = contract::VERSIONS.into_iter().rev();
    let exported = versions.find(|version| {
        let rotator = contract::interface("rotator", version);
        inspection.exports.contains(&rotator)
    });
    exported.ok_or_else(|| LoadError::NoRotator {
        plugin: label.to_owned(),
    })
}

/// Interface and version of a name of the contract.
fn split(name: &str) -> Option<(&str, &str)> {
    let name = name.strip_prefix(contract::PACKAGE)?.strip_prefix('/')?;
    name.split_once('@')
}

fn known(label: &str, version: &str) -> Result<(), LoadError> {
    if contract::VERSIONS.contains(&version) {
        return Ok(());
    }
    let version = crate::text::line(version, 64);
    Err(LoadError::ContractVersion {
        plugin: label.to_owned(),
        found: format!("{}@{version}", contract::PACKAGE),
    })
}

fn imports(
    label: &str,
    inspection: &Inspection,
    version: &'static str,
) -> Result<BTreeSet<Capability>, LoadError> {
    let mut imports = BTreeSet::new();
    for import in &inspection.imports {
        let interface = split(import).filter(|(_, of)| *of == version);
        let capability = interface.and_then(|(name, _)| Capability::from_name(name));
        match (interface, capability) {
            (Some(("types", _)), _) => {}
            (_, Some(capability)) if contract::has(version, capability) => {
                imports.insert(capability);
            }
            _ => return Err(foreign(label, import, version)),
        }
    }
    Ok(imports)
}

fn foreign(label: &str, import: &str, version: &'static str) -> LoadError {
    let (plugin, shown) = (label.to_owned(), crate::text::line(import, 256));
    if import.starts_with("wasi:") {
        return LoadError::ImportWasi {
            plugin,
            import: shown,
        };
    }
    LoadError::ImportUnknown {
        plugin,
        import: shown,
        contract: version,
    }
}

/// The first import of a core module of which no component of the contract can be made, if the mistake behind it is
/// a usual one.
pub(super) fn foreign_in_core(label: &str, inspection: &Inspection) -> Option<LoadError> {
    inspection.core_imports.iter().find_map(|(module, name)| {
        let plugin = label.to_owned();
        let import = crate::text::line(&format!("{module}/{name}"), 256);
        match module.as_str() {
            "env" => Some(LoadError::ImportUndefined {
                plugin,
                symbol: crate::text::line(name, 256),
            }),
            _ if module.starts_with("wasi") => Some(LoadError::ImportWasi { plugin, import }),
            _ if module.starts_with("__wbindgen") => {
                Some(LoadError::ImportBrowser { plugin, import })
            }
            _ => None,
        }
    })
}

fn manifest(label: &str, inspection: &Inspection, version: &str) -> Result<Manifest, LoadError> {
    let plugin = || label.to_owned();
    let bytes = match inspection.manifests.as_slice() {
        [one] => one,
        [] => return Err(LoadError::NoManifest { plugin: plugin() }),
        many => {
            return Err(LoadError::ManyManifests {
                plugin: plugin(),
                count: many.len(),
            });
        }
    };
    let text = std::str::from_utf8(bytes).map_err(|_| LoadError::Invalid {
        plugin: plugin(),
        cause: "its manifest is not UTF-8".into(),
    })?;
    let manifest = Manifest::parse(text).map_err(|source| LoadError::Manifest {
        plugin: plugin(),
        source,
    })?;
    if manifest.contract != version {
        return Err(LoadError::ContractMismatch {
            plugin: plugin(),
            found: version.to_owned(),
            declared: manifest.contract,
        });
    }
    Ok(manifest)
}
