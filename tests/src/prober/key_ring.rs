//! A vault that encrypts with the newest key of a ring and keeps what it has encrypted, each message under its key's
//! id. Whoever reads the secret has to be able to decrypt all of it, whenever it was encrypted.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use serde::Deserialize;

const MESSAGE: &[u8] = b"what was written down stays readable";

#[derive(Deserialize)]
struct RingSecret {
    current: NamedKey,
    #[serde(default)]
    ring: BTreeMap<String, Key>,
}

#[derive(Deserialize)]
struct NamedKey {
    id: String,
    #[serde(flatten)]
    key: Key,
}

#[derive(Deserialize)]
struct Key {
    value: String,
}

/// One message under each key that was ever the newest, by the key's id.
#[derive(Default)]
pub struct Vault {
    messages: BTreeMap<String, Vec<u8>>,
}

impl Vault {
    /// Encrypts with the newest key of `presented`; a reader of `checked` decrypts that and everything before. Answers
    /// how many messages under older keys there were.
    ///
    /// # Errors
    /// What could not be encrypted or decrypted, by its key's id.
    pub fn log_in(&mut self, presented: &str, checked: &str) -> Result<u64, String> {
        let parse = |value: &str| -> Result<RingSecret, String> {
            serde_json::from_str(value)
                .map_err(|error| format!("not a key ring: line {}", error.line()))
        };
        let (newest, reader) = (parse(presented)?.current, parse(checked)?);
        let encrypted = newest.key.cipher()?.encrypt(&nonce(), MESSAGE);
        let encrypted = encrypted.map_err(|_| "the newest key does not encrypt")?;
        reader.decrypts(&newest.id, &encrypted)?;
        let mut forged = encrypted.clone();
        forged[0] ^= 1;
        if reader.decrypts(&newest.id, &forged).is_ok() {
            return Err("a forged message is decrypted".to_owned());
        }
        self.messages.insert(newest.id.clone(), encrypted);
        for (id, message) in &self.messages {
            reader.decrypts(id, message)?;
        }
        Ok(self.messages.len() as u64 - 1)
    }
}

impl RingSecret {
    fn decrypts(&self, id: &str, message: &[u8]) -> Result<(), String> {
        let key = match self.current.id == id {
            true => Some(&self.current.key),
            false => self.ring.get(id),
        };
        let key = key.ok_or_else(|| format!("the ring has lost the key {id}"))?;
        match key.cipher()?.decrypt(&nonce(), message) {
            Ok(plain) if plain == MESSAGE => Ok(()),
            _ => Err(format!(
                "the key {id} does not decrypt what it has encrypted"
            )),
        }
    }
}

impl Key {
    fn cipher(&self) -> Result<ChaCha20Poly1305, String> {
        let bytes = STANDARD.decode(&self.value);
        let bytes = bytes.map_err(|_| "the key is not in base64")?;
        ChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| "the key has not 32 bytes".to_owned())
    }
}

/// The same for every message: they are all alike, and nobody else reads them.
fn nonce() -> Nonce {
    Nonce::from([7; 12])
}
