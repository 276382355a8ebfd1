//! What each purpose makes of the value at AWSCURRENT. The other keys are the last one during its grace, or all older
//! ones of a ring, and the next one between announce and activate. An announced key of a ring that is not activated
//! becomes an older one: a change by hand may have brought the announcement back after the key had been in use.

use std::mem;

use keyturn_sdk::{Context, CreateRequest, Error, Purpose, SecretText, clock, timestamp};

use crate::fields::{Fields, Key, NEXT_ROTATION, ROTATION_TIMESTAMP};
use crate::keeping::Keeping;
use crate::settings::{self, Settings};

/// The secret's whole new text.
///
/// # Errors
/// `invalid-secret` or `invalid-settings` if CURRENT or the settings do not fit, `conflict` if
/// there is nothing to activate, `unsupported` for other purposes.
pub(crate) fn create(ctx: &Context, request: &CreateRequest) -> Result<SecretText, Error> {
    let settings = Settings::of(ctx)?;
    let keeping = Keeping::of(ctx)?;
    let now = clock::now_seconds();
    let mut fields = Fields::parse(keeping, &ctx.current.value)?;
    match request.purpose {
        Purpose::Replace => {
            fields.settle_announced();
            let next = new_key(&settings, keeping, now)?;
            switch_to(&mut fields, next, request, &settings, now)?;
        }
        Purpose::Announce => {
            let mut next = new_key(&settings, keeping, now)?;
            next.announce(now)?;
            match keeping {
                Keeping::Previous => fields.others.clear(),
                Keeping::Ring => fields.settle_announced(),
            }
            fields.others.push(next);
        }
        Purpose::Activate => {
            let next = fields.take_announced().ok_or_else(|| {
                Error::conflict("no key has been announced in AWSCURRENT; announce one first")
                    .retryable(false)
            })?;
            switch_to(&mut fields, next, request, &settings, now)?;
        }
        // The declaration names the older keys, and the next one is none of them.
        Purpose::Retire => fields.others.retain(Key::is_announced),
        Purpose::Restore => {
            fields.settle_announced();
            let mut earlier = Fields::parse(keeping, &request.version_to_restore()?.value)?;
            earlier.settle_announced();
            switch_to(&mut fields, earlier.current, request, &settings, now)?;
            if keeping == Keeping::Ring {
                // What was declared too early comes back with it.
                let lost = earlier.others.into_iter();
                let lost = lost.filter(|key| !fields.accepts(key));
                let lost: Vec<Key> = lost.collect();
                fields.others.extend(lost);
            }
        }
        Purpose::Extend => {
            return Err(Error::unsupported(
                "the secret holds no end of the window, so no value can extend it; retire the old key later instead",
            ));
        }
    }
    fields.write()
}

fn new_key(settings: &Settings, keeping: Keeping, now: u64) -> Result<Key, Error> {
    let id = (keeping == Keeping::Ring).then(settings::new_id);
    Key::new(id, settings.generate(), now)
}

/// `next` becomes the key in use. In a ring the old one stays whatever the overlap is.
fn switch_to(
    fields: &mut Fields,
    next: Key,
    request: &CreateRequest,
    settings: &Settings,
    now: u64,
) -> Result<(), Error> {
    let next_rotation = next_rotation(fields, request, settings, now)?;
    let old = mem::replace(&mut fields.current, next);
    match fields.keeping() {
        Keeping::Previous => fields.others.clear(),
        Keeping::Ring => fields.others.retain(|key| !key.is(&fields.current)),
    }
    let keeps = fields.keeping() == Keeping::Ring || request.overlap_seconds > 0;
    // A key restored over itself has no predecessor.
    if keeps && !old.is(&fields.current) {
        fields.others.push(old);
    }
    let members = &mut fields.members;
    members.set(ROTATION_TIMESTAMP, &timestamp::format(now))?;
    if let Some(next_rotation) = next_rotation {
        members.set(NEXT_ROTATION, &timestamp::format(next_rotation))?;
    }
    Ok(())
}

/// As configured, else as the profile says, else as long from now as the old key was given; `None` for a secret that
/// names none.
fn next_rotation(
    fields: &Fields,
    request: &CreateRequest,
    settings: &Settings,
    now: u64,
) -> Result<Option<u64>, Error> {
    let by_profile = settings.lifetime_seconds();
    let by_profile = by_profile.map(|lifetime| now.saturating_add(lifetime));
    if let Some(known) = request.next_rotation.or(by_profile) {
        return Ok(Some(known));
    }
    let Some(old_end) = fields.time(NEXT_ROTATION)? else {
        return Ok(None);
    };
    let lifetime = fields
        .in_use_since()?
        .and_then(|since| old_end.checked_sub(since));
    match lifetime {
        Some(lifetime) => Ok(Some(now.saturating_add(lifetime))),
        None => Err(Error::invalid_secret(
            "`next_rotation` cannot be renewed: add `rotation_timestamp`, which must be earlier, or set `rotate_after_days`",
        )),
    }
}

#[cfg(test)]
mod tests;
