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
        Goal::Retire { vouched: true, .. } => {
            return Some(give_up(view, doubt).unwrap_or_else(|| unfinished(doubt)));
        }
        Goal::Retire { .. } | Goal::Extend => return Some(unfinished(doubt)),
        _ => {}
    }
    if view.effect() == Effect::None {
        return Some(Rule::DoubtHasNoTarget.refuse(Reason::DoubtWithoutTarget(doubt.clone())));
    }
    if let Some(decision) = give_up(view, doubt) {
        return Some(decision);
    }
    Some(
        ask(view, doubt).unwrap_or_else(|(doubt_is, current_is)| match (doubt_is, current_is) {
            (Liveness::Unknown, _) => unknown(doubt),
            (_, Liveness::Unknown) => unknown(view.current),
            (Liveness::Dead, Liveness::Live) => forget(view, doubt),
            (Liveness::Live | Liveness::Mixed, Liveness::Live) => {
                Rule::DoubtIsSuperfluous.so(Command::Retire {
                    subject: doubt.clone(),
                })
            }
            (Liveness::Live, Liveness::Dead | Liveness::Mixed) => {
                complete(view, Rule::DoubtIsTheOnlyKey, doubt)
            }
            (Liveness::Mixed, Liveness::Dead | Liveness::Mixed) => {
                complete(view, Rule::DoubtIsCompleted, doubt)
            }
            (Liveness::Dead, Liveness::Mixed) => {
                Rule::CurrentIsHalfDead.refuse(Reason::CurrentNotLive(Liveness::Mixed))
            }
            (Liveness::Dead, Liveness::Dead) => fall_back(view, doubt),
        }),
    )
}

fn unfinished(doubt: &VersionId) -> Decision {
    Rule::RotationIsUnfinished.refuse(Reason::Unfinished(doubt.clone()))
}

/// A version of another place cannot be asked about from here: somebody has moved the secret to a
/// new server, or corrected a wrong one. It is given up if it never reached its target, or if the
/// operator vouches for it. `None` once its identity is known to be the current one's.
fn give_up(view: &View<'_>, doubt: &VersionId) -> Option<Decision> {
    if view.is_elsewhere(doubt) {
        if view.memory.snapshot.never_applied {
            let subject = doubt.clone();
            return Some(Rule::DoubtNeverApplied.so(Command::Withdraw { subject }));
        }
        if view.vouched() {
            return Some(Rule::OperatorVouches.remove(Label::InDoubt, doubt));
        }
    }
    view.compare_identity(doubt)
}

fn unknown(version: &VersionId) -> Decision {
    Rule::LivenessIsUnknown.refuse(Reason::LivenessUnknown(version.clone()))
}

/// Both verdicts, or the question that is still open.
fn ask(view: &View<'_>, doubt: &VersionId) -> Result<Decision, (Liveness, Liveness)> {
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

/// The current version is broken. Applying the one in doubt once more takes nothing away from it, makes whole what was
/// half done, and keeps over a restart of the target what a run that ended in the middle may not have kept.
fn complete(view: &View<'_>, rule: Rule, doubt: &VersionId) -> Decision {
    let another_run_ended_it = view.memory.rejected.contains(doubt);
    if view.memory.set.as_ref() != Some(doubt) && !another_run_ended_it {
        return rule.so(Command::Set {
            candidate: doubt.clone(),
        });
    }
    promote_instead(view, rule, doubt)
}

/// Dead now; but a run that killed it and ended in the middle may not have made that last over a restart of the target.
/// Killing it once more does.
fn forget(view: &View<'_>, doubt: &VersionId) -> Decision {
    let was_killed = view.memory.killed.as_ref() == Some(doubt);
    if was_killed || view.memory.snapshot.never_applied {
        return Rule::DoubtIsDead.remove(Label::InDoubt, doubt);
    }
    Rule::DoubtIsDead.so(Command::Retire {
        subject: doubt.clone(),
    })
}

fn fall_back(view: &View<'_>, doubt: &VersionId) -> Decision {
    let previous = view
        .holder(Label::Previous)
        .filter(|previous| *previous != doubt);
    let Some(previous) = previous.filter(|previous| view.memory.snapshot.has_value(previous))
    else {
        return Rule::NothingOpens.refuse(Reason::AllDead);
    };
    if let Some(question) = view.compare_identity(previous) {
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
