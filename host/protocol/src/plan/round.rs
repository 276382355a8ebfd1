//! One round: a version is made from the current one, compared, applied, tested and promoted. Every
//! condition is read off what is known, so that a round is entered wherever an earlier run left it.

use super::{Decision, Rule, View};
use crate::command::{Command, WaitReason};
use crate::ending::{Outcome, Reason};
use crate::facts::{Effect, Purpose, Step};
use crate::labels::{Label, VersionId};
use crate::request::Goal;

/// Brings the candidate one command further, or makes one.
pub(super) fn advance(view: &View<'_>) -> Decision {
    let purpose = purpose(view);
    let Some(candidate) = view.candidate() else {
        return begin(view, purpose);
    };
    let step = match &view.request.goal {
        Goal::Step { step, .. } => *step,
        _ => Step::Finish,
    };
    if step == Step::Create {
        return stepped(step);
    }
    if let Some(decision) = view.compare_identity(candidate) {
        return decision;
    }
    // In an invocation that tests or promotes, an earlier one has set the candidate: its label says
    // so, and nothing else could.
    let remembered = matches!(
        view.request.goal,
        Goal::Step {
            step: Step::Test | Step::Finish,
            ..
        }
    );
    if view.effect() != Effect::None && purpose.brings_credential() {
        if remembered && view.holder(Label::InDoubt) != Some(candidate) {
            return Rule::StepIsOutOfOrder.refuse(Reason::OutOfOrder);
        }
        if !remembered && let Some(decision) = apply(view, candidate) {
            return decision;
        }
    }
    // What replaced the credential in use is promoted at once: the gap must not span two invocations.
    if step == Step::Set && view.effect() != Effect::Replacing {
        return stepped(step);
    }
    if view.memory.tested.as_ref() != Some(candidate) {
        return Rule::TestBeforePromotion.so(Command::Test {
            candidate: candidate.clone(),
        });
    }
    if step == Step::Test {
        return stepped(step);
    }
    promote(view, candidate, purpose)
}

fn stepped(step: Step) -> Decision {
    Rule::StepIsDone.so(Command::Done(Outcome::Stepped(step)))
}

fn purpose(view: &View<'_>) -> Purpose {
    match &view.request.goal {
        Goal::Retire { .. } => Purpose::Retire,
        Goal::Extend => Purpose::Extend,
        Goal::Restore { .. } => Purpose::Restore,
        Goal::Rotate { .. } if view.leads() => {
            let announced = view.memory.snapshot.announced.as_ref();
            match announced.filter(|announced| announced.version == *view.current) {
                Some(_) => Purpose::Activate,
                None => Purpose::Announce,
            }
        }
        Goal::Rotate { .. } | Goal::Step { .. } => Purpose::Replace,
    }
}

/// No candidate yet. The base is labelled before the value is made from it.
fn begin(view: &View<'_>, purpose: Purpose) -> Decision {
    if !view.supports(purpose) {
        return Rule::StrategyCannot.refuse(Reason::Unsupported(purpose));
    }
    if view.memory.rejected.len() > values_to_spare(view) {
        return Rule::ValueWasRejected.refuse(Reason::Rejected);
    }
    if purpose == Purpose::Activate
        && let Some(wait) = wait_for_verifiers(view)
    {
        return wait;
    }
    let restore = match &view.request.goal {
        Goal::Restore { version, .. } if !view.memory.snapshot.has_value(version) => {
            return Rule::StrategyCannot.refuse(Reason::NothingToRestore);
        }
        Goal::Restore { version, .. } => Some(version.clone()),
        _ => None,
    };
    if asks_an_operator(view, purpose) && !view.memory.check_passed {
        return Rule::PreflightBeforeAsking.so(Command::Check);
    }
    if view.holder(Label::Base).is_none() {
        let to = Some(view.current.clone());
        return Rule::BaseBeforeCreate.so(Command::MoveLabel {
            label: Label::Base,
            from: None,
            to,
        });
    }
    let (token, stage) = match &view.request.goal {
        Goal::Step { token, .. } => (Some(token), Label::Pending),
        _ if purpose == Purpose::Replace => (view.memory.token.as_ref(), Label::Pending),
        _ => (view.memory.token.as_ref(), Label::Staged),
    };
    let Some(token) = token.cloned() else {
        return Rule::OneTokenOneValue.so(Command::NewToken);
    };
    let base = view.current.clone();
    Rule::StoreBeforeUse.so(Command::Create {
        token,
        base,
        purpose,
        stage,
        restore,
    })
}

/// Making the new value may end the current one, at a vendor that keeps one only. What would refuse the new one then, a
/// wrong way or a wrong name, refuses the current one now.
fn asks_an_operator(view: &View<'_>, purpose: Purpose) -> bool {
    view.request.preflight
        && view.request.facts.needs_operator
        && purpose == Purpose::Replace
        && !view.memory.snapshot.answered
}

/// How many rejected values may be replaced. An operator's answer makes the same value again.
fn values_to_spare(view: &View<'_>) -> usize {
    if view.request.facts.needs_operator {
        return 0;
    }
    usize::from(view.request.limits.rejected_values_max)
}

fn wait_for_verifiers(view: &View<'_>) -> Option<Decision> {
    let milliseconds = view.memory.snapshot.announced.as_ref()?.lead_left_ms;
    let wait = Command::Wait {
        why: WaitReason::Lead,
        milliseconds,
    };
    (milliseconds > 0).then(|| Rule::VerifiersFetchFirst.so(wait))
}

/// The fence first, by an attempt to attach it: its absence is never concluded from a read. A
/// repeated `set` begins with a login by the candidate, which is the probe that a lost answer needs.
fn apply(view: &View<'_>, candidate: &VersionId) -> Option<Decision> {
    if view.memory.fenced.as_ref() != Some(candidate) {
        let to = Some(candidate.clone());
        let attach = Command::MoveLabel {
            label: Label::InDoubt,
            from: None,
            to,
        };
        return Some(Rule::DoubtBeforeSet.so(attach));
    }
    if view.memory.set.as_ref() != Some(candidate) {
        return Some(Rule::SetCandidate.so(Command::Set {
            candidate: candidate.clone(),
        }));
    }
    None
}

/// What becomes of the old value is settled, and labelled, before the new one is current.
fn promote(view: &View<'_>, candidate: &VersionId, purpose: Purpose) -> Decision {
    let (to, from) = (candidate.clone(), view.current.clone());
    if purpose.plans_retirement() {
        let planned = view
            .memory
            .planned
            .as_ref()
            .filter(|(version, _)| version == candidate);
        let Some((_, how)) = planned else {
            return Rule::ObligationBeforePromotion.so(Command::Finish {
                candidate: to,
                base: from,
            });
        };
        if view.request.facts.needs_proof(*how)
            && view.holder(Label::Retiring) != Some(view.current)
        {
            let attach = Command::MoveLabel {
                label: Label::Retiring,
                from: None,
                to: Some(from),
            };
            return Rule::RetiringBeforePromotion.so(attach);
        }
    }
    Rule::PromoteTested.so(Command::Promote {
        to,
        from,
        purpose: Some(purpose),
    })
}
