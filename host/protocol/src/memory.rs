//! What a run has learned so far. Nothing in here is needed after a crash: it spares questions
//! whose answers are still true, and it forgets them as soon as they may not be.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::command::WaitReason;
use crate::ending::{Outcome, Reason};
use crate::event::{FailureClass, PluginFailure};
use crate::facts::{Applied, How, Liveness, Purpose};
use crate::labels::{Label, VersionId};
use crate::request::Limits;
use crate::snapshot::{Announced, Content, Snapshot};

/// What to do after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Plan from what is known.
    Plan,
    /// Read the labels again first.
    Observe,
    /// Pause, then plan or observe as the reason demands.
    Wait(WaitReason, u64),
    /// The goal is reached.
    Done(Outcome),
    /// Give up.
    Fail(Reason),
}

/// A version that this run made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Made {
    pub(crate) token: VersionId,
    pub(crate) base: VersionId,
    pub(crate) purpose: Purpose,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Memory {
    /// As last observed, with this run's own moves applied: a read may lag behind them.
    pub(crate) snapshot: Snapshot,
    /// Whether anything was observed yet.
    observed: bool,
    /// The first look found a promoted version still under `AWSPENDING`: an earlier run was
    /// interrupted after its promotion.
    pub(crate) found_promoted: bool,
    /// An id that was minted and names no version yet.
    pub(crate) token: Option<VersionId>,
    pub(crate) made: Option<Made>,
    /// The last promotion that this run tried; if somebody else completes it, it is complete.
    attempted: Option<(VersionId, Purpose)>,
    /// What this run promoted for its goal.
    pub(crate) promoted: Option<(VersionId, Purpose)>,
    /// Versions whose identity equals the current one's.
    pub(crate) identical: BTreeSet<VersionId>,
    /// Versions whose identity differs from it: they open the door of another place.
    pub(crate) elsewhere: BTreeSet<VersionId>,
    /// The version for which this run holds the fence, read back.
    pub(crate) fenced: Option<VersionId>,
    pub(crate) set: Option<VersionId>,
    pub(crate) tested: Option<VersionId>,
    /// What becomes of the current value once that candidate is promoted.
    pub(crate) planned: Option<(VersionId, How)>,
    pub(crate) liveness: BTreeMap<VersionId, Liveness>,
    /// Versions whose value is none that the plugin can ask about.
    pub(crate) unaskable: BTreeSet<VersionId>,
    /// The version that this run had killed at the target, with proof.
    pub(crate) killed: Option<VersionId>,
    pub(crate) rejected: BTreeSet<VersionId>,
    /// The version whose value this run brought to its end, and whether that was proven.
    pub(crate) retired: Option<(VersionId, bool)>,
    /// This run took `AWSPENDING` off the invocation's token.
    pub(crate) gave_up_pending: bool,
    pub(crate) check_passed: bool,
    /// Whether this run changed the target.
    pub(crate) applied: Applied,
    plugin_failures: u8,
    pending_answers: u8,
    store_failures: u8,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Memory {
            snapshot: Snapshot::default(),
            observed: false,
            found_promoted: false,
            token: None,
            made: None,
            attempted: None,
            promoted: None,
            identical: BTreeSet::new(),
            elsewhere: BTreeSet::new(),
            fenced: None,
            set: None,
            tested: None,
            planned: None,
            liveness: BTreeMap::new(),
            unaskable: BTreeSet::new(),
            killed: None,
            rejected: BTreeSet::new(),
            retired: None,
            gave_up_pending: false,
            check_passed: false,
            applied: Applied::No,
            plugin_failures: 0,
            pending_answers: 0,
            store_failures: 0,
        }
    }

    pub(crate) fn observed(&mut self, snapshot: Snapshot, limits: &Limits) -> Next {
        let current = snapshot.holder(Label::Current);
        if !self.observed {
            self.observed = true;
            let pending = snapshot.holder(Label::Pending);
            self.found_promoted = pending.is_some_and(VersionId::is_own) && pending == current;
        } else if current != self.snapshot.holder(Label::Current) {
            self.forget_all();
        }
        // It came to be, though the answer was lost: by this run, or by another one with the same goal.
        let came_to_be = |(to, _): &mut (VersionId, Purpose)| current == Some(&*to);
        if let Some(promoted) = self.attempted.take_if(came_to_be) {
            self.promoted = Some(promoted);
        }
        let fence_lost =
            self.fenced.is_some() && self.fenced.as_ref() != snapshot.holder(Label::InDoubt);
        self.snapshot = snapshot;
        if fence_lost {
            self.fenced = None;
            return self.store_retry(limits);
        }
        Next::Plan
    }

    pub(crate) fn minted(&mut self, token: VersionId) -> Next {
        self.token = Some(token);
        Next::Plan
    }

    /// A value is stored, or may be: then its label will tell, and its id is never used again.
    pub(crate) fn made(&mut self, made: Made) {
        self.token = None;
        self.made = Some(made);
    }

    pub(crate) fn created(&mut self, made: Made, stage: Label) -> Next {
        self.plugin_answered();
        self.snapshot.labels.put(stage, Some(made.token.clone()));
        self.snapshot
            .versions
            .insert(made.token.clone(), Content::Present);
        self.made(made);
        Next::Plan
    }

    pub(crate) fn moved(&mut self, label: Label, to: Option<VersionId>) -> Next {
        match (label, &to) {
            (Label::Pending, None) => self.gave_up_pending = true,
            (Label::Retiring, None) => {
                let holder = self.snapshot.labels.holder(label).cloned();
                let in_use = |version: &VersionId| self.snapshot.is_in_use_again(version);
                if holder.as_ref().is_some_and(in_use) {
                    let owed = &mut self.snapshot.owed;
                    owed.take_if(|owed| Some(&owed.subject) == holder.as_ref());
                } else {
                    self.retired = holder.map(|ended| self.ended(ended));
                }
            }
            (Label::InDoubt, Some(_)) => self.fenced.clone_from(&to),
            (Label::InDoubt, None) => {
                self.fenced = None;
                let labels = &self.snapshot.labels;
                let ended = labels.holder(label).cloned();
                let ended = ended.filter(|ended| !labels.is_on(Label::Current, ended));
                self.retired = ended.map(|ended| self.ended(ended));
            }
            _ => {}
        }
        // Whether a held label refuses to be attached elsewhere is the whole fence, so that one
        // answer is not taken on trust: the holder is read back.
        let read_back = label == Label::InDoubt && to.is_some();
        self.snapshot.labels.put(label, to);
        if read_back { Next::Observe } else { Next::Plan }
    }

    /// What is of another place, or of a form that cannot be asked about, was not asked about.
    fn ended(&self, version: VersionId) -> (VersionId, bool) {
        let proven = !self.elsewhere.contains(&version) && !self.unaskable.contains(&version);
        (version, proven)
    }

    pub(crate) fn attempted(&mut self, to: VersionId, purpose: Option<Purpose>) {
        self.attempted = purpose.map(|purpose| (to, purpose));
    }

    pub(crate) fn promoted(
        &mut self,
        to: VersionId,
        purpose: Option<Purpose>,
        lead_ms: u64,
    ) -> Next {
        let labels = &mut self.snapshot.labels;
        let from = labels.holder(Label::Current).cloned();
        labels.put(Label::Previous, from);
        labels.put(Label::Current, Some(to.clone()));
        let owed = self.snapshot.owed.take();
        if purpose == Some(Purpose::Retire) {
            self.retired = owed.map(|owed| self.ended(owed.subject));
        }
        self.snapshot.announced = (purpose == Some(Purpose::Announce)).then(|| Announced {
            version: to.clone(),
            lead_left_ms: lead_ms,
        });
        self.promoted = purpose.map(|purpose| (to, purpose));
        self.attempted = None;
        self.forget_comparisons();
        Next::Plan
    }

    pub(crate) fn identity_equal(&mut self, candidate: VersionId) -> Next {
        self.plugin_answered();
        self.identical.insert(candidate);
        Next::Plan
    }

    pub(crate) fn identity_differs(&mut self, version: VersionId) -> Next {
        self.plugin_answered();
        self.elsewhere.insert(version);
        Next::Plan
    }

    pub(crate) fn set_done(&mut self, candidate: VersionId, changed: bool) -> Next {
        self.target_may_differ(if changed { Applied::Yes } else { Applied::No });
        self.plugin_answered();
        self.set = Some(candidate);
        Next::Plan
    }

    pub(crate) fn test_done(&mut self, candidate: VersionId) -> Next {
        self.plugin_answered();
        self.tested = Some(candidate);
        Next::Plan
    }

    pub(crate) fn retire_done(&mut self, subject: VersionId, changed: bool) -> Next {
        self.target_may_differ(if changed { Applied::Yes } else { Applied::No });
        self.plugin_answered();
        self.killed = Some(subject.clone());
        self.liveness.insert(subject, Liveness::Dead);
        Next::Plan
    }

    pub(crate) fn planned(&mut self, candidate: VersionId, how: How) -> Next {
        self.plugin_answered();
        self.planned = Some((candidate, how));
        Next::Plan
    }

    /// A look is no progress where a change was left unanswered: the same change may follow it again and again.
    pub(crate) fn probed(&mut self, subject: VersionId, liveness: Liveness) -> Next {
        if self.applied != Applied::Unknown {
            self.plugin_answered();
        }
        self.liveness.insert(subject, liveness);
        Next::Plan
    }

    /// No repetition changes that, and the core says what does.
    pub(crate) fn cannot_ask(&mut self, subject: VersionId) -> Next {
        self.plugin_answered();
        self.unaskable.insert(subject);
        Next::Plan
    }

    pub(crate) fn checked(&mut self, passed: bool) -> Next {
        self.plugin_answered();
        self.check_passed = passed;
        if passed {
            Next::Plan
        } else {
            Next::Fail(Reason::CheckFailed)
        }
    }

    /// Another run has brought it to its end, whichever: this one must not apply it any more.
    pub(crate) fn set_refused(&mut self, candidate: VersionId) -> Next {
        self.fenced = None;
        self.rejected.insert(candidate);
        Next::Observe
    }

    /// A value that the target refused while nothing changed may be given up; the caller says
    /// whether this call could have that meaning.
    pub(crate) fn reject(&mut self, candidate: VersionId) -> Next {
        self.plugin_answered();
        self.rejected.insert(candidate);
        Next::Plan
    }

    pub(crate) fn still_pending(
        &mut self,
        applied: Applied,
        milliseconds: u64,
        limits: &Limits,
    ) -> Next {
        self.target_may_differ(applied);
        self.pending_answers = self.pending_answers.saturating_add(1);
        if self.pending_answers > limits.pending_answers_max {
            return Next::Fail(Reason::StillPending);
        }
        Next::Wait(WaitReason::Propagation, milliseconds)
    }

    /// The notes say how much of a lead is left, and with clocks that disagree they may say so for
    /// ever.
    pub(crate) fn lead_elapsed(&mut self, limits: &Limits) -> Next {
        self.pending_answers = self.pending_answers.saturating_add(1);
        if self.pending_answers > limits.pending_answers_max {
            return Next::Fail(Reason::StillPending);
        }
        Next::Observe
    }

    pub(crate) fn plugin_failed(&mut self, failure: PluginFailure, limits: &Limits) -> Next {
        self.target_may_differ(failure.applied);
        self.plugin_failures = self.plugin_failures.saturating_add(1);
        if !failure.retryable || self.plugin_failures >= limits.plugin_attempts_max {
            return Next::Fail(Reason::Plugin(failure.class));
        }
        Next::Wait(
            WaitReason::PluginRetry,
            failure.retry_after_ms.unwrap_or(limits.plugin_retry_ms),
        )
    }

    /// Labels are not where this run thought, or the store failed: look again, a few times.
    pub(crate) fn store_retry(&mut self, limits: &Limits) -> Next {
        self.store_failures = self.store_failures.saturating_add(1);
        if self.store_failures > limits.store_attempts_max {
            return Next::Fail(Reason::Contended);
        }
        Next::Wait(WaitReason::StoreRetry, limits.store_retry_ms)
    }

    pub(crate) fn store_failed(&mut self, retryable: bool, limits: &Limits) -> Next {
        if !retryable || self.store_failures >= limits.store_attempts_max {
            return Next::Fail(Reason::Store);
        }
        self.store_retry(limits)
    }

    /// Whether that version, which is not the current one, is to be ended at its vendor by an operator.
    pub(crate) fn waits_for_operator(&self, version: &VersionId) -> bool {
        let labels = &self.snapshot.labels;
        labels.is_on(Label::Retiring, version) && !labels.is_on(Label::Current, version)
    }

    /// Whether a failure says that this very value is unacceptable and that nothing changed.
    pub(crate) fn is_rejection(failure: &PluginFailure) -> bool {
        failure.class == FailureClass::Rejected && failure.applied == Applied::No
    }

    /// The target changed, or may have: what was seen there is no longer known.
    fn target_may_differ(&mut self, applied: Applied) {
        self.applied = self.applied.and(applied);
        if applied != Applied::No {
            self.liveness.clear();
            self.set = None;
            self.tested = None;
        }
    }

    /// Another version is current: whatever compares a version with it has to be asked anew.
    fn forget_comparisons(&mut self) {
        self.identical.clear();
        self.elsewhere.clear();
        self.tested = None;
        self.planned = None;
        for content in self.snapshot.versions.values_mut() {
            if *content == Content::SameAsCurrent {
                *content = Content::Present;
            }
        }
    }

    /// Somebody else moved `AWSCURRENT`, and may have changed the target with it.
    fn forget_all(&mut self) {
        self.forget_comparisons();
        self.set = None;
        self.liveness.clear();
    }

    fn plugin_answered(&mut self) {
        self.plugin_failures = 0;
        self.pending_answers = 0;
    }
}
