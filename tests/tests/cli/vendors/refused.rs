//! What is made of a vendor that refuses a key, refuses all of them, or none.

use harness::vendors::Issued;
use serde_json::json;

use super::{SECRET, Vendors, keys};

#[test]
fn what_a_vendor_refuses_changes_nothing() {
    for keys in keys::all().into_iter().filter(|keys| keys.part != "sentry") {
        let vendors = Vendors::start(std::slice::from_ref(&keys));
        let before = vendors.current();
        vendors.assist(&keys, &keys.new).failed(
            5,
            &[
                "refuses the new secret",
                "was not changed",
                "goes on with it",
            ],
        );
        assert_eq!(vendors.current(), before);
        // The vendor needed a while to know it.
        vendors.hand_out(&keys, &keys.new);
        vendors.rotate(keys.part).succeeded();
        assert_eq!(vendors.current()[keys.secret], keys.new[keys.secret]);
    }
}

/// It was mistyped: no label and no note of it stays.
#[test]
fn a_new_key_that_a_vendor_refuses_is_given_up_for_another() {
    let keys = keys::google();
    let vendors = Vendors::start(std::slice::from_ref(&keys));
    let mistyped = json!({"google_client_secret": "GOCSPX-Mistyped_Mistyped_Mistyped"});
    vendors
        .assist(&keys, &mistyped)
        .failed(5, &["refuses the new secret"]);
    vendors.hand_out(&keys, &keys.new);
    vendors.assist(&keys, &keys.new).succeeded();
    assert_eq!(vendors.current()[keys.secret], keys.new[keys.secret]);
    assert!(!vendors.workspace.labels(SECRET).contains_key("AWSPENDING"));
}

/// This machine's clock is wrong, say: that kills no key and throws none away.
#[test]
fn a_vendor_that_refuses_everybody_proves_nothing() {
    for keys in keys::all().into_iter().filter(|keys| keys.part != "sentry") {
        let vendors = Vendors::start(std::slice::from_ref(&keys));
        let refuse = |whether| {
            vendors
                .server
                .change(|issued| issued.refuses_everything = whether);
        };
        vendors.hand_out(&keys, &keys.new);
        refuse(true);
        vendors
            .assist(&keys, &keys.new)
            .failed(5, &["AWSCURRENT's too", "goes on with it"]);
        refuse(false);
        vendors.rotate(keys.part).succeeded();
        let rotated = vendors.current();
        assert_eq!(rotated[keys.secret], keys.new[keys.secret]);

        refuse(true);
        vendors
            .retire_now(&keys)
            .failed(5, &["cannot be told now: api ", "which proves nothing"]);
        assert_eq!(vendors.current(), rotated);
        let labels = vendors.workspace.labels(SECRET);
        let label = format!("KEYTURN_RETIRING_{}", keys.part);
        assert!(labels.contains_key(&label), "{labels:?}");
        refuse(false);
        vendors.retire_now(&keys).failed(5, &["still works"]);
    }
}

#[test]
fn a_server_that_takes_everything_proves_nothing() {
    for keys in keys::all().into_iter().filter(|keys| keys.part != "sentry") {
        let vendors = Vendors::start(std::slice::from_ref(&keys));
        let before = vendors.current();
        let everything = |issued: &mut Issued| issued.takes_everything = true;
        vendors.server.change(everything);
        vendors
            .assist(&keys, &keys.new)
            .failed(5, &["accepts a secret that nobody has"]);
        assert_eq!(vendors.current(), before);
    }
}
