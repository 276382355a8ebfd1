//! Endings and rules that no enumeration reaches by itself, because they start from a world that a
//! person, a broken target or a foreign tool has left: each is set up by hand and asserted.

use std::collections::BTreeSet;

use keyturn_protocol::*;

use super::goals::{retire, rotate};
use super::kind::Kind;
use super::scenarios::{Coverage, rotated_once};
use super::world::{GRACE_MS, World, fails, id};

/// Drives one run; `answer` may replace the world's answer to a command.
pub fn run(
    coverage: &mut Coverage,
    world: &mut World,
    goal: Goal,
    answer: impl Fn(&Command) -> Option<Event>,
) -> Command {
    let request = Request {
        goal,
        facts: world.kind.facts(),
        limits: Limits::default(),
        preflight: true,
    };
    run_request(coverage, world, request, answer)
}

pub fn run_request(
    coverage: &mut Coverage,
    world: &mut World,
    request: Request,
    answer: impl Fn(&Command) -> Option<Event>,
) -> Command {
    let mut rotation = Rotation::new(request);
    for _ in 0..300 {
        let command = rotation.poll();
        if command.is_end() {
            return command;
        }
        let event = answer(&command).unwrap_or_else(|| world.execute(&command));
        coverage.transitions.insert((command.name(), event.name()));
        rotation.handle(event).unwrap();
        coverage.rules.extend(rotation.rule());
    }
    panic!("a run without end");
}

pub fn reason(end: Command) -> Reason {
    match end {
        Command::Failed(failure) => failure.reason,
        other => panic!("expected a failure, got {other:?}"),
    }
}

pub fn outcome(end: Command) -> Outcome {
    match end {
        Command::Done(outcome) => outcome,
        other => panic!("expected success, got {other:?}"),
    }
}

pub fn honest(_: &Command) -> Option<Event> {
    None
}

pub fn all(coverage: &mut Coverage) {
    refusals(coverage);
    doubts(coverage);
    super::places::left_at_other_places(coverage);
    verdicts(coverage);
    settled_notes(coverage);
    super::operators::all(coverage);
    every_call_fails(coverage);
    every_command_is_cancelled(coverage);
}

/// A version that a person, or another tool, left behind.
pub fn leave(world: &mut World, label: Label, name: &str, key: u8) -> VersionId {
    let mut version = world.versions[world.current()].clone();
    version.value.as_mut().unwrap().key = key;
    world.versions.insert(id(name), version);
    world.labels.put(label, Some(id(name)));
    id(name)
}

fn refusals(coverage: &mut Coverage) {
    let mut fresh = World::new(Kind::Overlap, GRACE_MS);
    let mut nothing = World {
        labels: Labels::default(),
        ..fresh.clone()
    };
    let observed = Snapshot::default();
    let empty = |command: &Command| {
        matches!(command, Command::Observe).then(|| Event::Observed(observed.clone()))
    };
    let end = run(coverage, &mut nothing, rotate(Kind::Overlap), empty);
    assert_eq!(reason(end), Reason::NoCurrent);

    let token = fresh.begin_service_rotation();
    let step = |step| Goal::Step {
        step,
        token: token.clone(),
    };
    let mut off = World {
        rotation_enabled: Some(false),
        ..fresh.clone()
    };
    let end = run(coverage, &mut off, step(Step::Create), honest);
    assert_eq!(reason(end), Reason::RotationDisabled);
    let end = run(coverage, &mut fresh.clone(), step(Step::Set), honest);
    assert_eq!(reason(end), Reason::OutOfOrder);

    let end = run(coverage, &mut fresh.clone(), rotate(Kind::Overlap), honest);
    assert_eq!(reason(end), Reason::ForeignPending(token.clone()));
    let unstick = Goal::Rotate {
        now: false,
        lead_ms: 0,
        unstick: true,
        anew: false,
    };
    let end = run(coverage, &mut fresh, unstick, honest);
    assert!(matches!(
        outcome(end),
        Outcome::Promoted { resumed: false, .. }
    ));

    let mut dual = World::new(Kind::Dual, 0);
    let end = run(coverage, &mut dual, Goal::Extend, honest);
    assert_eq!(reason(end), Reason::Unsupported(Purpose::Extend));
    let nowhere = Goal::Restore {
        version: id("nowhere"),
        now: false,
    };
    let end = run(coverage, &mut dual, nowhere, honest);
    assert_eq!(reason(end), Reason::NothingToRestore);
    let end = run(coverage, &mut dual, retire(false), honest);
    assert_eq!(outcome(end), Outcome::NothingToRetire);
}

