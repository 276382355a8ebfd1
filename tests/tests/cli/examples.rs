//! The values that the plugins' READMEs show are what a rotation stores, by their members.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::Workspace;

const NAME: &str = "myapp-prod/example";

/// The README's example of this strategy: the value before the first rotation, and the one after it.
fn examples(plugin: &str, strategy: &str) -> [String; 2] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let readme = fs::read_to_string(folder.join(plugin).join("README.md")).unwrap();
    let (_, behind) = readme
        .split_once(&format!("An example with `{strategy}`"))
        .unwrap_or_else(|| panic!("{plugin}/README.md has no example with `{strategy}`"));
    let mut blocks = behind.split("```json\n").skip(1).map(|block| {
        let (block, _) = block.split_once("```").unwrap();
        block.to_owned()
    });
    [(); 2].map(|()| blocks.next().unwrap())
}

/// The names of all members; the keys of a ring have other names each time.
fn members(value: &Value) -> Vec<String> {
    let mut names = Vec::new();
    for (name, member) in value.as_object().into_iter().flatten() {
        names.push(name.clone());
        let inner = if name == "ring" {
            member.as_object().unwrap().values().next().unwrap()
        } else {
            member
        };
        names.extend(members(inner).iter().map(|inner| format!("{name}/{inner}")));
    }
    names
}

#[track_caller]
fn is_what_a_rotation_stores(plugin: &str, strategy: &str, settings: &str) {
    let rotated = |value: &str| {
        let workspace = Workspace::with(&format!(
            "[secret.\"{NAME}\"]\nplugin = \"{plugin}\"\nstrategy = \"{strategy}\"\n{settings}\n"
        ));
        workspace.create(NAME, value);
        workspace.run(&["rotate", NAME]).succeeded();
        workspace.current(NAME)
    };
    let [before, after] = examples(plugin, strategy);
    let (stored, shown) = (rotated(&before), serde_json::from_str(&after).unwrap());
    assert_eq!(members(&shown), members(&stored), "{stored:#}");
    // What is shown as stored can be rotated in its turn.
    rotated(&after);
}

#[test]
fn of_an_api_key() {
    is_what_a_rotation_stores("api-key", "overlap", "");
}

#[test]
fn of_jwt() {
    is_what_a_rotation_stores("jwt", "overlap", "");
}

#[test]
fn of_an_opaque_value_with_an_overlap() {
    let settings = "settings = { profile = \"webhook-signing\" }";
    is_what_a_rotation_stores("opaque", "overlap", settings);
}

#[test]
fn of_an_opaque_ring() {
    let settings = "settings = { profile = \"encryption\" }";
    is_what_a_rotation_stores("opaque", "key-ring", settings);
}
