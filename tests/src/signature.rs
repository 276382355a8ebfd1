//! AWS Signature Version 4 as a service verifies it, written from AWS's description alone ("Create a signed AWS API
//! request" in IAM's user guide): it shares no code with what signs.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use std::time::{Duration, SystemTime};
use time::{OffsetDateTime, PrimitiveDateTime, format_description};

use crate::https::Request;

const ALGORITHM: &str = "AWS4-HMAC-SHA256 ";
const CLOCK_SKEW: Duration = Duration::from_secs(15 * 60);
const DATE: &str = "[year][month][day]T[hour][minute][second]Z";

/// Temporary credentials, as a role has them.
#[derive(Clone)]
pub struct Credentials {
    pub key_id: String,
    pub secret: String,
    pub token: String,
}

/// Who may ask for what.
pub struct Verifier {
    pub credentials: Credentials,
    pub region: &'static str,
    pub service: &'static str,
    /// Headers that say whom and what is asked for, and so must not be anybody's.
    pub must_cover: &'static [&'static str],
}

impl Verifier {
    /// # Errors
    /// The code of AWS's refusal.
    pub fn verify(&self, request: &Request, now: SystemTime) -> Result<(), &'static str> {
        const INCOMPLETE: &str = "IncompleteSignature";
        const MISMATCH: &str = "SignatureDoesNotMatch";
        let authorization = single(request, "authorization").ok_or("MissingAuthenticationToken")?;
        let parts = authorization.strip_prefix(ALGORITHM).ok_or(INCOMPLETE)?;
        let part = |name: &str| {
            let mut parts = parts.split(", ");
            parts
                .find_map(|part| part.strip_prefix(name))
                .ok_or(INCOMPLETE)
        };
        let (credential, signed) = (part("Credential=")?, part("SignedHeaders=")?);
        let date = single(request, "x-amz-date").ok_or(INCOMPLETE)?;
        let day = date.get(..8).ok_or(INCOMPLETE)?;
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let (key_id, signed_scope) = credential.split_once('/').ok_or(INCOMPLETE)?;
        let known = &self.credentials;
        if key_id != known.key_id || single(request, "x-amz-security-token") != Some(&known.token) {
            return Err("InvalidClientTokenId");
        }
        if signed_scope != scope {
            return Err(MISMATCH);
        }
        if !is_near(date, now) {
            return Err("RequestExpired");
        }
        let names: Vec<&str> = signed.split(';').collect();
        if self.must_cover.iter().any(|name| !names.contains(name)) {
            return Err(MISMATCH);
        }
        let canonical = canonical(request, &names, signed).ok_or(INCOMPLETE)?;
        let to_sign = format!(
            "{}\n{date}\n{scope}\n{}",
            ALGORITHM.trim_end(),
            hex(&Sha256::digest(canonical))
        );
        let mut key = format!("AWS4{}", known.secret).into_bytes();
        for part in scope.split('/') {
            key = keyed_hash(&key, part);
        }
        let is_right = hex(&keyed_hash(&key, &to_sign)) == part("Signature=")?;
        is_right.then_some(()).ok_or(MISMATCH)
    }
}

/// The only path that is asked for needs no encoding, and there is no query.
fn canonical(request: &Request, names: &[&str], signed: &str) -> Option<String> {
    let (method, path) = request.asked.split_once(' ')?;
    let mut canonical = format!("{method}\n{path}\n\n");
    for name in names {
        let value = single(request, name)?;
        let words: Vec<&str> = value.split_whitespace().collect();
        canonical += &format!("{name}:{}\n", words.join(" "));
    }
    Some(canonical + &format!("\n{signed}\n{}", hex(&Sha256::digest(&request.body))))
}

fn is_near(date: &str, now: SystemTime) -> bool {
    let form = format_description::parse_borrowed::<2>(DATE).ok();
    let signed = form.and_then(|form| PrimitiveDateTime::parse(date, &form).ok());
    signed.is_some_and(|signed| {
        let apart = OffsetDateTime::from(now) - signed.assume_utc();
        apart.unsigned_abs() <= CLOCK_SKEW
    })
}

/// The value of a header that is there once.
fn single<'r>(request: &'r Request, wanted: &str) -> Option<&'r str> {
    let mut found = request.headers.iter().filter(|(name, _)| name == wanted);
    let (_, value) = found.next()?;
    found.next().is_none().then_some(value.as_str())
}

#[allow(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn keyed_hash(key: &[u8], text: &str) -> Vec<u8> {
    let mut hash = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    hash.update(text.as_bytes());
    hash.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
