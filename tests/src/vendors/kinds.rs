//! The kinds of keys that the vendors hand out: which members of a secret hold one, and how a vendor comes to know it.
//! Whoever plays a vendor asks only for keys of its form: anything else panics.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use super::Issued;

const GOOGLE_CLIENT: &str = "google-client";
const FACEBOOK_APP: &str = "facebook-app";
const APPLE_CLIENT: &str = "org.example.app";

/// What the profile demands of a SendGrid key.
pub const SCOPES: &[&str] = &[
    "mail.send",
    "templates.create",
    "templates.read",
    "templates.update",
    "templates.delete",
];

/// One vendor's.
pub struct Kind {
    /// The profile's name.
    pub profile: &'static str,
    /// The member that is the secret itself.
    pub secret: &'static str,
    /// The members of a new key; each number is another key.
    pub make: fn(usize) -> Value,
    /// Both find the key's members among others.
    pub hand_out: fn(&mut Issued, &Value),
    pub take_back: fn(&mut Issued, &Value),
}

/// What stands in a secret beside the keys of any vendor.
pub fn beside() -> Value {
    json!({
        "google_client_id": GOOGLE_CLIENT,
        "facebook_app_id": FACEBOOK_APP,
        "apple_client_id": APPLE_CLIENT,
    })
}

pub fn all() -> Vec<Kind> {
    vec![
        sendgrid(),
        google(),
        facebook(),
        apple(),
        firebase(),
        sentry(),
    ]
}

fn text(members: &Value, name: &str) -> String {
    members[name].as_str().unwrap_or_default().to_owned()
}

pub fn sendgrid() -> Kind {
    Kind {
        profile: "sendgrid",
        secret: "sendgrid_api_key",
        make: |number| {
            let key = format!("{number:05}").repeat(8);
            json!({"sendgrid_api_key": format!("SG.0123456789abcdefABCDEF.{key}")})
        },
        hand_out: |issued, key| {
            let scopes = SCOPES.iter().map(|&scope| scope.to_owned()).collect();
            issued
                .sendgrid
                .insert(text(key, "sendgrid_api_key"), scopes);
        },
        take_back: |issued, key| {
            issued.sendgrid.remove(&text(key, "sendgrid_api_key"));
        },
    }
}

pub fn google() -> Kind {
    fn client(key: &Value) -> (String, String) {
        (GOOGLE_CLIENT.to_owned(), text(key, "google_client_secret"))
    }
    Kind {
        profile: "google",
        secret: "google_client_secret",
        make: |number| {
            let secret = format!("{number:06}").repeat(5);
            json!({"google_client_secret": format!("GOCSPX-{secret}")})
        },
        hand_out: |issued, key| {
            issued.google.insert(client(key));
        },
        take_back: |issued, key| {
            issued.google.remove(&client(key));
        },
    }
}

pub fn facebook() -> Kind {
    fn app(key: &Value) -> (String, String) {
        (FACEBOOK_APP.to_owned(), text(key, "facebook_app_secret"))
    }
    Kind {
        profile: "facebook",
        secret: "facebook_app_secret",
        make: |number| json!({"facebook_app_secret": format!("{number:04x}").repeat(8)}),
        hand_out: |issued, key| {
            issued.facebook.insert(app(key));
        },
        take_back: |issued, key| {
            issued.facebook.remove(&app(key));
        },
    }
}

pub fn apple() -> Kind {
    Kind {
        profile: "apple",
        secret: "apple_private_key",
        make: |number| {
            json!({
                // The file's last newline does not survive being copied.
                "apple_private_key": private_key(&PKCS_ECDSA_P256_SHA256).trim(),
                "apple_key_id": format!("KEY{number:07}"),
                "apple_team_id": "FESTTEAM01",
            })
        },
        hand_out: |issued, key| {
            let public = public_key(&text(key, "apple_private_key"));
            let known = (text(key, "apple_team_id"), public);
            issued.apple.insert(text(key, "apple_key_id"), known);
        },
        take_back: |issued, key| {
            issued.apple.remove(&text(key, "apple_key_id"));
        },
    }
}

pub fn firebase() -> Kind {
    fn inner(key: &Value) -> Value {
        serde_json::from_str(&text(key, "firebase_credentials")).unwrap_or_default()
    }
    Kind {
        profile: "firebase",
        secret: "firebase_credentials",
        make: |number| {
            let account = json!({
                "type": "service_account",
                "project_id": "festival",
                "private_key_id": format!("0123456789abcdef{number:04}"),
                "private_key": private_key(&PKCS_RSA_SHA256),
                "client_email": "firebase-adminsdk@festival.iam.gserviceaccount.com",
            });
            json!({"firebase_credentials": account.to_string()})
        },
        hand_out: |issued, key| {
            let account = inner(key);
            let public = public_key(&text(&account, "private_key"));
            let known = (text(&account, "client_email"), public);
            issued
                .firebase
                .insert(text(&account, "private_key_id"), known);
        },
        take_back: |issued, key| {
            let account = inner(key);
            issued.firebase.remove(&text(&account, "private_key_id"));
        },
    }
}

/// Nobody is asked, so nobody has to know them.
pub fn sentry() -> Kind {
    Kind {
        profile: "sentry",
        secret: "sentry_dsn",
        make: |number| {
            let key = format!("{number:04x}").repeat(8);
            json!({"sentry_dsn": format!("https://{key}@o1.ingest.sentry.io/7")})
        },
        hand_out: |_, _| {},
        take_back: |_, _| {},
    }
}

fn private_key(algorithm: &'static rcgen::SignatureAlgorithm) -> String {
    match KeyPair::generate_for(algorithm) {
        Ok(pair) => pair.serialize_pem(),
        Err(error) => panic!("a key pair cannot be made: {error}"),
    }
}

fn public_key(pem: &str) -> String {
    match KeyPair::from_pem(pem) {
        Ok(pair) => pair.public_key_pem(),
        Err(error) => panic!("no key pair: {error}"),
    }
}
