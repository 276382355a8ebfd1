//! The sentences for people about why a run ended and what to do next. Nothing branches on them.

use keyturn_protocol::{
    Applied, Event, Failure, Goal, Label, NextAction, Outcome, Reason, WaitReason,
};

use crate::problem::Problem;
use crate::times::{duration, time};

/// Where a plugin answers, and does not say why so.
const UNEXPLAINED: &str = "the plugin gave no reason";

/// Why, with the problem's own words where a plugin or the store is the cause.
pub(crate) fn reason(reason: &Reason, problem: Option<&Problem>) -> String {
    let cause = problem.map_or(UNEXPLAINED, |problem| problem.message.as_str());
    let cause = cause.trim_end_matches('.');
    match reason {
        Reason::NoCurrent => "no version with a value is AWSCURRENT".to_owned(),
        Reason::Unsupported(purpose) => format!("the strategy has no {purpose:?} round").to_lowercase(),
        Reason::NothingToRestore => "the version that should come back has no value".to_owned(),
        Reason::RotationDisabled => "rotation is switched off for this secret".to_owned(),
        Reason::UnknownToken => "the store has no version of that id".to_owned(),
        Reason::NotPending => "AWSPENDING is not on the version of that id".to_owned(),
        Reason::OutOfOrder => "the step came before the one that it needs".to_owned(),
        Reason::ForeignPending(id) => {
            format!("AWSPENDING is on {id}, which another rotation made; it has to finish or be cancelled first")
        }
        Reason::BaseMoved => "AWSCURRENT was changed by somebody else during the rotation; that value stands".to_owned(),
        Reason::WithinGrace { seconds } => format!(
            "the value that the last rotation replaced is promised to work for another {}, and this would end it",
            duration(seconds.saturating_mul(1000))
        ),
        Reason::IdentityDiffers(id) => format!(
            "version {id} names another place than AWSCURRENT, so no login was tried: {cause}"
        ),
        Reason::Unfinished(id) => match problem.filter(|problem| problem.kind == Problem::ELSEWHERE) {
            Some(_) => format!("the rotation to version {id} has to be finished first: {cause}"),
            None => format!("the rotation to version {id} has to be finished first"),
        },
        Reason::OwnedElsewhere => format!("this secret does not rotate the credential any more: {cause}"),
        Reason::StillRead(id) => format!("version {id} must not end yet: {cause}"),
        Reason::DoubtWithoutTarget(id) => {
            format!("{} is on {id}, but this strategy has no target to ask", Label::InDoubt)
        }
        Reason::LivenessUnknown(id) => {
            format!("whether version {id} opens the door cannot be told now: {cause}")
        }
        Reason::AllDead => {
            "neither AWSCURRENT, nor the version in doubt, nor AWSPREVIOUS logs in: the target was changed outside Keyturn"
                .to_owned()
        }
        Reason::CurrentNotLive(liveness) => format!("AWSCURRENT is {liveness:?} and nothing better is known").to_lowercase(),
        Reason::CheckFailed => format!("the preflight found a failure: {cause}"),
        Reason::WaitingForOperator => {
            "an operator has to supply the new value; nothing was stored".to_owned()
        }
        Reason::RetiringIsTheOnlyKey(id) => format!(
            "AWSCURRENT does not log in and version {id}, which waits for its end, does: do not end it"
        ),
        Reason::RetiringUnaskable(id) => format!(
            "whether version {id}, which waits for its end, is dead cannot be asked: {cause}"
        ),
        Reason::OperatorOwes(id) => format!(
            "the value of {id} still works, and an operator has to end it: {cause}"
        ),
        Reason::Undeclared(id) => format!(
            "what version {id}, which is AWSCURRENT, keeps of older values stays in it until you declare that it is \
             not needed: {cause}"
        ),
        Reason::Rejected => format!("the target rejected the new value: {cause}"),
        Reason::StillPending => "the target kept asking for more time".to_owned(),
        Reason::Plugin(_) | Reason::Store => cause.to_owned(),
        Reason::Contended => "another rotation of this secret is at work".to_owned(),
        Reason::Cancelled => "cancelled".to_owned(),
    }
}

/// What a run is for, as the command line spells it.
pub(crate) fn goal(goal: &Goal) -> &'static str {
    match goal {
        Goal::Rotate { now: false, .. } => "rotate",
        Goal::Rotate { now: true, .. } => "rotate --now",
        Goal::Step { step, .. } => step.as_str(),
        Goal::Retire { vouched: true, .. }
        | Goal::Retire {
            declared: Some(_), ..
        } => "retire --declare-dead",
        Goal::Retire { now: false, .. } => "retire",
        Goal::Retire { now: true, .. } => "retire --now",
        Goal::Extend => "extend",
        Goal::Restore { .. } => "restore",
    }
}

