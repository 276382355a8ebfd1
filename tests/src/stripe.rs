//! A small server that answers as Stripe does about accounts: keys that belong to accounts, that may lack the right to
//! read theirs, and that can be revoked. It is written from Stripe's API reference ("Retrieve account", "Errors") and
//! shares no code with the plugin.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::https::{Answer, HttpsServer, Request};
use crate::local::lock;
use crate::tls::Identity;

/// What a key may do.
#[derive(Debug, Clone)]
pub struct Key {
    /// `acct_…`.
    pub account: String,
    pub may_read_account: bool,
}

#[derive(Default)]
struct Keys {
    known: Mutex<BTreeMap<String, Key>>,
    /// Of whose account any key is, as a wrong server might have it.
    takes_any_for: Mutex<Option<String>>,
}

/// A running server. Dropping it stops it.
pub struct StripeLike {
    server: HttpsServer,
    keys: Arc<Keys>,
}

impl StripeLike {
    /// On a free port of 127.0.0.1, without keys.
    pub fn start(identity: &Identity) -> io::Result<Self> {
        let keys = Arc::new(Keys::default());
        let asked = Arc::clone(&keys);
        let server = HttpsServer::start(identity, move |request| answer(&asked, request))?;
        Ok(Self { server, keys })
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// A new key, or new rights for one that is there.
    pub fn add_key(&self, key: &str, account: &str, may_read_account: bool) {
        let rights = Key {
            account: account.to_owned(),
            may_read_account,
        };
        lock(&self.keys.known).insert(key.to_owned(), rights);
    }

    /// Deletes a key, as an operator does in the dashboard.
    pub fn revoke(&self, key: &str) {
        lock(&self.keys.known).remove(key);
    }

    /// From now on any key opens this account; `None`: as it should be.
    pub fn take_any_for(&self, account: Option<&str>) {
        *lock(&self.keys.takes_any_for) = account.map(str::to_owned);
    }

    /// From now on every request is answered with this status; `None`: as it should be.
    pub fn have_trouble(&self, status: Option<u16>) {
        self.server.have_trouble(status);
    }

    /// The names by which it was asked, in TLS and in HTTP.
    pub fn names(&self) -> BTreeSet<[String; 2]> {
        self.server.names()
    }

    /// Method and path of each request so far.
    pub fn requests(&self) -> Vec<String> {
        self.server.requests()
    }
}

fn answer(keys: &Keys, request: &Request) -> Answer {
    let failure =
        |message: &str| json!({"error": {"type": "invalid_request_error", "message": message}});
    if let Some(account) = &*lock(&keys.takes_any_for) {
        return (200, json!({"id": account, "object": "account"}));
    }
    let keys = lock(&keys.known);
    let known = request
        .bearer
        .as_ref()
        .and_then(|key| keys.get_key_value(key));
    let Some((key, rights)) = known else {
        return (401, failure("Invalid API Key provided"));
    };
    if request.asked != "GET /v1/account" {
        return (404, failure("Unrecognized request URL"));
    }
    if !rights.may_read_account {
        let message = format!(
            "The provided key '{}***' does not have the required permissions for this endpoint on account '{}'. \
             Having the 'rak_accounts_kyc_basic_read' permission would allow this request to continue.",
            &key[..8],
            rights.account
        );
        return (403, failure(&message));
    }
    (
        200,
        json!({"id": rights.account, "object": "account", "country": "DE"}),
    )
}
