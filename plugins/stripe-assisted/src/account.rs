//! Asks Stripe whose key it is: `GET /v1/account`, which changes nothing. A wrong key must be refused on the same way,
//! or its answers prove nothing.

use crate::key::Key;
use keyturn_sdk::http::{self, Request, Response};
use keyturn_sdk::{Error, ErrorKind, SecretText, random};
use serde::Deserialize;

const ENDPOINT: &str = "api";
const PATH: &str = "/v1/account";

/// What Stripe said of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It opens this account (`acct_…`).
    Account(String),
    /// It is a key, and may not read the account.
    Restricted {
        /// The permission that would allow it, if Stripe named one.
        permission: Option<String>,
    },
    /// It is none, or none any more.
    Refused,
}

#[derive(Deserialize)]
struct Account {
    id: String,
    object: String,
}

#[derive(Deserialize)]
struct Failure {
    error: FailureBody,
}

#[derive(Deserialize)]
struct FailureBody {
    message: Option<String>,
}

/// `whose` is for errors.
pub(crate) fn ask(key: &Key, whose: &str) -> Result<Answer, Error> {
    let doing = format!("asking Stripe for the account of {whose}");
    let response = send(&key.text).map_err(|error| error.context(&doing))?;
    match response.status {
        200 => {
            let account: Account =
                serde_json::from_slice(&response.body).map_err(|_| not_stripe(&doing))?;
            if account.object != "account" || !account.id.starts_with("acct_") {
                return Err(not_stripe(&doing));
            }
            Ok(Answer::Account(account.id))
        }
        401 => Ok(Answer::Refused),
        403 => Ok(Answer::Restricted {
            permission: permission(&response),
        }),
        429 => Err(
            Error::throttled(format!("{doing} failed: too many requests; try again")).code("429"),
        ),
        status @ 500..=599 => Err(Error::unreachable(format!(
            "{doing} failed: Stripe has trouble of its own; try again"
        ))
        .code(status.to_string())),
        status => Err(not_stripe(&doing).code(status.to_string())),
    }
}

/// A key of the same form that nobody has must be refused.
pub(crate) fn wrong_key_is_refused(key: &Key) -> Result<(), Error> {
    match ask(&wrong(key), "a key that does not exist")? {
        Answer::Refused => Ok(()),
        Answer::Account(_) | Answer::Restricted { .. } => Err(Error::unprotected(
            "the endpoint `api` accepts a key that does not exist, so it proves nothing: is it Stripe?",
        )),
    }
}

fn wrong(key: &Key) -> Key {
    const RANDOM_BYTES: usize = 24;
    let exposed = key.text.expose();
    // Up to the second underscore; the key was parsed.
    let prefix = exposed.rfind('_').map_or("", |at| &exposed[..=at]);
    let mut text = format!("{prefix}keyturnwrong");
    for byte in random::bytes(RANDOM_BYTES) {
        text.push_str(&format!("{byte:02x}"));
    }
    Key {
        text: SecretText::new(text),
        ..key.clone()
    }
}

fn send(key: &SecretText) -> Result<Response, Error> {
    let request = Request::get(PATH).header("Authorization", format!("Bearer {}", key.expose()));
    http::send(ENDPOINT, &request).map_err(Error::from)
}

/// From "… Having the 'rak_accounts_kyc_basic_read' permission would allow this request …"; shown to people only.
fn permission(response: &Response) -> Option<String> {
    let failure: Failure = serde_json::from_slice(&response.body).ok()?;
    let message = failure.error.message?;
    let begins = message.find("'rak_")? + 1;
    let name: String = message[begins..]
        .chars()
        .take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_')
        .collect();
    Some(name)
}

fn not_stripe(doing: &str) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("{doing} failed: the answer is not one of Stripe's; look at grant.endpoint.api"),
    )
}