/// A goal that was reached.
pub(crate) fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Promoted { .. } => "rotated",
        Outcome::Stepped(_) => "step done",
        Outcome::AlreadyCurrent => "already current",
        Outcome::Checked => "checked",
        Outcome::Retired { .. } => "retired",
        Outcome::NothingToRetire => "nothing to retire",
        Outcome::AwaitingInput => "waiting for the operator",
    }
}

/// What came of one effect.
pub(crate) fn answer(event: &Event) -> String {
    match event {
        Event::Completed { changed: true } => "done".to_owned(),
        Event::Completed { changed: false } => "unchanged".to_owned(),
        Event::Probed(liveness) => format!("{liveness:?}").to_lowercase(),
        Event::StillPending { milliseconds } => format!("pending for {}", duration(*milliseconds)),
        Event::PluginFailed(_) | Event::StoreFailed { .. } => "failed".to_owned(),
        Event::Created | Event::Moved | Event::Planned(_) | Event::IdentityEqual => {
            "done".to_owned()
        }
        Event::Refused => "refused".to_owned(),
        Event::InputNeeded => "waiting for the operator".to_owned(),
        Event::IdentityDiffers => "identity differs".to_owned(),
        Event::Checked { passed } => if *passed { "passed" } else { "failed" }.to_owned(),
        Event::Observed(_) | Event::Token(_) | Event::Elapsed | Event::Cancelled => {
            event.name().to_lowercase()
        }
    }
}

/// What a pause is for.
pub(crate) fn waiting(why: WaitReason) -> &'static str {
    match why {
        WaitReason::Lead => "verifiers fetch the announced key before it is used",
        WaitReason::Propagation => "the target needs time",
        WaitReason::PluginRetry => "the target did not answer as it should; trying again",
        WaitReason::StoreRetry => {
            "the labels moved, so another run may be at work, or the store failed; reading again"
        }
    }
}

/// Whether the target changed.
pub(crate) fn applied(applied: Applied) -> &'static str {
    match applied {
        Applied::No => "The target was not changed.",
        Applied::Yes => "The target was changed.",
        Applied::Unknown => "The target may have been changed.",
    }
}

/// Of a run whose preflight failed.
pub(crate) const NOBODY_ASKED: &str = "Nobody was asked for a new value.";

/// What to do besides, after such a run.
pub(crate) fn ask_all_the_same(name: &str) -> String {
    format!(
        "If AWSCURRENT is dead or leaked and has to be replaced as things are, `keyturn assist {name} --without-preflight` \
         asks all the same (with --now while a grace runs)."
    )
}

/// Where what is owed to an older value keeps a run from beginning, and AWSCURRENT has to be replaced: once that works
/// again, the older one can be told, or given up on a word.
pub(crate) fn put_by_hand(name: &str) -> String {
    let secret = name.split_once('#').map_or(name, |(secret, _)| secret);
    format!(
        "If AWSCURRENT is dead or leaked, no rotation can begin: make the new value at its vendor and store it, with all \
         other members as they are, with `keyturn secret put {secret}`; then run the same command again."
    )
}

/// What to do. `ended_at_ms`: when the run ended.
pub(crate) fn next(
    failure: &Failure,
    problem: Option<&Problem>,
    name: &str,
    ended_at_ms: u64,
) -> String {
    match failure.next {
        NextAction::Retry if failure.reason == Reason::Contended => {
            "Wait until that run has ended, then run the same command again.".to_owned()
        }
        // A certificate does not become right by itself.
        NextAction::Retry if problem.is_some_and(|problem| problem.kind == "tls") => {
            "Put the server's certificate or the grant's `ca` and `server_name` right, then run the same command again."
                .to_owned()
        }
        NextAction::Retry
            if problem.is_none() && matches!(failure.reason, Reason::LivenessUnknown(_)) =>
        {
            format!(
                "`keyturn history {name}` shows what the plugin has logged; put right what keeps the target from telling, \
                 then run the same command again."
            )
        }
        NextAction::Retry => {
            "Run the same command again: it continues where this one ended.".to_owned()
        }
        NextAction::WaitSeconds(seconds) => {
            let wait_ms = seconds.saturating_mul(1000);
            let over_at_ms = ended_at_ms.saturating_add(wait_ms);
            // A time that is shown to the second must not be too early.
            let shown_ms = over_at_ms.div_ceil(1000).saturating_mul(1000);
            format!(
                "Run it again in {}, at {}, or with --now, which locks out whoever still uses the old value.",
                duration(wait_ms),
                time(shown_ms)
            )
        }
        NextAction::Repair if failure.reason == Reason::OwnedElsewhere => {
            "This is refused for as long as another secret rotates it.".to_owned()
        }
        // Why has said which command comes first.
        NextAction::Repair if problem.is_some_and(|problem| problem.kind == Problem::ELSEWHERE) => {
            "Then run the same command again.".to_owned()
        }
        NextAction::Repair => repair(failure, name),
        NextAction::Refuse => "This cannot be done as asked.".to_owned(),
    }
}

