//! The one expensive step of SCRAM: the salted password (RFC 5802's `Hi`, which is PBKDF2-HMAC-SHA-256 of one
//! block). A rotation logs in many times with few passwords, so what was derived is remembered; an instance of the
//! plugin lives for one call, and with it what it remembers.

use hmac::{Hmac, KeyInit, Mac};
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

pub(crate) type SaltedPassword = [u8; 32];

/// SHA-256's, in words.
type State = [u32; 8];

const BLOCK_BYTES: usize = 64;
/// The keyed block and a digest.
const MESSAGE_BITS: u64 = (BLOCK_BYTES as u64 + 32) * 8;
/// FIPS 180-4, 5.3.3.
const SHA256_START: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

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
    let salted = hi(input.0.as_bytes(), salt, iterations);
    DERIVED.with_borrow_mut(|derived| derived.insert(input, salted));
    salted
}

/// For a verifier, whose salt is new.
pub(crate) fn derive(password: &str, salt: &[u8], iterations: u32) -> SaltedPassword {
    hi(prepare(password).as_bytes(), salt, iterations)
}

/// SASLprep, or the password as it is where SASLprep forbids it: so do libpq and the server, and
/// a verifier prepared otherwise would open nothing.
fn prepare(password: &str) -> Cow<'_, str> {
    stringprep::saslprep(password).unwrap_or(Cow::Borrowed(password))
}

/// PBKDF2's rounds on the bare compression function: all messages have the same length, so the two keyed states are
/// made once and a round is two compressions. The general HMAC spends most of a round on buffers.
fn hi(password: &[u8], salt: &[u8], iterations: u32) -> SaltedPassword {
    let first = hmac(password, &[salt, &[0, 0, 0, 1]].concat());
    let (inner, outer) = keyed_states(password);
    let mut round = words(&first);
    let mut sum = round;
    for _ in 1..iterations {
        round = compressed(inner, &round);
        round = compressed(outer, &round);
        for (sum, word) in sum.iter_mut().zip(round) {
            *sum ^= word;
        }
    }
    bytes(&sum)
}

/// RFC 2104's key, xored with its two pads and compressed.
fn keyed_states(key: &[u8]) -> (State, State) {
    let mut block = [0; BLOCK_BYTES];
    if key.len() > BLOCK_BYTES {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let state = |pad: u8| {
        let mut state = SHA256_START;
        compress256(&mut state, &[block.map(|byte| byte ^ pad)]);
        state
    };
    (state(0x36), state(0x5c))
}

/// The digest of one more block: a digest of 32 bytes behind the keyed block, padded (FIPS 180-4, 5.1.1).
fn compressed(mut state: State, message: &State) -> State {
    let mut block = [0; BLOCK_BYTES];
    block[..32].copy_from_slice(&bytes(message));
    block[32] = 0x80;
    block[BLOCK_BYTES - 8..].copy_from_slice(&MESSAGE_BITS.to_be_bytes());
    compress256(&mut state, &[block]);
    state
}

fn words(bytes: &[u8; 32]) -> State {
    let mut words = State::default();
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}

fn bytes(words: &State) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *bytes = word.to_be_bytes();
    }
    bytes
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
    fn keys_of_every_length_are_derived_as_the_general_hmac_does() {
        for length in [0, 1, 63, 64, 65, 200] {
            let (password, salt) = ("p".repeat(length), b"a salt");
            let mut round = hmac(
                password.as_bytes(),
                &[salt as &[u8], &[0, 0, 0, 1]].concat(),
            );
            let mut sum = round;
            for _ in 1..9 {
                round = hmac(password.as_bytes(), &round);
                sum.iter_mut()
                    .zip(round)
                    .for_each(|(sum, byte)| *sum ^= byte);
            }
            assert_eq!(derive(&password, salt, 9), sum, "{length}");
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
