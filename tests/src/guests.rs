//! Plugins for tests: crates in workspaces of their own, compiled for wasm32-unknown-unknown when a
//! test first needs them, and made components with whatever manifest the test wants.
//! It panics if a guest does not build: no test that needs it could say anything.
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;
use std::path::Path;
use std::process::Command;

use wasm_encoder::{ComponentSection, CustomSection};

/// The core module of the crate in this folder, as cargo builds it. Cargo's own lock serves tests that
/// run at the same time.
pub fn core(crate_dir: &Path, module: &str) -> Vec<u8> {
    let target_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked"])
        .args(["--target", "wasm32-unknown-unknown"])
        .arg("--manifest-path")
        .arg(crate_dir.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target_dir)
        .env_remove("RUSTFLAGS")
        .status()
        .unwrap();
    assert!(built.success(), "the guest {module} does not build");
    let release = target_dir.join("wasm32-unknown-unknown/release");
    std::fs::read(release.join(format!("{module}.wasm"))).unwrap()
}

/// A core module as a component, without a manifest.
pub fn component(core: &[u8]) -> Vec<u8> {
    let mut encoder = wit_component::ComponentEncoder::default();
    let encoder = encoder.validate(true).module(core);
    encoder.unwrap().encode().unwrap()
}

/// A component with this manifest at its end.
pub fn with_manifest(mut component: Vec<u8>, manifest: &str) -> Vec<u8> {
    let (name, data) = ("keyturn:manifest".into(), Cow::from(manifest.as_bytes()));
    CustomSection { name, data }.append_to_component(&mut component);
    component
}
