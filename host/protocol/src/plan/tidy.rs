//! Labels that have reached their end, the end of the run itself, and candidates that can't be
//! promoted any more. No plugin is called here.

use super::{Decision, Rule, View};
use crate::command::Command;
use crate::ending::{Outcome, Reason};
use crate::facts::{Purpose, Step};
use crate::labels::{Label, VersionId};
use crate::request::Goal;

/// What a promotion leaves behind. `AWSPENDING` goes last, because it is by this label on the
/// current version that a later run recognises a rotation that was interrupted here.
pub(super) fn remove_spent_labels(view: &View<'_>) -> Option<Decision> {
    if let Some(base) = view
        .holder(Label::Base)
        .filter(|base| *base != view.current)
    {
        return Some(Rule::BaseIsSpent.remove(Label::Base, base));
    }
    if view.holder(Label::Retiring) == Some(view.current) && view.candidate().is_none() {
        return Some(Rule::CurrentNeverRetires.remove(Label::Retiring, view.current));
    }
    // Ending it would end the current one, and waiting for its end would never end.
    let in_use = |subject: &&VersionId| view.memory.snapshot.is_in_use_again(subject);
    if let Some(subject) = view.holder(Label::Retiring).filter(in_use) {
        return Some(end_another(view, subject));
    }
    [
        (Label::InDoubt, Rule::DoubtEndsByPromotion),
        (Label::Staged, Rule::StageIsSpent),
        (Label::Pending, Rule::PendingIsSpent),
    ]
    .into_iter()
    .find(|(label, _)| view.holder(*label) == Some(view.current))
    .map(|(label, rule)| rule.remove(label, view.current))
}

/// What was in use until that one came back retires in its place, if it is known.
fn end_another(view: &View<'_>, in_use: &VersionId) -> Decision {
    let facts = view.request.facts;
    let owed = view.memory.snapshot.owed.as_ref();
    match owed.filter(|owed| owed.subject != *in_use && facts.needs_proof(owed.how)) {
        Some(owed) => Rule::AnotherWasInUse.so(Command::MoveLabel {
            label: Label::Retiring,
            from: Some(in_use.clone()),
            to: Some(owed.subject.clone()),
        }),
        None => Rule::RetiringIsInUse.remove(Label::Retiring, in_use),
    }
}

/// Whether the goal is reached.
pub(super) fn settle(view: &View<'_>) -> Option<Decision> {
    let memory = view.memory;
    if let Some((version, purpose)) = &memory.promoted {
        let resumed = memory
            .made
            .as_ref()
            .is_none_or(|made| made.token != *version);
        // An announced key has to be activated yet; of a retire round its own phase speaks.
        if !matches!(purpose, Purpose::Announce | Purpose::Retire) {
            return Some(promoted(version, *purpose, resumed));
        }
    }
    match &view.request.goal {
        Goal::Step { token, .. } if token == view.current => {
            Some(Rule::TokenIsCurrent.so(Command::Done(Outcome::AlreadyCurrent)))
        }
        // What a third run left in doubt meanwhile is resolved first.
        Goal::Rotate { now: false, .. }
            if memory.found_promoted && view.holder(Label::InDoubt).is_none() =>
        {
            Some(promoted(view.current, Purpose::Replace, true))
        }
        _ => None,
    }
}

fn promoted(version: &VersionId, purpose: Purpose, resumed: bool) -> Decision {
    let outcome = Outcome::Promoted {
        version: version.clone(),
        purpose,
        resumed,
    };
    Rule::Promoted.so(Command::Done(outcome))
}

/// What was made from a version that is no longer current, what the target rejected, and what
/// another run left half-way: it loses its stage, and stays in doubt if it was.
pub(super) fn abandon_stale_candidates(view: &View<'_>) -> Option<Decision> {
    let candidate = view.candidate();
    if let Goal::Step { step, token } = &view.request.goal {
        let empty = !view.memory.snapshot.has_value(token);
        return match (empty, candidate) {
            (true, _) if *step != Step::Create => {
                Some(Rule::StepIsOutOfOrder.refuse(Reason::OutOfOrder))
            }
            (false, None) => Some(Rule::AbandonCandidate.remove(Label::Pending, token)),
            _ => None,
        };
    }
    [Label::Pending, Label::Staged]
        .into_iter()
        .find_map(|stage| {
            let holder = view.holder(stage)?;
            (candidate != Some(holder)).then(|| Rule::AbandonCandidate.remove(stage, holder))
        })
}
