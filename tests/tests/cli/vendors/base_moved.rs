//! A vendor's key that is updated by hand while another credential of the secret rotates: the pending value was made
//! from a value that is AWSCURRENT no longer, and is made again, so that neither change is lost.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Instant;

use serde_json::{Value, json};

use super::{SECRET, Vendors, keys};
use crate::interruption::PATIENCE;
use crate::support::{note_that_it_owes, own_id, secret};

const BY_HAND: &str = "SG.0123456789abcdefABCDEF.ByHandByHandByHandByHandByHand";

impl Vendors {
    /// As an operator updates one vendor's key by hand.
    pub(super) fn put_by_hand(&self, member: &str, text: &str) {
        let mut value = self.current();
        value[member] = json!(text);
        let arguments = ["secret", "put", SECRET, "--value-stdin"];
        let put = self.workspace.run_with(&arguments, &value.to_string(), &[]);
        put.succeeded();
    }

    /// Runs a command until its value is stored, and kills it there. False if it ended before.
    fn killed_after_create(&self, arguments: &[&str]) -> bool {
        let before = self.workspace.audit().len();
        let mut child = self.workspace.start(arguments);
        let deadline = Instant::now() + PATIENCE;
        let is_stored = || {
            let trail = self.workspace.audit();
            let events = trail[before..].lines().map(serde_json::from_str::<Value>);
            events
                .flatten()
                .filter(|event| event["event"] == "outcome" && event["effect"] == "create")
                .any(|event| event["result"] != "waiting for the operator")
        };
        // No pause between two looks: the moment between two lines may be short.
        while child.try_wait().unwrap().is_none() && !is_stored() {
            assert!(Instant::now() < deadline, "still running");
            std::thread::yield_now();
        }
        // An error means that it has ended, which its wait status tells.
        let _ = child.kill();
        let killed = child.wait().unwrap().signal().is_some();
        self.workspace.keep_words_of(&mut child);
        killed && self.workspace.labels(SECRET).contains_key("AWSPENDING")
    }
}

/// The process runs on between the line of the trail and the signal, so that the aim may be missed.
const ATTEMPTS: usize = 20;

#[test]
fn a_vendor_update_in_the_middle_of_another_rotation_survives_it() {
    let vendors = Vendors::start(&[keys::sendgrid()]);
    let internal = format!("{SECRET}#internal");
    let mut attempts = 0..ATTEMPTS;
    let hit = attempts.any(|_| vendors.killed_after_create(&["rotate", &internal, "--now"]));
    assert!(hit, "never killed between create and finish");
    let before = vendors.current();
    let pending = vendors.workspace.labels(SECRET)["AWSPENDING"].clone();

    vendors.put_by_hand("sendgrid_api_key", BY_HAND);
    let arguments = ["rotate", &internal, "--now"];
    vendors
        .workspace
        .run(&arguments)
        .succeeded()
        .says(&["rotated to"]);

    let after = vendors.current();
    assert_eq!(after["sendgrid_api_key"], BY_HAND);
    assert_ne!(after["internal_api_key"], before["internal_api_key"]);
    let labels = vendors.workspace.labels(SECRET);
    assert_ne!(labels["AWSCURRENT"], pending);
    assert!(!labels.contains_key("AWSPENDING") && !labels.contains_key("KEYTURN_BASE"));
}

/// The same where the labels alone speak: a store in which an update by hand leaves AWSPENDING where it is.
#[test]
fn a_pending_value_of_another_base_is_never_promoted() {
    let vendors = Vendors::start(&[keys::sendgrid()]);
    let internal = format!("{SECRET}#internal");
    let mut attempts = 0..ATTEMPTS;
    let hit = attempts.any(|_| vendors.killed_after_create(&["rotate", &internal, "--now"]));
    assert!(hit, "never killed between create and finish");
    let pending = vendors.workspace.labels(SECRET)["AWSPENDING"].clone();

    let mut value = vendors.current();
    value["sendgrid_api_key"] = json!(BY_HAND);
    let planted = value.to_string();
    vendors
        .workspace
        .plant(SECRET, &own_id(7), &planted, &["AWSCURRENT"]);
    vendors.workspace.attach(SECRET, "AWSPENDING", &pending);
    vendors
        .workspace
        .run(&["rotate", &internal, "--now"])
        .succeeded();
    assert_eq!(vendors.current()["sendgrid_api_key"], BY_HAND);
    assert_ne!(vendors.workspace.labels(SECRET)["AWSCURRENT"], pending);
}

