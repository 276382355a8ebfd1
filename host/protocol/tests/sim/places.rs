//! The server moves, or was named wrongly: values of another place than the current one's.

use keyturn_protocol::*;

use super::corners::{honest, leave, outcome, reason, run};
use super::explore::{Driver, Explorer};
use super::faults::Fault;
use super::goals::{retire, rotate};
use super::kind::Kind;
use super::scenarios::{Coverage, Tally, alone, demand, rotated_once};
use super::world::{GRACE_MS, World, id};

/// A first value that names a wrong host, so that every rotation ends before it reaches a target,
/// until somebody corrects it: at any point of a run or after it failed, and then by two runs at once,
/// one of which may be about to apply the old candidate.
pub fn corrected_place(coverage: &mut Coverage) {
    let lost = Fault::Plugin {
        class: FailureClass::Path,
        applied: Applied::Unknown,
        effect: false,
        retryable: true,
    };
    let faults = [
        Fault::Correct,
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::StoreBefore,
        Fault::StoreAfter,
        lost,
    ];
    let mut tally = Tally::new("corrected place", coverage);
    for kind in [Kind::Alternating, Kind::Dual, Kind::Single] {
        let mut world = World::new(kind, GRACE_MS);
        world.place = 1;
        let driver = Driver::Goal(rotate(kind));
        let mut explorer = Explorer::new(&faults);
        explorer.once = Some(Fault::Correct);
        // Only what may have been applied elsewhere has to wait for the operator's word.
        explorer.tolerates = |reason| matches!(reason, Reason::IdentityDiffers(_));
        tally.explore(
            &mut explorer,
            world.clone(),
            std::slice::from_ref(&driver),
            2,
        );
        demand(&explorer, &faults[..1], &["MoveLabel", "Create", "Set"]);
        demand(&explorer, &faults[1..3], &["Set", "Withdraw"]);
        assert!(explorer.endings.contains_key("Promoted"));

        for about_to_set in [true, false] {
            let mut explorer = Explorer::new(&[]);
            explorer.limits.store_attempts_max = 1;
            explorer.tolerates = |reason| {
                matches!(
                    reason,
                    Reason::WithinGrace { .. } | Reason::Contended | Reason::IdentityDiffers(_)
                )
            };
            let mut state = alone(&explorer, &world, &driver);
            let ends = |command: Command| match command {
                Command::Set { .. } => about_to_set,
                command => command.is_end(),
            };
            while !state.actors[0]
                .rotation
                .as_ref()
                .is_none_or(|rotation| ends(rotation.poll()))
            {
                explorer.advance(&mut state, 0).unwrap();
            }
            state.world.correct_place();
            if !about_to_set {
                state.actors[0] = explorer.actor(&state.world, driver.clone(), 9);
            }
            let other = explorer.actor(&state.world, driver.clone(), 9);
            state.actors.push(other);
            tally.explore_from(&mut explorer, state);
            assert!(explorer.endings.contains_key("Promoted"));
        }
    }
    tally.print();
}

fn no_login(command: &Command) -> Option<Event> {
    let asks = matches!(command, Command::Probe { .. } | Command::Retire { .. });
    assert!(!asks, "{command:?} at another place");
    None
}

/// Values of another place than the current one's: no login is tried with them, and what may have
/// been applied there ends by the operator's word alone.
pub fn left_at_other_places(coverage: &mut Coverage) {
    let vouched = Goal::Retire {
        now: true,
        vouched: true,
        declared: None,
    };
    for (unanswered, expected) in [(None, false), (Some(1), false), (Some(0), true)] {
        let mut world = World::new(Kind::Dual, 0);
        let doubt = leave(&mut world, Label::InDoubt, "left", 7);
        world
            .unanswered
            .extend(unanswered.map(|count| (doubt.clone(), count)));
        let first = world.versions.get_mut(&id("first")).unwrap();
        first.value.as_mut().unwrap().host = 1;
        world.place = 1;
        let end = run(coverage, &mut world.clone(), rotate(Kind::Dual), no_login);
        if expected {
            assert!(matches!(outcome(end), Outcome::Promoted { .. }));
            continue;
        }
        assert_eq!(reason(end), Reason::IdentityDiffers(doubt.clone()));
        let end = run(coverage, &mut world, vouched.clone(), no_login);
        assert_eq!(
            outcome(end),
            Outcome::Retired {
                subject: doubt,
                proven: false
            }
        );
        let end = run(coverage, &mut world, rotate(Kind::Dual), honest);
        assert!(matches!(outcome(end), Outcome::Promoted { .. }));
    }
    nearer_values(coverage, vouched);
}

/// What the operator need not vouch for, what only they can, and what nobody may apply any more.
fn nearer_values(coverage: &mut Coverage, vouched: Goal) {
    // Of this place: the operator's word is not needed, and not taken.
    let mut world = World::new(Kind::Dual, 0);
    let doubt = leave(&mut world, Label::InDoubt, "left", 7);
    let end = run(coverage, &mut world, vouched.clone(), honest);
    assert_eq!(reason(end), Reason::Unfinished(doubt));

    // A superseded value that was left behind at the old place.
    let mut world = rotated_once(Kind::Dual, 0);
    world.place = 1;
    world.correct_place();
    for goal in [retire(true), rotate(Kind::Dual)] {
        let end = run(coverage, &mut world.clone(), goal, no_login);
        assert_eq!(reason(end), Reason::IdentityDiffers(id("first")));
    }
    let end = run(coverage, &mut world, vouched, no_login);
    let subject = id("first");
    assert_eq!(
        outcome(end),
        Outcome::Retired {
            subject,
            proven: false
        }
    );
    assert_eq!(world.holder(Label::Retiring), None);

    // Withdrawn by a run that died before the label went: it is never applied again.
    let mut world = World::new(Kind::Dual, 0);
    let doubt = leave(&mut world, Label::InDoubt, "keyturn-left", 7);
    world.labels.put(Label::Base, Some(id("first")));
    world.unanswered.insert(doubt.clone(), 0);
    world.withdrawn.insert(doubt.clone());
    let end = run(coverage, &mut world, rotate(Kind::Dual), honest);
    assert!(matches!(outcome(end), Outcome::Promoted { .. }));
    assert_ne!(*world.current(), doubt);
}
