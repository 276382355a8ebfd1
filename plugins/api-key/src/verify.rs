//! What must hold before a value is promoted: its hashes belong to its keys, a wrong key is
//! refused, the prefix is the configured one, and the key in use is not forgotten by accident.

use keyturn_sdk::{Context, Error};

use crate::fields::{Fields, HASH, KEY, PREVIOUS_HASH, PREVIOUS_KEY};
use crate::{hash, key};

/// Checks a candidate against itself, the settings and CURRENT.
///
/// # Errors
/// `rejected` for a candidate that would break its validators, `drift` for one that would drop the
/// key in use for another one than its own predecessor.
pub(crate) fn candidate(ctx: &Context, candidate: &Fields) -> Result<(), Error> {
    consistent(candidate)?;
    let current = Fields::parse(&ctx.current.value)?;
    if candidate.key.expose() == current.key.expose() {
        return Ok(());
    }
    prefix_fits(ctx, candidate, &current)?;
    if candidate.key_version <= current.key_version {
        return Err(Error::rejected(
            "the candidate's `key_version` does not rise; rotate again",
        ));
    }
    if candidate.previous.is_some()
        && !candidate.is_announced()
        && !candidate.accepts(current.key.expose())
    {
        return Err(Error::drift(
            "the candidate keeps a previous key, but not the one at AWSCURRENT; rotate again from AWSCURRENT",
        ));
    }
    Ok(())
}

/// Checks a value for itself, negative control included.
///
/// # Errors
/// `invalid-secret` if a hash is not that of its key, `unprotected` if a wrong key is accepted.
pub(crate) fn consistent(fields: &Fields) -> Result<(), Error> {
    let pairs = [
        (KEY, Some(&fields.key), HASH, &fields.hash),
        (
            PREVIOUS_KEY,
            fields.previous.as_ref(),
            PREVIOUS_HASH,
            &fields.previous_hash,
        ),
    ];
    for (key_member, key, hash_member, stored_hash) in pairs {
        if let (Some(key), Some(stored_hash)) = (key, stored_hash)
            && !hash::matches(stored_hash, key.expose())
        {
            return Err(Error::invalid_secret(format!(
                "`{hash_member}` is not the SHA-256 of `{key_member}`; rotate to renew both"
            )));
        }
    }
    let wrong = key::generate("wrong_");
    if !fields.accepts(fields.key.expose()) || fields.accepts(wrong.expose()) {
        return Err(Error::unprotected(
            "the stored hashes do not tell the key from a wrong one",
        ));
    }
    Ok(())
}

fn prefix_fits(ctx: &Context, candidate: &Fields, current: &Fields) -> Result<(), Error> {
    let prefix = key::prefix(ctx, current.key.expose())?;
    if candidate.key.expose().starts_with(&prefix) {
        return Ok(());
    }
    // A key that was in use before may come back with the prefix of its day.
    let was_in_use = ctx.others.iter().any(|other| {
        Fields::parse(&other.version.value)
            .is_ok_and(|other| other.key.expose() == candidate.key.expose())
    });
    if was_in_use || current.accepts(candidate.key.expose()) {
        return Ok(());
    }
    Err(Error::rejected(format!(
        "the candidate's key does not begin with `{prefix}`; rotate again"
    )))
}
