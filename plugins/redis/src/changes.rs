//! What was changed at which node. With several nodes, a failure says of all of them together whether the target
//! changed: `yes` also where only some have.

use crate::node::Node;
use keyturn_sdk::{Applied, Error, Liveness, MemberReport, Outcome, Status};

pub(crate) struct Changes {
    /// Of the value in question at each node that was noted.
    liveness: Liveness,
    reports: Vec<MemberReport>,
}

impl Changes {
    pub(crate) fn to_be(liveness: Liveness) -> Self {
        Self {
            liveness,
            reports: Vec::new(),
        }
    }

    /// Takes a node's answer (was it changed?) over, or says with its error what had been changed before.
    pub(crate) fn note(&mut self, node: &Node, answer: Result<bool, Error>) -> Result<(), Error> {
        match answer {
            Ok(changed) => {
                let applied = if changed { Applied::Yes } else { Applied::No };
                self.reports.push(node.report(applied, self.liveness));
                Ok(())
            }
            Err(error) => Err(self.after(error)),
        }
    }

    fn changed(&self) -> impl Iterator<Item = &str> {
        self.reports
            .iter()
            .filter(|report| report.applied == Applied::Yes)
            .map(|report| report.member.as_str())
    }

    /// An error that came after these changes.
    pub(crate) fn after(&self, error: Error) -> Error {
        let changed: Vec<_> = self.changed().collect();
        if changed.is_empty() {
            return error;
        }
        let applied = match error.applied {
            Applied::Unknown => Applied::Unknown,
            Applied::Yes | Applied::No => Applied::Yes,
        };
        error.applied(applied).detail("changed", changed.join(", "))
    }

    pub(crate) fn outcome(self) -> Outcome {
        let status = if self.changed().next().is_some() {
            Status::Done
        } else {
            Status::Unchanged
        };
        let mut outcome = Outcome::new(status);
        outcome.members = self.reports;
        outcome
    }
}
