//! What each purpose makes of the value at AWSCURRENT. The previous_* members carry the last keys
//! until the longest token signed with them has ended, or the next keys between announce and
//! activate.

use keyturn_sdk::{Context, CreateRequest, Error, Purpose, SecretText, clock, timestamp};
use serde::Deserialize;

use crate::algorithm::Algorithm;
use crate::fields::{ANNOUNCED_AT, Fields, Pair, ROTATION_COMPLETE_AT, ROTATION_TIMESTAMP};

/// The old key signs until the new version is promoted, some time after it was made. A version that
/// is promoted later than this (its rotation was interrupted) is refused by `test` and made again.
const PROMOTION_SECONDS: u64 = 60;

/// The operator's settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    algorithm: Option<String>,
}

/// The secret's whole new text.
///
/// # Errors
/// `invalid-secret` or `invalid-settings` if CURRENT, the settings or the grace do not fit,
/// `conflict` if there is nothing to activate or to extend.
pub(crate) fn create(ctx: &Context, request: &CreateRequest) -> Result<SecretText, Error> {
    let current = Fields::parse(&ctx.current.value)?;
    match request.purpose {
        Purpose::Replace => {
            let next = current.signing.successor(algorithm(ctx, &current)?)?;
            switch_to(current, next, request.overlap_seconds)
        }
        Purpose::Announce => announce(ctx, current, request.overlap_seconds),
        Purpose::Activate => {
            let announced = current
                .previous
                .clone()
                .filter(|_| current.is_announced())
                .ok_or_else(|| {
                    Error::conflict("no key has been announced in AWSCURRENT; announce one first")
                        .retryable(false)
                })?;
            switch_to(current, announced, request.overlap_seconds)
        }
        Purpose::Extend => extend(current, request.overlap_seconds),
        Purpose::Retire => retire(current),
        Purpose::Restore => {
            let earlier = Fields::parse(&request.version_to_restore()?.value)?;
            switch_to(current, earlier.signing, request.overlap_seconds)
        }
    }
}

fn algorithm(ctx: &Context, current: &Fields) -> Result<Algorithm, Error> {
    let Some(name) = ctx.settings::<Settings>()?.algorithm else {
        return Ok(current.signing.algorithm);
    };
    Algorithm::from_name(&name).ok_or_else(|| {
        Error::invalid_settings(
            "the setting `algorithm` must be HS256, HS384, HS512, EdDSA or ES256",
        )
    })
}

/// `next` signs from now on; the keys of CURRENT stay verifiable unless the overlap is 0.
fn switch_to(mut current: Fields, next: Pair, overlap_seconds: u64) -> Result<SecretText, Error> {
    let now = clock::now_seconds();
    let revoke = overlap_seconds == 0;
    let complete_at = if revoke {
        now
    } else {
        window_end(&current, overlap_seconds, now)?
    };
    if !revoke {
        current.signing_keys().map_err(|error| {
            error.context("the key at AWSCURRENT would stay valid; with grace_seconds = 0 it is replaced and its tokens end at once")
        })?;
    }
    // A pair restored over itself has no predecessor.
    let keep = !revoke && !next.equals(&current.signing);
    current.previous = keep.then(|| current.signing.clone());
    current.signing = next;
    current.write_keys()?;
    current
        .members
        .set(ROTATION_TIMESTAMP, &timestamp::format(now))?;
    current
        .members
        .set(ROTATION_COMPLETE_AT, &timestamp::format(complete_at))?;
    current.members.remove(ANNOUNCED_AT);
    Ok(current.members.to_secret())
}

/// The next keys are published where verifiers look for a second pair, and the window is opened,
/// because they look only while it is; the pair that signs stays.
fn announce(ctx: &Context, mut current: Fields, overlap_seconds: u64) -> Result<SecretText, Error> {
    let now = clock::now_seconds();
    let complete_at = window_end(&current, overlap_seconds, now)?;
    current.previous = Some(current.signing.successor(algorithm(ctx, &current)?)?);
    current.write_keys()?;
    current
        .members
        .set(ROTATION_COMPLETE_AT, &timestamp::format(complete_at))?;
    current.members.set(ANNOUNCED_AT, &timestamp::format(now))?;
    Ok(current.members.to_secret())
}

/// Only the end of the window changes, and only to a later one.
fn extend(mut current: Fields, overlap_seconds: u64) -> Result<SecretText, Error> {
    if current.previous.is_none() {
        return Err(Error::conflict(
            "AWSCURRENT keeps no previous key, so there is nothing to extend",
        )
        .retryable(false));
    }
    let wanted = clock::now_seconds().saturating_add(overlap_seconds);
    let complete_at = wanted.max(current.time(ROTATION_COMPLETE_AT)?.unwrap_or(0));
    current
        .members
        .set(ROTATION_COMPLETE_AT, &timestamp::format(complete_at))?;
    Ok(current.members.to_secret())
}

/// The window is closed and its keys are gone. When to do this is the host's to decide.
fn retire(mut current: Fields) -> Result<SecretText, Error> {
    let now = clock::now_seconds();
    current.previous = None;
    current.write_keys()?;
    if current
        .time(ROTATION_COMPLETE_AT)?
        .is_some_and(|complete_at| complete_at > now)
    {
        current
            .members
            .set(ROTATION_COMPLETE_AT, &timestamp::format(now))?;
    }
    current.members.remove(ANNOUNCED_AT);
    Ok(current.members.to_secret())
}

/// The old keys must outlive the longest token that they signed.
fn window_end(current: &Fields, overlap_seconds: u64, now: u64) -> Result<u64, Error> {
    let token_seconds = current.token_seconds_max()?;
    if overlap_seconds > 0 && overlap_seconds < token_seconds {
        return Err(Error::invalid_settings(format!(
            "a grace of {overlap_seconds} s would end tokens that live {token_seconds} s; set grace_seconds to \
             {token_seconds} or more, or shorten the tokens' lifetime first"
        )));
    }
    Ok(now
        .saturating_add(overlap_seconds.max(token_seconds))
        .saturating_add(PROMOTION_SECONDS))
}

#[cfg(test)]
mod tests;
