//! What the suites share: the scripted guest, componentized with any manifest, and small real
//! servers on loopback.
#![allow(dead_code)] // each suite uses a part

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyturn_runtime::*;

pub(crate) use harness::guests::with_manifest;

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

/// The guest as a component without a manifest.
pub(crate) fn bare_guest() -> Vec<u8> {
    harness::guests::component(&core_guest())
}

pub(crate) fn core_guest() -> Vec<u8> {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guest");
    harness::guests::core(&crate_dir, "scripted_guest")
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
