//! The plugins that ask an operator, at servers that answer as the vendors do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::stripe::StripeLike;
use harness::vendors::VendorsLike;
use harness::vendors::kinds::{self, Kind};
use keyturn_conformance::{Answers, Scene};
use serde_json::{Value, json};

use crate::first_party::{Trust, shipped_is_fit};
use crate::support::Place;

/// By plugin.
pub(crate) const STRATEGIES: &[(&str, &str)] = &[
    ("stripe-assisted", "assisted"),
    ("vendor-assisted", "assisted"),
];

const ACCOUNT: &str = "acct_1festival";

/// The server has the vendor's name, by which it is asked.
fn scene(
    trust: &Trust,
    name: &str,
    port: u16,
    secret: &Value,
    unprivileged: Option<&Value>,
) -> Scene {
    let address = format!("{name}:443");
    Scene {
        secret: secret.to_string(),
        settings: json!({}),
        endpoints: BTreeMap::from([("api".to_owned(), vec![address.clone()])]),
        reached_at: BTreeMap::from([(address, format!("127.0.0.1:{port}"))]),
        tls: trust.tls(),
        unprivileged: unprivileged.map(Value::to_string),
        ..Scene::default()
    }
}

#[test]
fn stripe_assisted_is_fit() {
    let trust = Trust::new();
    let name = "api.stripe.com";
    let identity = trust.authority.issue(&[name]).unwrap();
    let stripe = Arc::new(StripeLike::start(&identity).unwrap());
    let first = json!({"secret_key": "sk_test_0000000000000000first"});
    let shut_out = json!({"secret_key": "rk_test_0000000000000000shutout"});
    stripe.add_key("sk_test_0000000000000000first", ACCOUNT, true);
    stripe.add_key("rk_test_0000000000000000shutout", ACCOUNT, false);
    let port = stripe.address().port();
    let scene = scene(&trust, name, port, &first, Some(&shut_out));
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
    let opening = Arc::clone(&stripe);
    place.open_to_all = Some(Box::new(move |on| {
        opening.take_any_for(on.then_some(ACCOUNT))
    }));
    shipped_is_fit("stripe-assisted", "assisted", &place, &[]);
    let names = [name, name].map(str::to_owned);
    assert_eq!(stripe.names(), [names].into(), "in TLS and in HTTP");
}

macro_rules! profiles {
    ($($name:ident: $kind:ident leaves $open:expr,)*) => {
        /// Each profile that is checked.
        const CHECKED: &[fn() -> Kind] = &[$(kinds::$kind),*];
        $(#[test]
        fn $name() {
            profile_is_fit(&kinds::$kind(), $open);
        })*
    };
}

/// A key of most vendors can lack no right.
const NO_RIGHTS: &[&str] = &["permission"];
/// What would have to be seen at a vendor.
const NOBODY_TO_ASK: &[&str] = &[
    "probe-harmless",
    "permission",
    "negative-control",
    "crash",
    "crash-retire",
];

profiles! {
    a_key_of_sendgrids_is_fit: sendgrid leaves &[],
    a_client_secret_of_googles_is_fit: google leaves NO_RIGHTS,
    an_app_secret_of_facebooks_is_fit: facebook leaves NO_RIGHTS,
    a_key_of_apples_is_fit: apple leaves NO_RIGHTS,
    a_service_account_of_firebases_is_fit: firebase leaves NO_RIGHTS,
    a_dsn_of_sentrys_is_fit: sentry leaves NOBODY_TO_ASK,
}

#[test]
fn every_profile_is_checked() {
    let checked: BTreeSet<_> = CHECKED
        .iter()
        .map(|kind| kind().profile.to_owned())
        .collect();
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../plugins/vendor-assisted/profiles"
    );
    let files = std::fs::read_dir(folder).unwrap();
    let known = files.map(|file| file.unwrap().path());
    let known: BTreeSet<_> = known
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let missing: Vec<_> = known.difference(&checked).collect();
    assert!(
        missing.is_empty(),
        "nobody plays these vendors (harness::vendors::kinds), so that no key of theirs is checked: {missing:?}"
    );
}

fn profile_is_fit(kind: &Kind, open: &[&str]) {
    let trust = Trust::new();
    let name = "api.vendor.example";
    let identity = trust.authority.issue(&[name]).unwrap();
    let server = Arc::new(VendorsLike::start(&identity).unwrap());
    let value = |key: Value| {
        let mut value = kinds::beside();
        let members = value.as_object_mut().unwrap();
        members.extend(key.as_object().unwrap().clone());
        value
    };
    let first = value((kind.make)(0));
    server.change(|issued| (kind.hand_out)(issued, &first));
    let shut_out = (kind.profile == "sendgrid").then(|| {
        let key = (kind.make)(99_999);
        let name = key[kind.secret].as_str().unwrap().to_owned();
        server.change(|issued| issued.sendgrid.insert(name, vec!["stats.read".to_owned()]));
        value(key)
    });
    let port = server.address().port();
    let mut scene = scene(&trust, name, port, &first, shut_out.as_ref());
    scene.settings = json!({"profile": kind.profile});
    let is_asked = open != NOBODY_TO_ASK;
    if !is_asked {
        scene.endpoints.clear();
        scene.reached_at.clear();
    }
    let mut place = Place::of(scene, is_asked);
    let (made, answering) = (AtomicUsize::new(1), Arc::clone(&server));
    let (make, hand_out, take_back) = (kind.make, kind.hand_out, kind.take_back);
    place.answer = Box::new(move |asked| {
        let key = make(made.fetch_add(1, Ordering::SeqCst));
        answering.change(|issued| hand_out(issued, &key));
        let answers = asked.prompts.iter().map(|prompt| {
            let text = key[&prompt.name].as_str().unwrap();
            (prompt.name.clone(), text.to_owned())
        });
        answers.collect()
    });
    let ending = Arc::clone(&server);
    place.end = Box::new(move |text| {
        let value: Value = serde_json::from_str(text).unwrap();
        ending.change(|issued| take_back(issued, &value));
    });
    place.open_to_all = Some(Box::new(move |on| {
        server.change(|issued| issued.takes_everything = on);
    }));
    shipped_is_fit("vendor-assisted", "assisted", &place, open);
}
