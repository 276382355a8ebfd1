//! What AWS's service may do to a function: any step, in any order, any number of times, with any
//! token. Nothing is remembered between two invocations, so worlds alone are compared.

use std::collections::HashSet;

use keyturn_protocol::*;

use super::explore::{Driver, Explorer, State};
use super::kind::Kind;
use super::scenarios::{Coverage, rotated_once};
use super::world::{GRACE_MS, World};

/// Every sequence of up to six invocations: duplicated, reordered, skipped, of a foreign token and
/// of one that is not pending. Sequences that reach the same world go on as one.
pub fn step_sequences(coverage: &mut Coverage) {
    const LENGTH_MAX: u32 = 6;
    let mut sequences: u128 = 0;
    let mut states = 0;
    let mut promoted = 0;
    for kind in Kind::ALL {
        let mut world = rotated_once(kind, GRACE_MS);
        world.now_ms += GRACE_MS;
        let token = world.begin_service_rotation();
        let tokens = [
            token.clone(),
            VersionId::new("first"),
            VersionId::new("unheard-of"),
        ];
        let mut frontier = HashSet::from([world]);
        let mut alphabet = 0;
        for _ in 0..LENGTH_MAX {
            let mut reached = HashSet::new();
            for world in &frontier {
                alphabet = 0;
                for step in Step::ALL {
                    for token in &tokens {
                        alphabet += 1;
                        reached.insert(invoke(coverage, world.clone(), step, token.clone()));
                    }
                }
            }
            states += reached.len();
            frontier = reached;
        }
        sequences += (1..=LENGTH_MAX)
            .map(|length| u128::pow(alphabet, length))
            .sum::<u128>();
        promoted += frontier
            .iter()
            .filter(|world| *world.current() == token)
            .count();
    }
    assert!(
        promoted > 0,
        "no sequence of six holds the four steps in order"
    );
    println!("evidence: enumerated step sequences: {sequences} schedules, {states} states");
}

/// One invocation, whatever its end.
fn invoke(coverage: &mut Coverage, world: World, step: Step, token: VersionId) -> World {
    let mut explorer = Explorer::new(&[]);
    explorer.tolerates = |_| true;
    let before = world.clone();
    let actor = explorer.actor(
        &world,
        Driver::Service {
            token: token.clone(),
            step,
        },
        0,
    );
    let mut state = State {
        world,
        actors: vec![actor],
        faults_left: 0,
        struck: false,
    };
    let goes_on = |state: &State| {
        let rotation = state.actors[0].rotation.as_ref();
        rotation.is_some_and(|rotation| !rotation.poll().is_end())
    };
    while goes_on(&state) {
        explorer.advance(&mut state, 0).unwrap();
    }
    coverage.add(&explorer);
    if before.holder(Label::Pending) != Some(&token) && before.current() != &token {
        assert_eq!(before, state.world, "a foreign token changed something");
    }
    // Repeated, it changes nothing.
    let again = explorer.actor(&state.world, Driver::Service { token, step }, 0);
    let once = state.world.clone();
    state.actors = vec![again];
    while goes_on(&state) {
        explorer.advance(&mut state, 0).unwrap();
    }
    assert_eq!(
        once.labels, state.world.labels,
        "{step:?} twice is not {step:?} once"
    );
    assert_eq!(
        once.accepts, state.world.accepts,
        "{step:?} twice is not {step:?} once"
    );
    state.world
}
