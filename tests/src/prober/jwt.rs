//! An application that signs and verifies tokens with a secret in guide.md §5.2's shape, as §5.3's
//! does: the current secret first, then the previous one while `rotation_complete_at` lies ahead.
//! It keeps earlier tokens and demands that each is accepted until it expires. HMAC algorithms only.

use std::str::FromStr as _;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Earlier tokens kept per lifetime, evenly spaced; besides, the last one of every signing secret.
const KEPT_PER_LIFETIME: u64 = 16;

#[derive(Deserialize)]
struct JwtSecret {
    secret: String,
    refresh_secret: String,
    previous_secret: Option<String>,
    previous_refresh_secret: Option<String>,
    #[serde(default = "hs256")]
    algorithm: String,
    access_token_expiry: String,
    refresh_token_expiry: String,
    rotation_complete_at: Option<String>,
}

fn hs256() -> String {
    "HS256".to_owned()
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    iat: u64,
    exp: u64,
}

/// Signs, verifies and remembers.
#[derive(Default)]
pub(super) struct Service {
    access: Kept,
    refresh: Kept,
}

/// Tokens of one purpose that were signed earlier and have not expired.
#[derive(Default)]
struct Kept {
    latest: Option<Token>,
    tokens: Vec<Token>,
}

#[derive(Clone)]
struct Token {
    text: String,
    signed_with: String,
    issued_at_ms: u64,
    expires_at_seconds: u64,
}

/// The keys of one purpose that the application accepts at this moment.
struct Verifier<'a> {
    algorithm: Algorithm,
    keys: Vec<&'a str>,
}

impl Service {
    /// Answers how many earlier tokens were accepted besides the fresh ones. Tokens are signed with
    /// `presented` and verified with `checked`.
    pub(super) fn log_in(&mut self, presented: &str, checked: &str) -> Result<u64, String> {
        let (signing, verifying) = (JwtSecret::parse(presented)?, JwtSecret::parse(checked)?);
        let algorithm = Algorithm::from_str(&verifying.algorithm)
            .map_err(|_| format!("algorithm {:?} is not known", verifying.algorithm))?;
        let in_window = verifying.in_rotation_window()?;
        let verifier = |current: &'static str| {
            let (key, previous) = match current {
                "access" => (&verifying.secret, &verifying.previous_secret),
                _ => (
                    &verifying.refresh_secret,
                    &verifying.previous_refresh_secret,
                ),
            };
            let previous = previous
                .as_deref()
                .filter(|key| in_window && !key.is_empty());
            let keys = std::iter::once(key.as_str()).chain(previous).collect();
            Verifier { algorithm, keys }
        };
        let access = self.access.turn(
            &signing.secret,
            &verifier("access"),
            &signing.access_token_expiry,
        );
        let refresh = self.refresh.turn(
            &signing.refresh_secret,
            &verifier("refresh"),
            &signing.refresh_token_expiry,
        );
        let access = access.map_err(|reason| format!("access token: {reason}"))?;
        let refresh = refresh.map_err(|reason| format!("refresh token: {reason}"))?;
        Ok(access + refresh)
    }
}

impl JwtSecret {
    fn parse(value: &str) -> Result<Self, String> {
        serde_json::from_str(value)
            .map_err(|error| format!("not a JWT secret: line {}", error.line()))
    }

    fn in_rotation_window(&self) -> Result<bool, String> {
        let Some(end) = &self.rotation_complete_at else {
            return Ok(false);
        };
        let end = OffsetDateTime::parse(end, &Rfc3339)
            .map_err(|_| format!("rotation_complete_at {end:?} is not an RFC 3339 time"))?;
        Ok(OffsetDateTime::now_utc() < end)
    }
}

