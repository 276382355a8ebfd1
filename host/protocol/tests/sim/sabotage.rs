//! Schemes that are broken on purpose, each in one place: what the checker has to notice.

use keyturn_protocol::*;

use super::explore::Sabotage;
use super::kind::Kind;
use super::world::{World, fails};

/// Name, strategy, the invariant that it breaks, and how.
pub const ALL: &[(&str, Kind, u8, Sabotage)] = &[
    ("doubt forgotten after set", Kind::Single, 2, forget_doubt),
    (
        "doubt forgotten after set, two users",
        Kind::Alternating,
        3,
        forget_doubt,
    ),
    ("no fence before set", Kind::Dual, 3, no_fence),
    (
        "promotion without compare-and-swap",
        Kind::Overlap,
        6,
        promote_blindly,
    ),
    ("promotion without a test", Kind::Dual, 4, skip_test),
    (
        "no comparison of identity",
        Kind::Single,
        8,
        skip_comparison,
    ),
    ("grace ignored", Kind::Dual, 9, ignore_grace),
    (
        "older keys of a ring forgotten",
        Kind::KeyRing,
        9,
        forget_ring,
    ),
    ("lead ignored", Kind::Announced, 2, ignore_lead),
    (
        "a token's value overwritten",
        Kind::Overlap,
        5,
        overwrite_value,
    ),
    ("current killed", Kind::Dual, 9, kill_current),
    (
        "an unknown answer taken for a rejection",
        Kind::Single,
        2,
        reject_everything,
    ),
];

/// Takes the label off as soon as `set` is proven by the test.
fn forget_doubt(world: &mut World, command: &mut Command) -> Option<Event> {
    if matches!(command, Command::Test { .. }) {
        world.labels.put(Label::InDoubt, None);
    }
    None
}

/// Pretends that the label was attached, and that reading it back found it, whoever asks.
fn no_fence(world: &mut World, command: &mut Command) -> Option<Event> {
    match command {
        Command::MoveLabel {
            label: Label::InDoubt,
            to: Some(_),
            ..
        } => Some(Event::Moved),
        Command::Observe => {
            let mut snapshot = world.snapshot();
            let pending = world.holder(Label::Pending).cloned();
            snapshot.labels.put(Label::InDoubt, pending);
            Some(Event::Observed(snapshot))
        }
        Command::Set { candidate } => {
            world.begin_set(candidate);
            Some(world.apply(candidate))
        }
        _ => None,
    }
}

fn promote_blindly(world: &mut World, command: &mut Command) -> Option<Event> {
    if let Command::Promote { from, .. } = command {
        *from = world.current().clone();
    }
    None
}

fn skip_test(_: &mut World, command: &mut Command) -> Option<Event> {
    matches!(command, Command::Test { .. }).then_some(Event::Completed { changed: false })
}

fn skip_comparison(_: &mut World, command: &mut Command) -> Option<Event> {
    matches!(command, Command::CompareIdentity { .. }).then_some(Event::IdentityEqual)
}

fn ignore_grace(world: &mut World, command: &mut Command) -> Option<Event> {
    let Command::Observe = command else {
        return None;
    };
    let mut snapshot = world.snapshot();
    snapshot.owed.as_mut()?.grace_left_seconds = 0;
    Some(Event::Observed(snapshot))
}

/// A rotation takes the older keys with it.
fn forget_ring(world: &mut World, command: &mut Command) -> Option<Event> {
    let Command::Create { token, .. } = &*command else {
        return None;
    };
    let event = world.execute(command);
    let version = world.versions.get_mut(token);
    let value = version.and_then(|version| version.value.as_mut());
    value.expect("it was just made").ring.clear();
    Some(event)
}

fn ignore_lead(world: &mut World, command: &mut Command) -> Option<Event> {
    match command {
        Command::Wait {
            why: WaitReason::Lead,
            ..
        } => Some(Event::Elapsed),
        Command::Observe => {
            let mut snapshot = world.snapshot();
            snapshot.announced.as_mut()?.lead_left_ms = 0;
            Some(Event::Observed(snapshot))
        }
        _ => None,
    }
}

/// Makes the value of the version in use anew instead of one under the token.
fn overwrite_value(world: &mut World, command: &mut Command) -> Option<Event> {
    let Command::Create { token, .. } = command else {
        return None;
    };
    *token = world.current().clone();
    let value = world
        .versions
        .get_mut(token)
        .and_then(|version| version.value.as_mut());
    value.expect("the current version has a value").edits += 1;
    None
}

fn kill_current(world: &mut World, command: &mut Command) -> Option<Event> {
    if let Command::Retire { subject } = command {
        *subject = world.current().clone();
    }
    None
}

/// An answer whose effect is not known is passed off as a rejection.
fn reject_everything(world: &mut World, command: &mut Command) -> Option<Event> {
    match command {
        Command::Set { .. } => {
            world.execute(command);
            Some(fails(FailureClass::Rejected, Applied::No))
        }
        Command::Probe { subject } if subject == world.current() => {
            Some(Event::Probed(Liveness::Live))
        }
        Command::Probe { .. } => Some(Event::Probed(Liveness::Dead)),
        // The core would have it killed once more, and that would find out.
        Command::Retire { .. } => Some(Event::Completed { changed: false }),
        _ => None,
    }
}
