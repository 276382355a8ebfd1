//! What `keyturn plugin build` says of what it made, and what it keeps from the crates that it has cargo compile.

use std::fs;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{Desk, command, passes, run};

#[test]
fn what_it_says_of_the_plugin_is_true() {
    let desk = Desk::new();
    let plugin = desk.plugin("described");
    let said = plugin.build().succeeded().stdout();
    let said: Value = serde_json::from_str(&said).unwrap();
    let path = plugin.dir.join("target/keyturn/described.wasm");
    let bytes = fs::read(&path).unwrap();
    let sha256 = Sha256::digest(&bytes);
    let sha256: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(said["path"], path.to_str().unwrap());
    assert_eq!(said["bytes"], bytes.len());
    assert_eq!(said["sha256"], sha256);
    assert_eq!(said["name"], "described");
    assert_eq!(said["imports"], passes(&path)["imports"]);
}

#[test]
fn a_build_script_does_not_get_the_master_key() {
    let desk = Desk::new();
    let plugin = desk.plugin("nosy");
    let script = r#"fn main() {
    assert!(std::env::var_os("KEYTURN_MASTER_KEY").is_none(), "got it");
    assert!(std::env::var_os("KEYTURN_CONFIG").is_some(), "the script ran elsewhere");
}
"#;
    fs::write(plugin.dir.join("build.rs"), script).unwrap();
    let mut build = command("keyturn", &plugin.dir);
    build.args(["plugin", "build"]);
    build.env("KEYTURN_MASTER_KEY", "c2VjcmV0");
    build.env("KEYTURN_CONFIG", "none.toml");
    run(&mut build).succeeded();
}
