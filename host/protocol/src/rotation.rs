//! The machine. Its state is the command whose answer is awaited; an answer is learned, and the
//! next command is planned from the labels and from what was learned. It performs nothing.

use core::fmt;
use core::mem;

use crate::command::{Command, WaitReason};
use crate::ending::{Failure, Outcome, Reason};
use crate::event::{Event, FailureClass};
use crate::facts::{Applied, Effect};
use crate::labels::Label;
use crate::memory::{Made, Memory, Next};
use crate::plan::{self, Rule};
use crate::request::{Goal, Request};

/// One run towards one goal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rotation {
    request: Request,
    awaiting: Command,
    rule: Option<Rule>,
    memory: Memory,
}

impl Rotation {
    /// A run that knows nothing yet.
    pub fn new(request: Request) -> Self {
        Rotation {
            request,
            awaiting: Command::Observe,
            rule: None,
            memory: Memory::new(),
        }
    }

    /// What to do now. Asking again changes nothing.
    pub fn poll(&self) -> Command {
        self.awaiting.clone()
    }

    /// Which rule of the plan chose that command; `None` where no choice was made (the first look,
    /// a repeated one, a pause before a repetition, giving up on a failed call). For logs and for
    /// coverage.
    pub fn rule(&self) -> Option<Rule> {
        self.rule
    }

    /// Takes the answer to the command of [`poll`](Self::poll).
    ///
    /// # Errors
    /// [`IllegalTransition`] if the event cannot be the answer to that command; nothing changed.
    pub fn handle(&mut self, event: Event) -> Result<(), IllegalTransition> {
        // Taken out before acting, so that no command can be answered twice.
        let awaited = mem::replace(&mut self.awaiting, Command::Observe);
        let illegal = IllegalTransition {
            command: awaited.name(),
            event: event.name(),
        };
        let Some(next) = self.learn(&awaited, event) else {
            self.awaiting = awaited;
            return Err(illegal);
        };
        self.proceed(next);
        Ok(())
    }

