//! The keys of each vendor: what AWSCURRENT has, what an operator brings, and how the vendor comes to know them.

use harness::vendors::Issued;
use harness::vendors::kinds::{self, Kind};
use serde_json::{Value, json};

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
            1 => members[self.secret].as_str().unwrap().to_owned(),
            _ => members.to_string(),
        }
    }
}

impl From<Kind> for Keys {
    fn from(kind: Kind) -> Self {
        Self {
            part: kind.profile,
            secret: kind.secret,
            old: (kind.make)(1001),
            new: (kind.make)(2002),
            hand_out: kind.hand_out,
            take_back: kind.take_back,
        }
    }
}

pub(super) fn all() -> Vec<Keys> {
    kinds::all().into_iter().map(Keys::from).collect()
}

pub(super) fn sendgrid() -> Keys {
    kinds::sendgrid().into()
}

pub(super) fn google() -> Keys {
    kinds::google().into()
}

pub(super) fn facebook() -> Keys {
    kinds::facebook().into()
}

pub(super) fn apple() -> Keys {
    kinds::apple().into()
}

/// `project`: that of the new key.
pub(super) fn firebase(project: &str) -> Keys {
    let mut keys = Keys::from(kinds::firebase());
    let account = keys.new[keys.secret].as_str().unwrap();
    let mut account: Value = serde_json::from_str(account).unwrap();
    account["project_id"] = json!(project);
    keys.new[keys.secret] = json!(account.to_string());
    keys
}

pub(super) fn sentry() -> Keys {
    kinds::sentry().into()
}
