//! From a first-party core module to what the binary includes. Runs at build time, in
//! `keyturn-precompile`; the same first half serves `keyturn plugin build`.

use wit_component::ComponentEncoder;

use super::verify::verify;
use crate::error::LoadError;
use crate::sandbox::compiling_engine;

/// A bundled plugin's two files.
pub struct Precompiled {
    /// The manifest's name.
    pub name: String,
    /// The component.
    pub wasm: Vec<u8>,
    /// The component compiled for the baseline of this machine's architecture.
    pub cwasm: Vec<u8>,
}

/// Makes a core module (as `cargo build --target wasm32-unknown-unknown` writes it) a component,
/// verifies it like any other plugin, and compiles it. `label` names it in errors.
pub fn precompile(label: &str, core: &[u8]) -> Result<Precompiled, LoadError> {
    let encoded = ComponentEncoder::default()
        .validate(true)
        .module(core)
        .and_then(|encoder| encoder.encode());
    let wasm = encoded.map_err(|error| LoadError::Invalid {
        plugin: label.to_owned(),
        cause: format!("{error:#}"),
    })?;
    let name = verify(label, &wasm)?.manifest.name;
    let failed = |error: wasmtime::Error| LoadError::Engine {
        cause: format!("{error:#}"),
    };
    let cwasm = compiling_engine()
        .and_then(|engine| engine.precompile_component(&wasm))
        .map_err(failed)?;
    Ok(Precompiled { name, wasm, cwasm })
}