impl Kept {
    /// Signs a token, has it verified, has a forged one refused, and presents the earlier ones.
    fn turn(&mut self, key: &str, verifier: &Verifier<'_>, lifetime: &str) -> Result<u64, String> {
        let lifetime_seconds =
            seconds(lifetime).ok_or_else(|| format!("{lifetime:?} is not a duration"))?;
        let token = verifier.sign(key, lifetime_seconds)?;
        if !verifier.accepts(&token) {
            return Err("one that the current secret has just signed is refused".to_owned());
        }
        if verifier.accepts(&verifier.sign(&format!("{key}-forged"), lifetime_seconds)?) {
            return Err("a forged one is accepted".to_owned());
        }
        self.remember(token, lifetime_seconds);
        self.tokens.retain(|token| !token.has_expired());
        let refused = self
            .tokens
            .iter()
            // Asked again after the refusal: it may have expired in between.
            .find(|token| !verifier.accepts(token) && !token.has_expired());
        match refused {
            None => Ok(self.tokens.len() as u64),
            Some(token) => Err(format!(
                "an earlier one is refused {} s before it expires (signed {} ms ago{})",
                token.expires_at_seconds.saturating_sub(now_ms() / 1000),
                now_ms().saturating_sub(token.issued_at_ms),
                if token.signed_with == key {
                    ""
                } else {
                    " with another secret"
                },
            )),
        }
    }

    /// Keeps the last token of each signing secret, because it is the one that outlives the others,
    /// and one per fraction of the lifetime; not all, because each turn verifies what is kept.
    fn remember(&mut self, token: Token, lifetime_seconds: u64) {
        if let Some(latest) = self.latest.take() {
            let spacing_ms = lifetime_seconds * 1000 / KEPT_PER_LIFETIME;
            let is_last_of_its_secret = latest.signed_with != token.signed_with;
            let is_due = self
                .tokens
                .last()
                .is_none_or(|kept| latest.issued_at_ms >= kept.issued_at_ms + spacing_ms);
            if is_last_of_its_secret || is_due {
                self.tokens.push(latest);
            }
        }
        self.latest = Some(token);
    }
}

impl Token {
    fn has_expired(&self) -> bool {
        now_ms() / 1000 >= self.expires_at_seconds
    }
}

impl Verifier<'_> {
    fn sign(&self, key: &str, lifetime_seconds: u64) -> Result<Token, String> {
        let issued_at_ms = now_ms();
        let issued_at_seconds = issued_at_ms / 1000;
        let claims = Claims {
            sub: "prober".to_owned(),
            iat: issued_at_seconds,
            exp: issued_at_seconds + lifetime_seconds,
        };
        let text = jsonwebtoken::encode(
            &Header::new(self.algorithm),
            &claims,
            &EncodingKey::from_secret(key.as_bytes()),
        )
        .map_err(|error| format!("can't be signed: {error}"))?;
        Ok(Token {
            text,
            signed_with: key.to_owned(),
            issued_at_ms,
            expires_at_seconds: claims.exp,
        })
    }

    fn accepts(&self, token: &Token) -> bool {
        let mut validation = Validation::new(self.algorithm);
        validation.leeway = 0;
        self.keys.iter().any(|key| {
            let key = DecodingKey::from_secret(key.as_bytes());
            jsonwebtoken::decode::<Claims>(&token.text, &key, &validation).is_ok()
        })
    }
}

/// The common form of jsonwebtoken's `expiresIn`: a number of seconds, or one with s, m, h or d.
fn seconds(text: &str) -> Option<u64> {
    let (number, factor) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        None => (text, 1),
        Some(number) if text.ends_with('s') => (number, 1),
        Some(number) if text.ends_with('m') => (number, 60),
        Some(number) if text.ends_with('h') => (number, 3_600),
        Some(number) => (number, 86_400),
    };
    number.trim().parse::<u64>().ok()?.checked_mul(factor)
}

fn now_ms() -> u64 {
    // A clock before 1970 would show as tokens that have expired; the report then says so.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_read() {
        for (text, expected) in [
            ("15m", 900),
            ("7d", 604_800),
            ("2s", 2),
            ("1h", 3_600),
            ("30", 30),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        assert_eq!(seconds("soon"), None);
    }

    #[test]
    fn the_last_token_of_a_secret_is_kept_and_few_others() {
        let verifier = |key| Verifier {
            algorithm: Algorithm::HS256,
            keys: vec![key],
        };
        let mut kept = Kept::default();
        for _ in 0..100 {
            kept.remember(verifier("a").sign("a", 600).unwrap(), 600);
        }
        assert_eq!(kept.tokens.len(), 1);
        kept.remember(verifier("b").sign("b", 600).unwrap(), 600);
        assert_eq!(kept.tokens.len(), 2);
    }
}
