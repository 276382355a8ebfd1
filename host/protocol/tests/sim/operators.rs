//! What an operator brings, ends, declares or puts back: set up by hand and asserted.

use std::cell::Cell;
use std::collections::BTreeSet;

use keyturn_protocol::*;

use super::corners::{honest, outcome, reason, run, run_request};
use super::goals::{declare, retire, rotate};
use super::kind::Kind;
use super::scenarios::{Coverage, rotated_once};
use super::world::{GRACE_MS, World, fails, id};

pub fn all(coverage: &mut Coverage) {
    operators(coverage);
    preflights(coverage);
    put_back(coverage);
    declarations(coverage);
}

fn operators(coverage: &mut Coverage) {
    let mut world = rotated_once(Kind::Assisted, 0);
    world.operator_acted = false;
    let end = run(coverage, &mut world.clone(), retire(true), honest);
    assert_eq!(reason(end), Reason::OperatorOwes(id("first")));
    let unknown = |command: &Command| {
        matches!(command, Command::Probe { .. }).then_some(Event::Probed(Liveness::Unknown))
    };
    let end = run(coverage, &mut world.clone(), retire(true), unknown);
    assert_eq!(reason(end), Reason::LivenessUnknown(id("first")));
    unaskable(coverage, &world);
    world.operator_acted = true;
    let end = run(coverage, &mut world.clone(), retire(false), honest);
    assert_eq!(
        outcome(end),
        Outcome::Retired {
            subject: id("first"),
            proven: true
        }
    );
    let asks =
        |command: &Command| matches!(command, Command::Create { .. }).then_some(Event::InputNeeded);
    let end = run(coverage, &mut world, rotate(Kind::Assisted), asks);
    assert_eq!(outcome(end), Outcome::AwaitingInput);
    let mut invoked = World::new(Kind::Assisted, 0);
    let create = Goal::Step {
        step: Step::Create,
        token: invoked.begin_service_rotation(),
    };
    let end = run(coverage, &mut invoked, create, asks);
    assert_eq!(reason(end), Reason::WaitingForOperator);

    let mut trial = World::new(Kind::Dual, 0);
    let test = Goal::Step {
        step: Step::Test,
        token: trial.begin_service_rotation(),
    };
    let end = run(coverage, &mut trial.clone(), test.clone(), honest);
    assert_eq!(outcome(end), Outcome::Checked);
    let dead = |command: &Command| {
        matches!(command, Command::Probe { .. }).then_some(Event::Probed(Liveness::Dead))
    };
    let end = run(coverage, &mut trial.clone(), test.clone(), dead);
    assert_eq!(reason(end), Reason::CurrentNotLive(Liveness::Dead));
    let finding = |command: &Command| {
        matches!(command, Command::Check).then_some(Event::Checked { passed: false })
    };
    let end = run(coverage, &mut trial, test, finding);
    assert_eq!(reason(end), Reason::CheckFailed);
}

/// The plugin cannot ask about the old value: a word ends it, but only where the current one is known to work.
fn unaskable(coverage: &mut Coverage, world: &World) {
    let asked = |current_is: Liveness| {
        move |command: &Command| match command {
            Command::Probe { subject } if *subject == id("first") => {
                Some(fails(FailureClass::Unaskable, Applied::No))
            }
            Command::Probe { .. } => Some(Event::Probed(current_is)),
            _ => None,
        }
    };
    let vouch = |now| Goal::Retire {
        now,
        vouched: true,
        declared: None,
    };
    let live = Liveness::Live;
    for goal in [retire(true), rotate(Kind::Assisted)] {
        let end = run(coverage, &mut world.clone(), goal, asked(live));
        assert_eq!(reason(end), Reason::RetiringUnaskable(id("first")));
    }
    for (current_is, expected) in [
        (
            Liveness::Unknown,
            Reason::LivenessUnknown(world.current().clone()),
        ),
        (Liveness::Dead, Reason::CurrentNotLive(Liveness::Dead)),
    ] {
        for goal in [vouch(true), retire(true), rotate(Kind::Assisted)] {
            let mut kept = world.clone();
            let end = run(coverage, &mut kept, goal, asked(current_is));
            assert_eq!(reason(end), expected);
            assert_eq!(kept, *world, "refused, and changed something");
        }
    }
    // A grant that is gone says nothing about the value.
    let denied = |command: &Command| {
        matches!(command, Command::Probe { .. })
            .then_some(fails(FailureClass::Invalid, Applied::No))
    };
    let end = run(coverage, &mut world.clone(), retire(true), denied);
    assert_eq!(reason(end), Reason::Plugin(FailureClass::Invalid));
    let mut ended = world.clone();
    let end = run(coverage, &mut ended, vouch(false), asked(live));
    let retired = Outcome::Retired {
        subject: id("first"),
        proven: false,
    };
    assert_eq!(outcome(end), retired);
    assert_eq!(ended.holder(Label::Retiring), None);
}

/// An operator is asked once the current value was seen to work, and where that fails nothing has been touched. Whoever
/// was asked already, or brings the answer along, is not kept waiting.
fn preflights(coverage: &mut Coverage) {
    let mut world = World::new(Kind::Assisted, 0);
    let fails = |command: &Command| match command {
        Command::Check => Some(Event::Checked { passed: false }),
        Command::Observe => None,
        other => panic!("{other:?} in spite of the preflight"),
    };
    let end = run(coverage, &mut world, rotate(Kind::Assisted), fails);
    assert_eq!(reason(end), Reason::CheckFailed);

    let snapshot = Snapshot {
        answered: true,
        ..world.snapshot()
    };
    let no_check = |command: &Command| {
        assert!(!matches!(command, Command::Check), "{command:?}");
        matches!(command, Command::Observe).then(|| Event::Observed(snapshot.clone()))
    };
    let goal = rotate(Kind::Assisted);
    let end = run(coverage, &mut world.clone(), goal.clone(), no_check);
    assert!(matches!(outcome(end), Outcome::Promoted { .. }));
    dropped(coverage, &world, &snapshot);
    let request = Request {
        goal,
        facts: Kind::Assisted.facts(),
        limits: Limits::default(),
        preflight: false,
    };
    let no_check = |command: &Command| {
        assert!(!matches!(command, Command::Check), "{command:?}");
        None
    };
    let end = run_request(coverage, &mut world, request, no_check);
    assert!(matches!(outcome(end), Outcome::Promoted { .. }));
}