fn repair(failure: &Failure, name: &str) -> String {
    let left_behind = |version| {
        let mut kept = failure.kept.iter();
        kept.any(|(label, holder)| {
            matches!(label, Label::InDoubt | Label::Retiring) && holder == version
        })
    };
    match &failure.reason {
        Reason::IdentityDiffers(version) if left_behind(version) => {
            "Keyturn logs in only where AWSCURRENT points, so it cannot end that value. Either put AWSCURRENT's \
             former place back with `keyturn secret put` and run the same command again; or, if that server is \
             gone or the password was changed there by hand, say so with `keyturn retire NAME --declare-dead` (and --now \
             while its grace runs)."
        }
        Reason::Unfinished(_) => "Run `keyturn rotate NAME` first, then the same command again.",
        Reason::AllDead => {
            "Set the password that AWSCURRENT names at the target again, or put the working value with \
             `keyturn secret put`, then run the same command again."
        }
        Reason::WaitingForOperator => "Run `keyturn assist NAME`.",
        Reason::RetiringIsTheOnlyKey(_) => {
            "Put that version's value back with `keyturn secret put`, then run the same command again."
        }
        Reason::RetiringUnaskable(_) => {
            "If that is not to be put right, end the value at its vendor and say so with `keyturn retire NAME \
             --declare-dead`, which demands that AWSCURRENT works."
        }
        Reason::StillRead(_) => "Then run the same command again.",
        Reason::OperatorOwes(_) => "Do that, then run the same command again: it proves that the value is dead.",
        Reason::Undeclared(id) => {
            let told = "Do that, then declare it with `keyturn retire NAME --declare-dead=";
            return format!("{}{id}`; that holds for this version alone.", told.replace("NAME", name));
        }
        Reason::ForeignPending(_) => {
            "Have that rotation finished, by RotateSecret for one, then run the same command again. If nobody is to go on \
             with it, give it up: by `keyturn rotate NAME --unstick` while its version holds no value yet, else by taking \
             AWSPENDING off that version (UpdateSecretVersionStage)."
        }
        Reason::IdentityDiffers(_) => {
            "If the move is intended, put the new place by hand with `keyturn secret put`, then rotate."
        }
        _ => "Put that right, then run the same command again.",
    }
    .replace("NAME", name)
}

#[cfg(test)]
mod tests {
    use keyturn_protocol::VersionId;

    use super::*;

    /// In one sentence after the other, as [`crate::RunFailure`] shows it.
    fn said(failure: &Failure, problem: Option<&Problem>) -> String {
        let why = reason(&failure.reason, problem);
        format!("{why}. {}", next(failure, problem, "app-prod/db#one", 0))
    }

    #[test]
    fn a_verdict_that_says_nothing_is_explained_or_tells_where_to_look() {
        let failure = Failure {
            reason: Reason::LivenessUnknown(VersionId::new("v2")),
            applied: Applied::No,
            next: NextAction::Retry,
            kept: Vec::new(),
        };
        let unexplained = said(&failure, None);
        for words in ["v2", "gave no reason", "`keyturn history app-prod/db#one`"] {
            assert!(unexplained.contains(words), "{unexplained}");
        }
        let problem = Problem {
            kind: "auth".to_owned(),
            applied: "no".to_owned(),
            code: None,
            message: "api api.example: it refuses everybody.".to_owned(),
            details: Vec::new(),
        };
        assert_eq!(
            said(&failure, Some(&problem)),
            "whether version v2 opens the door cannot be told now: api api.example: it refuses everybody. Run the same \
             command again: it continues where this one ended."
        );
    }

    #[test]
    fn a_grace_that_runs_is_told_in_days_and_by_its_end() {
        let seconds = 604_800;
        let failure = Failure {
            reason: Reason::WithinGrace { seconds },
            applied: Applied::No,
            next: NextAction::WaitSeconds(seconds),
            kept: Vec::new(),
        };
        // 2026-11-27T16:00:00.001Z
        let told = next(&failure, None, "app-prod/jwt", 1_795_795_200_001);
        assert!(
            told.contains("in 7 days, at 2026-12-04T16:00:01Z, or"),
            "{told}"
        );
    }
}
