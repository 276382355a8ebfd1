//! Whether the target knows what the store says it does: a plugin names the version whose value let it in.

use keyturn_protocol::VersionId;
use keyturn_runtime::{Finding, Level, Outcome};

/// Anything but AWSCURRENT or the candidate that opened the door: the target was changed outside, or the store. It asks
/// nobody: the target may have changed by now, and nothing may fail between that and saying so.
pub(crate) fn finding(candidate: &VersionId, current: &str, outcome: &Outcome) -> Option<Finding> {
    let opener = outcome.opened_with.as_deref()?;
    (opener != candidate.as_str() && opener != current).then(|| Finding {
        id: "drift".to_owned(),
        level: Level::Warning,
        summary: format!("version {opener} opened the target, and AWSCURRENT did not everywhere"),
        fix: None,
    })
}
