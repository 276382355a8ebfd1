//! What is enumerated: which drivers meet which adversary, for every strategy.

use std::collections::BTreeSet;

use keyturn_protocol::*;

use super::explore::{Actor, Driver, Explorer, State};
use super::faults::Fault;
use super::goals::{goals, retire, rotate};
use super::kind::Kind;
use super::world::{GRACE_MS, World};

/// What all scenarios together have reached.
#[derive(Default)]
pub struct Coverage {
    pub transitions: BTreeSet<(&'static str, &'static str)>,
    pub rules: BTreeSet<Rule>,
}

impl Coverage {
    pub fn add(&mut self, explorer: &Explorer) {
        self.transitions.extend(&explorer.transitions);
        self.rules.extend(&explorer.rules);
    }
}

/// The totals of one scenario over all its explorations.
pub struct Tally<'a> {
    name: &'static str,
    coverage: &'a mut Coverage,
    schedules: u128,
    states: usize,
    fired: u64,
}

impl<'a> Tally<'a> {
    pub fn new(name: &'static str, coverage: &'a mut Coverage) -> Tally<'a> {
        Tally {
            name,
            coverage,
            schedules: 0,
            states: 0,
            fired: 0,
        }
    }

    /// Explores every schedule of these drivers; the first broken invariant is a panic.
    pub fn explore(
        &mut self,
        explorer: &mut Explorer,
        world: World,
        drivers: &[Driver],
        faults: u8,
    ) {
        let actors = drivers
            .iter()
            .map(|d| explorer.actor(&world, d.clone(), 9))
            .collect();
        let state = State {
            world,
            actors,
            faults_left: faults,
            struck: false,
        };
        self.explore_from(explorer, state);
    }

    pub fn explore_from(&mut self, explorer: &mut Explorer, state: State) {
        let kind = state.world.kind;
        let verdict = explorer.explore(state);
        self.schedules += verdict.unwrap_or_else(|what| panic!("{}, {kind:?}: {what}", self.name));
        self.states += explorer.states();
        self.fired += explorer.fired.values().sum::<u64>();
        self.coverage.add(explorer);
    }

    pub fn print(self) {
        let fired = match self.fired {
            0 => String::new(),
            fired => format!(", {fired} faults fired"),
        };
        println!(
            "evidence: enumerated {}: {} schedules, {} states{fired}",
            self.name, self.schedules, self.states
        );
    }
}

/// A world in which the strategy has rotated before, so that a predecessor is in its grace.
pub fn rotated_once(kind: Kind, grace_ms: u64) -> World {
    let mut explorer = Explorer::new(&[]);
    let world = World::new(kind, grace_ms);
    let mut state = alone(&explorer, &world, &Driver::Goal(rotate(kind)));
    while state.actors[0].rotation.is_some() {
        explorer.advance(&mut state, 0).unwrap();
    }
    state.world
}

/// One driver, and no fault to come.
pub fn alone(explorer: &Explorer, world: &World, driver: &Driver) -> State {
    State {
        actors: vec![explorer.actor(world, driver.clone(), 9)],
        world: world.clone(),
        faults_left: 0,
        struck: false,
    }
}

/// The worlds in which every strategy is tried: never rotated, in its grace, and past it.
fn worlds(kind: Kind) -> [World; 3] {
    let in_grace = rotated_once(kind, GRACE_MS);
    let past_grace = World {
        now_ms: in_grace.now_ms + GRACE_MS,
        ..in_grace.clone()
    };
    [World::new(kind, GRACE_MS), in_grace, past_grace]
}

/// A rotation that the service drives step by step.
fn service(world: &mut World) -> Driver {
    Driver::Service {
        token: world.begin_service_rotation(),
        step: Step::Create,
    }
}

fn explore_service(tally: &mut Tally<'_>, explorer: &mut Explorer, mut world: World, faults: u8) {
    let driver = service(&mut world);
    tally.explore(explorer, world, &[driver], faults);
}

