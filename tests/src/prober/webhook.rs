//! A sender of webhooks that signs with a secret in guide.md §2.3's structure, and a receiver such as §2.4's: it
//! verifies with the current secret, then with the previous one. Other senders still sign with an earlier secret: the
//! receiver has to accept them for as long as was promised.

use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

use super::earlier::Earlier;

const BODY: &[u8] = b"{\"event\":\"ticket.sold\",\"ticket\":4711}";

#[derive(Deserialize)]
struct SigningSecret {
    current: Key,
    previous: Option<Key>,
}

#[derive(Deserialize)]
struct Key {
    value: String,
}

/// Signs, and remembers the secrets that were current.
pub(super) struct Sender {
    earlier: Earlier,
}

impl Sender {
    pub(super) fn new(window: Duration) -> Self {
        Self {
            earlier: Earlier::new(window),
        }
    }

    /// Answers how many signatures with earlier secrets were accepted besides. `presented` was read at `read_at`; the
    /// receiver has read `checked`.
    pub(super) fn log_in(
        &mut self,
        presented: &str,
        checked: &str,
        read_at: Instant,
    ) -> Result<u64, String> {
        let parse = |value: &str| -> Result<SigningSecret, String> {
            serde_json::from_str(value)
                .map_err(|error| format!("not a signing secret: line {}", error.line()))
        };
        let (secret, receiver) = (parse(presented)?.current.value, parse(checked)?);
        if !receiver.verifies(BODY, &sign(&secret, BODY)) {
            return Err("a signature with the current secret is refused".to_owned());
        }
        if receiver.verifies(b"another body", &sign(&secret, BODY)) {
            return Err("a signature of another body is accepted".to_owned());
        }
        self.earlier.present(&secret, read_at, |earlier| {
            receiver.verifies(BODY, &sign(earlier, BODY))
        })
    }
}

impl SigningSecret {
    fn verifies(&self, body: &[u8], signature: &[u8]) -> bool {
        let mut secrets = [Some(&self.current), self.previous.as_ref()].into_iter();
        secrets
            .any(|key| key.is_some_and(|key| mac(&key.value, body).verify_slice(signature).is_ok()))
    }
}

fn sign(secret: &str, body: &[u8]) -> Vec<u8> {
    mac(secret, body).finalize().into_bytes().to_vec()
}

/// The secret's text is the key, as most senders of webhooks have it.
fn mac(secret: &str, body: &[u8]) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
    // HMAC takes a key of any length.
    #[allow(clippy::expect_used)]
    let mut mac = mac.expect("any length");
    mac.update(body);
    mac
}
