//! From a first-party core module to what the binary includes. Runs at build time, in
//! `keyturn-precompile`.

use super::componentize::componentize;
use super::verify::verify;
use crate::error::LoadError;
use crate::sandbox::compiling_engine;

/// A bundled plugin's two files.
pub struct Precompiled {
    /// The manifest's name.
    pub name: String,
    /// The component.
    pub wasm: Vec<u8>,
    /// The component compiled for the baseline of the target's architecture.
    pub cwasm: Vec<u8>,
}

/// Makes a core module a component, verifies it like any other plugin, and compiles it: for `target`, a triple, or for
/// this machine. `label` names it in errors.
pub fn precompile(
    label: &str,
    core: &[u8],
    target: Option<&str>,
) -> Result<Precompiled, LoadError> {
    let wasm = componentize(label, core)?;
    let name = verify(label, &wasm)?.manifest.name;
    let failed = |error: wasmtime::Error| LoadError::Engine {
        cause: format!("{error:#}"),
    };
    let cwasm = compiling_engine(target)
        .and_then(|engine| engine.precompile_component(&wasm))
        .map_err(failed)?;
    Ok(Precompiled { name, wasm, cwasm })
}
