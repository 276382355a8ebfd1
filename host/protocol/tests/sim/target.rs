//! What the target and its plugin do: apply, ask, kill; and the notes that go with applying.

use keyturn_protocol::*;

use super::kind::Kind;
use super::world::{World, fails};

impl World {
    pub fn set(&mut self, candidate: &VersionId) -> Event {
        let fenced = self.holder(Label::InDoubt) == Some(candidate) && self.current() != candidate;
        if !fenced || !self.begin_set(candidate) {
            return Event::Refused;
        }
        let event = self.apply(candidate);
        if matches!(&event, Event::PluginFailed(failure) if failure.applied == Applied::No) {
            *self.unanswered.entry(candidate.clone()).or_default() -= 1;
        }
        event
    }

    /// What is noted before a call of `set`; false if the version was withdrawn.
    pub fn begin_set(&mut self, candidate: &VersionId) -> bool {
        if self.withdrawn.contains(candidate) {
            return false;
        }
        *self.unanswered.entry(candidate.clone()).or_default() += 1;
        true
    }

    pub fn withdraw(&mut self, subject: &VersionId) -> Event {
        if !self.begin_withdrawal(subject) {
            return Event::Refused;
        }
        self.move_label(Label::InDoubt, &Some(subject.clone()), &None)
    }

    /// What is noted before the label goes; false if the version may have been applied.
    pub fn begin_withdrawal(&mut self, subject: &VersionId) -> bool {
        let never_applied = self.unanswered.get(subject) == Some(&0);
        if never_applied {
            self.withdrawn.insert(subject.clone());
        }
        never_applied
    }

    pub fn apply(&mut self, candidate: &VersionId) -> Event {
        if self.value(candidate).host != self.value(self.current()).host {
            return fails(FailureClass::Invalid, Applied::No);
        }
        if !self.reaches_target() {
            return fails(FailureClass::Path, Applied::No);
        }
        let new = self.value(candidate).credential();
        let current = self.value(self.current()).credential();
        if self.refuses.contains(&new.1) {
            return fails(FailureClass::Rejected, Applied::No);
        }
        if self.kind == Kind::Alternating && new.0 == current.0 && new != current {
            return fails(FailureClass::Conflict, Applied::No);
        }
        let known = [
            Label::Current,
            Label::Previous,
            Label::InDoubt,
            Label::Retiring,
        ];
        let opens = self.is_live(candidate)
            || known
                .iter()
                .any(|label| self.holder(*label).is_some_and(|v| self.is_live(v)));
        if self.kind != Kind::Alternating && !opens {
            return fails(FailureClass::Auth, Applied::No);
        }
        let before = self.accepts.clone();
        match self.kind {
            Kind::Alternating => self.accepts.retain(|(user, _)| *user != new.0),
            Kind::Dual => self.accepts.retain(|credential| *credential == current),
            _ => self.accepts.clear(),
        }
        self.accepts.insert(new);
        Event::Completed {
            changed: before != self.accepts,
        }
    }

    pub fn probe(&self, subject: &VersionId) -> Liveness {
        if self.kind == Kind::Assisted && subject != self.current() {
            return if self.operator_acted {
                Liveness::Dead
            } else {
                Liveness::Live
            };
        }
        if self.is_live(subject) {
            Liveness::Live
        } else {
            Liveness::Dead
        }
    }

    pub fn retire(&mut self, subject: &VersionId) -> Event {
        let credential = self.value(subject).credential();
        let held = credential == self.value(self.current()).credential();
        if !held && self.kind == Kind::Single && self.accepts.contains(&credential) {
            return fails(FailureClass::Invalid, Applied::No);
        }
        let changed = !held && self.accepts.remove(&credential);
        Event::Completed { changed }
    }
}
