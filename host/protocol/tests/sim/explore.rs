//! Walks every schedule: which actor moves, and where the adversary strikes. Equal states are
//! visited once; the number of schedules through them is still counted exactly.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

use keyturn_protocol::*;

use super::check::{self, Record};
use super::faults::{Fault, applies, begin};
use super::world::World;

/// Who drives a run, and what comes after it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Driver {
    Goal(Goal),
    Service { token: VersionId, step: Step },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    pub driver: Driver,
    pub rotation: Option<Rotation>,
    pub record: Record,
    pub restarts_left: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub world: World,
    pub actors: Vec<Actor>,
    pub faults_left: u8,
    /// The fault that strikes at most once has struck.
    pub struck: bool,
}

/// A deliberately broken scheme: alters what the engine carries out. `Some` = the answer to give
/// instead of doing it.
pub type Sabotage = fn(&mut World, &mut Command) -> Option<Event>;

pub struct Explorer {
    pub faults: Vec<Fault>,
    pub sabotage: Option<Sabotage>,
    /// Failures that may end an actor for good.
    pub tolerates: fn(&Reason) -> bool,
    pub limits: Limits,
    /// A fault that strikes at most once in a schedule.
    pub once: Option<Fault>,
    /// The actors have the same goal, so that their places mean nothing.
    pub symmetric: bool,
    pub fired: BTreeMap<(Fault, &'static str), u64>,
    pub transitions: BTreeSet<(&'static str, &'static str)>,
    pub rules: BTreeSet<Rule>,
    pub endings: BTreeMap<String, u64>,
    seen: HashMap<(u64, u64), Option<u128>>,
    hashers: (RandomState, RandomState),
}

/// How many versions a scenario may leave behind. Together with the search for cycles this bounds
/// every run: invariant 7.
const VERSIONS_MAX: usize = 16;

impl Explorer {
    pub fn new(faults: &[Fault]) -> Explorer {
        Explorer {
            faults: faults.to_vec(),
            sabotage: None,
            tolerates: |_| false,
            limits: Limits::default(),
            once: None,
            symmetric: false,
            fired: BTreeMap::new(),
            transitions: BTreeSet::new(),
            rules: BTreeSet::new(),
            endings: BTreeMap::new(),
            seen: HashMap::new(),
            hashers: (RandomState::new(), RandomState::new()),
        }
    }

    pub fn states(&self) -> usize {
        self.seen.len()
    }

    pub fn actor(&self, world: &World, driver: Driver, restarts: u8) -> Actor {
        let mut actor = Actor {
            driver,
            rotation: None,
            record: Record::default(),
            restarts_left: restarts,
        };
        self.start(world, &mut actor);
        actor
    }

    /// A run that remembers nothing.
    fn start(&self, world: &World, actor: &mut Actor) {
        let goal = match &actor.driver {
            Driver::Goal(goal) => goal.clone(),
            Driver::Service { token, step } => Goal::Step {
                step: *step,
                token: token.clone(),
            },
        };
        let declared = match &goal {
            Goal::Retire { declared, .. } => declared.clone(),
            _ => None,
        };
        actor.record = Record {
            declared,
            was_current: matches!(&goal, Goal::Step { token, .. } if token == world.current()),
            leads: matches!(&goal, Goal::Rotate { lead_ms: 1.., .. }),
            now: matches!(
                goal,
                Goal::Rotate { now: true, .. }
                    | Goal::Retire { now: true, .. }
                    | Goal::Restore { now: true, .. }
            ),
            ..Record::default()
        };
        let facts = world.kind.facts();
        actor.rotation = Some(Rotation::new(Request {
            goal,
            facts,
            limits: self.limits,
            preflight: true,
        }));
    }

    fn key(&self, hasher: &RandomState, state: &State) -> u64 {
        let State {
            world,
            actors,
            faults_left,
            struck,
        } = state;
        let mut actors: Vec<_> = actors.iter().map(|actor| hasher.hash_one(actor)).collect();
        if self.symmetric {
            actors.sort_unstable();
        }
        hasher.hash_one((world, actors, faults_left, struck))
    }

