//! A version in doubt that this run cannot simply continue with: it may or may not open the door,
//! and before anything else is applied that has to be known and ended. The label comes off only
//! after the proof.

use super::{Decision, Rule, View};
use crate::command::Command;
use crate::ending::Reason;
use crate::facts::{Effect, Liveness, Step};
use crate::labels::{Label, VersionId};
use crate::request::Goal;

pub(super) fn resolve(view: &View<'_>) -> Option<Decision> {
    let doubt = view.holder(Label::InDoubt)?;
    if view.candidate() == Some(doubt) {
        return None;
    }
    match &view.request.goal {
        Goal::Step {
            step: Step::Test | Step::Finish,
            ..
        } => {
            return Some(Rule::StepIsOutOfOrder.refuse(Reason::OutOfOrder));
        }
        Goal::Retire { .. } | Goal::Extend => {
            return Some(Rule::RotationIsUnfinished.refuse(Reason::Unfinished(doubt.clone())));
        }
        _ => {}
    }
    if view.effect() == Effect::None {
        return Some(Rule::DoubtHasNoTarget.refuse(Reason::DoubtWithoutTarget(doubt.clone())));
    }
    Some(
        ask(view, doubt).unwrap_or_else(|(doubt_is, current_is)| match (doubt_is, current_is) {
            (Liveness::Unknown, _) => unknown(doubt),
            (_, Liveness::Unknown) => unknown(view.current),
            (Liveness::Dead, Liveness::Live) => Rule::DoubtIsDead.remove(Label::InDoubt, doubt),
            (Liveness::Live | Liveness::Mixed, Liveness::Live) => {
                Rule::DoubtIsSuperfluous.so(Command::Retire {
                    subject: doubt.clone(),
                })
            }
            (Liveness::Live, Liveness::Dead | Liveness::Mixed) => {
                promote_instead(view, Rule::DoubtIsTheOnlyKey, doubt)
            }
            (Liveness::Mixed, Liveness::Dead | Liveness::Mixed) => complete(view, doubt),
            (Liveness::Dead, Liveness::Mixed) => {
                Rule::CurrentIsHalfDead.refuse(Reason::CurrentNotLive(Liveness::Mixed))
            }
            (Liveness::Dead, Liveness::Dead) => fall_back(view, doubt),
        }),
    )
}

fn unknown(version: &VersionId) -> Decision {
    Rule::LivenessIsUnknown.refuse(Reason::LivenessUnknown(version.clone()))
}

/// Both verdicts, or the question that is still open. Identity goes first: a probe is a login.
fn ask(view: &View<'_>, doubt: &VersionId) -> Result<Decision, (Liveness, Liveness)> {
    if let Some(question) = compare(view, doubt) {
        return Ok(question);
    }
    let probe = |subject: &VersionId| {
        Ok(Rule::AskWhatIsLive.so(Command::Probe {
            subject: subject.clone(),
        }))
    };
    match (view.liveness(doubt), view.liveness(view.current)) {
        (Some(doubt_is), Some(current_is)) => Err((doubt_is, current_is)),
        (None, _) => probe(doubt),
        (_, None) => probe(view.current),
    }
}

fn compare(view: &View<'_>, version: &VersionId) -> Option<Decision> {
    (!view.memory.identical.contains(version)).then(|| {
        Rule::IdentityBeforeLogin.so(Command::CompareIdentity {
            candidate: version.clone(),
        })
    })
}

/// The current version opens nothing; this one does. Making it current ends the outage.
fn promote_instead(view: &View<'_>, rule: Rule, version: &VersionId) -> Decision {
    if view.memory.tested.as_ref() != Some(version) {
        return rule.so(Command::Test {
            candidate: version.clone(),
        });
    }
    let (to, from) = (version.clone(), view.current.clone());
    rule.so(Command::Promote {
        to,
        from,
        purpose: None,
    })
}

/// Neither opens every door. Applying the one in doubt once more takes nothing away from a current
/// version that is broken already, and afterwards at least one is whole.
fn complete(view: &View<'_>, doubt: &VersionId) -> Decision {
    if view.memory.set.as_ref() != Some(doubt) {
        return Rule::DoubtIsCompleted.so(Command::Set {
            candidate: doubt.clone(),
        });
    }
    promote_instead(view, Rule::DoubtIsCompleted, doubt)
}

fn fall_back(view: &View<'_>, doubt: &VersionId) -> Decision {
    let previous = view
        .holder(Label::Previous)
        .filter(|previous| *previous != doubt);
    let Some(previous) = previous.filter(|previous| view.memory.snapshot.has_value(previous))
    else {
        return Rule::NothingOpens.refuse(Reason::AllDead);
    };
    if let Some(question) = compare(view, previous) {
        return question;
    }
    match view.liveness(previous) {
        None => Rule::AskPrevious.so(Command::Probe {
            subject: previous.clone(),
        }),
        Some(Liveness::Live) => promote_instead(view, Rule::PreviousIsTheOnlyKey, previous),
        Some(Liveness::Unknown) => unknown(previous),
        Some(Liveness::Dead | Liveness::Mixed) => Rule::NothingOpens.refuse(Reason::AllDead),
    }
}
