//! What is not loaded, and why.

use std::io::Write;

use keyturn_runtime::{LoadError, PluginSource, Runtime, RuntimeOptions};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

use crate::support::{MANIFEST, bare_guest, core_guest, guest, with_manifest};

async fn load(source: PluginSource) -> Result<keyturn_runtime::Plugin, LoadError> {
    Runtime::new(RuntimeOptions::default())
        .unwrap()
        .load(source)
        .await
}

async fn refused(wasm: Vec<u8>, expected: &str) {
    let source = PluginSource::Bytes {
        name: "guest".into(),
        wasm,
    };
    assert_eq!(load(source).await.err().unwrap().to_string(), expected);
}

/// A component of any world; calling it traps.
fn component(wit: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("test.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("plugin")).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

/// The newest text under any version.
fn contract(version: &str, import: &str) -> String {
    let text = include_str!("../../../../wit/0.1.1/rotation.wit");
    let text = text.replace("rotation@0.1.1", &format!("rotation@{version}"));
    text.replace("export rotator;", &format!("export rotator;\n {import}"))
}

#[tokio::test]
async fn a_plugin_is_loaded_with_its_facts() {
    let source = PluginSource::Bytes {
        name: "guest".into(),
        wasm: guest(MANIFEST),
    };
    let plugin = load(source).await.unwrap();
    assert_eq!(plugin.descriptor().name, "scripted");
    assert_eq!(plugin.descriptor().strategies[0].name, "only");
    assert_eq!(plugin.sha256().len(), 64);
    assert_eq!(plugin.imports().len(), 6);
}

#[tokio::test]
async fn a_core_module_is_refused() {
    refused(
        core_guest(),
        "guest is a core module, not a component; make it one with `keyturn plugin build`",
    )
    .await;
}

#[tokio::test]
async fn a_precompiled_file_is_refused() {
    let made = with_core_manifest();
    let expected = "guest is a precompiled file; Keyturn runs native code only from its own binary, so give the .wasm component that it was made from";
    refused(made.cwasm, expected).await;
}

/// The guest with its manifest in the core module, as the SDK's macro puts it.
fn with_core_manifest() -> keyturn_runtime::Precompiled {
    use wasm_encoder::Section;
    let mut core = core_guest();
    let section = wasm_encoder::CustomSection {
        name: "keyturn:manifest".into(),
        data: MANIFEST.as_bytes().into(),
    };
    section.append_to(&mut core);
    keyturn_runtime::precompile("guest", &core, None).unwrap()
}

#[tokio::test]
async fn a_bundled_plugin_is_loaded_from_its_native_code() {
    let made = with_core_manifest();
    let (wasm, cwasm) = (made.wasm.leak(), made.cwasm.leak());
    let bundled = keyturn_runtime::BundledPlugin {
        name: "scripted",
        wasm,
        cwasm,
    };
    let plugin = load(PluginSource::Bundled(bundled)).await.unwrap();
    assert_eq!(plugin.manifest().name, "scripted");
    let stale = keyturn_runtime::BundledPlugin {
        cwasm: &[],
        ..bundled
    };
    let error = load(PluginSource::Bundled(stale)).await.err().unwrap();
    assert!(matches!(error, LoadError::Stale { .. }), "{error}");
}

#[tokio::test]
async fn what_is_no_wasm_is_refused() {
    refused(b"#!/bin/sh".to_vec(), "guest is not WebAssembly: it does not begin with the bytes `\\0asm`; give the .wasm file that `keyturn plugin build` writes").await;
}

#[tokio::test]
async fn a_wrong_pin_is_refused() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"abc").unwrap();
    let path = file.path().to_owned();
    let shown = path.display().to_string();
    let pinned = |sha256: &str| PluginSource::File {
        path: path.clone(),
        sha256: Some(sha256.into()),
    };
    let zeros = "0".repeat(64);
    assert_eq!(
        load(pinned(&zeros)).await.err().unwrap().to_string(),
        format!(
            "{shown} has the sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad, but {zeros} is pinned; if the change is intended, pin the new hash"
        )
    );
    assert_eq!(
        load(pinned("abc")).await.err().unwrap().to_string(),
        format!("the pinned sha256 of {shown} is not 64 hexadecimal digits: abc")
    );
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(9 << 20).unwrap();
    let shown = file.path().display().to_string();
    let source = PluginSource::File {
        path: file.path().to_owned(),
        sha256: None,
    };
    assert_eq!(
        load(source).await.err().unwrap().to_string(),
        format!(
            "{shown} is larger than the 8388608 bytes that a plugin may have; build it for size: opt-level = \"s\", lto = true and strip = true under [profile.release]"
        )
    );
}

#[tokio::test]
async fn another_contract_version_is_refused() {
    let speaks = |version: &str| {
        format!(
            "guest speaks keyturn:rotation@{version}, and this host speaks keyturn:rotation@0.1.0 and 0.1.1; rebuild it with the keyturn-sdk of this release"
        )
    };
    for version in ["0.1.2", "0.2.0", "1.1.0"] {
        let wasm = with_manifest(component(&contract(version, "")), MANIFEST);
        refused(wasm, &speaks(version)).await;
    }
    let manifest = MANIFEST.replace("contract = \"0.1.0\"", "contract = \"9.9.9\"");
    refused(guest(&manifest), "guest speaks keyturn:rotation@0.1.0, but its manifest says contract = \"9.9.9\"; write contract = \"0.1.0\" into plugin.toml").await;
}

