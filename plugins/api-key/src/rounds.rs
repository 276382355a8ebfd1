//! What each purpose makes of the value at AWSCURRENT. The previous_* members carry the last key
//! during its grace, or the next key between announce and activate.

use keyturn_sdk::{Context, CreateRequest, Error, Members, Purpose, SecretText, clock, timestamp};

use crate::fields::{
    ANNOUNCED_AT, CREATED_AT, EXPIRES_AT, Fields, HASH, KEY, KEY_VERSION, PREVIOUS_HASH,
    PREVIOUS_KEY, ROTATION_TIMESTAMP,
};
use crate::key;

/// The secret's whole new text.
///
/// # Errors
/// `invalid-secret` or `invalid-settings` if CURRENT or the settings do not fit, `conflict` if
/// there is nothing to activate, `unsupported` for other purposes.
pub(crate) fn create(ctx: &Context, request: &CreateRequest) -> Result<SecretText, Error> {
    let current = Fields::parse(&ctx.current.value)?;
    match request.purpose {
        Purpose::Replace => {
            let next = key::generate(&key::prefix(ctx, current.key.expose())?);
            switch_to(current, &next, request)
        }
        Purpose::Announce => announce(ctx, current),
        Purpose::Activate => {
            let announced = current
                .previous
                .clone()
                .filter(|_| current.is_announced())
                .ok_or_else(|| {
                    Error::conflict("no key has been announced in AWSCURRENT; announce one first")
                        .retryable(false)
                })?;
            switch_to(current, &announced, request)
        }
        Purpose::Retire => {
            let mut members = current.members;
            drop_previous(&mut members);
            Ok(members.to_secret())
        }
        Purpose::Restore => {
            let earlier = Fields::parse(&request.version_to_restore()?.value)?;
            switch_to(current, &earlier.key, request)
        }
        Purpose::Extend => Err(Error::unsupported(
            "the secret holds no end of the window, so no value can extend it; retire the old key later instead",
        )),
    }
}

/// `next` becomes the key; the key of CURRENT stays accepted unless the overlap is 0.
fn switch_to(
    current: Fields,
    next: &SecretText,
    request: &CreateRequest,
) -> Result<SecretText, Error> {
    let now = clock::now_seconds();
    let form = current.hash_form();
    let expires_at = expires_at(&current, request, now)?;
    let mut members = current.members;
    drop_previous(&mut members);
    members.set(KEY, next.expose())?;
    members.set(HASH, &form.hash(next.expose()))?;
    // A key restored over itself has no predecessor.
    if request.overlap_seconds > 0 && current.key.expose() != next.expose() {
        members.set(PREVIOUS_KEY, current.key.expose())?;
        members.set(PREVIOUS_HASH, &form.hash(current.key.expose()))?;
    }
    let key_version = current.key_version.checked_add(1);
    let key_version = key_version
        .ok_or_else(|| Error::invalid_secret("the member `key_version` cannot rise further"))?;
    members.set(KEY_VERSION, &key_version)?;
    members.set(CREATED_AT, &timestamp::format(now))?;
    if let Some(expires_at) = expires_at {
        members.set(EXPIRES_AT, &timestamp::format(expires_at))?;
    }
    members.set(ROTATION_TIMESTAMP, &timestamp::format(now))?;
    Ok(members.to_secret())
}

/// The next key is published where validators look for the second accepted key. Their window runs
/// from `rotation_timestamp`, so that is renewed; the key in use and its dates stay.
fn announce(ctx: &Context, current: Fields) -> Result<SecretText, Error> {
    let next = key::generate(&key::prefix(ctx, current.key.expose())?);
    let now = timestamp::format(clock::now_seconds());
    let form = current.hash_form();
    let mut members = current.members;
    members.set(PREVIOUS_KEY, next.expose())?;
    members.set(PREVIOUS_HASH, &form.hash(next.expose()))?;
    members.set(ROTATION_TIMESTAMP, &now)?;
    members.set(ANNOUNCED_AT, &now)?;
    Ok(members.to_secret())
}

fn drop_previous(members: &mut Members) {
    for name in [PREVIOUS_KEY, PREVIOUS_HASH, ANNOUNCED_AT] {
        members.remove(name);
    }
}

/// The next rotation, else as long from now as the old key was given; `None` for a secret that
/// names no end.
fn expires_at(current: &Fields, request: &CreateRequest, now: u64) -> Result<Option<u64>, Error> {
    let Some(old_end) = current.time(EXPIRES_AT)? else {
        return Ok(request.next_rotation);
    };
    if request.next_rotation.is_some() {
        return Ok(request.next_rotation);
    }
    let start = match current.time(CREATED_AT)? {
        Some(start) => Some(start),
        None => current.time(ROTATION_TIMESTAMP)?,
    };
    match start.and_then(|start| old_end.checked_sub(start)) {
        Some(lifetime) => Ok(Some(now.saturating_add(lifetime))),
        None => Err(Error::invalid_secret(
            "`expires_at` cannot be renewed: add `created_at`, which must be earlier, or configure the next rotation",
        )),
    }
}

#[cfg(test)]
mod tests;