    /// The number of schedules from here, or what went wrong on one of them.
    pub fn explore(&mut self, state: State) -> Result<u128, String> {
        let key = (
            self.key(&self.hashers.0, &state),
            self.key(&self.hashers.1, &state),
        );
        match self.seen.get(&key) {
            Some(Some(schedules)) => return Ok(*schedules),
            Some(None) => return Err(format!("invariant 7: endless in {:?}", state.actors)),
            None => {}
        }
        self.seen.insert(key, None);
        let mut schedules = 0;
        let mut ended = true;
        let alone = (0..state.actors.len()).find(|index| is_private(&state.actors[*index]));
        for index in 0..state.actors.len() {
            let skipped = alone.is_some_and(|alone| alone != index);
            if state.actors[index].rotation.is_none() || skipped {
                continue;
            }
            ended = false;
            let mut next = state.clone();
            self.advance(&mut next, index)
                .map_err(|what| trace(&state, index, &what))?;
            schedules += self.explore(next)?;
            if state.faults_left == 0 {
                continue;
            }
            for fault in self.faults.clone() {
                let mut next = state.clone();
                next.faults_left -= 1;
                if self
                    .strike(&mut next, index, fault)
                    .map_err(|what| trace(&state, index, &what))?
                {
                    schedules += self.explore(next)?;
                }
            }
        }
        if ended {
            schedules = 1;
        }
        self.seen.insert(key, Some(schedules));
        Ok(schedules)
    }

    /// One actor carries out one command, faultlessly, or goes on after the end of its run.
    pub fn advance(&mut self, state: &mut State, index: usize) -> Result<(), String> {
        let command = state.actors[index]
            .rotation
            .as_ref()
            .expect("asked of a running actor")
            .poll();
        match command {
            Command::Done(outcome) => self.done(state, index, &outcome),
            Command::Failed(failure) => self.failed(state, index, &failure),
            command => {
                let event = self.perform(state, index, &command)?;
                self.answer(state, index, event)
            }
        }
    }

    fn perform(
        &mut self,
        state: &mut State,
        index: usize,
        command: &Command,
    ) -> Result<Event, String> {
        let before = state.world.clone();
        let mut performed = command.clone();
        let instead = self
            .sabotage
            .and_then(|alter| alter(&mut state.world, &mut performed));
        let honest = instead.is_none() && performed == *command;
        let event = instead.unwrap_or_else(|| state.world.execute(&performed));
        let record = &mut state.actors[index].record;
        check::effect(&before, &state.world, &performed, record)?;
        check::world(&state.world)?;
        if state.world.versions.len() > VERSIONS_MAX {
            return Err("invariant 7: versions without end".into());
        }
        if honest {
            record.note(&performed, &event);
        }
        Ok(event)
    }

    fn answer(&mut self, state: &mut State, index: usize, event: Event) -> Result<(), String> {
        let actor = &mut state.actors[index];
        let rotation = actor
            .rotation
            .as_mut()
            .expect("only a running actor is answered");
        self.transitions
            .insert((rotation.poll().name(), event.name()));
        rotation
            .handle(event)
            .map_err(|illegal| illegal.to_string())?;
        self.rules.extend(rotation.rule());
        Ok(())
    }

    fn done(&mut self, state: &mut State, index: usize, outcome: &Outcome) -> Result<(), String> {
        *self.endings.entry(variant(outcome)).or_default() += 1;
        let actor = &mut state.actors[index];
        if let Driver::Service { step, .. } = &mut actor.driver
            && let Some(next) = Step::ALL.iter().copied().find(|other| other > step)
        {
            *step = next;
            self.start(&state.world, actor);
            return Ok(());
        }
        actor.rotation = None;
        actor.record = Record::default();
        if state.actors.iter().all(|actor| actor.rotation.is_none()) {
            let tidy = !state.actors.iter().any(|actor| actor.record.gave_up);
            return at_rest(&state.world, outcome, tidy);
        }
        Ok(())
    }

    fn failed(&mut self, state: &mut State, index: usize, failure: &Failure) -> Result<(), String> {
        *self.endings.entry(variant(&failure.reason)).or_default() += 1;
        let actor = &mut state.actors[index];
        if (self.tolerates)(&failure.reason) {
            actor.rotation = None;
            actor.record = Record {
                gave_up: true,
                ..Record::default()
            };
            return Ok(());
        }
        if actor.restarts_left == 0 {
            return Err(format!("given up: {failure:?}"));
        }
        actor.restarts_left -= 1;
        if let Reason::WithinGrace { seconds } = failure.reason {
            state.world.now_ms += seconds * 1_000;
        }
        if failure.reason == Reason::Plugin(FailureClass::Path) && !state.world.reaches_target() {
            state.world.correct_place();
        }
        match &mut actor.driver {
            // The service repeats the whole rotation with the same token; if its version is lost,
            // the operator cancels and a new one begins.
            Driver::Service { token, step } => {
                *step = Step::Create;
                if state.world.holder(Label::Pending) != Some(token) {
                    *token = state.world.begin_service_rotation();
                }
            }
            Driver::Goal(_) if failure.next == NextAction::Refuse => {
                return Err(format!("refused: {failure:?}"));
            }
            // The operator is told what is kept now, and declares that.
            Driver::Goal(Goal::Retire { declared, .. }) => {
                if let Reason::Undeclared(version) = &failure.reason {
                    *declared = Some(version.clone());
                }
            }
            Driver::Goal(_) => {}
        }
        self.start(&state.world, actor);
        Ok(())
    }

