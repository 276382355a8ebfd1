//! What `keyturn plugin build` says of what it made, and what it keeps from the crates that it has cargo compile.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use harness::poll;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{Desk, command, passes, run};

/// Far longer than cargo takes to come to a build script on a busy machine.
const PATIENCE: Duration = Duration::from_secs(900);

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

/// Cargo ends with it; a build script that still runs is nobody's child any more, and ends with the folder.
#[test]
fn an_interrupted_build_writes_nothing_and_says_so() {
    let desk = Desk::new();
    let plugin = desk.plugin("endless");
    let script = r#"fn main() {
    std::fs::write("begun", "").unwrap();
    while std::path::Path::new("begun").exists() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
"#;
    fs::write(plugin.dir.join("build.rs"), script).unwrap();
    let mut build = command("keyturn", &plugin.dir);
    build.args(["plugin", "build"]).stderr(Stdio::piped());
    let mut building = build.spawn().unwrap();
    let begun = plugin.dir.join("begun");
    assert!(poll::until_true(PATIENCE, || begun.exists()));
    kill_process(Pid::from_child(&building), Signal::INT).unwrap();
    assert_eq!(building.wait().unwrap().code(), Some(130));
    fs::remove_file(begun).unwrap();
    let mut said = String::new();
    building
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(
        said.contains("interrupted. No plugin was written."),
        "{said}"
    );
    assert!(!plugin.dir.join("target/keyturn").exists());
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
