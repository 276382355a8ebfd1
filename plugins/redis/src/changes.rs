//! What was changed at which node. With several nodes, a failure says of all of them together whether the target
//! changed: `yes` also where only some have.

use crate::access::Place;
use crate::session::Session;
use keyturn_sdk::{Applied, Error, Liveness, Outcome, Status};
use std::collections::BTreeSet;

#[derive(Default)]
pub(crate) struct Changes {
    /// The nodes' labels.
    changed: BTreeSet<String>,
}

impl Changes {
    /// Runs a step that changes a node when it succeeds.
    pub(crate) fn make(
        &mut self,
        session: &mut Session,
        step: impl FnOnce(&mut Session) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.then(step(session))?;
        self.changed.insert(session.node.label.clone());
        Ok(())
    }

    /// What comes after these changes; an error says that they were made.
    pub(crate) fn then<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        answer.map_err(|error| {
            if self.changed.is_empty() {
                return error;
            }
            let applied = match error.applied {
                Applied::Unknown => Applied::Unknown,
                Applied::Yes | Applied::No => Applied::Yes,
            };
            let changed: Vec<&str> = self.changed.iter().map(String::as_str).collect();
            error.applied(applied).detail("changed", changed.join(", "))
        })
    }

    /// `liveness` of the value in question, the same at every node.
    pub(crate) fn outcome(&self, places: &[Place], liveness: Liveness) -> Outcome {
        let mut outcome = Outcome::new(if self.changed.is_empty() {
            Status::Unchanged
        } else {
            Status::Done
        });
        outcome.members = places
            .iter()
            .map(|place| {
                let node = &place.session.node;
                let changed = self.changed.contains(&node.label);
                let applied = if changed { Applied::Yes } else { Applied::No };
                node.report(applied, liveness)
            })
            .collect();
        outcome
    }
}
