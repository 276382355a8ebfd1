//! What `keyturn plugin new` refuses to make, and that it leaves alone what is there.

use std::fs;

use crate::support::{Desk, root};

fn new(desk: &Desk, name: &str, more: &[&str]) -> crate::support::Ended {
    let sdk = root().join("sdk/plugin");
    let mut arguments = vec!["plugin", "new", name, "--json"];
    if !more.contains(&"--sdk") {
        arguments.extend(["--sdk", sdk.to_str().unwrap()]);
    }
    arguments.extend(more);
    desk.keyturn(&arguments)
}

#[test]
fn a_name_that_some_tool_would_refuse_is_refused() {
    let desk = Desk::new();
    for name in [
        "Pin", "pin_code", "2fa", "pin-", "a--b", "pin-2", "", "../pin",
    ] {
        new(&desk, name, &[]).refused(&["cannot be a plugin's name", "door-pin"]);
    }
    new(&desk, &"a".repeat(65), &[]).refused(&["64 characters"]);
    assert_eq!(fs::read_dir(desk.path()).unwrap().count(), 0);
}

#[test]
fn the_name_of_a_shipped_plugin_is_refused() {
    let desk = Desk::new();
    new(&desk, "jwt", &[]).refused(&["ships a plugin jwt", "choose another name"]);
}

#[test]
fn a_folder_that_holds_something_stays_as_it_is() {
    let desk = Desk::new();
    fs::create_dir(desk.path().join("pin")).unwrap();
    new(&desk, "pin", &[]).succeeded();
    fs::write(desk.path().join("pin/plugin.toml"), "mine").unwrap();
    new(&desk, "pin", &[]).refused(&["pin is there already", "nothing was changed", "--dir"]);
    let kept = fs::read_to_string(desk.path().join("pin/plugin.toml")).unwrap();
    assert_eq!(kept, "mine");
    new(&desk, "pin", &["--dir", "other"]).succeeded();
    assert!(desk.path().join("other/Cargo.toml").is_file());
}

#[test]
fn a_folder_that_is_not_the_sdk_is_refused() {
    let desk = Desk::new();
    let clone = root();
    let clone = clone.to_str().unwrap();
    new(&desk, "pin", &["--sdk", clone]).refused(&["not the folder of keyturn-sdk", "sdk/plugin"]);
    new(&desk, "pin", &["--sdk", "nowhere"]).refused(&["nowhere is not the folder"]);
    assert_eq!(fs::read_dir(desk.path()).unwrap().count(), 0);
}
