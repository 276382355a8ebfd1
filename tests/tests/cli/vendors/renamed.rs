//! A credential that has another name in keyturn.toml than when it rotated.

use harness::vendors::kinds;
use keyturn_store::SecretStore as _;
use serde_json::json;

use super::{SECRET, Vendors, keys};
use crate::support::secret;

impl Vendors {
    /// Google's key alone, under the name that the table's path ends in.
    fn only_google_at(&self, path: &str) {
        let table = self.table(path, "google", "");
        self.workspace.configure(&table);
    }

    /// Google's key rotates while the credential has no name, and its old one still works.
    fn rotate_unnamed(&self) {
        let google = keys::google();
        self.only_google_at(&format!("secret.\"{SECRET}\""));
        self.hand_out(&google, &google.new);
        let arguments = ["assist", SECRET, "--value-stdin"];
        let answer = google.answer(&google.new);
        let assisted = self.workspace.run_with(&arguments, &answer, &[]);
        assisted.succeeded();
    }

    /// The internal key alone, under that name.
    fn only_internal_as(&self, name: &str) {
        let table = format!("[secret.\"{SECRET}\".credential.{name}]\nplugin = \"api-key\"\n");
        self.workspace.configure(&table);
    }
}

#[test]
fn status_shows_what_a_renamed_credential_left_behind() {
    let google = keys::google();
    let vendors = Vendors::start(&[keys::google()]);
    let first = vendors.workspace.labels(SECRET)["AWSCURRENT"].clone();
    vendors.hand_out(&google, &google.new);
    vendors.assist(&google, &google.new).succeeded();
    assert!(vendors.status("google")["left_behind"].is_null());

    vendors.only_google_at(&format!("secret.\"{SECRET}\".credential.login"));
    let left = vendors.status("login")["left_behind"].clone();
    assert_eq!(left, json!([{"credential": "google", "owes": first}]));
    let shown = vendors.workspace.run(&["status"]).succeeded();
    let named = format!("`keyturn retire {SECRET}#google`");
    shown.says(&["not configured any more", &first, &named]);

    // As it says.
    vendors.configure(&[keys::google()], "");
    vendors.take_back(&google, &google.old);
    vendors.retire_now(&google).succeeded();
    vendors.only_google_at(&format!("secret.\"{SECRET}\".credential.login"));
    assert!(vendors.status("login")["left_behind"].is_null());
}

/// Every run of the secret waits for it, so that its name must be seen.
#[test]
fn status_shows_the_candidate_of_a_renamed_credential() {
    let google = keys::google();
    let vendors = Vendors::start(&[keys::google()]);
    vendors
        .assist(&google, &google.new)
        .failed(5, &["refuses the new secret"]);
    let pending = vendors.workspace.labels(SECRET)["AWSPENDING"].clone();
    vendors.only_google_at(&format!("secret.\"{SECRET}\".credential.login"));
    let shown = vendors.workspace.run(&["status"]).succeeded();
    let named = format!("`keyturn rotate {SECRET}#google`");
    shown.says(&["is not in use yet", &pending, &named]);
}

#[test]
fn a_credential_that_got_a_name_takes_over_what_it_owes() {
    let google = keys::google();
    let vendors = Vendors::start(&[keys::google()]);
    vendors.rotate_unnamed();
    let unnamed = vendors.workspace.run(&["status", "--json"]).json();
    assert_eq!(unnamed[0]["retirement"]["by_operator"], true);

    // Among others nobody can tell whose it is.
    vendors.configure(&[keys::google()], "");
    assert!(vendors.status("google")["retirement"].is_null());
    assert_eq!(vendors.status("google")["left_behind"][0]["credential"], "");
    let shown = vendors.workspace.run(&["status"]).succeeded();
    shown.says(&["held one credential without a name", "takes that over"]);

    vendors.only_google_at(&format!("secret.\"{SECRET}\".credential.google"));
    let named = vendors.status("google");
    assert_eq!(named["retirement"], unnamed[0]["retirement"]);
    assert_eq!(named["last_rotation_ms"], unnamed[0]["last_rotation_ms"]);
    assert!(named["left_behind"].is_null());
    vendors.retire_now(&google).failed(5, &["still works"]);
    let labels = vendors.workspace.labels(SECRET);
    assert!(labels.contains_key("KEYTURN_RETIRING_google"), "{labels:?}");
    assert!(!labels.contains_key("KEYTURN_RETIRING"), "{labels:?}");
    assert_eq!(vendors.status("google")["retirement"]["by_operator"], true);
    vendors.take_back(&google, &google.old);
    vendors
        .retire_now(&google)
        .succeeded()
        .says(&["is retired"]);
}

