//! What the engine answers. An event says what happened, never why in words: messages, codes and
//! details stay with the engine, which shows them beside the core's verdict.

use crate::facts::{Applied, How, Liveness};
use crate::labels::VersionId;
use crate::snapshot::Snapshot;

/// The answer to a [`Command`](crate::Command).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// What the store says.
    Observed(Snapshot),
    /// A fresh id.
    Token(VersionId),
    /// The label moved, or stood there already.
    Moved,
    /// The label was not where the command said, or what a version was to be made of is of no use; nothing moved.
    Refused,
    /// The value is stored, durably.
    Created,
    /// `create` asks an operator; nothing is stored.
    InputNeeded,
    /// The identity fields are equal.
    IdentityEqual,
    /// They differ.
    IdentityDiffers,
    /// The call did what it should, or found it done.
    Completed {
        /// Whether the target changed.
        changed: bool,
    },
    /// The call has to be repeated with the same arguments.
    StillPending {
        /// After this long.
        milliseconds: u64,
    },
    /// What becomes of the superseded value; written down already.
    Planned(How),
    /// A probe's verdict.
    Probed(Liveness),
    /// A preflight's verdict.
    Checked {
        /// Whether no finding is a failure.
        passed: bool,
    },
    /// The time has passed.
    Elapsed,
    /// The plugin's call failed.
    PluginFailed(PluginFailure),
    /// The store failed; whether it did what was asked is not known.
    StoreFailed {
        /// Whether another attempt may help.
        retryable: bool,
    },
    /// The operator, or the deadline of the whole run, ends it here.
    Cancelled,
}

impl Event {
    /// The event's name, for logs and for transition coverage.
    pub const fn name(&self) -> &'static str {
        match self {
            Event::Observed(_) => "Observed",
            Event::Token(_) => "Token",
            Event::Moved => "Moved",
            Event::Refused => "Refused",
            Event::Created => "Created",
            Event::InputNeeded => "InputNeeded",
            Event::IdentityEqual => "IdentityEqual",
            Event::IdentityDiffers => "IdentityDiffers",
            Event::Completed { .. } => "Completed",
            Event::StillPending { .. } => "StillPending",
            Event::Planned(_) => "Planned",
            Event::Probed(_) => "Probed",
            Event::Checked { .. } => "Checked",
            Event::Elapsed => "Elapsed",
            Event::PluginFailed(_) => "PluginFailed",
            Event::StoreFailed { .. } => "StoreFailed",
            Event::Cancelled => "Cancelled",
        }
    }
}

/// A failed plugin call, as far as planning cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginFailure {
    /// Whose fault it is.
    pub class: FailureClass,
    /// Did the target change? After a trap or a timeout: `Unknown`.
    pub applied: Applied,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// The pause that the target asks for.
    pub retry_after_ms: Option<u64>,
}

/// Failures sorted by what to do about them; the contract's error kinds map onto these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureClass {
    /// The target refused the new value (`rejected`).
    Rejected,
    /// The target refused the login (`auth`).
    Auth,
    /// A right is missing (`permission`).
    Permission,
    /// A wrong credential was accepted (`unprotected`).
    Unprotected,
    /// The two identities differ (`drift`).
    Drift,
    /// Somebody else changed the same thing (`conflict`).
    Conflict,
    /// The target asks for patience (`throttled`).
    Throttled,
    /// The path broke (`dns`, `unreachable`, `tls`, `timeout`).
    Path,
    /// The secret's own form does not fit (`invalid-secret`): nobody can be asked about it.
    Unaskable,
    /// The settings, the grant or the request do not fit (`invalid-settings`, `denied`, `unsupported`).
    Invalid,
    /// A fault of the plugin or of the target's protocol (`protocol`, `internal`, `other`, traps).
    Fault,
}
