//! What one run is asked to do: the goal, the strategy's facts, and how often anything may be
//! tried. A request holds no result of an earlier run.

use crate::facts::{Step, StrategyFacts};
use crate::labels::VersionId;

/// One run of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    /// What to reach.
    pub goal: Goal,
    /// What the strategy does.
    pub facts: StrategyFacts,
    /// How often to try.
    pub limits: Limits,
    /// Whether the current value is tried before an operator is asked for another one. Not where the answer is there
    /// already, nor where the current value is known to be lost.
    pub preflight: bool,
}

/// What a run shall reach.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Goal {
    /// A new value, by all steps at once (standalone). Continues a rotation that was interrupted.
    Rotate {
        /// End a predecessor's grace instead of refusing.
        now: bool,
        /// How long a key is published before it is used; 0 = at once. Honoured where the strategy
        /// can announce and activate.
        lead_ms: u64,
        /// Take `AWSPENDING` off a version that has no value and that this driver did not make.
        unstick: bool,
        /// Give up a candidate that an earlier run left, where it never touches a target, and make another.
        anew: bool,
    },
    /// One step as AWS's service invokes it; nothing is remembered between two of them.
    Step {
        /// Which.
        step: Step,
        /// The `ClientRequestToken`: the id of the pending version.
        token: VersionId,
    },
    /// The end of what an earlier rotation superseded, once its grace is over.
    Retire {
        /// Do not wait for the grace to end.
        now: bool,
        /// The operator vouches for what cannot be proven from here: that versions of another place than the
        /// current one's open nothing any more, and that a value is ended which the plugin cannot ask about.
        vouched: bool,
        /// The operator declares that what this version keeps of older values, and what ends by word alone, is
        /// not needed. Another version may keep more, so the word holds only while this one is current.
        declared: Option<VersionId>,
    },
    /// The old value stays accepted for longer.
    Extend,
    /// The value of an earlier version comes back as a new version.
    Restore {
        /// The earlier version.
        version: VersionId,
        /// End a predecessor's grace instead of refusing.
        now: bool,
    },
}

/// Bounds of everything that can repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Limits {
    /// Calls of a plugin function in a row that fail retryably.
    pub plugin_attempts_max: u8,
    /// Refused label moves and failed store calls in one run.
    pub store_attempts_max: u8,
    /// Answers `pending` in a row to one call, and pauses for one lead.
    pub pending_answers_max: u8,
    /// Values that are replaced in one run after the target rejected them (standalone).
    pub rejected_values_max: u8,
    /// Pause before a failed plugin call is repeated, unless the plugin says otherwise.
    pub plugin_retry_ms: u64,
    /// Pause before the labels are read again after a refusal: reads lag behind writes.
    pub store_retry_ms: u64,
}

impl Default for Limits {
    /// Three attempts at the target, a second apart; labels are read again five times.
    fn default() -> Self {
        Limits {
            plugin_attempts_max: 3,
            store_attempts_max: 5,
            pending_answers_max: 30,
            rejected_values_max: 3,
            plugin_retry_ms: 1_000,
            store_retry_ms: 200,
        }
    }
}