/// The process was killed between the two labels.
#[test]
fn what_is_taken_over_in_part_is_taken_over_by_the_next_run() {
    let google = keys::google();
    let vendors = Vendors::start(&[keys::google()]);
    vendors.rotate_unnamed();
    vendors.only_google_at(&format!("secret.\"{SECRET}\".credential.google"));
    let (name, own) = (secret(SECRET), "KEYTURN_RETIRING_google");
    vendors.workspace.on_store(|store| async move {
        let described = store.describe(&name).await.unwrap();
        let subject = described.holder("KEYTURN_RETIRING").unwrap();
        let attached = store.move_label(&name, own, None, Some(&subject.id)).await;
        attached.unwrap();
    });
    assert_eq!(vendors.status("google")["retirement"]["by_operator"], true);
    vendors.retire_now(&google).failed(5, &["still works"]);
    let labels = vendors.workspace.labels(SECRET);
    assert!(!labels.contains_key("KEYTURN_RETIRING"), "{labels:?}");
    assert!(labels.contains_key(own), "{labels:?}");
}

/// There is one label for the ends of both, and the newer one is still in its grace.
#[test]
fn what_was_owed_without_a_name_waits_for_what_is_owed_under_the_name() {
    let google = keys::google();
    let third = (kinds::google().make)(3003);
    let vendors = Vendors::start(&[keys::google()]);
    vendors.rotate_unnamed();
    let before = vendors.workspace.labels(SECRET);
    let (first, second) = (&before["KEYTURN_RETIRING"], &before["AWSCURRENT"]);
    vendors.configure(&[keys::google()], "");
    vendors.hand_out(&google, &third);
    // It may be the same credential, and then this would end a grace.
    vendors
        .assist(&google, &third)
        .failed(7, &["is promised to work for another"]);
    let name = format!("{SECRET}#google");
    let now = ["assist", &name, "--now", "--value-stdin"];
    let answer = google.answer(&third);
    vendors.workspace.run_with(&now, &answer, &[]).succeeded();

    vendors.only_google_at(&format!("secret.\"{SECRET}\".credential.google"));
    let status = vendors.status("google");
    assert_eq!(status["retirement"]["version"], **second);
    assert!(status["grace_left_seconds"].as_u64().unwrap() > 0);
    let left = json!([{"credential": "", "owes": first}]);
    assert_eq!(status["left_behind"], left);
    let shown = vendors.workspace.run(&["status"]).succeeded();
    shown.says(&[first, "takes that over, once nothing older"]);
    let early = vendors.workspace.run(&["retire", &name]);
    assert!(!early.stdout.contains("is retired"), "{early:?}");
    let labels = vendors.workspace.labels(SECRET);
    assert_eq!(&labels["KEYTURN_RETIRING_google"], second);
    assert_eq!(&labels["KEYTURN_RETIRING"], first);

    vendors.take_back(&google, &google.new);
    let retired = vendors.retire_now(&google).succeeded();
    retired.says(&[second, "is retired"]);
    let status = vendors.status("google");
    assert_eq!(status["retirement"]["version"], **first);
    assert!(status["left_behind"].is_null());
    vendors.retire_now(&google).failed(5, &["still works"]);
    vendors.take_back(&google, &google.old);
    let retired = vendors.retire_now(&google).succeeded();
    retired.says(&[first, "is retired"]);
    let labels = vendors.workspace.labels(SECRET);
    assert!(
        labels.keys().all(|label| label.starts_with("AWS")),
        "{labels:?}"
    );
}

