//! The keys of each vendor: what AWSCURRENT has, what an operator brings, and how the vendor comes to know them.

use harness::vendors::Issued;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use serde_json::{Value, json};

/// What the profile demands of a SendGrid key.
pub(super) const SCOPES: &[&str] = &[
    "mail.send",
    "templates.create",
    "templates.read",
    "templates.update",
    "templates.delete",
];

pub(super) struct Keys {
    /// The credential and its profile.
    pub(super) part: &'static str,
    /// The member that is the secret itself.
    pub(super) secret: &'static str,
    /// The members of the present key.
    pub(super) old: Value,
    pub(super) new: Value,
    pub(super) hand_out: fn(&mut Issued, &Value),
    pub(super) take_back: fn(&mut Issued, &Value),
}

impl Keys {
    /// What an operator types: the only answer as it is, several as an object.
    pub(super) fn answer(&self, members: &Value) -> String {
        match members.as_object().unwrap().len() {
            1 => text(members, self.secret),
            _ => members.to_string(),
        }
    }
}

fn text(members: &Value, name: &str) -> String {
    members[name].as_str().unwrap().to_owned()
}

pub(super) fn all() -> Vec<Keys> {
    vec![
        sendgrid(),
        google(),
        facebook(),
        apple(),
        firebase("festival"),
        sentry(),
    ]
}

pub(super) fn sendgrid() -> Keys {
    let key = |which: &str| json!({"sendgrid_api_key": format!("SG.0123456789abcdefABCDEF.{}", which.repeat(8))});
    Keys {
        part: "sendgrid",
        secret: "sendgrid_api_key",
        old: key("Old01"),
        new: key("New01"),
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

pub(super) fn google() -> Keys {
    let key = |which: &str| json!({"google_client_secret": format!("GOCSPX-{}", which.repeat(5))});
    Keys {
        part: "google",
        secret: "google_client_secret",
        old: key("Old02_"),
        new: key("New02_"),
        hand_out: |issued, key| {
            issued.google.insert(client(key));
        },
        take_back: |issued, key| {
            issued.google.remove(&client(key));
        },
    }
}

fn client(key: &Value) -> (String, String) {
    (
        "google-client".to_owned(),
        text(key, "google_client_secret"),
    )
}

pub(super) fn facebook() -> Keys {
    let key = |which: &str| json!({"facebook_app_secret": which.repeat(8)});
    Keys {
        part: "facebook",
        secret: "facebook_app_secret",
        old: key("0a1b"),
        new: key("2c3d"),
        hand_out: |issued, key| {
            issued.facebook.insert(app(key));
        },
        take_back: |issued, key| {
            issued.facebook.remove(&app(key));
        },
    }
}

fn app(key: &Value) -> (String, String) {
    ("facebook-app".to_owned(), text(key, "facebook_app_secret"))
}

pub(super) fn apple() -> Keys {
    let key = |id: &str| {
        json!({
            // The file's last newline does not survive being copied.
            "apple_private_key": KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem().trim(),
            "apple_key_id": id,
            "apple_team_id": "FESTTEAM01",
        })
    };
    Keys {
        part: "apple",
        secret: "apple_private_key",
        old: key("OLDKEY0001"),
        new: key("NEWKEY0001"),
        hand_out: |issued, key| {
            let pair = KeyPair::from_pem(&text(key, "apple_private_key")).unwrap();
            let known = (text(key, "apple_team_id"), pair.public_key_pem());
            issued.apple.insert(text(key, "apple_key_id"), known);
        },
        take_back: |issued, key| {
            issued.apple.remove(&text(key, "apple_key_id"));
        },
    }
}

/// `project`: that of the new key.
pub(super) fn firebase(project: &str) -> Keys {
    let key = |id: &str, project: &str| {
        let account = json!({
            "type": "service_account",
            "project_id": project,
            "private_key_id": id,
            "private_key": KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap().serialize_pem(),
            "client_email": format!("firebase-adminsdk@{project}.iam.gserviceaccount.com"),
        });
        json!({"firebase_credentials": account.to_string()})
    };
    Keys {
        part: "firebase",
        secret: "firebase_credentials",
        old: key("0123456789abcdef0001", "festival"),
        new: key("0123456789abcdef0002", project),
        hand_out: |issued, key| {
            let account = inner(key);
            let pair = KeyPair::from_pem(&text(&account, "private_key")).unwrap();
            let known = (text(&account, "client_email"), pair.public_key_pem());
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

fn inner(key: &Value) -> Value {
    serde_json::from_str(&text(key, "firebase_credentials")).unwrap()
}

/// Nobody is asked, so nobody has to know them.
pub(super) fn sentry() -> Keys {
    let key = |which: &str| json!({"sentry_dsn": format!("https://{}@o1.ingest.sentry.io/7", which.repeat(8))});
    Keys {
        part: "sentry",
        secret: "sentry_dsn",
        old: key("0a1b"),
        new: key("2c3d"),
        hand_out: |_, _| {},
        take_back: |_, _| {},
    }
}
