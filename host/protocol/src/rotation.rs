//! The machine itself.

use core::fmt;

use crate::command::Command;
use crate::event::Event;
use crate::request::Request;

/// One run towards one goal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rotation {
    request: Request,
    awaiting: Command,
}

impl Rotation {
    /// A run that knows nothing yet.
    pub fn new(request: Request) -> Self {
        Rotation {
            request,
            awaiting: Command::Observe,
        }
    }

    /// What to do now. Asking again changes nothing.
    pub fn poll(&self) -> Command {
        self.awaiting.clone()
    }

    /// Takes the answer to the command of [`poll`](Self::poll).
    ///
    /// # Errors
    /// [`IllegalTransition`] if the event cannot be the answer to that command; nothing changed.
    pub fn handle(&mut self, event: Event) -> Result<(), IllegalTransition> {
        let _ = &self.request;
        Err(IllegalTransition {
            command: self.awaiting.name(),
            event: event.name(),
        })
    }
}

/// An event that cannot answer the command in hand: a fault of the engine, never of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IllegalTransition {
    /// The command's name.
    pub command: &'static str,
    /// The event's name.
    pub event: &'static str,
}

impl fmt::Display for IllegalTransition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "event {} cannot answer command {}; please report this",
            self.event, self.command
        )
    }
}

impl core::error::Error for IllegalTransition {}
