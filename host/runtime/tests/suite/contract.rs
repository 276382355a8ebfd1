//! The frozen WIT. That it compiles with wasmtime's bindgen is proven by this crate itself.

use wit_component::semver_check;
use wit_parser::{Resolve, WorldId};

fn world() -> (Resolve, WorldId) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/0.1.0");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(path).unwrap();
    let world = resolve.select_world(&[package], Some("plugin")).unwrap();
    (resolve, world)
}

#[test]
fn the_contract_is_compatible_with_itself() {
    let (resolve, world) = world();
    semver_check(resolve, world, world).unwrap();
}

#[test]
fn the_contract_survives_encoding() {
    let (resolve, world) = world();
    let package = resolve.worlds[world].package.unwrap();
    let bytes = wit_component::encode(&resolve, package, false).unwrap();
    let decoded = wit_component::decode(&bytes).unwrap();
    let package = &decoded.resolve().packages[decoded.package()];
    assert_eq!(package.name.to_string(), "keyturn:rotation@0.1.0");
    assert_eq!(
        package.worlds.keys().collect::<Vec<_>>(),
        ["imports", "plugin"]
    );
}
