//! The shipped plugins as the binary has them: compiled ahead of time by `make plugins`.

use std::path::PathBuf;
use std::time::Duration;

use keyturn_runtime::{
    BundledPlugin, Call, Grant, GrantedPlugin, PluginSource, Runtime, RuntimeOptions, Version,
};

use crate::Result;

/// Loads a plugin and grants it this much.
pub(crate) async fn granted(
    options: RuntimeOptions,
    name: &'static str,
    grant: Grant,
) -> Result<GrantedPlugin> {
    let runtime = Runtime::new(options)?;
    let bundled = BundledPlugin {
        name,
        wasm: bytes(&format!("{name}.wasm"))?,
        cwasm: bytes(&format!("{name}.cwasm"))?,
    };
    let plugin = runtime.load(PluginSource::Bundled(bundled)).await?;
    Ok(plugin.grant(grant)?)
}

/// Read once and kept for the life of the process, as if they were part of the binary.
fn bytes(file: &str) -> Result<&'static [u8]> {
    let path = PathBuf::from(env!("KEYTURN_PLUGINS")).join(file);
    let bytes = std::fs::read(&path)
        .map_err(|error| format!("{}: {error}; `make plugins` makes it", path.display()))?;
    Ok(Vec::leak(bytes))
}

/// A call about this value, without companions.
pub(crate) fn call(strategy: &str, value: &str) -> Call {
    Call {
        secret: "bench/secret".to_owned(),
        credential: String::new(),
        environment: "bench".to_owned(),
        rotation_id: "bench".to_owned(),
        attempt: 1,
        budget: Duration::from_secs(30),
        strategy: strategy.to_owned(),
        current: version("current", value),
        others: Vec::new(),
        companions: Vec::new(),
    }
}

pub(crate) fn version(id: &str, value: &str) -> Version {
    Version {
        id: id.to_owned(),
        value: value.to_owned().into(),
    }
}