/// Its table is gone, and the only one left is that of another key.
#[test]
fn a_credential_takes_over_nothing_of_another_that_had_no_name() {
    let (google, sendgrid) = (keys::google(), keys::sendgrid());
    let vendors = Vendors::start(&[keys::google(), keys::sendgrid()]);
    vendors.rotate_unnamed();
    let first = vendors.workspace.labels(SECRET)["KEYTURN_RETIRING"].clone();
    let mail = format!("secret.\"{SECRET}\".credential.sendgrid");
    vendors
        .workspace
        .configure(&vendors.table(&mail, "sendgrid", ""));
    let left = json!([{"credential": "", "owes": first}]);
    let is_left = || {
        let status = vendors.status("sendgrid");
        assert_eq!(status["left_behind"], left);
        assert_eq!(vendors.workspace.labels(SECRET)["KEYTURN_RETIRING"], first);
    };
    is_left();
    assert!(vendors.status("sendgrid")["retirement"].is_null());
    vendors.hand_out(&sendgrid, &sendgrid.new);
    vendors.assist(&sendgrid, &sendgrid.new).succeeded();
    is_left();
    vendors.take_back(&sendgrid, &sendgrid.old);
    vendors.retire_now(&sendgrid).succeeded();
    is_left();

    vendors.only_google_at(&format!("secret.\"{SECRET}\".credential.google"));
    vendors.retire_now(&google).failed(5, &["still works"]);
    vendors.take_back(&google, &google.old);
    let retired = vendors.retire_now(&google).succeeded();
    retired.says(&[&first, "is retired"]);
}

/// What it left under its old name speaks of a value that is gone: to end that one would end the newest in its grace.
#[test]
fn what_a_renamed_credential_owed_is_not_shown_once_it_has_rotated() {
    let vendors = Vendors::start(&[keys::sentry()]);
    let first = vendors.workspace.labels(SECRET)["AWSCURRENT"].clone();
    vendors.rotate("internal").succeeded();
    let left = json!([{"credential": "internal", "owes": first}]);
    // Another one's rotation leaves it alone.
    let sentry = keys::sentry();
    let other = format!("secret.\"{SECRET}\".credential.sentry");
    vendors
        .workspace
        .configure(&vendors.table(&other, "sentry", ""));
    vendors.assist(&sentry, &sentry.new).succeeded();
    assert_eq!(vendors.status("sentry")["left_behind"], left);

    vendors.only_internal_as("own");
    assert_eq!(vendors.status("own")["left_behind"], left);
    // What is promised to the old one holds, whatever it is called.
    let words = ["is promised to work for another", "--now"];
    vendors.rotate("own").failed(7, &words);
    let now = ["rotate", &format!("{SECRET}#own"), "--now"];
    vendors.workspace.run(&now).succeeded();
    let status = vendors.status("own");
    assert!(status["left_behind"].is_null(), "{status}");
    assert_eq!(status["retirement"]["new_version"], true);
    assert!(status["grace_left_seconds"].as_u64().unwrap() > 0);
}

/// No run has taken over yet what it left without a name, and the value is changed by hand.
#[test]
fn a_change_by_hand_leaves_alone_what_has_got_a_name_since() {
    let vendors = Vendors::start(&[keys::google()]);
    vendors.rotate_unnamed();
    vendors.only_google_at(&format!("secret.\"{SECRET}\".credential.google"));
    let before = vendors.status("google");
    assert!(before["last_rotation_ms"].is_u64());
    vendors.put_by_hand("n", "another");
    let after = vendors.status("google");
    assert_eq!(after["last_rotation_ms"], before["last_rotation_ms"]);
    assert_eq!(after["retirement"], before["retirement"]);
    vendors.put_by_hand("google_client_secret", "GOCSPX-ByHandByHandByHandByHand");
    let touched = vendors.status("google");
    assert_ne!(touched["last_rotation_ms"], before["last_rotation_ms"]);
}
