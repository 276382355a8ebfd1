//! From a core module, as `cargo build --target wasm32-unknown-unknown` writes it, to a component: the same for
//! plugins that this binary ships and for those that their authors build. Nothing of either is run.

use wit_component::ComponentEncoder;

use super::inspect::inspect;
use super::verify::foreign_in_core;
use crate::error::LoadError;

/// Makes a core module a component. Whether that is a plugin, [`crate::Runtime::load`] says. `label` names it in
/// errors.
pub fn componentize(label: &str, core: &[u8]) -> Result<Vec<u8>, LoadError> {
    let failed = |cause: String| LoadError::NoComponent {
        plugin: label.to_owned(),
        cause: crate::text::line(&cause, 512),
    };
    // The encoder would only say that it knows no such interface.
    let inspection = inspect(core).map_err(|error| failed(error.to_string()))?;
    if let Some(foreign) = foreign_in_core(label, &inspection) {
        return Err(foreign);
    }
    ComponentEncoder::default()
        .validate(true)
        .module(core)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| failed(format!("{error:#}")))
}
