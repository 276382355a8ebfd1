//! The algorithms (RFC 7518, RFC 8037) and their keys: making one, reading one, signing and
//! verifying bytes with one. Shared secrets are texts of at least 64 characters, used as their
//! UTF-8 bytes; private keys are PKCS#8 in PEM.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, EncodePrivateKey, KeypairBytes, spki::der::pem::LineEnding,
};
use ed25519_dalek::{Signer, Verifier};
use hmac::{Hmac, KeyInit, Mac};
use keyturn_sdk::{Error, SecretText, random};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// Shorter shared secrets are refused.
const SHARED_CHARACTERS_MIN: usize = 64;
/// As many bytes as the longest hash has, so that no algorithm gets a key shorter than its output.
const SHARED_BYTES: usize = 64;

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    EdDsa,
    Es256,
}

impl Algorithm {
    const ALL: [Self; 5] = [
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::EdDsa,
        Self::Es256,
    ];

    /// The algorithm of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The name in a token's header.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    /// A new key in the form that the secret stores.
    ///
    /// # Errors
    /// `internal` if it cannot be written.
    pub(crate) fn generate(self) -> Result<SecretText, Error> {
        let pem = match self {
            Self::Hs256 | Self::Hs384 | Self::Hs512 => {
                return Ok(SecretText::from(
                    URL_SAFE_NO_PAD.encode(random::bytes(SHARED_BYTES)),
                ));
            }
            Self::EdDsa => {
                let mut secret_key = [0; 32];
                random::fill(&mut secret_key);
                // Without the public half: PKCS#8 version 1 is what every reader takes.
                KeypairBytes {
                    secret_key,
                    public_key: None,
                }
                .to_pkcs8_pem(LineEnding::LF)
                .ok()
            }
            Self::Es256 => p256_key().to_pkcs8_pem(LineEnding::LF).ok(),
        };
        let pem =
            pem.ok_or_else(|| Error::internal("the new private key could not be written as PEM"))?;
        Ok(SecretText::from(pem.as_str()))
    }

    /// Reads a stored key; `member` is for the error.
    ///
    /// # Errors
    /// `invalid-secret` if a shared secret is too short or a private key is no PKCS#8 PEM of this
    /// algorithm.
    pub(crate) fn read(self, member: &str, stored: &SecretText) -> Result<Key, Error> {
        let no_key = || {
            Error::invalid_secret(format!(
                "the member `{member}` of the secret is no {} private key in PKCS#8 PEM; store one",
                self.name()
            ))
        };
        match self {
            Self::Hs256 | Self::Hs384 | Self::Hs512 => {
                let characters = stored.expose().chars().count();
                if characters < SHARED_CHARACTERS_MIN {
                    return Err(Error::invalid_secret(format!(
                        "the member `{member}` of the secret has {characters} characters, and {} needs at least \
                         {SHARED_CHARACTERS_MIN}; store a longer one",
                        self.name()
                    )));
                }
                Ok(Key::Shared(self, stored.clone()))
            }
            Self::EdDsa => ed25519_dalek::SigningKey::from_pkcs8_pem(stored.expose())
                .map(|key| Key::EdDsa(Box::new(key)))
                .map_err(|_| no_key()),
            Self::Es256 => p256::ecdsa::SigningKey::from_pkcs8_pem(stored.expose())
                .map(|key| Key::Es256(Box::new(key)))
                .map_err(|_| no_key()),
        }
    }
}

/// A key that can sign and verify.
pub(crate) enum Key {
    Shared(Algorithm, SecretText),
    EdDsa(Box<ed25519_dalek::SigningKey>),
    Es256(Box<p256::ecdsa::SigningKey>),
}

impl Key {
    /// The key's algorithm.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Shared(algorithm, _) => *algorithm,
            Self::EdDsa(_) => Algorithm::EdDsa,
            Self::Es256(_) => Algorithm::Es256,
        }
    }

    /// Signs bytes.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Shared(algorithm, secret) => authenticate(*algorithm, secret, message),
            Self::EdDsa(key) => key.sign(message).to_bytes().to_vec(),
            Self::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
        }
    }

    /// Is `signature` this key's over `message`?
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            // No constant time: both sides are known here, no stranger asks.
            Self::Shared(algorithm, secret) => {
                authenticate(*algorithm, secret, message) == signature
            }
            Self::EdDsa(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verifying_key().verify(message, &signature).is_ok()),
            Self::Es256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verifying_key().verify(message, &signature).is_ok()),
        }
    }

    /// The public key as a JWK with its thumbprint as `kid`; `None` for shared secrets.
    pub(crate) fn public_jwk(&self) -> Option<Value> {
        let (mut jwk, thumbprint_input) = match self {
            Self::Shared(..) => return None,
            Self::EdDsa(key) => {
                let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
                let input = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
                (json!({ "kty": "OKP", "crv": "Ed25519", "x": x }), input)
            }
            Self::Es256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                let coordinate = |at: usize| URL_SAFE_NO_PAD.encode(&point.as_bytes()[at..at + 32]);
                // Uncompressed SEC 1: a tag byte, then x and y of 32 bytes each.
                let (x, y) = (coordinate(1), coordinate(33));
                let input = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
                (
                    json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y }),
                    input,
                )
            }
        };
        // RFC 7638: SHA-256 over the required members in the order of their names.
        jwk["kid"] = URL_SAFE_NO_PAD
            .encode(Sha256::digest(thumbprint_input))
            .into();
        jwk["alg"] = self.algorithm().name().into();
        jwk["use"] = "sig".into();
        Some(jwk)
    }

    /// The public key's name; `None` for shared secrets.
    pub(crate) fn kid(&self) -> Option<String> {
        self.public_jwk()?.get("kid")?.as_str().map(str::to_owned)
    }
}

fn p256_key() -> p256::SecretKey {
    loop {
        // All but one of 2^32 draws is a scalar of the group.
        if let Ok(key) = p256::SecretKey::from_slice(&random::bytes(32)) {
            return key;
        }
    }
}

fn authenticate(algorithm: Algorithm, secret: &SecretText, message: &[u8]) -> Vec<u8> {
    let secret = secret.expose().as_bytes();
    match algorithm {
        Algorithm::Hs384 => mac::<Hmac<Sha384>>(secret, message),
        Algorithm::Hs512 => mac::<Hmac<Sha512>>(secret, message),
        // Only shared algorithms come here; the other two have keys of their own.
        Algorithm::Hs256 | Algorithm::EdDsa | Algorithm::Es256 => {
            mac::<Hmac<Sha256>>(secret, message)
        }
    }
}

fn mac<M: Mac + KeyInit>(secret: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of every length, so this cannot fail.
    #[allow(clippy::expect_used)]
    let mac = <M as KeyInit>::new_from_slice(secret).expect("HMAC takes keys of every length");
    mac.chain_update(message).finalize().into_bytes().to_vec()
}