fn doubts(coverage: &mut Coverage) {
    let mut world = World::new(Kind::Overlap, 0);
    let doubt = leave(&mut world, Label::InDoubt, "left", 7);
    let end = run(coverage, &mut world, rotate(Kind::Overlap), honest);
    assert_eq!(reason(end), Reason::DoubtWithoutTarget(doubt));

    let mut world = World::new(Kind::Dual, 0);
    let doubt = leave(&mut world, Label::InDoubt, "left", 7);
    let end = run(coverage, &mut world.clone(), retire(false), honest);
    assert_eq!(reason(end), Reason::Unfinished(doubt.clone()));
    let differs = |command: &Command| {
        matches!(command, Command::CompareIdentity { .. }).then_some(Event::IdentityDiffers)
    };
    let end = run(coverage, &mut world.clone(), rotate(Kind::Dual), differs);
    assert_eq!(reason(end), Reason::IdentityDiffers(doubt));
    let end = run(coverage, &mut world, rotate(Kind::Dual), honest);
    assert!(
        matches!(outcome(end), Outcome::Promoted { .. }),
        "dead in doubt, then rotated"
    );
}

/// Every pair of verdicts on a foreign version in doubt and the current one.
fn verdicts(coverage: &mut Coverage) {
    use Liveness::{Dead, Live, Mixed, Unknown};
    for doubt_is in [Live, Dead, Mixed, Unknown] {
        for current_is in [Live, Dead, Mixed, Unknown] {
            for previous_is in [Live, Dead, Mixed, Unknown] {
                let mut world = World::new(Kind::Dual, 0);
                let doubt = leave(&mut world, Label::InDoubt, "left", 7);
                let previous = leave(&mut world, Label::Previous, "older", 8);
                let (d, p) = (doubt.clone(), previous.clone());
                let answer = move |command: &Command| match command {
                    Command::Probe { subject } if *subject == d => Some(Event::Probed(doubt_is)),
                    Command::Probe { subject } if *subject == p => Some(Event::Probed(previous_is)),
                    Command::Probe { .. } => Some(Event::Probed(current_is)),
                    Command::Set { .. } | Command::Test { .. } => {
                        Some(Event::Completed { changed: true })
                    }
                    _ => None,
                };
                let end = run(coverage, &mut world, rotate(Kind::Dual), answer);
                let expected = match (doubt_is, current_is, previous_is) {
                    (Unknown, ..) => Some(Reason::LivenessUnknown(doubt)),
                    (_, Unknown, _) => Some(Reason::LivenessUnknown(id("first"))),
                    (Dead, Mixed, _) => Some(Reason::CurrentNotLive(Mixed)),
                    (Dead, Dead, Unknown) => Some(Reason::LivenessUnknown(previous)),
                    (Dead, Dead, Dead | Mixed) => Some(Reason::AllDead),
                    _ => None,
                };
                match expected {
                    Some(expected) => assert_eq!(reason(end), expected),
                    None => assert!(
                        matches!(outcome(end), Outcome::Promoted { resumed: false, .. }),
                        "{doubt_is:?}, {current_is:?}, {previous_is:?}"
                    ),
                }
            }
        }
    }
}

/// Notes that lag behind the label do not hold up the next rotation.
fn settled_notes(coverage: &mut Coverage) {
    let mut world = rotated_once(Kind::Dual, GRACE_MS);
    let notes = world.notes.clone();
    let end = run(coverage, &mut world.clone(), rotate(Kind::Dual), honest);
    assert_eq!(
        reason(end),
        Reason::WithinGrace {
            seconds: GRACE_MS / 1_000
        }
    );
    let end = run(coverage, &mut world, retire(true), honest);
    assert_eq!(
        outcome(end),
        Outcome::Retired {
            subject: id("first"),
            proven: true
        }
    );
    world.notes = notes;
    let end = run(coverage, &mut world, rotate(Kind::Dual), honest);
    assert!(matches!(
        outcome(end),
        Outcome::Promoted { resumed: false, .. }
    ));
}

