//! What the suites share: the scripted guest, componentized with any manifest, and small real
//! servers on loopback.
#![allow(dead_code)] // each suite uses a part

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyturn_runtime::*;
use wasm_encoder::{ComponentSection, CustomSection};

pub(crate) mod servers;

pub(crate) const CURRENT: &str = r#"{"host":"127.0.0.1","port":PORT,"username":"festival_app","password":"canary-current-password"}"#;

pub(crate) const MANIFEST: &str = r#"
name = "scripted"
contract = "0.1.0"
capabilities = ["endpoint", "http", "random", "password", "clock", "log"]
[secret]
identity = ["/host", "/port"]
public = ["/host", "/port", "/username"]
[companion.admin]
pointer = "/masterarn"
optional = true
[endpoint.primary]
from = { secret = "current", host = "/host", port = "/port", port_default = 5432 }
protocol = "tcp+upgrade"
pre_tls_bytes_max = { out = 8, in = 1 }
optional = true
[endpoint.admin]
from = { companion = "admin", host = "/host", port = "/port", port_default = 5432 }
protocol = "tcp+upgrade"
pre_tls_bytes_max = { out = 8, in = 1 }
optional = true
[endpoint.nodes]
from = "grant"
protocol = "tcp|tls"
optional = true
members_max = 3
[endpoint.api]
from = { host = "api.example.com", port = 443 }
protocol = "https"
optional = true
"#;

/// The guest as a component, with this manifest at its end.
pub(crate) fn guest(manifest: &str) -> Vec<u8> {
    with_manifest(bare_guest(), manifest)
}

pub(crate) fn with_manifest(mut component: Vec<u8>, manifest: &str) -> Vec<u8> {
    let (name, data) = ("keyturn:manifest".into(), Cow::from(manifest.as_bytes()));
    CustomSection { name, data }.append_to_component(&mut component);
    component
}

/// The guest as a component without a manifest.
pub(crate) fn bare_guest() -> Vec<u8> {
    let core = core_guest();
    let mut encoder = wit_component::ComponentEncoder::default();
    encoder
        .validate(true)
        .module(&core)
        .unwrap()
        .encode()
        .unwrap()
}

/// The guest as cargo builds it. Cargo's own lock serves tests that run at the same time.
pub(crate) fn core_guest() -> Vec<u8> {
    let crate_dir = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let target_dir = crate_dir.join("../../target/guests");
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--target",
            "wasm32-unknown-unknown",
        ])
        .arg("--manifest-path")
        .arg(crate_dir.join("tests/guest/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target_dir)
        .env_remove("RUSTFLAGS")
        .status()
        .unwrap();
    assert!(built.success(), "the guest does not build");
    std::fs::read(target_dir.join("wasm32-unknown-unknown/release/scripted_guest.wasm")).unwrap()
}

#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<LogRecord>>>);

impl LogSink for Lines {
    fn write(&self, record: LogRecord) {
        self.0.lock().unwrap().push(record);
    }
}

impl Lines {
    pub(crate) fn take(&self) -> Vec<LogRecord> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// The guest in a runtime whose log is kept.
pub(crate) async fn load() -> (Plugin, Lines) {
    load_with(RuntimeOptions::default(), MANIFEST).await
}

pub(crate) async fn load_with(options: RuntimeOptions, manifest: &str) -> (Plugin, Lines) {
    let lines = Lines::default();
    let runtime = Runtime::new(RuntimeOptions {
        log: Arc::new(lines.clone()),
        ..options
    })
    .unwrap();
    let source = PluginSource::Bytes {
        name: "guest".into(),
        wasm: guest(manifest),
    };
    (runtime.load(source).await.unwrap(), lines)
}

/// A grant from TOML, as keyturn.toml writes it, with the guest's script.
pub(crate) fn grant(toml: &str, script: &str) -> Grant {
    let mut grant: Grant = toml::from_str(toml).unwrap();
    grant.settings = serde_json::json!({ "script": script });
    grant
}

/// Loopback at this port, in plaintext.
pub(crate) fn plain(port: u16) -> String {
    format!("endpoint.primary = {{ hosts = [\"127.0.0.1\"], ports = [{port}], tls = \"disable\" }}")
}

pub(crate) fn call(current: &str) -> Call {
    Call {
        secret: "festival-prod/database".into(),
        credential: String::new(),
        environment: "prod".into(),
        rotation_id: "keyturn-1".into(),
        attempt: 1,
        budget: Duration::from_secs(5),
        strategy: "only".into(),
        current: version("v1", current),
        others: vec![],
        companions: vec![],
    }
}

pub(crate) fn version(id: &str, value: &str) -> Version {
    Version {
        id: id.into(),
        value: value.to_owned().into(),
    }
}

pub(crate) fn current(port: u16) -> String {
    CURRENT.replace("PORT", &port.to_string())
}

/// Runs a script in `set`; the candidate equals CURRENT but for its password.
pub(crate) async fn set(
    plugin: &Plugin,
    grant: Grant,
    current: &str,
) -> Result<Outcome, CallError> {
    let granted = plugin.grant(grant).unwrap();
    let candidate = current.replace("canary-current-password", "canary-candidate-password");
    granted
        .set(&call(current), &version("v2", &candidate))
        .await
}

/// The summaries of a script's steps.
pub(crate) async fn steps(plugin: &Plugin, toml: &str, script: &str, current: &str) -> Vec<String> {
    let outcome = set(plugin, grant(toml, script), current).await.unwrap();
    outcome
        .findings
        .into_iter()
        .map(|finding| finding.summary)
        .collect()
}
