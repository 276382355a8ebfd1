//! What to do next, as a pure function of the request, the labels and what this run has learned.
//! The phases stand in order of urgency; the first that has something to say decides. Nothing here
//! remembers or changes anything, so a run that starts after a crash decides like one that did not.

mod admission;
mod doubt;
mod retirement;
mod round;
mod rule;
mod tidy;

pub use rule::Rule;

use crate::command::Command;
use crate::ending::Reason;
use crate::facts::{Effect, Liveness, Purpose};
use crate::labels::{Label, VersionId};
use crate::memory::Memory;
use crate::request::{Goal, Request};

/// A rule, and the command it chose or the reason to give up.
pub(crate) type Decision = (Rule, Result<Command, Reason>);

pub(crate) fn next(request: &Request, memory: &Memory) -> Decision {
    let Some(current) = memory.snapshot.holder(Label::Current) else {
        return Rule::NothingIsCurrent.refuse(Reason::NoCurrent);
    };
    let view = View {
        request,
        memory,
        current,
    };
    admission::admit(&view)
        .or_else(|| admission::try_configuration(&view))
        .or_else(|| tidy::remove_spent_labels(&view))
        .or_else(|| tidy::settle(&view))
        .or_else(|| doubt::resolve(&view))
        .or_else(|| tidy::abandon_stale_candidates(&view))
        .or_else(|| retirement::settle_predecessor(&view))
        .unwrap_or_else(|| round::advance(&view))
}

impl Rule {
    fn so(self, command: Command) -> Decision {
        (self, Ok(command))
    }

    fn refuse(self, reason: Reason) -> Decision {
        (self, Err(reason))
    }

    /// Takes the label off its holder.
    fn remove(self, label: Label, holder: &VersionId) -> Decision {
        self.so(Command::MoveLabel {
            label,
            from: Some(holder.clone()),
            to: None,
        })
    }
}

/// Everything that a phase may look at.
pub(crate) struct View<'a> {
    request: &'a Request,
    memory: &'a Memory,
    current: &'a VersionId,
}

impl<'a> View<'a> {
    fn holder(&self, label: Label) -> Option<&'a VersionId> {
        self.memory.snapshot.holder(label)
    }

    fn effect(&self) -> Effect {
        self.request.facts.effect
    }

    fn supports(&self, purpose: Purpose) -> bool {
        self.request.facts.purposes.contains(purpose)
    }

    fn liveness(&self, version: &VersionId) -> Option<Liveness> {
        self.memory.liveness.get(version).copied()
    }

    /// Whether this run may end a predecessor's grace.
    fn now(&self) -> bool {
        match self.request.goal {
            Goal::Rotate { now, .. } | Goal::Retire { now, .. } | Goal::Restore { now, .. } => now,
            Goal::Step { .. } | Goal::Extend => false,
        }
    }

    /// Whether the operator vouches for what no login from here can prove.
    fn vouched(&self) -> bool {
        matches!(self.request.goal, Goal::Retire { vouched: true, .. })
    }

    /// Whether the operator's word is about the version that is current now.
    fn is_declared(&self) -> bool {
        let Goal::Retire { declared, .. } = &self.request.goal else {
            return false;
        };
        declared.as_ref() == Some(self.current)
    }

    fn is_elsewhere(&self, version: &VersionId) -> bool {
        self.memory.elsewhere.contains(version)
    }

    /// `None` once a version's identity is known to equal the current one's; before, what to do
    /// about that. Every login with a version comes after it.
    fn compare_identity(&self, version: &VersionId) -> Option<Decision> {
        if self.memory.identical.contains(version) {
            return None;
        }
        Some(if self.is_elsewhere(version) {
            Rule::IdentityDiffers.refuse(Reason::IdentityDiffers(version.clone()))
        } else {
            Rule::IdentityBeforeLogin.so(Command::CompareIdentity {
                candidate: version.clone(),
            })
        })
    }

    /// Whether a rotation publishes its key before using it. What was announced is activated even
    /// if the lead has been configured away meanwhile.
    fn leads(&self) -> bool {
        let Goal::Rotate { lead_ms, .. } = self.request.goal else {
            return false;
        };
        self.effect() == Effect::None
            && self.supports(Purpose::Announce)
            && self.supports(Purpose::Activate)
            && (lead_ms > 0 || self.memory.snapshot.announced.is_some())
    }

    /// Whether a version was made from the one that is current, so that promoting it overwrites
    /// nobody's edit. Of a version made in this run that is known; of another, the label tells.
    fn stands(&self, version: &VersionId) -> bool {
        if !self.memory.snapshot.has_value(version) || self.memory.rejected.contains(version) {
            return false;
        }
        match &self.memory.made {
            Some(made) if made.token == *version => made.base == *self.current,
            _ => self.holder(Label::Base) == Some(self.current),
        }
    }

    /// The version that this run shall bring to promotion, if there is one already.
    fn candidate(&self) -> Option<&'a VersionId> {
        let candidate = match &self.request.goal {
            Goal::Step { token, .. } => Some(token),
            Goal::Rotate { .. } if !self.leads() => {
                let own = |version: &&VersionId| version.is_own();
                let in_doubt = self.holder(Label::InDoubt).filter(own);
                // A version in doubt goes first: it may have reached the target already. One that
                // is staged as well was being restored by another run, and is not a new value.
                in_doubt
                    .filter(|version| self.holder(Label::Staged) != Some(version))
                    .or_else(|| self.holder(Label::Pending).filter(own))
            }
            _ => self.holder(Label::Staged).filter(|version| {
                self.memory
                    .made
                    .as_ref()
                    .is_some_and(|made| made.token == **version)
            }),
        };
        candidate.filter(|version| {
            *version != self.current && self.stands(version) && !self.is_given_up(version)
        })
    }

    /// Whether the operator wants another one instead, which is possible where nothing was applied.
    fn is_given_up(&self, version: &VersionId) -> bool {
        let anew = matches!(self.request.goal, Goal::Rotate { anew: true, .. });
        let made = self.memory.made.as_ref();
        anew && self.effect() == Effect::None && made.is_none_or(|made| made.token != *version)
    }
}
