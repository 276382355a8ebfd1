//! Turns the core's commands into effects on store and target.
//!
//! The core ([`keyturn_protocol`]) decides, this crate does: it reads labels and notes, hands values
//! to a plugin in its sandbox, stores what comes back, moves labels, and says what happened to the
//! sinks. It plans nothing, remembers nothing between runs, and no event or error of it carries a
//! secret value.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod call;
mod credential;
mod doubt;
mod drift;
mod effect;
mod elsewhere;
mod engine;
mod event;
mod failure;
mod grace;
mod ids;
mod in_use;
mod keeping;
mod kept;
mod moved;
mod notes;
mod parking;
mod problem;
mod reach;
mod recorder;
mod renamed;
mod report;
mod run;
mod snapshot;
mod status;
mod times;
mod words;

pub use credential::{Credential, GRACE_SECONDS_WITH_TARGET, GRACE_SECONDS_WITHOUT_TARGET};
pub use engine::{Engine, EngineOptions};
pub use event::{Event, EventSink, What};
pub use failure::{Promoted, RunFailure};
pub use ids::{RandomIds, VersionIds};
pub use notes::{
    Answered, CredentialNotes, Notes, Obligation, OperatorSteps, VersionNotes, Waiting,
};
pub use problem::Problem;
pub use reach::Reach;
pub use renamed::LeftBehind;
pub use report::{Report, StepReport};
pub use status::{Retirement, Status, Verification};
pub use times::{duration, time};

pub use keyturn_protocol::{Applied, Goal, NextAction, Outcome, Reason, Step, VersionId};
