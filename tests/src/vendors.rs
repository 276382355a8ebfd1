//! One server that answers as several vendors do about keys: SendGrid, Google's, Facebook's and Apple's token
//! endpoints. It is written from their references, opens assertions with a token library that the plugin does not use,
//! and shares no code with the plugin.

pub mod kinds;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use crate::https::{Answer, HttpsServer, Request};
use crate::local::lock;
use crate::tls::Identity;

/// What each vendor has handed out and not taken back.
#[derive(Default)]
pub struct Issued {
    /// Keys of SendGrid's, and their scopes.
    pub sendgrid: BTreeMap<String, Vec<String>>,
    /// Client and secret.
    pub google: BTreeSet<(String, String)>,
    /// App and secret.
    pub facebook: BTreeSet<(String, String)>,
    /// Key id; team and public key.
    pub apple: BTreeMap<String, (String, String)>,
    /// Key id; client e-mail and public key.
    pub firebase: BTreeMap<String, (String, String)>,
    /// Who got a mail from whom.
    pub mails: Vec<(String, String)>,
    /// Takes every secret, as a wrong server might.
    pub takes_everything: bool,
    /// Refuses every secret, as a vendor does whose clock is not the asker's.
    pub refuses_everything: bool,
}

/// A running server. Dropping it stops it.
pub struct VendorsLike {
    server: HttpsServer,
    issued: Arc<Mutex<Issued>>,
}

impl VendorsLike {
    /// On a free port of 127.0.0.1, with nothing handed out.
    pub fn start(identity: &Identity) -> io::Result<Self> {
        let issued = Arc::new(Mutex::<Issued>::default());
        let asked = Arc::clone(&issued);
        let server = HttpsServer::start(identity, move |request| {
            let mut issued = lock(&asked);
            if issued.refuses_everything {
                return Issued::default().answer(request);
            }
            issued.answer(request)
        })?;
        Ok(Self { server, issued })
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Hands something out or takes it back, as an operator does in a console.
    pub fn change<T>(&self, change: impl FnOnce(&mut Issued) -> T) -> T {
        change(&mut lock(&self.issued))
    }

    /// From now on every request is answered with this status; `None`: as it should be.
    pub fn have_trouble(&self, status: Option<u16>) {
        self.server.have_trouble(status);
    }

    /// Method and path of each request so far.
    pub fn requests(&self) -> Vec<String> {
        self.server.requests()
    }
}

impl Issued {
    fn answer(&mut self, request: &Request) -> Answer {
        let form: BTreeMap<String, String> = pairs(&request.body).collect();
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        match request.asked.as_str() {
            "GET /v3/scopes" => self.scopes(request.bearer.as_deref()),
            "POST /v3/mail/send" => self.send(request),
            "POST /token" if field("assertion").is_empty() => {
                let client = (field("client_id").into(), field("client_secret").into());
                self.refused_grant(self.google.contains(&client), 401)
            }
            "POST /token" => self.service_account(field("assertion")),
            "POST /oauth/access_token" => {
                let app = (field("client_id").into(), field("client_secret").into());
                if self.takes_everything || self.facebook.contains(&app) {
                    return (
                        200,
                        json!({"access_token": "app|token", "token_type": "bearer"}),
                    );
                }
                let error = json!({"message": "Error validating client secret.", "type": "OAuthException", "code": 1});
                (400, json!({"error": error}))
            }
            "POST /auth/token" => {
                let known = self.apple_client(field("client_id"), field("client_secret"));
                self.refused_grant(known, 400)
            }
            _ => (404, json!({"error": "not found"})),
        }
    }

    fn scopes(&self, key: Option<&str>) -> Answer {
        let everything = vec!["mail.send".to_owned(), "templates.read".to_owned()];
        let known = key.and_then(|key| self.sendgrid.get(key));
        match known.or(self.takes_everything.then_some(&everything)) {
            Some(scopes) => (200, json!({"scopes": scopes})),
            None => (
                401,
                json!({"errors": [{"field": null, "message": "authorization required"}]}),
            ),
        }
    }

    fn send(&mut self, request: &Request) -> Answer {
        let scopes = request
            .bearer
            .as_ref()
            .and_then(|key| self.sendgrid.get(key));
        let may = scopes.is_some_and(|scopes| scopes.iter().any(|scope| scope == "mail.send"));
        let mail: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let text = |pointer: &str| {
            let found = mail.pointer(pointer).and_then(Value::as_str);
            found.map(str::to_owned)
        };
        let (from, to) = (text("/from/email"), text("/personalizations/0/to/0/email"));
        match (may, from, to) {
            (false, ..) => (403, json!({"errors": [{"message": "access forbidden"}]})),
            (true, Some(from), Some(to)) => {
                self.mails.push((from, to));
                (202, Value::Null)
            }
            (true, ..) => (400, json!({"errors": [{"message": "Bad Request"}]})),
        }
    }

    /// The grant in the request is nobody's, so that a known client is refused for that (RFC 6749, section 5.2).
    fn refused_grant(&self, known: bool, otherwise: u16) -> Answer {
        if known || self.takes_everything {
            (400, json!({"error": "invalid_grant"}))
        } else {
            (otherwise, json!({"error": "invalid_client"}))
        }
    }

    fn apple_client(&self, client: &str, token: &str) -> bool {
        let opened = open(
            token,
            &self.apple,
            Algorithm::ES256,
            "https://appleid.apple.com",
        );
        opened.is_some_and(|claims| claims["sub"] == client)
    }

    fn service_account(&self, token: &str) -> Answer {
        let audience = "https://oauth2.googleapis.com/token";
        let opened = open(token, &self.firebase, Algorithm::RS256, audience);
        if opened.is_some() || self.takes_everything {
            (
                200,
                json!({"access_token": "ya29.token", "expires_in": 3599}),
            )
        } else {
            let why = "Invalid JWT Signature.";
            (
                400,
                json!({"error": "invalid_grant", "error_description": why}),
            )
        }
    }
}

/// The claims of a token that the issuer of its key has signed.
fn open(
    token: &str,
    keys: &BTreeMap<String, (String, String)>,
    algorithm: Algorithm,
    audience: &str,
) -> Option<Value> {
    let (issuer, public) = keys.get(&decode_header(token).ok()?.kid?)?;
    let key = match algorithm {
        Algorithm::ES256 => DecodingKey::from_ec_pem(public.as_bytes()),
        _ => DecodingKey::from_rsa_pem(public.as_bytes()),
    };
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[issuer]);
    let token = decode::<Value>(token, &key.ok()?, &validation);
    token.ok().map(|token| token.claims)
}

/// The pairs of an `application/x-www-form-urlencoded` body.
pub(crate) fn pairs(body: &[u8]) -> impl Iterator<Item = (String, String)> {
    let text = String::from_utf8_lossy(body).into_owned();
    let pairs: Vec<_> = text
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    pairs.into_iter()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next(), rest.next()];
                let digits: String = digits.into_iter().flatten().map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap_or(b'%')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