/// An answer that cannot be used after all has spared nobody the preflight.
fn dropped(coverage: &mut Coverage, world: &World, answered: &Snapshot) {
    let (is_answered, checks) = (Cell::new(true), Cell::new(0));
    let drops = |command: &Command| match command {
        Command::Observe if is_answered.get() => Some(Event::Observed(answered.clone())),
        Command::Create { .. } if is_answered.replace(false) => Some(Event::Refused),
        Command::Create { .. } => panic!("asked without a preflight"),
        Command::Check => {
            checks.set(checks.get() + 1);
            Some(Event::Checked { passed: false })
        }
        _ => None,
    };
    let goal = rotate(Kind::Assisted);
    let end = run(coverage, &mut world.clone(), goal, drops);
    assert_eq!((reason(end), checks.get()), (Reason::CheckFailed, 1));
}

/// The new key misbehaved, and a person has put the old value back: it is not what has to end any more.
fn put_back(coverage: &mut Coverage) {
    let mut world = rotated_once(Kind::Assisted, GRACE_MS);
    world.operator_acted = false;
    world.edit_by_hand(false);
    let end = run(coverage, &mut world.clone(), retire(true), honest);
    assert_eq!(reason(end), Reason::OperatorOwes(id("first")));

    let (first, current) = (world.value(&id("first")).clone(), world.current().clone());
    world.versions.get_mut(&current).unwrap().value = Some(first);
    rolled_back(coverage, world.clone());
    // Where nobody knows what was in use meanwhile, nothing is owed.
    world.labels.put(Label::Previous, None);
    let no_probe = |command: &Command| {
        assert!(!matches!(command, Command::Probe { .. }), "{command:?}");
        None
    };
    let end = run(coverage, &mut world.clone(), retire(false), no_probe);
    assert_eq!(outcome(end), Outcome::NothingToRetire);
    // No grace is waited for either: what it was granted to is in use.
    let end = run(coverage, &mut world, rotate(Kind::Assisted), no_probe);
    let promoted = Outcome::Promoted {
        version: world.current().clone(),
        purpose: Purpose::Replace,
        resumed: false,
    };
    assert_eq!(outcome(end), promoted);
    assert_eq!(world.holder(Label::Retiring), Some(&current));
}

/// What was in use meanwhile is superseded like anything else: after its grace an operator ends it.
fn rolled_back(coverage: &mut Coverage, mut world: World) {
    let newer = world.holder(Label::Previous).unwrap().clone();
    let end = run(coverage, &mut world, retire(false), honest);
    let seconds = GRACE_MS / 1_000;
    assert_eq!(reason(end), Reason::WithinGrace { seconds });
    assert_eq!(world.holder(Label::Retiring), Some(&newer));
    world.now_ms += GRACE_MS;
    let end = run(coverage, &mut world, retire(false), honest);
    assert_eq!(reason(end), Reason::OperatorOwes(newer.clone()));
    world.operator_acted = true;
    let end = run(coverage, &mut world, retire(false), honest);
    let retired = Outcome::Retired {
        subject: newer,
        proven: true,
    };
    assert_eq!(outcome(end), retired);
}

/// No time and no haste ends an old key of a ring, and no rotation waits for its end: only the operator's word.
fn declarations(coverage: &mut Coverage) {
    let mut world = rotated_once(Kind::KeyRing, GRACE_MS);
    let end = run(coverage, &mut world, rotate(Kind::KeyRing), honest);
    assert!(matches!(
        outcome(end),
        Outcome::Promoted { resumed: false, .. }
    ));
    // It is owed as well while the next key is announced.
    let mut announced = world.clone();
    let in_the_lead =
        |command: &Command| matches!(command, Command::Wait { .. }).then_some(Event::Cancelled);
    let end = run(coverage, &mut announced, rotate(Kind::KeyRing), in_the_lead);
    assert_eq!(reason(end), Reason::Cancelled);
    let end = run(coverage, &mut announced, retire(true), honest);
    assert_eq!(reason(end), Reason::Undeclared(announced.current().clone()));
    world.now_ms += 1_000 * GRACE_MS;
    let before = world.clone();
    let (superseded, current) = (
        world.holder(Label::Previous).unwrap().clone(),
        world.current().clone(),
    );
    // The word about what an earlier version kept is none about what has become an older key since.
    let goals = [retire(false), retire(true), declare(&superseded)];
    for goal in goals {
        let end = run(coverage, &mut world, goal, honest);
        assert_eq!(reason(end), Reason::Undeclared(current.clone()));
        assert_eq!(before, world, "refused, and changed something");
    }
    assert_eq!(world.accepted().len(), 3);
    let end = run(coverage, &mut world, declare(&current), honest);
    assert_eq!(
        outcome(end),
        Outcome::Retired {
            subject: superseded,
            proven: true
        }
    );
    let newest = before.value(before.current()).credential();
    assert_eq!(world.accepted(), BTreeSet::from([newest]));
    let end = run(coverage, &mut world, declare(&current), honest);
    assert_eq!(outcome(end), Outcome::NothingToRetire);
}
