//! Invariants 1 to 9 of the design, checked after every effect against the world before and after.

use std::collections::BTreeSet;

use keyturn_protocol::*;

use super::kind::{Kind, LEAD_MS};
use super::world::World;

/// What one run has done so far, as far as the invariants ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Record {
    pub tested: BTreeSet<VersionId>,
    pub compared: BTreeSet<VersionId>,
    /// Versions that this run tried to apply.
    pub set: BTreeSet<VersionId>,
    /// The invocation's token was current when it began.
    pub was_current: bool,
    /// The run ended without reaching its goal, and left the rest to the next one.
    pub gave_up: bool,
    /// The run's goal is to publish a key before using it.
    pub leads: bool,
    /// The run may end a grace.
    pub now: bool,
    /// The operator has declared that the older keys of this version's ring are not needed.
    pub declared: Option<VersionId>,
}

impl Record {
    pub fn note(&mut self, command: &Command, event: &Event) {
        match (command, event) {
            (Command::Test { candidate }, Event::Completed { .. }) => {
                self.tested.insert(candidate.clone());
            }
            (Command::Set { .. }, Event::Refused) => {}
            (Command::Set { candidate }, _) => {
                self.set.insert(candidate.clone());
            }
            (Command::CompareIdentity { candidate }, Event::IdentityEqual) => {
                self.compared.insert(candidate.clone());
            }
            _ => {}
        }
    }
}

macro_rules! hold {
    ($number:literal, $condition:expr, $($what:tt)+) => {
        if !$condition {
            return Err(format!("invariant {}: {}", $number, format!($($what)+)));
        }
    };
}

/// What must hold of the world alone, whoever changed it.
pub fn world(world: &World) -> Result<(), String> {
    let current = world.current();
    let complete = world
        .versions
        .get(current)
        .is_some_and(|version| version.value.is_some());
    hold!(1, complete, "{current} is current and has no value");
    if !world.has_target() {
        return Ok(());
    }
    if !world.reaches_target() {
        // What names no server opens nothing; whoever wrote it has to correct it.
    } else if world.kind == Kind::Single {
        let doors = [
            Label::Current,
            Label::Pending,
            Label::InDoubt,
            Label::Staged,
        ];
        let open = doors
            .iter()
            .any(|label| world.holder(*label).is_some_and(|v| world.is_live(v)));
        hold!(
            2,
            open,
            "neither current, pending nor in doubt opens the door"
        );
    } else {
        hold!(2, world.is_live(current), "{current} is current and dead");
    }
    for credential in &world.accepts {
        let labelled = world.labels.iter().any(|(_, version)| {
            let value = world.versions[version].value.as_ref();
            value.is_some_and(|value| value.credential() == *credential)
        });
        hold!(
            3,
            labelled,
            "the target accepts {credential:?}, which no labelled version holds"
        );
    }
    Ok(())
}

/// What must hold of one effect of one run.
// Long because it is the list of the invariants, each a line or two.
pub fn effect(
    before: &World,
    after: &World,
    command: &Command,
    record: &Record,
) -> Result<(), String> {
    let untouched = !command.calls_plugin() && !matches!(command, Command::Promote { .. });
    hold!(
        5,
        !record.was_current || untouched,
        "{command:?} though the token is current"
    );
    match command {
        Command::Set { candidate } | Command::Test { candidate } => {
            hold!(
                8,
                record.compared.contains(candidate),
                "{command:?} before comparing identity"
            );
            let withdrawn = before.withdrawn.contains(candidate);
            let refused = before.unanswered == after.unanswered;
            let journaled = refused
                || after.holder(Label::InDoubt) == Some(candidate)
                || after.current() == candidate
                || !matches!(command, Command::Set { .. });
            hold!(
                3,
                journaled,
                "{candidate} was applied without being in doubt"
            );
            let untouched = !withdrawn || after.accepts == before.accepts;
            hold!(3, untouched, "{candidate} was withdrawn and applied");
        }
        Command::Withdraw { subject } if after.holder(Label::InDoubt) != Some(subject) => {
            let credential = after.value(subject).credential();
            let applied = record.set.contains(subject) && after.accepts.contains(&credential);
            hold!(3, !applied, "{subject} was given up after being applied");
        }
        Command::Probe { subject } if before.holder(Label::InDoubt) == Some(subject) => {
            let fine = record.compared.contains(subject) || before.current() == subject;
            hold!(8, fine, "{command:?} before comparing identity");
        }
        Command::Create { token, .. } => {
            let old = before
                .versions
                .get(token)
                .and_then(|version| version.value.as_ref());
            let same = old.is_none_or(|old| old == after.value(token));
            hold!(5, same, "{token} changed its value");
            let in_doubt = before.holder(Label::InDoubt);
            let in_doubt = in_doubt.filter(|doubt| *doubt != before.current());
            let replaced = in_doubt.is_some_and(|version| record.set.contains(version));
            hold!(
                7,
                !replaced,
                "made {token} though {in_doubt:?} may have been applied"
            );
        }
        Command::Promote { to, from, purpose } if after.current() != before.current() => {
            hold!(4, record.tested.contains(to), "{to} was promoted untested");
            hold!(4, after.is_live(to), "{to} was promoted dead");
            hold!(
                8,
                record.compared.contains(to),
                "{to} was promoted before comparing identity"
            );
            let base = after.versions[to].base.as_ref();
            let overwrites = purpose.is_some() && base != Some(before.current());
            hold!(6, !overwrites, "{to}, made from {base:?}, overwrote {from}");
            if record.leads {
                lead(before, to)?;
            }
        }
        Command::Retire { subject } => {
            hold!(
                9,
                subject != before.current(),
                "{subject} is current and was killed"
            );
        }
        _ => {}
    }
    grace(before, after, record)
}

/// What was promised to stay accepted is, until its time, whatever labels and notes say meanwhile.
fn grace(before: &World, after: &World, record: &Record) -> Result<(), String> {
    let accepted = after.accepted();
    for lost in before.accepted().difference(&accepted) {
        let promised = before
            .promised
            .get(lost)
            .is_some_and(|until_ms| *until_ms > before.now_ms);
        let permitted = match before.kind {
            // None but those that the operator was told about.
            Kind::KeyRing => record.declared.as_ref().is_some_and(|declared| {
                let named = before.value(declared);
                named.user == lost.0 && named.ring.contains(&lost.1)
            }),
            _ => record.now,
        };
        hold!(
            9,
            !promised || permitted,
            "the grace of {lost:?} was ended early"
        );
    }
    Ok(())
}

/// Under a lead, a key signs only when it has been published for that long.
fn lead(before: &World, to: &VersionId) -> Result<(), String> {
    let (old, new) = (before.value(before.current()), before.value(to));
    if before.kind.lead_ms() == 0 || old.key == new.key {
        return Ok(());
    }
    let published = before.announced.as_ref().is_some_and(|(version, at_ms)| {
        version == before.current()
            && old.spare == Some(new.key)
            && at_ms + LEAD_MS <= before.now_ms
    });
    hold!(
        2,
        published,
        "the key of {to} signs before every verifier has it"
    );
    Ok(())
}
