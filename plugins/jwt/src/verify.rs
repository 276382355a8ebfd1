//! What must hold before a value is promoted: each key signs and verifies for real, a token of
//! another key and one that has ended are refused, and tokens signed with the key in use stay
//! accepted unless all of them were meant to end.

use keyturn_sdk::{Context, Error, clock};

use crate::algorithm::Key;
use crate::fields::{Fields, ROTATION_COMPLETE_AT};
use crate::token::{self, Refusal};

/// How long a self-test's token lives.
const TOKEN_SECONDS: u64 = 60;

/// Checks a candidate for itself and against CURRENT.
///
/// # Errors
/// `invalid-secret` or `rejected` for a candidate that does not work, `unprotected` if a wrong
/// token is accepted, `drift` if it forgets the keys in use while it keeps others.
pub(crate) fn candidate(ctx: &Context, candidate: &Fields) -> Result<(), Error> {
    self_test(candidate)?;
    let current = Fields::parse(&ctx.current.value)?;
    let forgets = !candidate.signing.equals(&current.signing)
        && !candidate
            .previous
            .as_ref()
            .is_some_and(|previous| previous.equals(&current.signing));
    if forgets && candidate.previous.is_some() {
        return Err(Error::drift(
            "the candidate keeps previous keys, but not those at AWSCURRENT; rotate again from AWSCURRENT",
        ));
    }
    if candidate.previous.is_some() {
        let now = clock::now_seconds();
        let last_token_ends = now.saturating_add(current.token_seconds_max()?);
        let window_ends = candidate.time(ROTATION_COMPLETE_AT)?.unwrap_or(0);
        if !candidate.signing.equals(&current.signing) && window_ends < last_token_ends {
            return Err(Error::rejected(
                "the window would end before the last token of the key at AWSCURRENT; rotate again",
            ));
        }
        for key in current.signing_keys()? {
            if !accepts(
                candidate,
                &token::sign(&key, now, now.saturating_add(TOKEN_SECONDS)),
                now,
            )? {
                return Err(Error::rejected(
                    "a token signed with the key at AWSCURRENT would be refused; rotate again",
                ));
            }
        }
    }
    Ok(())
}

/// Proves each key of a value, negative controls included.
///
/// # Errors
/// `invalid-secret` for keys that cannot be read, `rejected` for keys that do not work,
/// `unprotected` if a wrong or ended token is accepted.
pub(crate) fn self_test(fields: &Fields) -> Result<(), Error> {
    fields.check_public_keys()?;
    let now = clock::now_seconds();
    let later = now.saturating_add(TOKEN_SECONDS);
    for key in fields
        .signing_keys()?
        .iter()
        .chain(&fields.previous_keys()?)
    {
        if token::verify(key, &token::sign(key, now, later), now).is_err() {
            return Err(Error::rejected(
                "a key does not verify what it signed; rotate again",
            ));
        }
        let algorithm = key.algorithm();
        let stranger = algorithm.read("secret", &algorithm.generate()?)?;
        let foreign = token::verify(key, &token::sign(&stranger, now, later), now);
        let ended = token::verify(key, &token::sign(key, 0, now), now);
        if foreign != Err(Refusal::WrongKey) || ended != Err(Refusal::Expired) {
            return Err(Error::unprotected(
                "a token of another key or one that has ended was accepted",
            ));
        }
    }
    Ok(())
}

/// Would verifiers that read `fields` accept a token of each of these keys now?
///
/// # Errors
/// `invalid-secret` for keys that cannot be read.
pub(crate) fn accepts_keys(fields: &Fields, keys: &[Key], now: u64) -> Result<bool, Error> {
    for key in keys {
        if !accepts(
            fields,
            &token::sign(key, now, now.saturating_add(TOKEN_SECONDS)),
            now,
        )? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn accepts(fields: &Fields, token: &str, now: u64) -> Result<bool, Error> {
    let window_is_open = fields
        .time(ROTATION_COMPLETE_AT)?
        .is_some_and(|end| now < end);
    let previous = if window_is_open {
        fields.previous_keys()?
    } else {
        Vec::new()
    };
    Ok(fields
        .signing_keys()?
        .iter()
        .chain(&previous)
        .any(|key| token::verify(key, token, now).is_ok()))
}
