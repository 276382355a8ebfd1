//! A new vendor of `vendor-assisted` is a new file: it becomes part of a copy of the plugin, whose code stays as it is,
//! and a file that could not is named with what is wrong with it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Desk, Plugin, lock, passes, root};

/// A copy of the plugin's crate in a workspace that says what ours does of versions, dependencies and lints.
fn copy(desk: &Desk) -> Plugin {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut manifest: toml::Table = toml::from_str(&manifest).unwrap();
    let workspace = manifest["workspace"].as_table_mut().unwrap();
    workspace.insert("members".into(), vec!["vendor-assisted"].into());
    let sdk = root().join("sdk/plugin");
    workspace["dependencies"]["keyturn-sdk"]["path"] = sdk.to_str().unwrap().into();
    // What is small and quick takes long to compile.
    manifest["profile"] = toml::toml! { release.opt-level = 0 }.into();
    let manifest = toml::to_string(&manifest).unwrap();
    fs::write(desk.path().join("Cargo.toml"), manifest).unwrap();
    lock(desk.path());
    let dir = desk.path().join("vendor-assisted");
    copy_folder(&root().join("plugins/vendor-assisted"), &dir);
    Plugin { dir }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A vendor that none of ours is like: its key has an id beside it, and the account is asked with both.
fn acme() -> Value {
    json!({
        "vendor": "Acme",
        "host": "api.acme.example",
        "coexist": true,
        "make": {"title": "Make a key at Acme", "link": "https://acme.example", "checklist": ["Make it"]},
        "end": {"title": "Delete the old key", "link": "https://acme.example", "checklist": ["Delete it"]},
        "fields": [
            {
                "member": "acme_key", "label": "The new key", "sensitive": true,
                "format": {"text": {"starts_with": "ac_", "characters": "a-z0-9", "least": 20, "most": 40}},
            },
            {
                "member": "acme_key_id", "label": "Its id",
                "format": {"text": {"starts_with": "", "characters": "0-9", "least": 4, "most": 8}},
            },
        ],
        "settings": {"region": {"type": "string", "minLength": 1, "description": "Where the account is"}},
        "check": {
            "request": {
                "method": "GET", "path": "/v1/keys/{acme_key_id}",
                "headers": {"authorization": "Bearer {acme_key}"},
            },
            "answers": [{"status": [200], "means": "live"}, {"status": [401], "means": "dead"}],
        },
    })
}

#[test]
fn a_new_file_is_a_new_vendor() {
    let desk = Desk::new();
    let plugin = copy(&desk);
    let file = plugin.dir.join("profiles/acme.json");
    fs::write(&file, acme().to_string()).unwrap();
    plugin.build().succeeded();
    let shown = passes(&desk.path().join("target/keyturn/vendor-assisted.wasm"));
    let descriptor = &shown["descriptor"];
    let summary = descriptor["summary"].as_str().unwrap();
    assert!(summary.contains("acme, apple"), "{summary}");
    let settings = &descriptor["settings_schema"]["properties"];
    assert_eq!(settings["profile"]["enum"][0], "acme");
    assert_eq!(settings["region"]["description"], "Where the account is");
    let members = &descriptor["secret_schema"]["properties"];
    for member in [
        "acme_key",
        "previous_acme_key",
        "acme_key_id",
        "previous_acme_key_id",
    ] {
        assert_eq!(members[member]["x-keyturn-when"]["profile"], "acme");
    }
}

/// Acme's profile with one thing wrong, and what is said of it.
fn wrong() -> Vec<(String, &'static str)> {
    let without = |part: &str| {
        let mut profile = acme();
        profile.as_object_mut().unwrap().remove(part);
        profile.to_string()
    };
    let with = |pointer: &str, value: Value| {
        let mut profile = acme();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        profile.pointer_mut(parent).unwrap()[name] = value;
        profile.to_string()
    };
    let read = json!(["acme_account"]);
    let elsewhere = json!({"team_id": {"type": "string", "description": "Something else"}});
    vec![
        ("{".to_owned(), "acme.json: EOF while parsing"),
        (without("make"), "acme.json: missing field `make`"),
        (
            with("/colour", json!("red")),
            "acme.json: unknown field `colour`",
        ),
        (
            with("/fields", json!([])),
            "acme.json: without `fields` there is nothing to rotate",
        ),
        (
            without("check"),
            "acme.json: `host` and `check` need each other",
        ),
        (
            with("/coexist", json!(false)),
            "acme.json: the title of `make` says that the old value dies",
        ),
        // Of two that take the same, the later one is named.
        (
            with("/fields/0/member", json!("sendgrid_api_key")),
            "sendgrid.json: the member `sendgrid_api_key` is the profile acme's",
        ),
        (
            with("/settings", elsewhere),
            "apple.json: the setting `team_id` says something else in the profile acme",
        ),
        (
            with("/reads", read),
            "acme.json: the member `acme_account` is read and no secret: write \"/acme_account\" into `public`",
        ),
    ]
}

#[test]
fn a_file_that_cannot_be_a_vendor_is_named() {
    let desk = Desk::new();
    let plugin = copy(&desk);
    let file = plugin.dir.join("profiles/acme.json");
    let is_said = |words: &str| {
        let refused = plugin.build();
        let said = refused.stderr();
        assert!(
            said.contains(&format!("profiles/{words}")),
            "{words}: {said}"
        );
        refused.refused(&["correct what cargo says above"]);
    };
    for (profile, words) in wrong() {
        fs::write(&file, &profile).unwrap();
        is_said(words);
    }
    fs::rename(&file, plugin.dir.join("profiles/Acme.txt")).unwrap();
    is_said("Acme.txt: a profile is a file NAME.json");
}
