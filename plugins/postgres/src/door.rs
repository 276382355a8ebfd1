//! A place where one can log in: an endpoint's member. It turns the answers to a login into the
//! few cases that the rotation tells apart, and refuses a server that checks no password before
//! anybody could take its answer for a proof.

use crate::auth::Proof;
use crate::client::{LoginFailure, NetFault, Security, Session, Stream};
use crate::errors::{self, INVALID_AUTHORIZATION, INVALID_PASSWORD};
use crate::secret::Login;
use crate::sql::ident;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyturn_sdk::{Applied, Error, Liveness, MemberReport, endpoint, random};
use std::fmt;
use std::io::{self, Read, Write};

/// Of the client's nonce; RFC 5802 leaves the length open, libpq takes as many.
const NONCE_BYTES: usize = 18;

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

    /// One login. Anything that is no verdict about the login is an error, and so is a server
    /// that did not ask for a password.
    pub(crate) fn knock(&self, login: &Login) -> Result<Knock, Error> {
        let doing = format!("the login of {} at endpoint `{self}`", ident(&login.user));
        let connection = endpoint::connect(self.endpoint, self.member.index)
            .map_err(|error| Error::from(error).context(&doing))?;
        let opened = Session::open(
            connection,
            &login.user,
            login.password.expose(),
            &login.database,
            STANDARD.encode(random::bytes(NONCE_BYTES)),
        );
        match opened {
            Ok(link) if link.proof == Proof::Nothing => Err(Error::unprotected(format!(
                "{doing} succeeded without a password; nothing changed; correct pg_hba.conf \
                 (scram-sha-256 instead of trust, peer, ident or cert) before rotating"
            ))),
            Ok(link) => Ok(Knock::Opened(link)),
            Err(LoginFailure::Path(error)) => Err(error.context(&doing)),
            Err(LoginFailure::Refused {
                error: server,
                password_was_right,
            }) => {
                let error = errors::from_server(&doing, &server);
                match server.code.as_str() {
                    INVALID_PASSWORD => Ok(Knock::WrongPassword(error)),
                    INVALID_AUTHORIZATION => Ok(Knock::Barred {
                        error,
                        password_was_right,
                    }),
                    _ => Err(error),
                }
            }
        }
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
