//! Sealing of values. A random data key, itself sealed ("wrapped") under the master key, seals every value together
//! with the name and version id that it belongs to, so that no row can be passed off as another. Labels are left out
//! on purpose: they move, values do not. Nothing here stores anything, and no error tells why a seal is broken.
//!
//! Format of everything sealed: one byte 1, 24 bytes of nonce, then XChaCha20-Poly1305 ciphertext and tag
//! (draft-irtf-cfrg-xchacha-03). Nonces come from the operating system and are no parameter, unlike time: a caller
//! who could choose one could repeat one.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::master_key::MasterKey;
use crate::error::{ErrorKind, StoreError};
use crate::types::{SecretName, VersionId};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const FORMAT: u8 = 1;
const DATA_KEY_CONTEXT: &[u8] = b"keyturn-store data key 1";
const VALUE_CONTEXT: &[u8] = b"keyturn-store value 1";

/// The key that seals the values of one store.
pub(super) struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

/// A seal that does not open: the wrong key, or altered bytes; which of them cannot be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl DataKey {
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(key.as_mut())?;
        Ok(Self(key))
    }

    pub(super) fn wrap(&self, master: &MasterKey) -> Result<Vec<u8>, getrandom::Error> {
        seal(master.bytes(), DATA_KEY_CONTEXT, self.0.as_slice())
    }

    pub(super) fn unwrap(wrapped: &[u8], master: &MasterKey) -> Result<Self, Broken> {
        let opened = open(master.bytes(), DATA_KEY_CONTEXT, wrapped)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if opened.len() != KEY_BYTES {
            return Err(Broken);
        }
        key.copy_from_slice(&opened);
        Ok(Self(key))
    }

    pub(super) fn seal_value(
        &self,
        name: &SecretName,
        id: &VersionId,
        value: &SecretString,
    ) -> Result<Vec<u8>, StoreError> {
        seal(
            &self.0,
            &value_context(name, id),
            value.expose_secret().as_bytes(),
        )
        .map_err(|error| {
            StoreError::new(
                ErrorKind::Encryption,
                format!("version {id} of {name} could not be sealed: no randomness"),
                "try again; if it stays, look at the operating system's random source",
            )
            .with_source(error)
        })
    }

    pub(super) fn open_value(
        &self,
        name: &SecretName,
        id: &VersionId,
        sealed: &[u8],
    ) -> Result<SecretString, StoreError> {
        let broken = || {
            StoreError::new(
                ErrorKind::Decryption,
                format!(
                    "version {id} of {name} does not open: its bytes in the store were altered"
                ),
                "restore the store file from a backup",
            )
        };
        let opened = open(&self.0, &value_context(name, id), sealed).map_err(|Broken| broken())?;
        let text = std::str::from_utf8(&opened).map_err(|_| broken())?;
        // A fresh string has exactly its length, so making the secret of it leaves no second copy behind.
        Ok(SecretString::from(text.to_owned()))
    }
}

/// Each part with its length before it, so that no two pairs of name and id give the same bytes.
fn value_context(name: &SecretName, id: &VersionId) -> Vec<u8> {
    let mut context = VALUE_CONTEXT.to_vec();
    for part in [name.as_str(), id.as_str()] {
        context.extend_from_slice(&(part.len() as u64).to_be_bytes());
        context.extend_from_slice(part.as_bytes());
    }
    context
}

fn seal(
    key: &[u8; KEY_BYTES],
    context: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, getrandom::Error> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce)?;
    let cipher = XChaCha20Poly1305::new(&(*key).into());
    let payload = Payload {
        msg: plaintext,
        aad: context,
    };
    // The cipher refuses only messages beyond 256 GiB; what comes here is bounded to 65,536 bytes.
    #[expect(clippy::expect_used)]
    let ciphertext = cipher
        .encrypt(&XNonce::from(nonce), payload)
        .expect("a bounded message");
    let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + ciphertext.len());
    sealed.push(FORMAT);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&ciphertext);
    Ok(sealed)
}

fn open(
    key: &[u8; KEY_BYTES],
    context: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Broken> {
    let (&FORMAT, rest) = sealed.split_first().ok_or(Broken)? else {
        return Err(Broken);
    };
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(Broken)?;
    let cipher = XChaCha20Poly1305::new(&(*key).into());
    let payload = Payload {
        msg: ciphertext,
        aad: context,
    };
    cipher
        .decrypt(&XNonce::from(*nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        SecretName::new(text).unwrap()
    }

    fn id(letter: char) -> VersionId {
        VersionId::new(letter.to_string().repeat(32)).unwrap()
    }

    #[test]
    fn a_value_opens_only_where_it_was_sealed() {
        let key = DataKey::generate().unwrap();
        let value = SecretString::from("correct horse");
        let sealed = key.seal_value(&name("a"), &id('1'), &value).unwrap();
        let opened = key.open_value(&name("a"), &id('1'), &sealed).unwrap();
        assert_eq!(opened.expose_secret(), "correct horse");
        for (other_name, other_id) in [("b", '1'), ("a", '2'), ("a1", '1')] {
            let error = key
                .open_value(&name(other_name), &id(other_id), &sealed)
                .unwrap_err();
            assert_eq!(error.code(), "DecryptionFailure");
        }
        let other_key = DataKey::generate().unwrap();
        assert!(other_key.open_value(&name("a"), &id('1'), &sealed).is_err());
    }

    #[test]
    fn every_altered_byte_and_every_cut_is_noticed() {
        let key = DataKey::generate().unwrap();
        let sealed = key
            .seal_value(&name("a"), &id('1'), &SecretString::from("v"))
            .unwrap();
        for position in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[position] ^= 1;
            assert!(
                key.open_value(&name("a"), &id('1'), &altered).is_err(),
                "{position}"
            );
            assert!(
                key.open_value(&name("a"), &id('1'), &sealed[..position])
                    .is_err()
            );
        }
    }

    #[test]
    fn two_seals_of_one_value_differ() {
        let key = DataKey::generate().unwrap();
        let seal = || {
            key.seal_value(&name("a"), &id('1'), &SecretString::from("v"))
                .unwrap()
        };
        assert_ne!(seal(), seal());
    }

    #[test]
    fn a_data_key_unwraps_under_its_own_master_key_only() {
        let (right, wrong) = (
            MasterKey::generate().unwrap(),
            MasterKey::generate().unwrap(),
        );
        let key = DataKey::generate().unwrap();
        let wrapped = key.wrap(&right).unwrap();
        assert_eq!(*DataKey::unwrap(&wrapped, &right).ok().unwrap().0, *key.0);
        assert!(DataKey::unwrap(&wrapped, &wrong).is_err());
    }
}
