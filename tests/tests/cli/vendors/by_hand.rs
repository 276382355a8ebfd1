//! What a change by hand, or a run that ends between two writes, leaves of a wait and of an answer.

use keyturn_engine::{Answered, Notes};
use keyturn_store::{SecretStore as _, VersionId};

use super::{SECRET, Vendors, keys};
use crate::support::secret;

/// Those that a secret may have and that a rotation of its own does not need.
const FOREIGN_LABELS: usize = 17;

/// Whoever was asked for another key is still asked.
#[test]
fn a_wait_ends_where_its_own_key_is_put_by_hand() {
    let vendors = Vendors::start(&[keys::sendgrid(), keys::google()]);
    vendors.rotate("google").succeeded();
    vendors.rotate("sendgrid").succeeded();
    let waiting = vendors.status("google")["waiting"].clone();
    assert!(waiting.is_object());
    let by_hand = "SG.0123456789abcdefABCDEF.ByHandByHandByHandByHandByHand";
    vendors.put_by_hand("sendgrid_api_key", by_hand);
    assert_eq!(vendors.status("google")["waiting"], waiting);
    assert!(vendors.status("sendgrid")["waiting"].is_null());
    vendors.put_by_hand("google_client_secret", "GOCSPX-ByHandByHandByHandByHand");
    assert!(vendors.status("google")["waiting"].is_null());
}

/// Nor does it count as another credential's rotation.
#[test]
fn a_change_by_hand_dates_nobody_elses_rotation() {
    let vendors = Vendors::start(&[keys::sentry()]);
    vendors.rotate("internal").succeeded();
    let rotated = vendors.status("internal")["last_rotation_ms"].clone();
    assert!(rotated.is_u64());
    vendors.put_by_hand("google_client_id", "another-client");
    assert_eq!(vendors.status("internal")["last_rotation_ms"], rotated);
}

/// The run ends right before AWSCURRENT moves, because the store takes no further label.
#[test]
fn an_answer_is_not_used_before_awscurrent_moves() {
    let sentry = keys::sentry();
    let vendors = Vendors::start(&[keys::sentry()]);
    let first = vendors.workspace.labels(SECRET)["AWSCURRENT"].clone();
    for number in 0..FOREIGN_LABELS {
        let label = format!("app-{number}");
        vendors.workspace.attach(SECRET, &label, &first);
    }
    vendors.assist(&sentry, &sentry.new).failed(4, &["labels"]);
    assert_eq!(vendors.workspace.labels(SECRET)["AWSCURRENT"], first);
    let (name, from) = (secret(SECRET), VersionId::new(first).unwrap());
    vendors.workspace.on_store(|store| async move {
        for number in 0..FOREIGN_LABELS {
            let label = format!("app-{number}");
            let removed = store.move_label(&name, &label, Some(&from), None).await;
            removed.unwrap();
        }
    });
    // AWSPENDING goes, so that nothing but the note speaks of the answer.
    vendors.put_by_hand("google_client_id", "another-client");
    assert_eq!(vendors.status("sentry")["answered"], true);
    let rotated = vendors.rotate("sentry").succeeded();
    assert!(rotated.stderr.contains("was put on top"), "{rotated:?}");
    assert_eq!(vendors.current()["sentry_dsn"], sentry.new["sentry_dsn"]);
    assert_eq!(vendors.status("sentry")["answered"], false);
}

/// A run that was killed right after AWSCURRENT had moved.
#[test]
fn an_answer_that_is_awscurrent_waits_no_more() {
    let sentry = keys::sentry();
    let vendors = Vendors::start(&[keys::sentry()]);
    let base = vendors.workspace.labels(SECRET)["AWSCURRENT"].clone();
    vendors.assist(&sentry, &sentry.new).succeeded();
    let version = vendors.workspace.labels(SECRET)["AWSCURRENT"].clone();
    let name = secret(SECRET);
    vendors.workspace.on_store(|store| async move {
        let left = Answered { version, base };
        let noted = Notes::update(&store, &name, |notes| {
            let known = notes.credentials.get_mut("sentry").unwrap();
            assert_eq!(known.answered.replace(left.clone()), None);
        });
        noted.await.unwrap();
    });
    assert_eq!(vendors.status("sentry")["answered"], false);
    let asks = || {
        let waits = vendors.rotate("sentry").succeeded();
        waits.says(&["waits for an operator"]);
        assert!(!waits.stderr.contains("earlier answer"), "{waits:?}");
    };
    asks();
    vendors.rotate("internal").succeeded();
    asks();
}
