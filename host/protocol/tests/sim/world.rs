//! The store, the notes, the target and the clock as one value that can be cloned and compared.

use std::collections::{BTreeMap, BTreeSet};

use keyturn_protocol::*;

use super::kind::{Kind, LEAD_MS};

pub const GRACE_MS: u64 = 3_600_000;

/// What a version holds. `spare` is the second key of a value without a target: the previous one,
/// or the announced one. `ring` holds the older keys of a ring.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Value {
    pub user: u8,
    pub key: u8,
    pub spare: Option<u8>,
    pub ring: BTreeSet<u8>,
    pub edits: u8,
    pub host: u8,
}

impl Value {
    pub fn credential(&self) -> (u8, u8) {
        (self.user, self.key)
    }

    /// Every key that `old` has, but for its own.
    fn keep(&mut self, old: &Value) {
        self.ring.extend(&old.ring);
        self.ring.insert(old.key);
        self.ring.remove(&self.key);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    pub value: Option<Value>,
    pub base: Option<VersionId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Note {
    pub subject: VersionId,
    pub due_ms: u64,
    pub how: How,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub kind: Kind,
    pub grace_ms: u64,
    pub labels: Labels,
    pub versions: BTreeMap<VersionId, Version>,
    /// What the target accepts; for kinds without one, what the vendor has not deleted.
    pub accepts: BTreeSet<(u8, u8)>,
    /// By the version whose promotion makes it binding.
    pub notes: BTreeMap<VersionId, Note>,
    /// What each superseded credential was promised, whatever the notes say: only the checker reads it.
    pub promised: BTreeMap<(u8, u8), u64>,
    pub announced: Option<(VersionId, u64)>,
    pub now_ms: u64,
    pub keys: u8,
    pub minted: u8,
    pub rotation_enabled: Option<bool>,
    /// Keys that the target's policy refuses.
    pub refuses: BTreeSet<u8>,
    /// The operator has deleted the old key.
    pub operator_acted: bool,
    /// The host that the target is really at; a value that names another one reaches nothing.
    pub place: u8,
    /// For each version that was ever set, how many of those calls were not answered with
    /// `applied: no`.
    pub unanswered: BTreeMap<VersionId, u8>,
    pub withdrawn: BTreeSet<VersionId>,
}

pub fn id(text: &str) -> VersionId {
    VersionId::new(text)
}

impl World {
    /// One version, current and live.
    pub fn new(kind: Kind, grace_ms: u64) -> World {
        let first = Value {
            user: 0,
            key: 0,
            spare: None,
            ring: BTreeSet::new(),
            edits: 0,
            host: 0,
        };
        let mut world = World {
            kind,
            grace_ms,
            labels: Labels::default(),
            versions: BTreeMap::new(),
            accepts: BTreeSet::from([first.credential()]),
            notes: BTreeMap::new(),
            promised: BTreeMap::new(),
            announced: None,
            now_ms: 0,
            keys: 1,
            minted: 0,
            rotation_enabled: None,
            refuses: BTreeSet::new(),
            operator_acted: true,
            place: 0,
            unanswered: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
        };
        world.versions.insert(
            id("first"),
            Version {
                value: Some(first),
                base: None,
            },
        );
        world.labels.put(Label::Current, Some(id("first")));
        world
    }

    pub fn holder(&self, label: Label) -> Option<&VersionId> {
        self.labels.holder(label)
    }

    pub fn current(&self) -> &VersionId {
        self.holder(Label::Current).unwrap()
    }

    pub fn value(&self, version: &VersionId) -> &Value {
        self.versions[version].value.as_ref().unwrap()
    }

    pub fn has_target(&self) -> bool {
        self.kind.has_target()
    }

    /// What opens the door: what the target accepts, or the keys of the value in use.
    pub fn accepted(&self) -> BTreeSet<(u8, u8)> {
        if self.has_target() {
            return self.accepts.clone();
        }
        let value = self.value(self.current());
        let keys = [Some(value.key), value.spare];
        keys.into_iter()
            .flatten()
            .chain(value.ring.iter().copied())
            .map(|key| (value.user, key))
            .collect()
    }

    /// Every connection leads to where the current version says.
    pub fn reaches_target(&self) -> bool {
        self.value(self.current()).host == self.place
    }

    pub fn is_live(&self, version: &VersionId) -> bool {
        let value = self
            .versions
            .get(version)
            .and_then(|version| version.value.as_ref());
        value.is_some_and(|value| !self.has_target() || self.accepts.contains(&value.credential()))
    }

    pub fn snapshot(&self) -> Snapshot {
        let current = self.current();
        let content = |version: &Version| match &version.value {
            None => Content::Absent,
            Some(value) if value == self.value(current) => Content::SameAsCurrent,
            Some(_) => Content::Present,
        };
        Snapshot {
            labels: self.labels.clone(),
            versions: self
                .versions
                .iter()
                .map(|(id, v)| (id.clone(), content(v)))
                .collect(),
            rotation_enabled: self.rotation_enabled,
            owed: self.owed().map(|note| {
                let left_ms = note.due_ms.saturating_sub(self.now_ms);
                Obligation {
                    subject: note.subject,
                    how: note.how,
                    grace_left_seconds: left_ms.div_ceil(1_000),
                }
            }),
            announced: self
                .announced
                .as_ref()
                .filter(|(version, _)| version == current)
                .map(|(version, at_ms)| Announced {
                    version: version.clone(),
                    lead_left_ms: (at_ms + LEAD_MS).saturating_sub(self.now_ms),
                }),
            never_applied: self
                .holder(Label::InDoubt)
                .is_some_and(|doubt| self.unanswered.get(doubt) == Some(&0)),
            answered: false,
        }
    }

    /// What is owed: by the version that is current, or, where a person has superseded that one too, by
    /// whichever the label still speaks of.
    fn owed(&self) -> Option<Note> {
        let (current, retiring) = (self.current(), self.holder(Label::Retiring));
        let by_current = self
            .notes
            .get(current)
            .filter(|note| note.how.new_version || retiring == Some(&note.subject));
        let by_another = || {
            let mut notes = self.notes.values();
            notes.find(|note| retiring == Some(&note.subject) && retiring != Some(current))
        };
        let put_aside = self.put_aside();
        put_aside.or_else(|| by_current.or_else(by_another).cloned())
    }

    /// What was in use until a person put back what it had superseded.
    fn put_aside(&self) -> Option<Note> {
        let (current, retiring) = (self.current(), self.holder(Label::Retiring)?);
        let is_back = retiring != current && self.value(retiring) == self.value(current);
        let successor = self.holder(Label::Previous)?;
        let note = self.notes.get(successor)?;
        let is_it = self.kind == Kind::Assisted && is_back && note.subject == *retiring;
        is_it.then(|| Note {
            subject: successor.clone(),
            due_ms: self.now_ms + self.grace_ms,
            how: note.how,
        })
    }

    /// Notes of versions that hold no label are forgotten, unless they owe what still waits, or were made
    /// from the current version and so may still be promoted.
    fn prune_notes(&mut self) {
        let (current, versions) = (self.current().clone(), &self.versions);
        let labelled: BTreeSet<_> = self
            .labels
            .iter()
            .map(|(_, version)| version.clone())
            .collect();
        let retiring = self.holder(Label::Retiring).cloned();
        self.notes.retain(|id, note| {
            labelled.contains(id)
                || Some(&note.subject) == retiring.as_ref()
                || versions[id].base.as_ref() == Some(&current)
        });
    }

    /// Carries a command out without any fault.
    pub fn execute(&mut self, command: &Command) -> Event {
        let connects = matches!(
            command,
            Command::Test { .. } | Command::Probe { .. } | Command::Retire { .. }
        );
        if connects && self.has_target() && !self.reaches_target() {
            return fails(FailureClass::Path, Applied::No);
        }
        match command {
            Command::Observe => Event::Observed(self.snapshot()),
            Command::NewToken => {
                self.minted += 1;
                Event::Token(id(&format!("keyturn-{}", self.minted)))
            }
            Command::MoveLabel { label, from, to } => self.move_label(*label, from, to),
            Command::Create {
                token,
                base,
                purpose,
                stage,
                restore,
            } => self.create(token, base, *purpose, *stage, restore.as_ref()),
            Command::CompareIdentity { candidate } => {
                if self.value(candidate).host == self.value(self.current()).host {
                    Event::IdentityEqual
                } else {
                    Event::IdentityDiffers
                }
            }
            Command::Set { candidate } => self.set(candidate),
            Command::Withdraw { subject } => self.withdraw(subject),
            Command::Test { candidate } if self.is_live(candidate) => {
                Event::Completed { changed: false }
            }
            Command::Test { .. } => fails(FailureClass::Auth, Applied::No),
            Command::Finish { candidate, base } => self.finish(candidate, base),
            Command::Promote { to, from, purpose } => self.promote(to, from, *purpose),
            Command::Probe { subject } => Event::Probed(self.probe(subject)),
            Command::Retire { subject } => self.retire(subject),
            Command::Check => Event::Checked { passed: true },
            Command::Wait { milliseconds, why } => {
                // Only pauses that planning reads off the notes need a clock.
                if *why == WaitReason::Lead {
                    self.now_ms += milliseconds;
                }
                Event::Elapsed
            }
            Command::Done(_) | Command::Failed(_) => unreachable!("an end takes no answer"),
        }
    }

    /// `UpdateSecretVersionStage`.
    pub fn move_label(
        &mut self,
        label: Label,
        from: &Option<VersionId>,
        to: &Option<VersionId>,
    ) -> Event {
        let holder = self.holder(label).cloned();
        let in_place = from.is_none() && holder == *to;
        if holder != *from && !in_place {
            return Event::Refused;
        }
        if label == Label::InDoubt && to.is_none() {
            self.forbid_set(from.as_ref());
        }
        if let (Label::Retiring, Some(subject), None) = (label, from, to)
            && subject != self.current()
            && self.value(subject) == self.value(self.current())
        {
            self.notes.retain(|_, note| note.subject != *subject);
        }
        if let (Label::Retiring, Some(_), Some(_)) = (label, from, to)
            && let Some(owed) = self.put_aside()
        {
            self.notes.insert(self.current().clone(), owed);
        }
        self.labels.put(label, to.clone());
        Event::Moved
    }

    /// What is noted before a version stops being in doubt, unless it is current.
    pub fn forbid_set(&mut self, subject: Option<&VersionId>) {
        let ended = subject.filter(|subject| *subject != self.current());
        self.withdrawn.extend(ended.cloned());
    }

    fn promote(&mut self, to: &VersionId, from: &VersionId, purpose: Option<Purpose>) -> Event {
        if self.current() != from {
            return Event::Refused;
        }
        self.prune_notes();
        self.put_current(to);
        if purpose == Some(Purpose::Announce) {
            self.announced = Some((to.clone(), self.now_ms));
            let owed = self.notes.get(from).cloned();
            let by_word = |owed: &Note| self.kind.facts().ends_by_word(owed.how);
            self.notes
                .extend(owed.filter(by_word).map(|owed| (to.clone(), owed)));
        }
        let keeps = self.kind.how() != How::default();
        if keeps && purpose.is_some_and(Purpose::plans_retirement) {
            let old = self.value(from).clone();
            let kept = match purpose {
                Some(Purpose::Extend) => old.spare.map(|key| (old.user, key)),
                _ => Some(old.credential()),
            };
            let until_ms = match self.kind {
                Kind::KeyRing => u64::MAX,
                _ => self.now_ms + self.grace_ms,
            };
            self.promised.extend(kept.map(|kept| (kept, until_ms)));
        }
        Event::Moved
    }

    pub fn put_current(&mut self, to: &VersionId) {
        let from = self.current().clone();
        self.labels.put(Label::Previous, Some(from));
        self.labels.put(Label::Current, Some(to.clone()));
    }

    pub fn new_key(&mut self) -> u8 {
        self.keys += 1;
        self.keys - 1
    }

    fn create(
        &mut self,
        token: &VersionId,
        base: &VersionId,
        purpose: Purpose,
        stage: Label,
        restore: Option<&VersionId>,
    ) -> Event {
        let old = self.value(base).clone();
        let mut value = Value {
            spare: None,
            ..old.clone()
        };
        match purpose {
            Purpose::Replace => {
                value.key = self.new_key();
                match self.kind {
                    Kind::Alternating => value.user = 1 - old.user,
                    Kind::Dual | Kind::Single => {}
                    Kind::Overlap | Kind::Announced | Kind::Assisted => value.spare = Some(old.key),
                    Kind::KeyRing => value.keep(&old),
                }
            }
            Purpose::Announce => value.spare = Some(self.new_key()),
            Purpose::Activate => {
                value.key = old.spare.expect("only an announced value is activated");
                match self.kind {
                    Kind::KeyRing => value.keep(&old),
                    _ => value.spare = Some(old.key),
                }
            }
            Purpose::Extend => value.spare = old.spare,
            Purpose::Retire => value.ring.clear(),
            Purpose::Restore => {
                value = self.value(restore.unwrap()).clone();
                if self.kind == Kind::KeyRing {
                    value.keep(&old);
                }
            }
        }
        if self
            .versions
            .get(token)
            .is_none_or(|version| version.value.is_none())
        {
            let version = Version {
                value: Some(value),
                base: Some(base.clone()),
            };
            self.versions.insert(token.clone(), version);
            self.labels.put(stage, Some(token.clone()));
        }
        Event::Created
    }

    fn finish(&mut self, candidate: &VersionId, base: &VersionId) -> Event {
        let how = self.kind.how();
        if how != How::default() {
            let due_ms = self.now_ms + self.grace_ms;
            let (subject, successor) = (base.clone(), candidate.clone());
            self.notes.insert(
                successor,
                Note {
                    subject,
                    due_ms,
                    how,
                },
            );
        }
        Event::Planned(how)
    }
}

pub fn fails(class: FailureClass, applied: Applied) -> Event {
    let failure = PluginFailure {
        class,
        applied,
        retryable: false,
        retry_after_ms: None,
    };
    Event::PluginFailed(failure)
}
