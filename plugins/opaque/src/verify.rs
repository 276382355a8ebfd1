//! What must hold before a value is promoted: no key is lost that is still needed.

use keyturn_sdk::{Context, Error};

use crate::fields::{Fields, Key};
use crate::keeping::Keeping;
use crate::settings::Settings;

/// Checks a candidate against the settings and CURRENT. Answers the ids of the keys that it takes out of a ring.
///
/// # Errors
/// `invalid-secret` or `invalid-settings` if CURRENT or the settings do not fit, `drift` for a candidate that would lose
/// the key in use, or a key of the ring.
pub(crate) fn candidate(ctx: &Context, candidate: &Fields) -> Result<Vec<String>, Error> {
    Settings::of(ctx)?;
    let current = Fields::parse(candidate.keeping(), &ctx.current.value)?;
    // An announced key too: it may have been in use before somebody brought the announcement back.
    let lost: Vec<&Key> = current
        .others
        .iter()
        .filter(|key| !candidate.accepts(key))
        .collect();
    let keeps_current = candidate.accepts(&current.current);
    // Only a round that retires takes keys out of a ring: all the older ones, and no other.
    let retires = candidate.current.is(&current.current)
        && candidate.older().next().is_none()
        && !lost.iter().any(|key| key.is_announced());
    let is_sound = match candidate.keeping() {
        Keeping::Previous => keeps_current || candidate.older().next().is_none(),
        Keeping::Ring => keeps_current && (lost.is_empty() || retires),
    };
    if !is_sound {
        return Err(Error::drift(
            "the candidate lacks a key that is still needed of AWSCURRENT; rotate again from AWSCURRENT",
        ));
    }
    Ok(lost.into_iter().filter_map(|key| key.id.clone()).collect())
}
