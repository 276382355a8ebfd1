//! Compact tokens (RFC 7519 over RFC 7515), just enough to prove that keys sign and verify. The
//! header's algorithm is checked against the key's, never believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::algorithm::Key;

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Malformed,
    WrongAlgorithm,
    WrongKey,
    Expired,
}

/// A token that ends at `expires_at`, in Unix seconds.
pub(crate) fn sign(key: &Key, issued_at: u64, expires_at: u64) -> String {
    let mut header = json!({ "alg": key.algorithm().name(), "typ": "JWT" });
    if let Some(kid) = key.kid() {
        header["kid"] = kid.into();
    }
    let claims = json!({ "sub": "keyturn-self-test", "iat": issued_at, "exp": expires_at });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(&header), encode(&claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// Checks a token as a verifier does.
///
/// # Errors
/// The first reason to refuse it.
pub(crate) fn verify(key: &Key, token: &str, now: u64) -> Result<(), Refusal> {
    let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
    let (header, claims) = message.split_once('.').ok_or(Refusal::Malformed)?;
    let header = decode(header)?;
    if header.get("alg").and_then(Value::as_str) != Some(key.algorithm().name()) {
        return Err(Refusal::WrongAlgorithm);
    }
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| Refusal::Malformed)?;
    if !key.verifies(message.as_bytes(), &signature) {
        return Err(Refusal::WrongKey);
    }
    let expires_at = decode(claims)?
        .get("exp")
        .and_then(Value::as_u64)
        .ok_or(Refusal::Malformed)?;
    if now < expires_at {
        Ok(())
    } else {
        Err(Refusal::Expired)
    }
}

fn decode(segment: &str) -> Result<Value, Refusal> {
    let bytes = URL_SAFE_NO_PAD
        .decode(segment)
        .map_err(|_| Refusal::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Refusal::Malformed)
}
