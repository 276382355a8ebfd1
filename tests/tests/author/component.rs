//! The other way from a crate to a plugin, `cargo component build`, leads to the same. Only CI takes it: the tool takes
//! minutes to install.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Desk, cargo_dir, command, passes, root, run, target_dir};

/// The command with a profile of cargo's.
fn build(profile: &str) -> [&str; 6] {
    let target = "wasm32-unknown-unknown";
    [
        "component",
        "build",
        "--target",
        target,
        "--profile",
        profile,
    ]
}

fn made(target_dir: &Path, profile: &str, package: &str) -> PathBuf {
    let folder = target_dir.join("wasm32-unknown-unknown").join(profile);
    folder
        .join(package.replace('-', "_"))
        .with_extension("wasm")
}

/// What must not depend on the tool; the bytes do.
#[track_caller]
fn assert_same_plugin(one: &Value, other: &Value) {
    for part in ["manifest", "descriptor", "imports"] {
        assert_eq!(one[part], other[part], "{part}");
    }
}

#[test]
#[ignore = "needs cargo-component, which `make component` installs"]
fn of_the_readmes_plugin() {
    let desk = Desk::new();
    let plugin = desk.plugin("twofold");
    plugin.build().succeeded();
    let target_dir = plugin.dir.join("target");
    let ours = passes(&target_dir.join("keyturn/twofold.wasm"));
    plugin.run("cargo", &build("release")).succeeded();
    let theirs = passes(&made(&target_dir, "release", "keyturn-plugin-twofold"));
    assert_same_plugin(&ours, &theirs);
    // The component stands where cargo had put the core module.
    plugin.build().succeeded();
    passes(&target_dir.join("keyturn/twofold.wasm"));
}

#[test]
#[ignore = "needs cargo-component, which `make component` installs"]
fn of_every_shipped_plugin() {
    let plugins = fs::read_dir(root().join("plugins")).unwrap();
    let names = plugins.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = names.collect();
    let packages = names.iter().map(|name| format!("keyturn-plugin-{name}"));
    let packages: Vec<_> = packages.collect();
    let mut cargo = command("cargo", &root());
    cargo.args(build("plugin"));
    cargo.args(packages.iter().flat_map(|package| ["--package", package]));
    // From what `make plugins` compiled; what it made of that stays as it is.
    cargo.env("CARGO_BUILD_BUILD_DIR", target_dir());
    cargo.env("CARGO_TARGET_DIR", cargo_dir());
    run(&mut cargo).succeeded();
    for (name, package) in names.iter().zip(&packages) {
        let theirs = passes(&made(&cargo_dir(), "plugin", package));
        let mut inspect = command("keyturn", &root());
        inspect.args(["plugin", "inspect", "--json", name]);
        let shipped = run(&mut inspect).succeeded().stdout();
        assert_same_plugin(&serde_json::from_str(&shipped).unwrap(), &theirs);
    }
}
