//! From bytes to a [`Plugin`]. The bytes are read once and checked before anything is compiled,
//! and what is checked is what is run. There is no cache of compiled third-party plugins: a file
//! of native code would need to be authenticated, and compiling takes a tenth of a second.

mod componentize;
mod descriptor;
mod inspect;
mod precompile;
mod verify;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::time::timeout_at;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

pub use componentize::componentize;
pub use precompile::{Precompiled, precompile};

use crate::bindings::PluginPre;
use crate::capability::Capability;
use crate::error::LoadError;
use crate::host;
use crate::invoke::{Function, Live, Setup, origin};
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::outcome::Descriptor;
use crate::password::PasswordPolicy;
use crate::plugin::{Plugin, PluginInner};
use crate::runtime::Shared;
use crate::scrub::Scrubber;
use crate::source::{BundledPlugin, PluginSource};

/// A Rust plugin has 50 to 250 KB; this leaves room for other toolchains.
const WASM_BYTES_MAX: u64 = 8 << 20;

pub(crate) async fn load(shared: Arc<Shared>, source: PluginSource) -> Result<Plugin, LoadError> {
    let (label, wasm, compiled) = match source {
        PluginSource::Bundled(BundledPlugin { name, wasm, cwasm }) => {
            (format!("plugin {name}"), wasm.to_vec(), Some(cwasm))
        }
        PluginSource::File { path, sha256 } => {
            let (label, wasm) = (path.display().to_string(), read(&path)?);
            check_pin(&label, &wasm, sha256.as_deref())?;
            (label, wasm, None)
        }
        PluginSource::Bytes { name, wasm } => {
            check_size(&name, &wasm)?;
            (name, wasm, None)
        }
    };
    let verified = verify::verify(&label, &wasm)?;
    let sha256 = sha256_hex(&wasm);
    let component = match compiled {
        Some(cwasm) => deserialize(&shared.engine, &label, cwasm)?,
        None => compile(&shared.engine, &label, wasm).await?,
    };
    let verify::Verified { manifest, imports } = verified;
    let descriptor = described(&shared, &label, &component, &manifest, &imports).await?;
    let inner = PluginInner {
        shared,
        component,
        manifest,
        descriptor,
        sha256,
        imports,
    };
    Ok(Plugin {
        inner: Arc::new(inner),
    })
}

/// What the plugin says of itself, in an instance of its own.
pub(crate) async fn described(
    shared: &Shared,
    label: &str,
    component: &Component,
    manifest: &Manifest,
    imports: &BTreeSet<Capability>,
) -> Result<Descriptor, LoadError> {
    let mut linker = Linker::new(&shared.engine);
    let linked = host::link(&mut linker, imports.iter().copied())
        .and_then(|()| linker.instantiate_pre(component))
        .and_then(PluginPre::new);
    let pre = linked.map_err(|error| invalid(label, &error))?;
    let described = describe(shared, &pre, &manifest.name).await;
    let raw = described.map_err(|source| LoadError::DescribeFailed {
        plugin: label.to_owned(),
        source,
    })?;
    descriptor::check(raw, manifest).map_err(|cause| LoadError::Descriptor {
        plugin: label.to_owned(),
        cause,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    use std::io::Read;
    let failed = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    // One byte more than allowed, whatever the metadata says.
    let mut bytes = Vec::new();
    file.take(WASM_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    check_size(&path.display().to_string(), &bytes)?;
    Ok(bytes)
}

fn check_size(label: &str, wasm: &[u8]) -> Result<(), LoadError> {
    if wasm.len() as u64 > WASM_BYTES_MAX {
        return Err(LoadError::TooLarge {
            plugin: label.to_owned(),
            bytes_max: WASM_BYTES_MAX,
        });
    }
    Ok(())
}

fn check_pin(label: &str, wasm: &[u8], pin: Option<&str>) -> Result<(), LoadError> {
    let Some(pin) = pin else { return Ok(()) };
    let (plugin, expected) = (label.to_owned(), pin.to_ascii_lowercase());
    if expected.len() != 64 || !expected.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(LoadError::Sha256Malformed {
            plugin,
            expected: crate::text::line(pin, 80),
        });
    }
    let actual = sha256_hex(wasm);
    if actual == expected {
        Ok(())
    } else {
        Err(LoadError::Sha256 {
            plugin,
            expected,
            actual,
        })
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn invalid(label: &str, error: &wasmtime::Error) -> LoadError {
    let cause = crate::text::line(&format!("{error:#}"), 512);
    LoadError::Invalid {
        plugin: label.to_owned(),
        cause,
    }
}

async fn compile(engine: &Engine, label: &str, wasm: Vec<u8>) -> Result<Component, LoadError> {
    let engine = engine.clone();
    let compiled =
        tokio::task::spawn_blocking(move || Component::from_binary(&engine, &wasm)).await;
    compiled
        .map_err(|error| LoadError::Engine {
            cause: error.to_string(),
        })?
        .map_err(|error| invalid(label, &error))
}

/// Native code that was compiled ahead of time and is part of this binary.
fn deserialize(engine: &Engine, label: &str, cwasm: &'static [u8]) -> Result<Component, LoadError> {
    // SAFETY: wasmtime cannot verify native code, so `deserialize` must only see what
    // `precompile_component` wrote. `cwasm` is `'static` data of `PluginSource::Bundled`, included
    // into this binary at build time from the output of `keyturn-precompile`; whoever can change
    // it can change the binary itself. No path leads here from a file, the network or a cache:
    // those go through `compile`, and `verify` refuses precompiled bytes.
    let component = unsafe { Component::deserialize(engine, cwasm) };
    component.map_err(|error| LoadError::Stale {
        plugin: label.trim_start_matches("plugin ").to_owned(),
        cause: crate::text::line(&format!("{error:#}"), 512),
    })
}

/// Under tight limits, with no endpoint and no secret in sight.
async fn describe(
    shared: &Shared,
    pre: &PluginPre<host::HostState>,
    name: &str,
) -> Result<Result<Descriptor, String>, crate::error::CallError> {
    let limits = Limits::of_describe();
    let setup = Setup {
        shared,
        pre,
        function: Function::Describe,
        limits,
        budget: std::time::Duration::from_secs(limits.wall_seconds),
        password: PasswordPolicy::default(),
        scrubber: Scrubber::default(),
        policies: Arc::default(),
        targets: Default::default(),
        origin: origin(name),
    };
    let mut live = Live::start(setup).await?;
    let call = live
        .instance
        .keyturn_rotation_rotator()
        .call_describe(&mut live.store);
    let called = timeout_at(live.deadline, call).await;
    live.settle(called, |answers, descriptor| {
        Ok(descriptor::take(answers, descriptor))
    })
}
