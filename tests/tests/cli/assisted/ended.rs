//! Which of an operator's keys has to end, and when.

use serde_json::json;

use super::{ACCOUNT, NEW, OLD, SECRET, Vendor};
use crate::support::note_that_it_owes;

/// The old key is dead before its time is over; whoever wants another one now is told which command brings it.
#[test]
fn within_a_grace_the_command_that_works_is_named() {
    let vendor = Vendor::start();
    vendor.stripe.add_key(NEW, ACCOUNT, true);
    vendor.assist(NEW).succeeded();
    vendor.stripe.revoke(OLD);
    let waits = vendor.workspace.run(&["rotate", SECRET, "--now"]);
    let named = format!("`keyturn assist {SECRET} --now`");
    waits.succeeded().says(&["waits for an operator", &named]);
    let other = "sk_live_0000000000000000other0a";
    vendor.stripe.add_key(other, ACCOUNT, true);
    vendor.assist(other).failed(7, &["promised to work"]);
    let arguments = ["assist", SECRET, "--now", "--value-stdin"];
    vendor
        .workspace
        .run_with(&arguments, other, &[])
        .succeeded();
    assert_eq!(vendor.key(), other);
}

/// The new key was deleted by mistake: nobody is told to delete the one that still works.
#[test]
fn the_old_key_is_not_to_be_ended_while_the_new_one_is_dead() {
    let vendor = Vendor::start();
    vendor.stripe.add_key(NEW, ACCOUNT, true);
    vendor.assist(NEW).succeeded();
    vendor.stripe.revoke(NEW);
    let refused = vendor.workspace.run(&["retire", SECRET, "--now"]);
    let refused = refused.failed(5, &["do not end it", "keyturn secret put"]);
    assert!(!refused.stderr.contains("Delete it"), "{refused:?}");
}

/// The new key misbehaved, and the operator put the old one back: nobody is told to delete that. What has to end is the
/// newer one, which nobody would think of otherwise.
#[test]
fn a_key_that_was_put_back_is_not_to_be_ended() {
    let old = json!({"publishable_key": "pk_live_x", "secret_key": OLD}).to_string();
    let edited = json!({"secret_key": OLD, "previous_secret_key": OLD}).to_string();
    for value in [old, edited] {
        let vendor = Vendor::start();
        vendor.stripe.add_key(NEW, ACCOUNT, true);
        vendor.assist(NEW).succeeded();
        let newer = vendor.workspace.labels(SECRET)["AWSCURRENT"].clone();
        assert_eq!(vendor.status()["retirement"]["by_operator"], true);
        vendor.put_by_hand(&value);
        let shown = vendor.status()["retirement"].clone();
        assert_eq!(shown["version"], newer.as_str());
        let rotate = vendor.workspace.run(&["rotate", SECRET]);
        rotate.failed(7, &["was about to end", &newer, "promised to work"]);
        assert_eq!(vendor.workspace.labels(SECRET)["KEYTURN_RETIRING"], newer);
        assert_eq!(vendor.status()["retirement"], shown);
        let retire = ["retire", SECRET, "--now"];
        let told = [
            &newer,
            "still works",
            "Delete the old secret key at Stripe, which here is the newer",
        ];
        vendor.workspace.run(&retire).failed(5, &told);
        vendor.stripe.revoke(NEW);
        vendor.workspace.run(&retire).succeeded();
        let current = vendor.workspace.current(SECRET);
        assert_eq!(current["secret_key"], OLD);
        assert!(current["previous_secret_key"].is_null());
        assert!(vendor.status()["retirement"].is_null());

        // It ends when it is superseded again.
        let third = "sk_live_0000000000000000third0a";
        vendor.stripe.add_key(third, ACCOUNT, true);
        vendor.assist(third).succeeded();
        vendor.workspace.run(&retire).failed(5, &["still works"]);
        vendor.stripe.revoke(OLD);
        vendor.workspace.run(&retire).succeeded();
        assert_eq!(vendor.key(), third);
    }
}

/// Another member was changed by hand right before the promotion: the label stands on a version whose key is in use.
#[test]
fn a_key_that_was_never_superseded_is_not_to_be_ended() {
    let vendor = Vendor::start();
    vendor.stripe.add_key(NEW, ACCOUNT, true);
    vendor.stripe.have_trouble(Some(503));
    vendor.assist(NEW).failed(5, &["goes on with it"]);
    vendor.stripe.have_trouble(None);
    // What a run leaves that is cut off before it promotes.
    let labels = vendor.workspace.labels(SECRET);
    let (first, pending) = (labels["AWSCURRENT"].clone(), labels["AWSPENDING"].clone());
    vendor.workspace.attach(SECRET, "KEYTURN_RETIRING", &first);
    note_that_it_owes(&vendor.workspace, SECRET, "", &pending, &first);

    let edited = json!({"publishable_key": "pk_live_y", "secret_key": OLD});
    vendor.put_by_hand(&edited.to_string());
    let edited = vendor.workspace.labels(SECRET)["AWSCURRENT"].clone();
    vendor.workspace.run(&["rotate", SECRET]).succeeded();
    assert_eq!(vendor.key(), NEW);
    assert_eq!(
        vendor.workspace.current(SECRET)["publishable_key"],
        "pk_live_y"
    );
    assert_eq!(vendor.workspace.labels(SECRET)["KEYTURN_RETIRING"], edited);
}
