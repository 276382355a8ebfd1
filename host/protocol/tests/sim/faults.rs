//! What the adversary may do, and where it makes a difference.

use keyturn_protocol::*;

use super::world::World;

/// What the adversary may do, at most as often as the scenario says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The run dies before the effect.
    CrashBefore,
    /// The run dies after it.
    CrashAfter,
    /// The store fails before it did what was asked.
    StoreBefore,
    /// The store fails after that: the answer is lost.
    StoreAfter,
    /// A plugin call fails. `effect`: it had its effect nonetheless.
    Plugin {
        class: FailureClass,
        applied: Applied,
        effect: bool,
        retryable: bool,
    },
    /// The target asks for patience.
    Pending,
    /// A probe that proves nothing.
    ProbeUnknown,
    /// A person stores a value by hand.
    Edit { other_credential: bool },
    /// `CancelRotateSecret`: `AWSPENDING` goes, a new rotation begins.
    CancelPending,
    /// A person corrects a host that was wrong.
    Correct,
    /// The run is told to stop.
    CancelRun,
}

/// Where a fault makes a difference.
pub fn applies(fault: Fault, command: &Command, world: &World) -> bool {
    let writes = matches!(
        command,
        Command::MoveLabel { .. }
            | Command::Promote { .. }
            | Command::Create { .. }
            | Command::Finish { .. }
            | Command::Set { .. }
            | Command::Retire { .. }
            | Command::Withdraw { .. }
    );
    match fault {
        Fault::CrashBefore | Fault::CrashAfter => writes,
        Fault::StoreBefore => command.uses_store(),
        Fault::StoreAfter => writes && !command.changes_target(),
        Fault::Plugin {
            effect, applied, ..
        } => {
            command.changes_target()
                || (!effect && applied == Applied::No && command.calls_plugin())
        }
        Fault::Pending => {
            matches!(
                command,
                Command::Set { .. } | Command::Retire { .. } | Command::Test { .. }
            )
        }
        Fault::ProbeUnknown => matches!(command, Command::Probe { .. }),
        Fault::CancelPending => world.holder(Label::Pending).is_some(),
        Fault::Correct => !world.reaches_target(),
        Fault::Edit { .. } | Fault::CancelRun => true,
    }
}

/// What is noted before an effect, and may be all that happened.
pub fn begin(world: &mut World, command: &Command) {
    match command {
        Command::Set { candidate } => {
            world.begin_set(candidate);
        }
        Command::Withdraw { subject } => {
            world.begin_withdrawal(subject);
        }
        Command::MoveLabel {
            label: Label::InDoubt,
            from,
            to: None,
        } => world.forbid_set(from.as_ref()),
        _ => {}
    }
}
