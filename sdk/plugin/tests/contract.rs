//! The frozen contract: the copy that the crate ships is the folder `wit/`'s own, wit-bindgen
//! compiled it (this crate is that proof), and its world fits itself as the component model's own
//! check sees it, while a change of a type does not.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use wit_parser::{Resolve, WorldId};

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn world(text: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("rotation.wit", text).unwrap();
    let world = resolve.select_world(&[package], Some("plugin")).unwrap();
    (resolve, world)
}

/// Can a host of `old` run a plugin of `new`?
fn fits(old: &str, new: &str) -> Result<(), String> {
    let (mut resolve, old) = world(old);
    let (other, new) = world(&new.replace("rotation@0.1.1", "rotation@0.1.2"));
    let remap = resolve.merge(other).map_err(|error| format!("{error:#}"))?;
    let new = remap
        .map_world(new, Default::default())
        .map_err(|error| format!("{error:#}"))?;
    wit_component::semver_check(resolve, old, new).map_err(|error| format!("{error:#}"))
}

#[test]
fn the_shipped_contract_is_the_frozen_one() {
    assert_eq!(
        read("wit/rotation.wit"),
        read("../../wit/0.1.1/rotation.wit")
    );
}

#[test]
fn the_frozen_world_fits_itself() {
    let frozen = read("../../wit/0.1.1/rotation.wit");
    fits(&frozen, &frozen).unwrap();
}

#[test]
fn a_changed_type_is_noticed() {
    let frozen = read("../../wit/0.1.1/rotation.wit");
    let changed = frozen.replace(
        "enum applied { no, yes, unknown }",
        "enum applied { no, yes, unknown, perhaps }",
    );
    assert_ne!(frozen, changed);
    let error = fits(&frozen, &changed).unwrap_err();
    assert!(error.contains("enum"), "{error}");
}

#[test]
fn the_world_imports_the_capabilities_and_nothing_else() {
    let (resolve, world) = world(&read("wit/rotation.wit"));
    let mut imports: Vec<String> = resolve.worlds[world]
        .imports
        .keys()
        .map(|key| resolve.name_world_key(key))
        .collect();
    imports.sort();
    let expected = [
        "clock",
        "endpoint",
        "http",
        "key-derivation",
        "log",
        "password",
        "random",
        "types",
    ];
    assert_eq!(
        imports,
        expected.map(|name| format!("keyturn:rotation/{name}@0.1.1"))
    );
}