/// The worlds and goals that together ask for every command.
fn journeys() -> Vec<(World, Goal)> {
    let mut doubt = World::new(Kind::Dual, 0);
    leave(&mut doubt, Label::InDoubt, "left", 7);
    let mut trial = World::new(Kind::Dual, 0);
    let test = Goal::Step {
        step: Step::Test,
        token: trial.begin_service_rotation(),
    };
    let mut moved = World::new(Kind::Dual, 0);
    let left = leave(&mut moved, Label::InDoubt, "left", 7);
    moved.unanswered.insert(left, 0);
    moved.place = 1;
    let first = moved.versions.get_mut(&id("first")).unwrap();
    first.value.as_mut().unwrap().host = 1;
    vec![
        (moved, rotate(Kind::Dual)),
        (doubt, rotate(Kind::Dual)),
        (rotated_once(Kind::Dual, 0), rotate(Kind::Dual)),
        (World::new(Kind::Announced, 0), rotate(Kind::Announced)),
        (trial, test),
    ]
}

/// Each plugin call fails for good, the store fails for good, and a call never becomes ready: each
/// ends the run with its own reason, within the limits.
fn every_call_fails(coverage: &mut Coverage) {
    let mut failed = BTreeSet::new();
    for (world, goal) in journeys() {
        for name in [
            "Create",
            "CompareIdentity",
            "Set",
            "Test",
            "Finish",
            "Probe",
            "Retire",
            "Check",
        ] {
            let fail = |command: &Command| {
                (command.name() == name).then(|| fails(FailureClass::Path, Applied::No))
            };
            let end = run(coverage, &mut world.clone(), goal.clone(), fail);
            if let Command::Failed(failure) = end {
                assert_eq!(failure.reason, Reason::Plugin(FailureClass::Path));
                assert_eq!(failure.next, NextAction::Retry);
                failed.insert(name);
            }
            let wait = |command: &Command| {
                let waits = command.name() == name
                    && (command.changes_target() || matches!(command, Command::Test { .. }));
                waits.then_some(Event::StillPending { milliseconds: 1 })
            };
            if let Command::Failed(failure) = run(coverage, &mut world.clone(), goal.clone(), wait)
            {
                assert_eq!(failure.reason, Reason::StillPending);
            }
        }
        for retryable in [false, true] {
            for name in [
                "Observe",
                "Withdraw",
                "MoveLabel",
                "Promote",
                "Create",
                "Set",
                "Retire",
                "Probe",
                "Check",
            ] {
                let fail = |command: &Command| {
                    (command.name() == name).then_some(Event::StoreFailed { retryable })
                };
                if let Command::Failed(failure) =
                    run(coverage, &mut world.clone(), goal.clone(), fail)
                {
                    assert_eq!(failure.reason, Reason::Store);
                }
            }
        }
    }
    assert_eq!(failed.len(), 8, "every call was failed: {failed:?}");
}

/// A run can be cancelled while it awaits anything.
fn every_command_is_cancelled(coverage: &mut Coverage) {
    let mut cancelled = BTreeSet::new();
    for (world, goal) in journeys() {
        let mut names = BTreeSet::new();
        loop {
            let hit = std::cell::Cell::new(None);
            let cancel = |command: &Command| {
                (!names.contains(command.name())).then(|| {
                    hit.set(Some(command.name()));
                    Event::Cancelled
                })
            };
            let end = run(coverage, &mut world.clone(), goal.clone(), cancel);
            let Some(name) = hit.get() else { break };
            assert_eq!(reason(end), Reason::Cancelled);
            names.insert(name);
        }
        cancelled.extend(names);
    }
    assert_eq!(
        cancelled.len(),
        14,
        "every command was cancelled: {cancelled:?}"
    );
}
