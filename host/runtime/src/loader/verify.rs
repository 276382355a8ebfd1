//! Whether bytes are a plugin of this contract whose imports its manifest declares. Nothing is
//! compiled before this said yes.

use std::collections::BTreeSet;

use wasmtime::Engine;

use super::inspect::{Inspection, inspect};
use crate::capability::Capability;
use crate::error::LoadError;
use crate::manifest::Manifest;

const PACKAGE: &str = "keyturn:rotation/";
const VERSION: &str = "0.1.0";
const ROTATOR: &str = "keyturn:rotation/rotator@0.1.0";

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
        return Err(LoadError::CoreModule { plugin: plugin() });
    }
    check_version(label, &inspection)?;
    let imports = imports(label, &inspection)?;
    let manifest = manifest(label, &inspection)?;
    if let Some(undeclared) = imports.difference(&manifest.capabilities).next() {
        return Err(LoadError::ImportUndeclared {
            plugin: plugin(),
            import: format!("{PACKAGE}{undeclared}@{VERSION}"),
            capability: *undeclared,
        });
    }
    Ok(Verified { manifest, imports })
}

fn check_version(label: &str, inspection: &Inspection) -> Result<(), LoadError> {
    for name in inspection.exports.iter().chain(&inspection.imports) {
        let Some((_, version)) = name
            .strip_prefix(PACKAGE)
            .and_then(|rest| rest.split_once('@'))
        else {
            continue;
        };
        if version != VERSION {
            let found = format!("keyturn:rotation@{}", crate::text::line(version, 64));
            return Err(LoadError::ContractVersion {
                plugin: label.to_owned(),
                found,
            });
        }
    }
    if inspection.exports.iter().any(|name| name == ROTATOR) {
        return Ok(());
    }
    Err(LoadError::NoRotator {
        plugin: label.to_owned(),
    })
}

fn imports(label: &str, inspection: &Inspection) -> Result<BTreeSet<Capability>, LoadError> {
    let mut imports = BTreeSet::new();
    for import in &inspection.imports {
        let (plugin, shown) = (label.to_owned(), crate::text::line(import, 256));
        let interface = import
            .strip_prefix(PACKAGE)
            .and_then(|rest| rest.strip_suffix(VERSION))
            .and_then(|rest| rest.strip_suffix('@'));
        match interface {
            Some("types") => {}
            Some(name) => match Capability::from_name(name) {
                Some(capability) => drop(imports.insert(capability)),
                None => {
                    return Err(LoadError::ImportUnknown {
                        plugin,
                        import: shown,
                    });
                }
            },
            None if import.starts_with("wasi:") => {
                return Err(LoadError::ImportWasi {
                    plugin,
                    import: shown,
                });
            }
            None => {
                return Err(LoadError::ImportUnknown {
                    plugin,
                    import: shown,
                });
            }
        }
    }
    Ok(imports)
}

fn manifest(label: &str, inspection: &Inspection) -> Result<Manifest, LoadError> {
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
    if manifest.contract != VERSION {
        let found = format!(
            "keyturn:rotation@{}",
            crate::text::line(&manifest.contract, 64)
        );
        return Err(LoadError::ContractVersion {
            plugin: plugin(),
            found,
        });
    }
    Ok(manifest)
}
