//! AWS Signature Version 4, verified. The signature covers the method, the path, the signed headers and the body; it is
//! recomputed with the key that the request names and compared in constant time. Nothing of a request is believed
//! before. As on AWS, the same request may be sent again as long as its date is within the clock skew.
//!
//! Source: "Create a signed AWS API request" in AWS's IAM user guide.

use aws_lc_rs::{digest, hmac};
use hyper::HeaderMap;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use secrecy::ExposeSecret;

use crate::access::{AccessKey, AccessKeys};
use crate::error::{Answer, ApiError};

/// How far a client's clock may be off, either way: as at AWS's Secrets Manager, a third of what others allow.
const CLOCK_SKEW_MS: u64 = 5 * 60 * 1000;
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "secretsmanager";
const TERMINATOR: &str = "aws4_request";
/// As `x-amz-date` and the string to sign have it.
const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// What of a request is signed, beside its headers. The only request there is has this method, path and no query.
const REQUEST_LINE: &str = "POST\n/\n\n";

/// What a request is verified against.
pub(crate) struct Verifier<'a> {
    pub(crate) keys: &'a AccessKeys,
    pub(crate) region: &'a str,
    pub(crate) now_ms: u64,
}

/// Who a request says that it is from, and when: it may be so. Whether it is, the signature tells.
pub(crate) struct Claim<'a, 'h> {
    authorization: Authorization<'h>,
    date: &'h str,
    scope: [&'h str; 4],
    key: &'a AccessKey,
}

impl<'a> Verifier<'a> {
    /// What can be said before the body is there.
    ///
    /// # Errors
    /// Those of AWS, by name.
    pub(crate) fn claim<'h>(&self, headers: &'h HeaderMap) -> Answer<Claim<'a, 'h>>
    where
        'a: 'h,
    {
        let authorization = Authorization::of(headers)?;
        let date = single(headers, "x-amz-date").ok_or_else(|| {
            ApiError::new(
                "IncompleteSignatureException",
                "Authorization header requires existence of an 'X-Amz-Date' header.",
            )
        })?;
        authorization.check_signed_headers(headers)?;
        let day = self.check_time(date)?;
        let scope = [day, self.region, SERVICE, TERMINATOR];
        authorization.check_scope(scope)?;
        // Keys of this server have no session token, so whoever sends one is known to somebody else.
        let key = self.keys.find(authorization.key_id).ok_or_else(unknown)?;
        if headers.contains_key("x-amz-security-token") {
            return Err(unknown());
        }
        Ok(Claim {
            authorization,
            date,
            scope,
            key,
        })
    }

    /// Answers the key that signed the request.
    ///
    /// # Errors
    /// Those of AWS, by name.
    pub(crate) fn verify<'h>(&self, headers: &'h HeaderMap, body: &[u8]) -> Answer<&'a AccessKey>
    where
        'a: 'h,
    {
        let Claim {
            authorization,
            date,
            scope,
            key,
        } = self.claim(headers)?;
        let canonical = authorization.canonical_request(headers, body)?;
        let signed = format!(
            "{ALGORITHM}\n{date}\n{}\n{}",
            scope.join("/"),
            hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref())
        );
        hmac::verify(
            &signing_key(key.secret.expose_secret(), scope),
            signed.as_bytes(),
            &authorization.signature,
        )
        .map_err(|_| {
            ApiError::new(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                 Access Key and signing method. Consult the service documentation for details.",
            )
        })?;
        Ok(key)
    }

    /// Answers the day, as the credential's scope has to have it.
    fn check_time<'t>(&self, date: &'t str) -> Answer<&'t str> {
        let signed_ms = unix_ms(date).ok_or_else(|| {
            ApiError::new(
                "IncompleteSignatureException",
                "Date must be in ISO-8601 'basic format', such as 20150830T123600Z.",
            )
        })?;
        // Clients correct their clocks by the time between the parentheses.
        let (now, minutes) = (shown_time(self.now_ms), CLOCK_SKEW_MS / 60_000);
        let earliest_ms = self.now_ms.saturating_sub(CLOCK_SKEW_MS);
        let latest_ms = self.now_ms.saturating_add(CLOCK_SKEW_MS);
        if signed_ms < earliest_ms {
            return Err(invalid(format!(
                "Signature expired: {date} is now earlier than {} ({now} - {minutes} min.)",
                shown_time(earliest_ms)
            )));
        }
        if signed_ms > latest_ms {
            return Err(invalid(format!(
                "Signature not yet current: {date} is still later than {} ({now} + {minutes} min.)",
                shown_time(latest_ms)
            )));
        }
        Ok(date.split('T').next().unwrap_or_default())
    }
}

