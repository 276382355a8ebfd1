//! How a run ends: what was reached, or why not, whether the target changed and what to do next.
//! The engine adds the words.

use alloc::vec::Vec;

use crate::event::FailureClass;
use crate::facts::{Applied, Liveness, Purpose, Step};
use crate::labels::{Label, VersionId};

/// A goal that was reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// A version was promoted.
    Promoted {
        /// The version that is now current.
        version: VersionId,
        /// The last round's purpose.
        purpose: Purpose,
        /// Whether an earlier run had begun it.
        resumed: bool,
    },
    /// One step of an invocation is done.
    Stepped(Step),
    /// The token of the invocation is current already; the target was not touched.
    AlreadyCurrent,
    /// `testSecret` without a candidate: the configuration works, nothing was changed.
    Checked,
    /// The superseded value has come to its end: dead, or gone from the current version.
    Retired {
        /// The version whose value that was.
        subject: VersionId,
        /// False: nothing was asked, the operator vouched for it.
        proven: bool,
    },
    /// Nothing is owed.
    NothingToRetire,
    /// An operator has to supply something; nothing was stored and the target was not touched.
    AwaitingInput,
}

/// A goal that was not reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// Whether this run changed the target.
    pub applied: Applied,
    /// What to do now.
    pub next: NextAction,
    /// The labels of an unfinished rotation that stay, as this run last knew them. A later run
    /// plans from them; nobody needs to remove one by hand.
    pub kept: Vec<(Label, VersionId)>,
}

/// Why a run ended early.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No version is current, or the current one has no value.
    NoCurrent,
    /// The strategy does not know this purpose.
    Unsupported(Purpose),
    /// The earlier version that should come back has no value.
    NothingToRestore,
    /// Rotation is switched off for this secret.
    RotationDisabled,
    /// The store has no version of that id.
    UnknownToken,
    /// `AWSPENDING` is not on the token's version.
    NotPending,
    /// The step came before the one that it needs.
    OutOfOrder,
    /// `AWSPENDING` is on a version that this driver did not make.
    ForeignPending(VersionId),
    /// The candidate was made from a version that is no longer current; it was abandoned.
    BaseMoved,
    /// The predecessor's grace is not over.
    WithinGrace {
        /// Time left.
        seconds: u64,
    },
    /// The identity fields of that version differ from the current one's.
    IdentityDiffers(VersionId),
    /// An unfinished rotation has to be finished first.
    Unfinished(VersionId),
    /// Another secret holds the credential, too, and rotates it.
    OwnedElsewhere,
    /// That version waits for its end, and another secret's AWSCURRENT holds its credential.
    StillRead(VersionId),
    /// A version is in doubt though the strategy has no target to ask.
    DoubtWithoutTarget(VersionId),
    /// Whether that version opens the door cannot be told now.
    LivenessUnknown(VersionId),
    /// Neither the current version, nor the one in doubt, nor the previous one opens the door.
    AllDead,
    /// The current version does not open every door, and nothing better is known.
    CurrentNotLive(Liveness),
    /// A preflight finding is a failure.
    CheckFailed,
    /// An operator has to supply the new value, and a single step cannot wait for that.
    WaitingForOperator,
    /// The current version opens nothing, and that version, which an operator would have to end, does.
    RetiringIsTheOnlyKey(VersionId),
    /// The operator has not deleted the superseded value yet.
    OperatorOwes(VersionId),
    /// That version waits for its end by an operator, and the plugin cannot ask about its value.
    RetiringUnaskable(VersionId),
    /// What that version, the current one, keeps of older values ends by the operator's word alone, and no word
    /// about that version was given.
    Undeclared(VersionId),
    /// The target rejected a value and another may not, or may no longer, be tried.
    Rejected,
    /// The call kept asking for patience.
    StillPending,
    /// A plugin call failed.
    Plugin(FailureClass),
    /// Labels kept moving under this run: another one is at work.
    Contended,
    /// The store failed.
    Store,
    /// The run was cancelled.
    Cancelled,
}

impl Reason {
    /// What to do about it.
    pub(crate) const fn next_action(&self) -> NextAction {
        match self {
            Reason::WithinGrace { seconds } => NextAction::WaitSeconds(*seconds),
            Reason::BaseMoved
            | Reason::LivenessUnknown(_)
            | Reason::StillPending
            | Reason::Plugin(
                FailureClass::Conflict | FailureClass::Throttled | FailureClass::Path,
            )
            | Reason::Contended
            | Reason::Store
            | Reason::Cancelled => NextAction::Retry,
            Reason::Unsupported(_)
            | Reason::NothingToRestore
            | Reason::RotationDisabled
            | Reason::UnknownToken
            | Reason::NotPending
            | Reason::OutOfOrder => NextAction::Refuse,
            Reason::NoCurrent
            | Reason::ForeignPending(_)
            | Reason::IdentityDiffers(_)
            | Reason::Unfinished(_)
            | Reason::OwnedElsewhere
            | Reason::StillRead(_)
            | Reason::DoubtWithoutTarget(_)
            | Reason::AllDead
            | Reason::CurrentNotLive(_)
            | Reason::CheckFailed
            | Reason::WaitingForOperator
            | Reason::RetiringIsTheOnlyKey(_)
            | Reason::OperatorOwes(_)
            | Reason::RetiringUnaskable(_)
            | Reason::Undeclared(_)
            | Reason::Rejected
            | Reason::Plugin(_) => NextAction::Repair,
        }
    }
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NextAction {
    /// Run the same again; it continues from the labels.
    Retry,
    /// Run the same again after this long, or force it.
    WaitSeconds(u64),
    /// Something outside has to be put right first; then run the same again.
    Repair,
    /// The request itself cannot be served.
    Refuse,
}