#[tokio::test]
async fn a_manifest_of_another_version_than_the_component_is_refused() {
    let manifest = MANIFEST.replace("contract = \"0.1.0\"", "contract = \"0.1.1\"");
    refused(guest(&manifest), "guest speaks keyturn:rotation@0.1.0, but its manifest says contract = \"0.1.1\"; write contract = \"0.1.0\" into plugin.toml").await;
}

/// wasmtime would link it: a newer version of an interface serves the older name.
#[tokio::test]
async fn an_old_component_gets_nothing_that_came_later() {
    let wasm = with_manifest(component(&contract("0.1.0", "")), MANIFEST);
    refused(wasm, "guest imports keyturn:rotation/key-derivation@0.1.0, which is not part of keyturn:rotation@0.1.0; remove the dependency that imports it").await;
}

#[tokio::test]
async fn a_component_without_rotator_is_refused() {
    let wasm = component("package a:b; world plugin { export f: func(); }");
    refused(wasm, "guest does not export keyturn:rotation/rotator; implement `Rotator` and call the SDK's export macro").await;
}

#[tokio::test]
async fn an_undeclared_import_is_refused() {
    let manifest = MANIFEST.replace("\"password\", ", "");
    refused(guest(&manifest), "guest imports keyturn:rotation/password@0.1.0, which its manifest does not declare; add \"password\" to `capabilities` in plugin.toml").await;
}

#[tokio::test]
async fn foreign_imports_are_refused() {
    let wit = format!(
        "{}\npackage wasi:cli@0.2.0 {{ interface environment {{ f: func(); }} }}",
        nested("wasi:cli/environment@0.2.0")
    );
    refused(component(&wit), "guest imports wasi:cli/environment@0.2.0, and plugins have no WASI; build it with `keyturn plugin build`, which takes wasm32-unknown-unknown and no wasi target; if a dependency calls WASI on that target too, `cargo tree --target wasm32-unknown-unknown` shows who brings wasi, wasip1 or wasip2: do without it").await;
    let wit = format!(
        "{}\npackage evil:host@1.0.0 {{ interface files {{ f: func(); }} }}",
        nested("evil:host/files@1.0.0")
    );
    refused(component(&wit), "guest imports evil:host/files@1.0.0, which is not part of keyturn:rotation@0.1.1; remove the dependency that imports it").await;
}

fn nested(import: &str) -> String {
    contract("0.1.1", &format!("import {import};"))
}

#[tokio::test]
async fn a_plugin_without_manifest_is_refused() {
    refused(bare_guest(), "guest carries no manifest (custom section `keyturn:manifest`); the SDK's export macro embeds plugin.toml, so build it with the macro").await;
    let two = with_manifest(guest(MANIFEST), "name = \"other\"");
    refused(two, "guest carries 2 different manifests (custom section `keyturn:manifest`); call the SDK's export macro once").await;
}

#[tokio::test]
async fn a_manifest_error_points_at_line_and_key() {
    let wrong = |from: &str, to: &str| guest(&MANIFEST.replace(from, to));
    refused(
        wrong("name = \"scripted\"", "name = \"Scripted!\""),
        "the manifest of guest is invalid: line 2: name: use 1 to 64 of a-z, 0-9 and -",
    )
    .await;
    refused(wrong("\"clock\"", "\"files\""), "the manifest of guest is invalid: line 4: capabilities: no capability \"files\"; there are endpoint, http, random, password, key-derivation, clock, log").await;
    refused(wrong("\"/masterarn\"", "\"masterarn\""), "the manifest of guest is invalid: line 9: companion.admin.pointer: \"masterarn\" is not a JSON pointer; begin with /, as in \"/host\"").await;
    refused(wrong("\"tcp+upgrade\"", "\"udp\""), "the manifest of guest is invalid: line 18: endpoint.admin.protocol: no protocol \"udp\"; write \"tcp+upgrade\", \"tcp|tls\" or \"https\"").await;
    refused(wrong("\"tcp|tls\"", "\"tcp|tls\"\nsign = \"elasticache\""), "the manifest of guest is invalid: line 24: endpoint.nodes.sign: belongs to \"https\" alone; remove it").await;
    refused(wrong("secret = \"current\"", "secret = \"pending\""), "the manifest of guest is invalid: line 12: endpoint.primary.from: secret = \"pending\": endpoints come from \"current\" alone").await;
    refused(wrong("companion = \"admin\"", "companion = \"root\""), "the manifest of guest is invalid: line 17: endpoint.admin.from: no companion \"root\" is declared; add [companion.root] with its pointer").await;
}

#[tokio::test]
async fn a_descriptor_that_contradicts_the_manifest_is_refused() {
    let wasm = guest(&MANIFEST.replace("\"scripted\"", "\"other\""));
    refused(wasm, "`describe` of guest is invalid: it is called \"scripted\", and \"other\" in plugin.toml; make them equal").await;
}

#[tokio::test]
async fn a_describe_that_traps_is_an_error() {
    let manifest = MANIFEST.replace("contract = \"0.1.0\"", "contract = \"0.1.1\"");
    let manifest = manifest.replace("\"clock\"", "\"clock\", \"key-derivation\"");
    let wasm = with_manifest(component(&contract("0.1.1", "")), &manifest);
    refused(wasm, "`describe` of guest failed: `describe` of plugin scripted trapped (wasm trap: wasm `unreachable` instruction executed); the target did not change; this is a fault of the plugin, report it to its author").await;
}
