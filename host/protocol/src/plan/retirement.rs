//! What earlier promotions owe: a superseded value stays accepted for its grace and is then killed
//! with proof. No new rotation begins before that, because it would end the grace in silence.

use super::{Decision, Rule, View, round};
use crate::command::Command;
use crate::ending::{Outcome, Reason};
use crate::facts::{How, Liveness, Step};
use crate::labels::{Label, VersionId};
use crate::request::Goal;
use crate::snapshot::Obligation;

pub(super) fn settle_predecessor(view: &View<'_>) -> Option<Decision> {
    match &view.request.goal {
        // These touch neither a user nor a slot that a predecessor still uses.
        Goal::Extend
        | Goal::Step {
            step: Step::Set | Step::Test | Step::Finish,
            ..
        } => None,
        Goal::Retire { .. } => Some(retire(view)),
        _ => end_label(view).or_else(|| {
            // A run goes on with what it promoted itself, unless somebody else has promoted since.
            let promoted = view.memory.promoted.as_ref();
            let goes_on = promoted.is_some_and(|(version, _)| version == view.current);
            let beginning = view.candidate().is_none() && !goes_on;
            beginning.then(|| within_grace(view))?
        }),
    }
}

/// The goal `Retire`: what stands under the label first, then the slot inside the current value.
fn retire(view: &View<'_>) -> Decision {
    if let Some(decision) = within_grace(view).or_else(|| end_label(view)) {
        return decision;
    }
    if let Some(owed) = owed(view).filter(|owed| owed.how.new_version) {
        return if ends_by_word(view, owed) && !view.is_declared() {
            Rule::OperatorHasNotDeclared.refuse(Reason::Undeclared(view.current.clone()))
        } else {
            round::advance(view)
        };
    }
    match &view.memory.retired {
        Some((subject, proven)) => Rule::Retired.so(Command::Done(Outcome::Retired {
            subject: subject.clone(),
            proven: *proven,
        })),
        None => Rule::NothingIsOwed.so(Command::Done(Outcome::NothingToRetire)),
    }
}

/// What only a word ends, no rotation ends either: there is no grace to wait for.
fn within_grace(view: &View<'_>) -> Option<Decision> {
    let owed = owed(view).filter(|owed| !ends_by_word(view, owed))?;
    let seconds = owed.grace_left_seconds;
    (seconds > 0 && !view.now())
        .then(|| Rule::GraceIsNotOver.refuse(Reason::WithinGrace { seconds }))
}

/// What stands under `KEYTURN_RETIRING`.
fn end_label(view: &View<'_>) -> Option<Decision> {
    let subject = view
        .holder(Label::Retiring)
        .filter(|subject| *subject != view.current)?;
    let how = owed_to(view, subject);
    if let Some(refusal) = within_grace(view) {
        return Some(refusal);
    }
    if view.is_elsewhere(subject) && view.vouched() {
        return Some(Rule::OperatorVouches.remove(Label::Retiring, subject));
    }
    // At another place this value may be alive whatever the current one's says.
    if let Some(decision) = view.compare_identity(subject) {
        return Some(decision);
    }
    if view.memory.unaskable.contains(subject) {
        return Some(take_word(view, subject));
    }
    Some(match (view.liveness(subject), how) {
        (Some(Liveness::Dead), _) => Rule::RetiredIsDead.remove(Label::Retiring, subject),
        (
            _,
            How {
                at_target: true, ..
            },
        ) => Rule::GraceIsOver.so(Command::Retire {
            subject: subject.clone(),
        }),
        (None, _) => Rule::OperatorMayHaveActed.so(Command::Probe {
            subject: subject.clone(),
        }),
        (Some(Liveness::Unknown), _) => {
            Rule::LivenessIsUnknown.refuse(Reason::LivenessUnknown(subject.clone()))
        }
        (Some(Liveness::Live | Liveness::Mixed), _) => operator_owes(view, subject),
    })
}

/// The plugin cannot ask about the value: the operator's word ends it, where AWSCURRENT works without it. Nobody is told
/// to end it before that is known either.
fn take_word(view: &View<'_>, subject: &VersionId) -> Decision {
    match view.liveness(view.current) {
        None => Rule::RetiringIsUnaskable.so(Command::Probe {
            subject: view.current.clone(),
        }),
        Some(Liveness::Live) if view.vouched() => {
            Rule::OperatorVouches.remove(Label::Retiring, subject)
        }
        Some(Liveness::Live) => {
            Rule::RetiringIsUnaskable.refuse(Reason::RetiringUnaskable(subject.clone()))
        }
        Some(Liveness::Unknown) => {
            Rule::LivenessIsUnknown.refuse(Reason::LivenessUnknown(view.current.clone()))
        }
        Some(dead @ (Liveness::Dead | Liveness::Mixed)) => {
            Rule::RetiringIsUnaskable.refuse(Reason::CurrentNotLive(dead))
        }
    }
}

/// Nobody is told to end a value before it is known that AWSCURRENT works without it.
fn operator_owes(view: &View<'_>, subject: &VersionId) -> Decision {
    match view.liveness(view.current) {
        None => Rule::OperatorHasNotActed.so(Command::Probe {
            subject: view.current.clone(),
        }),
        Some(Liveness::Live) => {
            Rule::OperatorHasNotActed.refuse(Reason::OperatorOwes(subject.clone()))
        }
        Some(Liveness::Unknown) => {
            Rule::LivenessIsUnknown.refuse(Reason::LivenessUnknown(view.current.clone()))
        }
        Some(Liveness::Dead | Liveness::Mixed) => {
            Rule::OperatorHasNotActed.refuse(Reason::RetiringIsTheOnlyKey(subject.clone()))
        }
    }
}

fn ends_by_word(view: &View<'_>, owed: &Obligation) -> bool {
    view.request.facts.ends_by_word(owed.how)
}

/// What still binds. What has to be proven dead is settled once its label is off, whatever the notes
/// say: they may lag behind.
fn owed<'a>(view: &View<'a>) -> Option<&'a Obligation> {
    let owed = view.memory.snapshot.owed.as_ref()?;
    let labelled = view.holder(Label::Retiring) == Some(&owed.subject);
    (labelled || owed.how.new_version).then_some(owed)
}

/// How the labelled version ends. Without a note nobody knows when: only an operator who says
/// `now` has it killed, otherwise it must have died already.
fn owed_to(view: &View<'_>, subject: &VersionId) -> How {
    let owed = view
        .memory
        .snapshot
        .owed
        .as_ref()
        .filter(|owed| owed.subject == *subject);
    let unknown = How {
        at_target: view.now(),
        by_operator: true,
        ..How::default()
    };
    owed.map_or(unknown, |owed| owed.how)
}
