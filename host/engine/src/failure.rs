//! A run that did not reach its goal: why, whether the target changed, what to do next.

use std::fmt;

use keyturn_protocol::{Applied, Failure, NextAction, Reason, VersionId};

use crate::{problem::Problem, report::Report, words};

/// The end of a run that failed. Its text is for people; scripts branch on the fields.
#[derive(Debug)]
pub struct RunFailure {
    /// NAME or NAME#CREDENTIAL.
    pub name: String,
    pub failure: Failure,
    /// What the store or the plugin last said, if that is why.
    pub problem: Option<Problem>,
    /// Whether an operator makes the new value, and ends the old one.
    pub by_operator: bool,
    /// Whether the run made a version AWSCURRENT before it failed.
    pub promoted: Option<Promoted>,
    /// Whether an operator would have been asked for a new value, had AWSCURRENT been seen to work.
    pub nobody_asked: bool,
    /// Unix milliseconds.
    pub ended_at_ms: u64,
    pub report: Report,
}

/// A promotion of a run that failed later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promoted {
    pub version: VersionId,
    /// False: the store failed, and whether it moved AWSCURRENT is not known.
    pub certain: bool,
}

impl RunFailure {
    /// Whether the target changed, or may have.
    pub fn target_changed(&self) -> Applied {
        self.failure.applied
    }

    /// Whether target and AWSCURRENT are as they were.
    pub fn changed_nothing(&self) -> bool {
        self.failure.applied == Applied::No && self.promoted.is_none()
    }

    /// Whether nothing was changed because it is not the time for it.
    pub fn is_refusal(&self) -> bool {
        let waits = matches!(
            self.failure.reason,
            Reason::WithinGrace { .. }
                | Reason::ForeignPending(_)
                | Reason::Contended
                | Reason::Unfinished(_)
                | Reason::OwnedElsewhere
                | Reason::StillRead(_)
                | Reason::Undeclared(_)
        );
        waits && self.changed_nothing()
    }

    /// Whether a grant or a setting kept it from being done, and target and AWSCURRENT are as they were.
    pub fn is_misconfiguration(&self) -> bool {
        let problem = self.problem.as_ref();
        self.changed_nothing() && problem.is_some_and(Problem::is_misconfiguration)
    }

    /// Whether the store refused and nothing was changed.
    pub fn is_store_refusal(&self) -> bool {
        self.failure.reason == Reason::Store
            && self.changed_nothing()
            && self.store_problem().is_some()
    }

    /// Seconds until the same command may succeed, if it is a matter of time.
    pub fn wait_seconds(&self) -> Option<u64> {
        match self.failure.next {
            NextAction::WaitSeconds(seconds) => Some(seconds),
            NextAction::Retry | NextAction::Repair | NextAction::Refuse => None,
        }
    }

    /// What to do next, in one sentence.
    pub fn next(&self) -> String {
        let problem = self.problem.as_ref();
        let next = words::next(&self.failure, problem, &self.name, self.ended_at_ms);
        let more = match &self.failure.reason {
            _ if self.nobody_asked => words::ask_all_the_same(&self.name),
            Reason::LivenessUnknown(_)
            | Reason::RetiringUnaskable(_)
            | Reason::CurrentNotLive(_)
                if self.by_operator =>
            {
                words::put_by_hand(&self.name)
            }
            _ => return next,
        };
        format!("{next} {more}")
    }

    fn store_problem(&self) -> Option<&Problem> {
        self.problem
            .as_ref()
            .filter(|problem| problem.kind == "store")
    }
}

impl fmt::Display for RunFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The store says itself what changed and what to do.
        if self.is_store_refusal()
            && let Some(problem) = self.store_problem()
        {
            return write!(f, "{}: {}", self.name, problem.message);
        }
        write!(
            f,
            "{}: {}",
            self.name,
            words::reason(&self.failure.reason, self.problem.as_ref())
        )?;
        if let Some(code) = self
            .problem
            .as_ref()
            .and_then(|problem| problem.code.as_ref())
        {
            write!(f, " [{code}]")?;
        }
        write!(f, ". {}", words::applied(self.failure.applied))?;
        if let Some(Promoted { version, certain }) = &self.promoted {
            let now = if *certain { "is" } else { "may be" };
            write!(f, " AWSCURRENT {now} {version} now.")?;
        }
        if self.nobody_asked {
            write!(f, " {}", words::NOBODY_ASKED)?;
        }
        write!(f, " {}", self.next())
    }
}

impl std::error::Error for RunFailure {}
