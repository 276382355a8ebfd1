//! Who may act at all: the guard order of AWS's invocation, the fences of the standalone driver,
//! and the trial run that has no candidate. Nothing is changed here, except that a stuck, empty
//! `AWSPENDING` is removed where the operator asked for that.

use super::{Decision, Rule, View};
use crate::command::Command;
use crate::ending::{Outcome, Reason};
use crate::facts::{Liveness, Step};
use crate::labels::{Label, VersionId};
use crate::request::Goal;
use crate::snapshot::Content;

pub(super) fn admit(view: &View<'_>) -> Option<Decision> {
    if !view.memory.snapshot.has_value(view.current) {
        return Some(Rule::NothingIsCurrent.refuse(Reason::NoCurrent));
    }
    match &view.request.goal {
        Goal::Step { token, .. } => admit_invocation(view, token),
        _ => admit_standalone(view),
    }
}

/// Rotation enabled, token known, token current already, token pending: in this order.
fn admit_invocation(view: &View<'_>, token: &VersionId) -> Option<Decision> {
    let snapshot = &view.memory.snapshot;
    if snapshot.rotation_enabled == Some(false) {
        return Some(Rule::RotationIsOff.refuse(Reason::RotationDisabled));
    }
    if !snapshot.versions.contains_key(token) {
        return Some(Rule::TokenIsUnknown.refuse(Reason::UnknownToken));
    }
    if token == view.current || view.holder(Label::Pending) == Some(token) {
        return None;
    }
    Some(if view.memory.rejected.contains(token) {
        Rule::ValueWasRejected.refuse(Reason::Rejected)
    } else if view.memory.gave_up_pending {
        Rule::CandidateWasAbandoned.refuse(Reason::BaseMoved)
    } else {
        Rule::TokenIsNotPending.refuse(Reason::NotPending)
    })
}

/// A pending version that this driver did not make belongs to the service, or to a person.
fn admit_standalone(view: &View<'_>) -> Option<Decision> {
    let pending = view.holder(Label::Pending)?;
    if pending == view.current || pending.is_own() {
        return None;
    }
    let unstick = matches!(view.request.goal, Goal::Rotate { unstick: true, .. });
    Some(if unstick && !view.memory.snapshot.has_value(pending) {
        Rule::UnstickEmptyPending.remove(Label::Pending, pending)
    } else {
        Rule::PendingIsForeign.refuse(Reason::ForeignPending(pending.clone()))
    })
}

/// `testSecret` on a pending version that is empty, or equal to the current one, is how
/// `RotateImmediately=false` tries the configuration: no create or set came before it.
pub(super) fn try_configuration(view: &View<'_>) -> Option<Decision> {
    let Goal::Step {
        step: Step::Test,
        token,
    } = &view.request.goal
    else {
        return None;
    };
    let content = view.memory.snapshot.versions.get(token);
    if token == view.current || content == Some(&Content::Present) {
        return None;
    }
    if !view.memory.check_passed {
        return Some(Rule::TryConfiguration.so(Command::Check));
    }
    Some(match view.liveness(view.current) {
        None => Rule::TryConfiguration.so(Command::Probe {
            subject: view.current.clone(),
        }),
        Some(Liveness::Live) => Rule::ConfigurationWorks.so(Command::Done(Outcome::Checked)),
        Some(other) => Rule::ConfigurationFails.refuse(Reason::CurrentNotLive(other)),
    })
}
