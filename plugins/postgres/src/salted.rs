//! The one expensive step of SCRAM: the salted password (RFC 5802's `Hi`, which is PBKDF2-HMAC-SHA-256 of one
//! block). The host derives it. A rotation logs in many times with few passwords, so what was derived is remembered;
//! an instance of the plugin lives for one call, and with it what it remembers.

use hmac::{Hmac, KeyInit, Mac};
use keyturn_sdk::key_derivation::pbkdf2_hmac_sha256;
use sha2::Sha256;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

pub(crate) type SaltedPassword = [u8; 32];

/// Prepared password, salt, iterations.
type Input = (String, Vec<u8>, u32);

thread_local! {
    static DERIVED: RefCell<BTreeMap<Input, SaltedPassword>> = RefCell::default();
}

/// For a login: the same password with the same salt is derived once a call.
pub(crate) fn remembered(password: &str, salt: &[u8], iterations: u32) -> SaltedPassword {
    let input = (prepare(password).into_owned(), salt.to_owned(), iterations);
    if let Some(known) = DERIVED.with_borrow(|derived| derived.get(&input).copied()) {
        return known;
    }
    let salted = pbkdf2_hmac_sha256(input.0.as_bytes(), salt, iterations);
    DERIVED.with_borrow_mut(|derived| derived.insert(input, salted));
    salted
}

/// For a verifier, whose salt is new.
pub(crate) fn derive(password: &str, salt: &[u8], iterations: u32) -> SaltedPassword {
    pbkdf2_hmac_sha256(prepare(password).as_bytes(), salt, iterations)
}

/// SASLprep, or the password as it is where SASLprep forbids it: so do libpq and the server, and
/// a verifier prepared otherwise would open nothing.
fn prepare(password: &str) -> Cow<'_, str> {
    stringprep::saslprep(password).unwrap_or(Cow::Borrowed(password))
}

pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = keyed(key);
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[allow(clippy::expect_used)]
pub(crate) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // Invariant: HMAC is defined for keys of every length (RFC 2104), so this never fails.
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_is_derived() {
        for (password, salt, iterations) in [
            ("pencil", b"salt" as &[u8], 7),
            ("pencil", b"salt", 8),
            ("pencil", b"tals", 7),
            ("other", b"salt", 7),
        ] {
            let fresh = derive(password, salt, iterations);
            assert_eq!(remembered(password, salt, iterations), fresh);
            assert_eq!(remembered(password, salt, iterations), fresh);
        }
    }

    #[test]
    fn saslprep_is_applied_where_it_can_be() {
        // RFC 4013: the soft hyphen disappears; a control character forbids preparing at all.
        assert_eq!(prepare("I\u{ad}X"), "IX");
        assert_eq!(prepare("a\u{7}b"), "a\u{7}b");
        assert_eq!(prepare("plain-ASCII.1_~"), "plain-ASCII.1_~");
    }
}