    /// Whether the fault can strike here; if so, it has.
    // Long because every fault is one arm, and a fault is understood beside the others.
    pub fn strike(
        &mut self,
        state: &mut State,
        index: usize,
        fault: Fault,
    ) -> Result<bool, String> {
        let command = state.actors[index]
            .rotation
            .as_ref()
            .expect("a running actor")
            .poll();
        let again = self.once == Some(fault) && state.struck;
        if again || command.is_end() || !applies(fault, &command, &state.world) {
            return Ok(false);
        }
        state.struck |= self.once == Some(fault);
        *self.fired.entry((fault, command.name())).or_default() += 1;
        match fault {
            Fault::CrashBefore | Fault::CrashAfter => {
                if fault == Fault::CrashAfter {
                    self.perform(state, index, &command)?;
                } else {
                    begin(&mut state.world, &command);
                }
                let mut actor = state.actors[index].clone();
                self.start(&state.world, &mut actor);
                state.actors[index] = actor;
            }
            Fault::StoreBefore | Fault::StoreAfter => {
                if fault == Fault::StoreAfter {
                    self.perform(state, index, &command)?;
                }
                self.answer(state, index, Event::StoreFailed { retryable: true })?;
            }
            Fault::Plugin {
                class,
                applied,
                effect,
                retryable,
            } => {
                if effect {
                    self.perform(state, index, &command)?;
                } else if applied != Applied::No {
                    begin(&mut state.world, &command);
                }
                let failure = PluginFailure {
                    class,
                    applied,
                    retryable,
                    retry_after_ms: None,
                };
                self.answer(state, index, Event::PluginFailed(failure))?;
            }
            Fault::Pending => {
                self.perform(state, index, &command)?;
                self.answer(state, index, Event::StillPending { milliseconds: 10 })?;
            }
            Fault::ProbeUnknown => self.answer(state, index, Event::Probed(Liveness::Unknown))?,
            Fault::Edit { other_credential } => {
                state.world.edit_by_hand(other_credential);
                check::world(&state.world)?;
            }
            Fault::Correct => {
                state.world.correct_place();
                check::world(&state.world)?;
            }
            Fault::CancelPending => {
                state.world.labels.put(Label::Pending, None);
                check::world(&state.world)?;
                let mut actor = state.actors[index].clone();
                if let Driver::Service { token, step } = &mut actor.driver {
                    *token = state.world.begin_service_rotation();
                    *step = Step::Create;
                }
                self.start(&state.world, &mut actor);
                state.actors[index] = actor;
            }
            Fault::CancelRun => self.answer(state, index, Event::Cancelled)?,
        }
        Ok(true)
    }
}

/// Whether an actor's command neither sees nor changes anything that another one can: then the
/// order in which the two move makes no difference, and one order stands for both.
fn is_private(actor: &Actor) -> bool {
    let command = actor.rotation.as_ref().map(Rotation::poll);
    match command {
        Some(Command::Wait { why, .. }) => why != WaitReason::Lead,
        Some(Command::NewToken | Command::CompareIdentity { .. } | Command::Done(_)) => true,
        _ => false,
    }
}

/// When nobody is at work any more, nothing is left in doubt or half-way.
fn at_rest(world: &World, outcome: &Outcome, tidy: bool) -> Result<(), String> {
    if !world.is_live(world.current()) {
        return Err(format!(
            "the current version is dead at the end: {outcome:?}"
        ));
    }
    if !tidy || !matches!(outcome, Outcome::Promoted { .. }) {
        return Ok(());
    }
    for label in [Label::Pending, Label::InDoubt, Label::Base, Label::Staged] {
        if let Some(holder) = world.holder(label) {
            return Err(format!("{label} is left on {holder} after {outcome:?}"));
        }
    }
    Ok(())
}

fn variant(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.split(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn trace(state: &State, index: usize, what: &str) -> String {
    let command = state.actors[index].rotation.as_ref().map(Rotation::poll);
    format!(
        "{what}\n  at {command:?} of actor {index}\n  in {:?}",
        state.world
    )
}