/// The operator has answered, and is not asked again.
#[test]
fn an_operators_answer_is_put_on_top_of_an_update_by_hand() {
    let google = keys::google();
    let vendors = Vendors::start(&[keys::sendgrid(), keys::google()]);
    vendors.hand_out(&google, &google.new);
    // It cannot be checked for a while, so that the kill meets it between create and finish.
    vendors.server.have_trouble(Some(503));
    let file = vendors.workspace.value_file(&google.answer(&google.new));
    let name = format!("{SECRET}#google");
    let arguments = ["assist", &name, "--value-file", file.to_str().unwrap()];
    assert!(vendors.killed_after_create(&arguments));
    std::fs::remove_file(file).unwrap();
    vendors.server.have_trouble(None);

    vendors.put_by_hand("sendgrid_api_key", BY_HAND);
    let rotated = vendors.rotate("google").succeeded();
    rotated.says(&["rotated to"]);
    assert!(
        rotated
            .stderr
            .contains("was put on top of what is AWSCURRENT now"),
        "{rotated:?}"
    );
    let after = vendors.current();
    assert_eq!(after["sendgrid_api_key"], BY_HAND);
    assert_eq!(
        after["google_client_secret"],
        google.new["google_client_secret"]
    );
    assert_eq!(
        after["previous_google_client_secret"],
        google.old["google_client_secret"]
    );
    // It is used up: the next rotation asks.
    vendors.take_back(&google, &google.old);
    vendors.retire_now(&google).succeeded();
    vendors
        .rotate("google")
        .succeeded()
        .says(&["waits for an operator"]);
}

/// Somebody stored that very answer by hand, or a newer one: there is nothing left to put on top.
#[test]
fn an_answer_is_not_put_on_top_of_a_newer_key() {
    let google = keys::google();
    let newer = json!({"google_client_secret": "GOCSPX-ByHandByHandByHandByHand"});
    for by_hand in [&google.new, &newer] {
        let vendors = Vendors::start(&[keys::google()]);
        vendors.hand_out(&google, &google.new);
        vendors.hand_out(&google, &newer);
        vendors.server.have_trouble(Some(503));
        vendors
            .assist(&google, &google.new)
            .failed(5, &["goes on with it"]);
        vendors.server.have_trouble(None);
        let by_hand = by_hand["google_client_secret"].as_str().unwrap();
        vendors.put_by_hand("google_client_secret", by_hand);
        let waits = vendors.rotate("google").succeeded();
        waits.says(&["waits for an operator"]);
        assert!(waits.stderr.contains("changed by hand, too"), "{waits:?}");
        assert_eq!(vendors.current()["google_client_secret"], by_hand);
        // It is said once; then it is forgotten.
        let waits = vendors.rotate("google").succeeded();
        assert!(!waits.stderr.contains("by hand"), "{waits:?}");
    }
}

/// A candidate that never came into use owes nothing, and what one credential owes is not what another one owes.
#[test]
fn what_a_given_up_candidate_would_have_owed_hides_nobody_elses_label() {
    let (google, sendgrid) = (keys::google(), keys::sendgrid());
    let vendors = Vendors::start(&[keys::google(), keys::sendgrid()]);
    vendors.hand_out(&google, &google.new);
    vendors.hand_out(&sendgrid, &sendgrid.new);
    vendors.server.have_trouble(Some(503));
    vendors
        .assist(&google, &google.new)
        .failed(5, &["goes on with it"]);
    vendors.server.have_trouble(None);
    let labels = vendors.workspace.labels(SECRET);
    let (first, candidate) = (&labels["AWSCURRENT"], &labels["AWSPENDING"]);
    let note = || note_that_it_owes(&vendors.workspace, SECRET, "google", candidate, first);
    note();
    let wrong = json!({"google_client_secret": "nonsense"});
    vendors.assist(&google, &wrong).failed(5, &[]);
    let (name, version) = (secret(SECRET), candidate.clone());
    let owes = vendors.workspace.on_store(|store| async move {
        let notes = keyturn_engine::Notes::read(&store, &name).await.unwrap();
        notes.of_version("google", &version).owes
    });
    assert_eq!(owes, None);

    // Even where such a note is left.
    note();
    vendors.assist(&sendgrid, &sendgrid.new).succeeded();
    vendors.retire_now(&sendgrid).failed(5, &["still works"]);
    vendors.take_back(&sendgrid, &sendgrid.old);
    vendors.retire_now(&sendgrid).succeeded();
    let labels = vendors.workspace.labels(SECRET);
    assert!(
        !labels.contains_key("KEYTURN_RETIRING_sendgrid"),
        "{labels:?}"
    );
}

/// A vendor may know it only later, so that a refusal does not end it.
#[test]
fn an_answer_that_the_vendor_refused_so_far_is_put_on_top_of_an_update_by_hand() {
    let google = keys::google();
    let vendors = Vendors::start(&[keys::sendgrid(), keys::google()]);
    vendors
        .assist(&google, &google.new)
        .failed(5, &["refuses the new secret"]);
    vendors.put_by_hand("sendgrid_api_key", BY_HAND);
    vendors
        .rotate("google")
        .failed(5, &["refuses the new secret"]);
    vendors.hand_out(&google, &google.new);
    vendors.rotate("google").succeeded();
    let after = vendors.current();
    assert_eq!(after["sendgrid_api_key"], BY_HAND);
    assert_eq!(
        after["google_client_secret"],
        google.new["google_client_secret"]
    );
}
