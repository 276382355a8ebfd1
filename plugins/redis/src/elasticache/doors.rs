//! Which of several passwords open which nodes at this moment. At each node a wrong one was refused before.

use crate::node::Node;
use crate::secret::Login;
use crate::session::Session;
use keyturn_sdk::{Applied, Error, Liveness, MemberReport};

pub(crate) struct Doors(pub(crate) Vec<Door>);

pub(crate) struct Door {
    pub(crate) session: Session,
    /// In the order in which they were tried.
    opened: Vec<bool>,
}

impl Doors {
    /// Tries all of them at all nodes. The session stays that of the last one that opened.
    pub(crate) fn try_all(logins: &[&Login]) -> Result<Doors, Error> {
        let Some(first) = logins.first() else {
            return Err(Error::internal("there is no value to log in with"));
        };
        let doors = Node::all()?
            .iter()
            .map(|node| {
                let mut session = Session::open(node, first)?;
                let opened = logins.iter().map(|login| session.login(login));
                let opened = opened.collect::<Result<_, Error>>()?;
                Ok(Door { session, opened })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Doors(doors))
    }

    pub(crate) fn all_open_to(&self, index: usize) -> bool {
        self.0.iter().all(|door| door.opens_to(index))
    }

    pub(crate) fn any_opens_to(&self, index: usize) -> bool {
        self.0.iter().any(|door| door.opens_to(index))
    }

    /// The first node that refuses it.
    pub(crate) fn closed_to(&self, index: usize) -> Option<&Node> {
        let door = self.0.iter().find(|door| !door.opens_to(index))?;
        Some(&door.session.node)
    }

    pub(crate) fn reports(&self, liveness: Liveness) -> Vec<MemberReport> {
        self.0.iter().map(|door| door.report(liveness)).collect()
    }
}

impl Door {
    pub(crate) fn report(&self, liveness: Liveness) -> MemberReport {
        self.session.node.report(Applied::No, liveness)
    }

    pub(crate) fn opens_to(&self, index: usize) -> bool {
        self.opened.get(index).copied().unwrap_or(false)
    }
}
