//! The pure core of Keyturn: plans a credential rotation from the staging labels of a secret.
//!
//! It performs nothing. [`Rotation::poll`] names one [`Command`], the engine carries it out and
//! answers with an [`Event`]; the first run and the recovery after a crash are the same code,
//! because the labels in the store are the only journal. There is no I/O here, no clock, no
//! randomness, and no value of a secret: only version ids and labels, so everything may be logged.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

extern crate alloc;

mod command;
mod ending;
mod event;
mod facts;
mod labels;
mod memory;
mod plan;
mod request;
mod rotation;
mod snapshot;

pub use command::{Command, WaitReason};
pub use ending::{Failure, NextAction, Outcome, Reason};
pub use event::{Event, FailureClass, PluginFailure};
pub use facts::{Applied, Effect, How, Liveness, Purpose, Purposes, Step, StrategyFacts};
pub use labels::{Label, Labels, VersionId};
pub use plan::Rule;
pub use request::{Goal, Limits, Request};
pub use rotation::{IllegalTransition, Rotation};
pub use snapshot::{Announced, Content, Obligation, Snapshot};
