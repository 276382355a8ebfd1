//! What the core asks of the engine. The command whose answer is awaited **is** the state of the
//! machine: everything else that a [`Rotation`](crate::Rotation) holds is what earlier answers
//! taught it. A command carries everything that the engine needs and nothing that it may skip.

use crate::ending::{Failure, Outcome};
use crate::facts::Purpose;
use crate::labels::{Label, VersionId};

/// One thing to do, or the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Command {
    /// Read labels, versions and notes. Answer: `Observed`.
    Observe,
    /// Mint an id, `keyturn-<uuid>`. Answer: `Token`.
    NewToken,
    /// Move a label other than `AWSCURRENT` by compare-and-swap. Answer: `Moved` or `Refused`.
    ///
    /// `from: None` attaches: the store refuses if another version holds the label, and does
    /// nothing if `to` holds it already. `to: None` removes. The store refuses if `from` is not the
    /// holder. Where `KEYTURN_RETIRING` is removed because its version's credential is in use again,
    /// the engine forgets what was owed to that version; where it moves to what was in use meanwhile, the
    /// engine notes before that this one is owed.
    MoveLabel {
        /// Which.
        label: Label,
        /// Its present holder.
        from: Option<VersionId>,
        /// Its next holder.
        to: Option<VersionId>,
    },
    /// Make a value from exactly the version `base` and store it as `token` under `stage`, before
    /// anything else happens. A token that has a value already keeps it. Answer: `Created`,
    /// `InputNeeded`, or `Refused` where an earlier answer that should have been used turned out to be
    /// of no use: it is forgotten, and nothing was asked or stored.
    Create {
        /// The id of the new version.
        token: VersionId,
        /// The version to make it from.
        base: VersionId,
        /// What it is made for.
        purpose: Purpose,
        /// `AWSPENDING` or `KEYTURN_STAGED`.
        stage: Label,
        /// The earlier version, with purpose restore only.
        restore: Option<VersionId>,
    },
    /// Compare the identity fields of a version with those of the current one, without any login.
    /// Answer: `IdentityEqual` or `IdentityDiffers`.
    CompareIdentity {
        /// The version to compare.
        candidate: VersionId,
    },
    /// Make the target accept the candidate. Answer: `Completed`, `StillPending`, or `Refused` if
    /// that version is not in doubt any more, was withdrawn, or is current already.
    ///
    /// Before the call the engine notes that its answer is awaited, and after an answer with
    /// `applied: no` that it is not: so a version is known never to have been applied.
    Set {
        /// The version to apply.
        candidate: VersionId,
    },
    /// Log in afresh with the candidate, with a negative control. Answer: `Completed` or
    /// `StillPending`.
    Test {
        /// The version to try.
        candidate: VersionId,
    },
    /// Ask the plugin what becomes of the value of `base`, and write the obligation down (with
    /// `candidate` as the successor that makes it binding) before answering `Planned`.
    Finish {
        /// The version about to be promoted.
        candidate: VersionId,
        /// The version that it supersedes.
        base: VersionId,
    },
    /// Move `AWSCURRENT` by compare-and-swap. Answer: `Moved` or `Refused`.
    ///
    /// After `Moved` the engine notes what the purpose implies: an announced version, an extended
    /// grace, a settled retirement.
    Promote {
        /// The version to promote.
        to: VersionId,
        /// The version that must be current, else nothing happens.
        from: VersionId,
        /// The round's purpose; `None` where a version in doubt, or the previous one, is made
        /// current because the current one opens nothing.
        purpose: Option<Purpose>,
    },
    /// Ask whether a version opens the door right now. Answer: `Probed`.
    Probe {
        /// The version to ask about.
        subject: VersionId,
    },
    /// Kill a version's value at the target; done only with the proof. Answer: `Completed` or
    /// `StillPending`.
    Retire {
        /// The version to kill; never the current one.
        subject: VersionId,
    },
    /// Give up a version in doubt that never reached the target: note that it may not be applied any
    /// more, unless a `set` of it has begun meanwhile, then take `KEYTURN_INDOUBT` off it. Answer:
    /// `Moved` or `Refused`.
    Withdraw {
        /// The version in doubt.
        subject: VersionId,
    },
    /// Preflight without a candidate. Answer: `Checked`.
    Check,
    /// Let time pass. Answer: `Elapsed`.
    Wait {
        /// What for.
        why: WaitReason,
        /// How long.
        milliseconds: u64,
    },
    /// The goal is reached. Takes no answer.
    Done(Outcome),
    /// The run ends without reaching the goal. Takes no answer.
    Failed(Failure),
}

impl Command {
    /// Whether this ends the run.
    pub const fn is_end(&self) -> bool {
        matches!(self, Command::Done(_) | Command::Failed(_))
    }

    /// Whether the plugin answers this.
    pub const fn calls_plugin(&self) -> bool {
        matches!(
            self,
            Command::Create { .. }
                | Command::CompareIdentity { .. }
                | Command::Set { .. }
                | Command::Test { .. }
                | Command::Finish { .. }
                | Command::Probe { .. }
                | Command::Retire { .. }
                | Command::Check
        )
    }

    /// Whether the engine needs the store for this: to read labels or values, or to write. Where it
    /// also calls the plugin, a failing store means that the call was not made.
    pub const fn uses_store(&self) -> bool {
        self.calls_plugin()
            || matches!(
                self,
                Command::Observe
                    | Command::MoveLabel { .. }
                    | Command::Promote { .. }
                    | Command::Withdraw { .. }
            )
    }

    /// Whether this may change the target.
    pub const fn changes_target(&self) -> bool {
        matches!(self, Command::Set { .. } | Command::Retire { .. })
    }

    /// The command's name, for logs and for transition coverage.
    pub const fn name(&self) -> &'static str {
        match self {
            Command::Observe => "Observe",
            Command::NewToken => "NewToken",
            Command::MoveLabel { .. } => "MoveLabel",
            Command::Create { .. } => "Create",
            Command::CompareIdentity { .. } => "CompareIdentity",
            Command::Set { .. } => "Set",
            Command::Test { .. } => "Test",
            Command::Finish { .. } => "Finish",
            Command::Promote { .. } => "Promote",
            Command::Probe { .. } => "Probe",
            Command::Retire { .. } => "Retire",
            Command::Withdraw { .. } => "Withdraw",
            Command::Check => "Check",
            Command::Wait { .. } => "Wait",
            Command::Done(_) => "Done",
            Command::Failed(_) => "Failed",
        }
    }
}

/// What a pause is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitReason {
    /// Verifiers must fetch the announced key first. May take hours: the engine may end the run
    /// instead, and a later one continues here.
    Lead,
    /// The plugin asked to be called again.
    Propagation,
    /// A plugin call failed and is worth repeating.
    PluginRetry,
    /// The store refused or failed.
    StoreRetry,
}