    /// The one table of transitions; `None` for an illegal one.
    // Long because a table in two places is none.
    fn learn(&mut self, awaited: &Command, event: Event) -> Option<Next> {
        let limits = &self.request.limits;
        let memory = &mut self.memory;
        Some(match (awaited, event) {
            (Command::Observe, Event::Observed(snapshot)) => memory.observed(snapshot, limits),
            (Command::NewToken, Event::Token(token)) => memory.minted(token),
            (Command::MoveLabel { label, to, .. }, Event::Moved) => {
                memory.moved(*label, to.clone())
            }
            (Command::Promote { to, purpose, .. }, Event::Moved) => {
                memory.promoted(to.clone(), *purpose, self.request.goal.lead_ms())
            }
            (Command::Withdraw { .. }, Event::Moved) => memory.moved(Label::InDoubt, None),
            (Command::MoveLabel { .. } | Command::Withdraw { .. }, Event::Refused) => {
                memory.store_retry(limits)
            }
            (Command::Promote { to, purpose, .. }, Event::Refused) => {
                memory.attempted(to.clone(), *purpose);
                memory.store_retry(limits)
            }
            (
                Command::Create {
                    token,
                    base,
                    purpose,
                    stage,
                    ..
                },
                Event::Created,
            ) => {
                let made = Made {
                    token: token.clone(),
                    base: base.clone(),
                    purpose: *purpose,
                };
                memory.created(made, *stage)
            }
            // Success would have the service go on with an empty version.
            (Command::Create { .. }, Event::InputNeeded) => match self.request.goal {
                Goal::Step { .. } => Next::Fail(Reason::WaitingForOperator),
                _ => Next::Done(Outcome::AwaitingInput),
            },
            // An answer that was to be put on top of CURRENT is of no use; whether somebody is asked is planned anew.
            (Command::Create { .. }, Event::Refused) => Next::Observe,
            (Command::CompareIdentity { candidate }, Event::IdentityEqual) => {
                memory.identity_equal(candidate.clone())
            }
            (Command::CompareIdentity { candidate }, Event::IdentityDiffers) => {
                memory.identity_differs(candidate.clone())
            }
            (Command::Set { candidate }, Event::Refused) => memory.set_refused(candidate.clone()),
            (Command::Set { candidate }, Event::Completed { changed }) => {
                memory.set_done(candidate.clone(), changed)
            }
            (Command::Test { candidate }, Event::Completed { .. }) => {
                memory.test_done(candidate.clone())
            }
            (Command::Retire { subject }, Event::Completed { changed }) => {
                memory.retire_done(subject.clone(), changed)
            }
            (
                Command::Set { .. } | Command::Retire { .. },
                Event::StillPending { milliseconds },
            ) => memory.still_pending(Applied::Unknown, milliseconds, limits),
            (Command::Test { .. }, Event::StillPending { milliseconds }) => {
                memory.still_pending(Applied::No, milliseconds, limits)
            }
            (Command::Finish { candidate, .. }, Event::Planned(how)) => {
                memory.planned(candidate.clone(), how)
            }
            (Command::Probe { subject }, Event::Probed(liveness)) => {
                memory.probed(subject.clone(), liveness)
            }
            (Command::Check, Event::Checked { passed }) => memory.checked(passed),
            (Command::Wait { why, .. }, Event::Elapsed) => match why {
                WaitReason::Lead => memory.lead_elapsed(limits),
                // While this run paused, another one may have taken the candidate up.
                WaitReason::StoreRetry | WaitReason::Propagation | WaitReason::PluginRetry => {
                    Next::Observe
                }
            },
            // A rejection counts where the value is first shown to somebody: to the target, or to
            // the test where there is none. After `set` a test's rejection proves nothing.
            (Command::Set { candidate }, Event::PluginFailed(failure))
                if Memory::is_rejection(&failure) =>
            {
                memory.reject(candidate.clone())
            }
            (Command::Test { candidate }, Event::PluginFailed(failure))
                if Memory::is_rejection(&failure) && self.request.facts.effect == Effect::None =>
            {
                memory.reject(candidate.clone())
            }
            // Where there is a target, a value that cannot be asked about is not given up on a word.
            (Command::Probe { subject }, Event::PluginFailed(failure))
                if failure.class == FailureClass::Unaskable
                    && self.request.facts.effect == Effect::None
                    && memory.waits_for_operator(subject) =>
            {
                memory.cannot_ask(subject.clone())
            }
            (call, Event::PluginFailed(failure)) if call.calls_plugin() => {
                memory.plugin_failed(failure, limits)
            }
            (call, Event::StoreFailed { retryable }) if call.uses_store() => {
                match call {
                    Command::Promote { to, purpose, .. } => memory.attempted(to.clone(), *purpose),
                    Command::Create {
                        token,
                        base,
                        purpose,
                        ..
                    } => memory.made(Made {
                        token: token.clone(),
                        base: base.clone(),
                        purpose: *purpose,
                    }),
                    _ => {}
                }
                memory.store_failed(retryable, limits)
            }
            (call, Event::Cancelled) if !call.is_end() => {
                if call.changes_target() {
                    memory.applied = memory.applied.and(Applied::Unknown);
                }
                Next::Fail(Reason::Cancelled)
            }
            _ => return None,
        })
    }

    fn proceed(&mut self, next: Next) {
        self.rule = None;
        self.awaiting = match next {
            Next::Observe => Command::Observe,
            Next::Wait(why, milliseconds) => Command::Wait { why, milliseconds },
            Next::Done(outcome) => Command::Done(outcome),
            Next::Fail(reason) => self.fail(reason),
            Next::Plan => {
                let (rule, step) = plan::next(&self.request, &self.memory);
                self.rule = Some(rule);
                match step {
                    Ok(command) => command,
                    Err(reason) => self.fail(reason),
                }
            }
        };
    }

    fn fail(&self, reason: Reason) -> Command {
        let unfinished = [
            Label::Pending,
            Label::InDoubt,
            Label::Retiring,
            Label::Base,
            Label::Staged,
        ];
        let labels = &self.memory.snapshot.labels;
        let kept = unfinished
            .into_iter()
            .filter_map(|label| Some((label, labels.holder(label)?.clone())))
            .collect();
        let next = reason.next_action();
        Command::Failed(Failure {
            reason,
            applied: self.memory.applied,
            next,
            kept,
        })
    }
}

impl Goal {
    fn lead_ms(&self) -> u64 {
        match self {
            Goal::Rotate { lead_ms, .. } => *lead_ms,
            _ => 0,
        }
    }
}

/// An event that cannot answer the command in hand: a fault of the engine, never of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IllegalTransition {
    /// The command's name.
    pub command: &'static str,
    /// The event's name.
    pub event: &'static str,
}

impl fmt::Display for IllegalTransition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "event {} cannot answer command {}; please report this",
            self.event, self.command
        )
    }
}

impl core::error::Error for IllegalTransition {}
