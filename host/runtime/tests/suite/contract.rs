//! The frozen versions of the contract, and what holds between them. That the newest compiles with
//! wasmtime's bindgen is proven by this crate itself.

use keyturn_runtime::{PluginSource, Runtime, RuntimeOptions};
use sha2::{Digest, Sha256};
use wit_component::{DecodedWasm, decode, semver_check};
use wit_parser::{Resolve, WorldId};

use crate::support::{MANIFEST, call, current, grant, guest, plain};

/// What compiled plugins were built against. A change gets a folder of its own, never a new hash here.
const FROZEN: [(&str, &str); 2] = [
    (
        "0.1.0",
        "886d8a0188ed5ca4d8f700603d66f96057c1361ff3a817d5e5027a3c35e019d3",
    ),
    (
        "0.1.1",
        "2a17b578f5181394dc4e0db1d92052f2a684f861eb04ee631743fd5ee36e2651",
    ),
];

fn folder(version: &str) -> String {
    format!("{}/../../wit/{version}", env!("CARGO_MANIFEST_DIR"))
}

/// Adds the `plugin` world of a version.
fn world(resolve: &mut Resolve, version: &str) -> WorldId {
    let (package, _) = resolve.push_path(folder(version)).unwrap();
    resolve.select_world(&[package], Some("plugin")).unwrap()
}

#[test]
fn the_frozen_texts_are_as_they_were() {
    for (version, expected) in FROZEN {
        let text = std::fs::read(format!("{}/rotation.wit", folder(version))).unwrap();
        let hash: String = Sha256::digest(&text)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hash, expected, "wit/{version} is frozen");
    }
}

#[test]
fn each_version_only_adds_to_the_one_before() {
    for pair in FROZEN.windows(2) {
        let mut resolve = Resolve::default();
        let old = world(&mut resolve, pair[0].0);
        let new = world(&mut resolve, pair[1].0);
        semver_check(resolve, old, new).unwrap();
    }
}

#[test]
fn the_contract_survives_encoding() {
    for (version, _) in FROZEN {
        let mut resolve = Resolve::default();
        let world = world(&mut resolve, version);
        let package = resolve.worlds[world].package.unwrap();
        let bytes = wit_component::encode(&resolve, package, false).unwrap();
        let decoded = decode(&bytes).unwrap();
        let package = &decoded.resolve().packages[decoded.package()];
        assert_eq!(
            package.name.to_string(),
            format!("keyturn:rotation@{version}")
        );
        assert_eq!(
            package.worlds.keys().collect::<Vec<_>>(),
            ["imports", "plugin"]
        );
    }
}

/// The scripted guest stays on the first version, and with it most of this crate's suite.
#[tokio::test]
async fn a_plugin_of_the_first_version_still_runs() {
    let wasm = guest(MANIFEST);
    let DecodedWasm::Component(resolve, world) = decode(&wasm).unwrap() else {
        panic!("no component")
    };
    let world = &resolve.worlds[world];
    for key in world.imports.keys().chain(world.exports.keys()) {
        let name = resolve.name_world_key(key);
        assert!(name.ends_with("@0.1.0"), "{name}");
    }
    let runtime = Runtime::new(RuntimeOptions::default()).unwrap();
    let name = "guest".into();
    let plugin = runtime.load(PluginSource::Bytes { name, wasm }).await;
    let plugin = plugin.unwrap();
    assert_eq!(plugin.manifest().contract, "0.1.0");
    let granted = plugin.grant(grant(&plain(1), "bytes 8;password")).unwrap();
    let findings = granted.check(&call(&current(1))).await.unwrap();
    assert_eq!(findings[0].summary, "8");
    assert_eq!(findings[1].summary, "32");
}
