//! A place where one can log in: an endpoint's member. It knows which places there are and what a
//! login there can come to; how one goes is [`knocking`](crate::knocking)'s business.

use crate::client::{NetFault, Security, Session, Stream};
use crate::knocking::Knocking;
use crate::secret::Login;
use keyturn_sdk::{Applied, Error, Liveness, MemberReport, endpoint};
use std::fmt;
use std::io::{self, Read, Write};

/// A session through the host.
pub(crate) type Link = Session<endpoint::Connection>;

#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) endpoint: &'static str,
    member: endpoint::Member,
}

/// What a login came to.
pub(crate) enum Knock {
    Opened(Link),
    /// 28P01.
    WrongPassword(Error),
    /// 28000: something else than the password keeps this role out.
    Barred {
        error: Error,
        password_was_right: bool,
    },
}

impl Knock {
    /// 28P01? A session that was opened is closed.
    pub(crate) fn found_wrong_password(self) -> bool {
        match self {
            Knock::WrongPassword(_) => true,
            Knock::Barred { .. } => false,
            Knock::Opened(link) => {
                link.close();
                false
            }
        }
    }
}

impl Door {
    /// Where the application logs in.
    pub(crate) const PRIMARY: &str = "primary";
    const ADMIN: &str = "admin";
    const READERS: &str = "readers";

    pub(crate) fn primary() -> Result<Door, Error> {
        let members = endpoint::members(Self::PRIMARY)?;
        members
            .into_iter()
            .next()
            .map(|member| Door {
                endpoint: Self::PRIMARY,
                member,
            })
            .ok_or_else(|| Error::unreachable("endpoint `primary` has no member"))
    }

    /// Where roles are changed: the admin's server, else the application's.
    pub(crate) fn writable() -> Result<Door, Error> {
        match endpoint::members_if_granted(Self::ADMIN)?
            .into_iter()
            .next()
        {
            Some(member) => Ok(Door {
                endpoint: Self::ADMIN,
                member,
            }),
            None => Self::primary(),
        }
    }

    pub(crate) fn readers() -> Result<Vec<Door>, Error> {
        let members = endpoint::members_if_granted(Self::READERS)?;
        Ok(members
            .into_iter()
            .map(|member| Door {
                endpoint: Self::READERS,
                member,
            })
            .collect())
    }

    /// One login, from its beginning to its answer.
    pub(crate) fn knock(&self, login: &Login) -> Result<Knock, Error> {
        self.knocking(login).answer()
    }

    /// One login, not begun yet; see [`take_turns`](crate::knocking::take_turns).
    pub(crate) fn knocking(&self, login: &Login) -> Knocking {
        Knocking::new(self.clone(), login)
    }

    pub(crate) fn connect(&self) -> Result<endpoint::Connection, Error> {
        endpoint::connect(self.endpoint, self.member.index).map_err(Error::from)
    }

    pub(crate) fn report(&self, applied: Applied, liveness: Liveness) -> MemberReport {
        MemberReport {
            endpoint: self.endpoint.to_owned(),
            member: self.member.label.clone(),
            applied,
            liveness,
            error: None,
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.endpoint)
    }
}

impl Stream for endpoint::Connection {
    fn security(&self) -> Security {
        match endpoint::Connection::security(self) {
            endpoint::Security::Plaintext => Security::Plaintext,
            endpoint::Security::UpgradeRequired => Security::UpgradeRequired,
            endpoint::Security::Encrypted => Security::Encrypted,
        }
    }

    fn read(&mut self, max: usize) -> Result<Vec<u8>, NetFault> {
        let mut buffer = vec![0; max];
        let count = Read::read(self, &mut buffer).map_err(fault)?;
        buffer.truncate(count);
        Ok(buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), NetFault> {
        self.write_all(bytes).map_err(fault)
    }

    fn start_tls(&mut self) -> Result<(), NetFault> {
        endpoint::Connection::start_tls(self).map_err(|error| NetFault {
            sent: error.sent,
            error: error.into(),
        })
    }

    fn channel_binding(&self) -> Option<Vec<u8>> {
        endpoint::Connection::channel_binding(self, endpoint::Binding::TlsServerEndPoint)
    }
}

fn fault(error: io::Error) -> NetFault {
    NetFault {
        sent: endpoint::may_have_been_sent(&error),
        error: error.into(),
    }
}
