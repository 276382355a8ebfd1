//! Schemes that are broken on purpose, each in one place: what the checker has to notice.

use keyturn_protocol::*;

use super::explore::Sabotage;
use super::world::{Kind, World};

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
    ("lead ignored", Kind::Announced, 2, ignore_lead),
    (
        "a token's value overwritten",
        Kind::Overlap,
        5,
        overwrite_value,
    ),
    ("pause without end", Kind::Dual, 7, always_refuse),
];

/// Takes the label off as soon as `set` is proven by the test.
fn forget_doubt(world: &mut World, command: &mut Command) -> Option<Event> {
    if matches!(command, Command::Test { .. }) {
        world.labels.put(Label::InDoubt, None);
    }
    None
}

/// Pretends that the label was attached, and that reading it back found it.
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

fn ignore_lead(_: &mut World, command: &mut Command) -> Option<Event> {
    let lead = matches!(
        command,
        Command::Wait {
            why: WaitReason::Lead,
            ..
        }
    );
    if lead {
        return Some(Event::Elapsed);
    }
    None
}

fn overwrite_value(world: &mut World, command: &mut Command) -> Option<Event> {
    let Command::Create { token, .. } = command else {
        return None;
    };
    world.versions.remove(token);
    None
}

fn always_refuse(_: &mut World, command: &mut Command) -> Option<Event> {
    matches!(command, Command::Promote { .. }).then_some(Event::Refused)
}