/// An injected fault that never struck proves nothing: each must have hit each of the commands.
pub fn demand(explorer: &Explorer, faults: &[Fault], commands: &[&'static str]) {
    for fault in faults {
        for command in commands {
            assert!(
                explorer.fired.contains_key(&(*fault, *command)),
                "{fault:?} never hit {command}"
            );
        }
    }
}

/// Every crash point before and after each effect, and every ordered pair of them.
pub fn crashes(coverage: &mut Coverage) {
    let faults = [Fault::CrashBefore, Fault::CrashAfter];
    let mut tally = Tally::new("crashes", coverage);
    for kind in Kind::ALL {
        for world in worlds(kind) {
            for goal in goals(&world) {
                let mut explorer = Explorer::new(&faults);
                tally.explore(
                    &mut explorer,
                    world.clone(),
                    &[Driver::Goal(goal.clone())],
                    2,
                );
                if goal == rotate(kind) {
                    demand(
                        &explorer,
                        &faults,
                        &["MoveLabel", "Create", "Finish", "Promote"],
                    );
                    if world.has_target() {
                        demand(&explorer, &faults, &["Set"]);
                    }
                }
            }
            let mut explorer = Explorer::new(&faults);
            explore_service(&mut tally, &mut explorer, world.clone(), 2);
            demand(
                &explorer,
                &faults,
                &["MoveLabel", "Create", "Finish", "Promote"],
            );
        }
    }
    tally.print();
}

/// `set`, `retire` and the rest fail with each `applied`, before and after having had their effect.
pub fn failing_calls(coverage: &mut Coverage) {
    let class = FailureClass::Path;
    let mut faults = vec![Fault::Pending, Fault::ProbeUnknown, Fault::CrashAfter];
    for retryable in [false, true] {
        for (applied, effect) in [
            (Applied::No, false),
            (Applied::Unknown, false),
            (Applied::Unknown, true),
            (Applied::Yes, true),
        ] {
            faults.push(Fault::Plugin {
                class,
                applied,
                effect,
                retryable,
            });
        }
    }
    let mut tally = Tally::new("failing calls", coverage);
    for kind in Kind::ALL {
        for world in worlds(kind) {
            let mut explorer = Explorer::new(&faults);
            tally.explore(
                &mut explorer,
                world.clone(),
                &[Driver::Goal(rotate(kind))],
                2,
            );
            if world.has_target() {
                demand(&explorer, &faults[3..], &["Set"]);
            }
            let mut explorer = Explorer::new(&faults);
            explore_service(&mut tally, &mut explorer, world.clone(), 2);
        }
    }
    tally.print();
}

/// The store fails before and after it did what was asked.
pub fn failing_store(coverage: &mut Coverage) {
    let faults = [Fault::StoreBefore, Fault::StoreAfter];
    let mut tally = Tally::new("failing store", coverage);
    for kind in Kind::ALL {
        for world in worlds(kind) {
            let mut explorer = Explorer::new(&faults);
            tally.explore(
                &mut explorer,
                world.clone(),
                &[Driver::Goal(rotate(kind))],
                2,
            );
            demand(&explorer, &faults, &["MoveLabel", "Create", "Promote"]);
            let mut explorer = Explorer::new(&faults);
            explore_service(&mut tally, &mut explorer, world.clone(), 2);
        }
    }
    tally.print();
}

/// Two rotators with the same goal, or two invocations with the same token, in every order.
pub fn two_rotators(coverage: &mut Coverage) {
    let mut tally = Tally::new("two rotators", coverage);
    for kind in Kind::ALL {
        let driver = Driver::Goal(rotate(kind));
        let mut served = World::new(kind, GRACE_MS);
        let service = service(&mut served);
        for (world, driver) in [(World::new(kind, GRACE_MS), driver), (served, service)] {
            let mut explorer = Explorer::new(&[]);
            explorer.symmetric = true;
            explorer.limits.store_attempts_max = 2;
            explorer.tolerates =
                |reason| matches!(reason, Reason::WithinGrace { .. } | Reason::Contended);
            tally.explore(&mut explorer, world, &[driver.clone(), driver], 0);
            let promoted = explorer.endings.get("Promoted");
            assert!(
                promoted.is_some(),
                "nobody promoted: {:?}",
                explorer.endings
            );
        }
    }
    tally.print();
}

/// A run whose `set` failed pauses before it tries again; meanwhile others promote, once or twice, one of
/// them while it wakes.
pub fn a_sleeper(coverage: &mut Coverage) {
    let busy = Fault::Plugin {
        class: FailureClass::Throttled,
        applied: Applied::No,
        effect: false,
        retryable: true,
    };
    let mut tally = Tally::new("a sleeper", coverage);
    for kind in [Kind::Alternating, Kind::Single] {
        for promoted_before in [false, true] {
            let driver = Driver::Goal(rotate(kind));
            let mut explorer = Explorer::new(&[]);
            explorer.limits.store_attempts_max = 1;
            // What one run tests, another may just have superseded.
            explorer.tolerates = |reason| {
                matches!(
                    reason,
                    Reason::Contended | Reason::Rejected | Reason::Plugin(FailureClass::Auth)
                )
            };
            let mut state = alone(&explorer, &World::new(kind, 0), &driver);
            while !polls(&state.actors[0], |command| {
                matches!(command, Command::Set { .. })
            }) {
                explorer.advance(&mut state, 0).unwrap();
            }
            assert!(explorer.strike(&mut state, 0, busy).unwrap());
            let other = explorer.actor(&state.world, driver.clone(), 0);
            state.actors.push(other);
            if promoted_before {
                while state.actors[1].rotation.is_some() {
                    explorer.advance(&mut state, 1).unwrap();
                }
                state.actors[1] = explorer.actor(&state.world, driver.clone(), 0);
            }
            tally.explore_from(&mut explorer, state);
            assert!(explorer.endings.contains_key("Promoted"));
        }
    }
    tally.print();
}

fn polls(actor: &Actor, wanted: impl Fn(Command) -> bool) -> bool {
    actor
        .rotation
        .as_ref()
        .is_some_and(|rotation| wanted(rotation.poll()))
}

/// A run, or the service's rotation, is cancelled at every point and begun anew.
pub fn cancelled(coverage: &mut Coverage) {
    let faults = [Fault::CancelRun, Fault::CancelPending, Fault::CrashAfter];
    let mut tally = Tally::new("cancelled", coverage);
    for kind in Kind::ALL {
        for world in worlds(kind) {
            let mut explorer = Explorer::new(&faults);
            tally.explore(
                &mut explorer,
                world.clone(),
                &[Driver::Goal(rotate(kind))],
                2,
            );
            let mut explorer = Explorer::new(&faults);
            explore_service(&mut tally, &mut explorer, world.clone(), 2);
            demand(
                &explorer,
                &faults[1..2],
                &["Finish", "Promote", "Test", "MoveLabel", "Create"],
            );
        }
    }
    tally.print();
}

/// A value stored by hand at every point (RotationAbandoned), alone and with a crash.
pub fn edited_by_hand(coverage: &mut Coverage) {
    let mut tally = Tally::new("edited by hand", coverage);
    for other_credential in [false, true] {
        let edit = Fault::Edit { other_credential };
        for kind in Kind::ALL {
            let faults = [edit, Fault::CrashBefore, Fault::CrashAfter];
            let mut explorer = Explorer::new(&faults);
            explorer.once = Some(edit);
            let world = World::new(kind, GRACE_MS);
            tally.explore(&mut explorer, world, &[Driver::Goal(rotate(kind))], 2);
            demand(
                &explorer,
                &[edit],
                &["MoveLabel", "Create", "Finish", "Promote"],
            );
            let mut explorer = Explorer::new(&faults);
            explorer.once = Some(edit);
            explore_service(&mut tally, &mut explorer, World::new(kind, GRACE_MS), 2);
        }
    }
    tally.print();
}

/// The target's policy refuses the first values: three are replaced, then the run gives up; under
/// the service's token there is no second value.
pub fn rejected_values(coverage: &mut Coverage) {
    let faults = [Fault::CrashBefore, Fault::CrashAfter];
    let mut tally = Tally::new("rejected values", coverage);
    for kind in [Kind::Alternating, Kind::Dual, Kind::Single] {
        for refused in 1..=4 {
            let refusing = World {
                refuses: (1..=refused).collect(),
                ..World::new(kind, GRACE_MS)
            };
            let mut explorer = Explorer::new(&faults);
            explorer.tolerates = |reason| matches!(reason, Reason::Rejected);
            tally.explore(
                &mut explorer,
                refusing.clone(),
                &[Driver::Goal(rotate(kind))],
                0,
            );
            let gave_up = explorer.endings.contains_key("Rejected");
            assert_eq!(
                gave_up,
                refused > 3,
                "{refused} refused values: {:?}",
                explorer.endings
            );

            let mut explorer = Explorer::new(&faults);
            let mut world = refusing;
            let driver = service(&mut world);
            tally.explore(&mut explorer, world, &[driver], 1);
            assert!(explorer.endings.contains_key("Rejected"));
        }
    }
    tally.print();
}

/// A machine in every state, one for each command.
pub fn states_of_every_command() -> Vec<Rotation> {
    let mut found = std::collections::BTreeMap::new();
    for kind in [Kind::Alternating, Kind::Announced] {
        for mut world in worlds(kind) {
            let trial = Goal::Step {
                step: Step::Test,
                token: world.begin_service_rotation(),
            };
            let own = World {
                labels: without_pending(&world),
                ..world.clone()
            };
            // A version in doubt that never reached another place.
            let mut moved = own.clone();
            let first = VersionId::new("first");
            moved.labels.put(Label::InDoubt, Some(first.clone()));
            moved.unanswered.insert(first, 0);
            moved.place = 1;
            if moved.current().as_str() != "first" {
                moved.correct_place();
            }
            for (world, goal) in [
                (moved, rotate(kind)),
                (own.clone(), rotate(kind)),
                (own, retire(true)),
                (world, trial),
            ] {
                let mut explorer = Explorer::new(&[]);
                explorer.tolerates = |_| true;
                let mut state = alone(&explorer, &world, &Driver::Goal(goal));
                while let Some(rotation) = &state.actors[0].rotation {
                    found
                        .entry(rotation.poll().name())
                        .or_insert_with(|| rotation.clone());
                    explorer.advance(&mut state, 0).unwrap();
                }
            }
        }
    }
    found.into_values().collect()
}

fn without_pending(world: &World) -> Labels {
    let mut labels = world.labels.clone();
    labels.put(Label::Pending, None);
    labels
}
