//! Reads what a component says about itself, without compiling or running it.

use wasmparser::{Encoding, Parser, Payload};

use crate::manifest::SECTION;

/// The outermost imports and exports, and every manifest at any depth: componentization leaves a
/// custom section inside the core module that had it.
#[derive(Debug, Default)]
pub(super) struct Inspection {
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
    pub(super) manifests: Vec<Vec<u8>>,
    pub(super) core_module: bool,
    /// Module and name of what a core module imports; a component's modules are wired up inside it.
    pub(super) core_imports: Vec<(String, String)>,
}

pub(super) fn inspect(wasm: &[u8]) -> wasmparser::Result<Inspection> {
    let mut found = Inspection::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version { encoding, .. } => {
                depth += 1;
                found.core_module |= depth == 1 && encoding == Encoding::Module;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ImportSection(imports) if depth == 1 => {
                for import in imports.into_imports() {
                    let import = import?;
                    let names = (import.module.to_owned(), import.name.to_owned());
                    found.core_imports.push(names);
                }
            }
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    found.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 1 => {
                for export in exports {
                    found.exports.push(export?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if section.name() == SECTION => {
                let data = section.data().to_vec();
                if !found.manifests.contains(&data) {
                    found.manifests.push(data);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}
