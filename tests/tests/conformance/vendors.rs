//! The plugins that ask an operator, at servers that answer as the vendors do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::stripe::StripeLike;
use harness::vendors::{Issued, VendorsLike};
use keyturn_conformance::{Answers, Scene};
use serde_json::{Value, json};

use crate::first_party::{Trust, shipped_is_fit};
use crate::support::Place;

const ACCOUNT: &str = "acct_1festival";

fn scene(trust: &Trust, port: u16, secret: &Value, unprivileged: Option<&Value>) -> Scene {
    Scene {
        secret: secret.to_string(),
        settings: json!({}),
        endpoints: BTreeMap::from([("api".to_owned(), vec![format!("127.0.0.1:{port}")])]),
        tls: trust.tls(),
        unprivileged: unprivileged.map(Value::to_string),
        ..Scene::default()
    }
}

#[test]
fn stripe_assisted_is_fit() {
    let trust = Trust::new();
    let identity = trust.authority.issue(&["127.0.0.1", "localhost"]).unwrap();
    let stripe = Arc::new(StripeLike::start(&identity).unwrap());
    let first = json!({"secret_key": "sk_test_0000000000000000first"});
    let shut_out = json!({"secret_key": "rk_test_0000000000000000shutout"});
    stripe.add_key("sk_test_0000000000000000first", ACCOUNT, true);
    stripe.add_key("rk_test_0000000000000000shutout", ACCOUNT, false);
    let scene = scene(&trust, stripe.address().port(), &first, Some(&shut_out));
    let mut place = Place::of(scene, true);
    let (made, answering) = (AtomicUsize::new(0), Arc::clone(&stripe));
    place.answer = Box::new(move |_| {
        let number = made.fetch_add(1, Ordering::SeqCst);
        let key = format!("sk_test_{number:020}");
        answering.add_key(&key, ACCOUNT, true);
        Answers::from([("secret_key".to_owned(), key)])
    });
    let ending = Arc::clone(&stripe);
    place.end = Box::new(move |value| {
        let value: Value = serde_json::from_str(value).unwrap();
        ending.revoke(value["secret_key"].as_str().unwrap());
    });
    place.open_to_all = Some(Box::new(move |on| {
        stripe.take_any_for(on.then_some(ACCOUNT))
    }));
    shipped_is_fit("stripe-assisted", &place);
}

/// One vendor: where its key stands, and how one is handed out and taken back.
struct Vendor {
    profile: &'static str,
    member: &'static str,
    /// What stands beside the key.
    more: Value,
    key: fn(usize) -> String,
    hand_out: fn(&mut Issued, &str),
    take_back: fn(&mut Issued, &str),
    /// A key that lacks a right.
    shut_out: Option<fn(&mut Issued) -> String>,
}

const RIGHTS: [&str; 5] = [
    "mail.send",
    "templates.create",
    "templates.read",
    "templates.update",
    "templates.delete",
];

#[test]
fn a_key_of_sendgrids_is_fit() {
    vendor_is_fit(Vendor {
        profile: "sendgrid",
        member: "sendgrid_api_key",
        more: json!({}),
        key: |number| format!("SG.{number:030}"),
        hand_out: |issued, key| {
            let rights = RIGHTS.map(str::to_owned).to_vec();
            issued.sendgrid.insert(key.to_owned(), rights);
        },
        take_back: |issued, key| {
            issued.sendgrid.remove(key);
        },
        shut_out: Some(|issued| {
            let key = "SG.shut-out-of-everything-000".to_owned();
            issued
                .sendgrid
                .insert(key.clone(), vec!["stats.read".to_owned()]);
            key
        }),
    });
}

#[test]
fn a_client_secret_of_googles_is_fit() {
    vendor_is_fit(Vendor {
        profile: "google",
        member: "google_client_secret",
        more: json!({"google_client_id": "client"}),
        key: |number| format!("GOCSPX-{number:028}"),
        hand_out: |issued, key| {
            issued.google.insert(("client".to_owned(), key.to_owned()));
        },
        take_back: |issued, key| {
            issued.google.remove(&("client".to_owned(), key.to_owned()));
        },
        shut_out: None,
    });
}

#[test]
fn an_app_secret_of_facebooks_is_fit() {
    vendor_is_fit(Vendor {
        profile: "facebook",
        member: "facebook_app_secret",
        more: json!({"facebook_app_id": "app"}),
        key: |number| format!("{number:032x}"),
        hand_out: |issued, key| {
            issued.facebook.insert(("app".to_owned(), key.to_owned()));
        },
        take_back: |issued, key| {
            issued.facebook.remove(&("app".to_owned(), key.to_owned()));
        },
        shut_out: None,
    });
}

fn vendor_is_fit(vendor: Vendor) {
    let trust = Trust::new();
    let identity = trust.authority.issue(&["127.0.0.1", "localhost"]).unwrap();
    let server = Arc::new(VendorsLike::start(&identity).unwrap());
    let value = |key: &str| {
        let mut value = vendor.more.clone();
        value[vendor.member] = json!(key);
        value
    };
    let first = (vendor.key)(0);
    server.change(|issued| (vendor.hand_out)(issued, &first));
    let shut_out = vendor
        .shut_out
        .map(|shut_out| value(&server.change(shut_out)));
    let mut scene = scene(
        &trust,
        server.address().port(),
        &value(&first),
        shut_out.as_ref(),
    );
    scene.settings = json!({"profile": vendor.profile});
    let mut place = Place::of(scene, true);
    let Vendor {
        member,
        key,
        hand_out,
        take_back,
        ..
    } = vendor;
    let (made, answering) = (AtomicUsize::new(1), Arc::clone(&server));
    place.answer = Box::new(move |asked| {
        let key = key(made.fetch_add(1, Ordering::SeqCst));
        answering.change(|issued| hand_out(issued, &key));
        Answers::from([(asked.prompts[0].name.clone(), key)])
    });
    let ending = Arc::clone(&server);
    place.end = Box::new(move |text| {
        let value: Value = serde_json::from_str(text).unwrap();
        ending.change(|issued| take_back(issued, value[member].as_str().unwrap()));
    });
    place.open_to_all = Some(Box::new(move |on| {
        server.change(|issued| issued.takes_everything = on);
    }));
    place.has_no_rights = shut_out.is_none();
    shipped_is_fit("vendor-assisted", &place);
}
