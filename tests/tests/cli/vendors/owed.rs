//! What is owed to a key and cannot be brought to its end in the usual way.

use serde_json::json;

use super::{SECRET, Vendors, keys};
use crate::support::{note_that_it_owes, own_id};

const LABEL: &str = "KEYTURN_RETIRING_google";

/// A placeholder that an older Keyturn took for a key: no vendor can be asked about it.
#[test]
fn what_cannot_be_asked_about_ends_by_a_word_while_awscurrent_works() {
    let google = keys::google();
    let vendors = Vendors::start(&[keys::google()]);
    let mut value = vendors.current();
    value["google_client_secret"] = json!("to be filled in");
    let (placeholder, current) = (own_id(7), own_id(8));
    let planted = value.to_string();
    vendors
        .workspace
        .plant(SECRET, &placeholder, &planted, &[LABEL]);
    value["google_client_secret"] = google.old["google_client_secret"].clone();
    value["previous_google_client_secret"] = json!("to be filled in");
    let planted = value.to_string();
    vendors
        .workspace
        .plant(SECRET, &current, &planted, &["AWSCURRENT"]);
    note_that_it_owes(&vendors.workspace, SECRET, "google", &current, &placeholder);

    vendors.retire_now(&google).failed(
        5,
        &[
            "cannot be asked",
            "`google_client_secret` of the value to probe",
            "--declare-dead",
        ],
    );
    let name = format!("{SECRET}#google");
    let word = ["retire", &name, "--declare-dead"];
    vendors.take_back(&google, &google.old);
    // Nobody is told to end what may be needed.
    let refused = vendors.retire_now(&google);
    assert!(!refused.stderr.contains("--declare-dead"), "{refused:?}");
    refused.failed(5, &["awscurrent is dead", "`keyturn secret put"]);
    // What a grant keeps from being asked may well be asked about.
    let denied = format!(
        "[secret.\"{SECRET}\".credential.google]\nplugin = \"vendor-assisted\"\nsettings = {{ profile = \"google\" }}\n"
    );
    vendors.workspace.configure(&denied);
    let refused = vendors.retire_now(&google);
    assert!(!refused.stderr.contains("--declare-dead"), "{refused:?}");
    refused.failed(3, &["grant"]);
    vendors.configure(&[keys::google()], "");
    vendors.workspace.run(&word).failed(5, &[]);
    assert!(vendors.workspace.labels(SECRET).contains_key(LABEL));
    vendors.hand_out(&google, &google.old);
    let retired = vendors.workspace.run(&word).succeeded();
    retired.says(&[&placeholder, "given up on your word"]);
    assert!(!vendors.workspace.labels(SECRET).contains_key(LABEL));
    value
        .as_object_mut()
        .unwrap()
        .remove("previous_google_client_secret");
    assert_eq!(vendors.current(), value);
    vendors.rotate("google").succeeded();
}

/// A key that works is not given up on a word.
#[test]
fn a_key_that_its_vendor_accepts_is_not_given_up_on_a_word() {
    let google = keys::google();
    let vendors = Vendors::start(&[keys::google()]);
    vendors.hand_out(&google, &google.new);
    vendors.assist(&google, &google.new).succeeded();
    let name = format!("{SECRET}#google");
    let word = ["retire", &name, "--now", "--declare-dead"];
    vendors.workspace.run(&word).failed(5, &["still works"]);
    assert!(vendors.workspace.labels(SECRET).contains_key(LABEL));
}