/// The parts of an Authorization header.
struct Authorization<'h> {
    key_id: &'h str,
    /// Date, region, service and terminator.
    scope: Vec<&'h str>,
    signed_headers: Vec<&'h str>,
    signature: Vec<u8>,
}

impl<'h> Authorization<'h> {
    fn of(headers: &'h HeaderMap) -> Answer<Self> {
        if !headers.contains_key("authorization") {
            return Err(ApiError::new(
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            ));
        }
        let text = single(headers, "authorization").ok_or_else(|| incomplete("one value"))?;
        let parts = text
            .strip_prefix(ALGORITHM)
            .ok_or_else(|| incomplete("the algorithm AWS4-HMAC-SHA256"))?;
        let part = |name: &str| {
            let mut parts = parts.split(',').map(str::trim);
            parts
                .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
                .ok_or_else(|| incomplete(&format!("'{name}' parameter")))
        };
        let mut credential = part("Credential")?.split('/');
        let key_id = credential.next().unwrap_or_default();
        Ok(Self {
            key_id,
            scope: credential.collect(),
            signed_headers: part("SignedHeaders")?.split(';').collect(),
            signature: unhex(part("Signature")?).ok_or_else(|| incomplete("a hex signature"))?,
        })
    }

    /// A header that says what is asked, of whom or when and is not signed could be anybody's.
    fn check_signed_headers(&self, headers: &HeaderMap) -> Answer<()> {
        let has = |name: &str| self.signed_headers.contains(&name);
        let needed = ["host", "x-amz-date", "x-amz-target", "x-amz-security-token"];
        let unsigned = needed
            .into_iter()
            .find(|name| !has(name) && (*name == "host" || headers.contains_key(*name)));
        match unsigned {
            Some(name) => Err(invalid(format!(
                "'{name}' must be a 'SignedHeader' in the AWS Authorization."
            ))),
            None => Ok(()),
        }
    }

    fn check_scope(&self, wanted: [&str; 4]) -> Answer<()> {
        if self.scope.len() != wanted.len() {
            return Err(incomplete(
                "a Credential of the form key/date/region/service/aws4_request",
            ));
        }
        let what = ["date", "region", "service", "terminator"];
        let wrong = (0..wanted.len()).find(|at| self.scope[*at] != wanted[*at]);
        match wrong {
            Some(at) => Err(invalid(format!(
                "Credential should be scoped to a valid {}: '{}'.",
                what[at], wanted[at]
            ))),
            None => Ok(()),
        }
    }

    fn canonical_request(&self, headers: &HeaderMap, body: &[u8]) -> Answer<String> {
        let mut canonical = REQUEST_LINE.to_owned();
        for name in &self.signed_headers {
            let mut values = Vec::new();
            for value in headers.get_all(*name) {
                let value = value.to_str().map_err(|_| {
                    invalid(format!("The signed header '{name}' is not visible ASCII."))
                })?;
                values.push(value.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
            }
            canonical.push_str(&format!("{name}:{}\n", values.join(",")));
        }
        let body = hex(digest::digest(&digest::SHA256, body).as_ref());
        canonical.push_str(&format!("\n{}\n{body}", self.signed_headers.join(";")));
        Ok(canonical)
    }
}

fn signing_key(secret: &str, scope: [&str; 4]) -> hmac::Key {
    let start = zeroize::Zeroizing::new(format!("AWS4{secret}"));
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, start.as_bytes());
    for part in scope {
        key = hmac::Key::new(
            hmac::HMAC_SHA256,
            hmac::sign(&key, part.as_bytes()).as_ref(),
        );
    }
    key
}

/// The id of the access key that a request names, if that is what it is: a client that is configured wrongly may have
/// written anything there. AWS's ids and this server's are alike; a secret is twice as long.
pub(crate) fn claimed_id(headers: &HeaderMap) -> Option<&str> {
    let id = Authorization::of(headers).ok()?.key_id;
    let is_id = id.len() == 20
        && id
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    is_id.then_some(id)
}

/// The value of a header that is there once.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values
        .next()
        .is_none()
        .then(|| value.to_str().ok())
        .flatten()
}

fn unix_ms(date: &str) -> Option<u64> {
    let time = DateTime::strptime(TIME_FORMAT, date).ok()?;
    let at = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
    u64::try_from(at.as_millisecond()).ok()
}

fn shown_time(unix_ms: u64) -> String {
    i64::try_from(unix_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(String::new, |at| at.strftime(TIME_FORMAT).to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.iter().all(u8::is_ascii_hexdigit) || digits.len() % 2 == 1 {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

fn incomplete(what: &str) -> ApiError {
    ApiError::new(
        "IncompleteSignatureException",
        format!("Authorization header requires {what}."),
    )
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidSignatureException", message)
}

fn unknown() -> ApiError {
    ApiError::new(
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )
}
