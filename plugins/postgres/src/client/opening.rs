//! A login under way, as a machine that takes one step at a time. It exists so that several logins can take turns:
//! while one waits for its server, the others' servers are at work. It knows of no other login and judges none.

use super::{LoginFailure, NetFault, Security, Session, Stream};
use crate::auth::{AuthError, Authentication, Proof, Step};
use crate::wire::{self, WireError};
use keyturn_sdk::{Error, SecretText};
use postgres_protocol::message::backend::Message;

/// Who logs in, and where to.
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: SecretText,
    pub(crate) database: String,
    /// Printable characters without a comma, another one for each login.
    pub(crate) nonce: String,
}

/// A login whose first bytes are on their way.
pub(crate) struct Opening<S> {
    session: Session<S>,
    stage: Stage,
}

/// What is waited for.
enum Stage {
    /// The server's consent to TLS; who logs in is not said before it is up.
    Tls(Credentials),
    Verdict(Authentication),
    /// The password passed (or was not asked for); the server sets the session up.
    Ready,
}

/// Where a step led.
pub(crate) enum Progress<S> {
    Waiting(Opening<S>),
    Opened(Session<S>),
}

impl<S: Stream> Opening<S> {
    /// Sends the first bytes and waits for nothing.
    pub(crate) fn begin(stream: S, credentials: Credentials) -> Result<Opening<S>, LoginFailure> {
        let mut session = Session::new(stream);
        let stage = match session.stream.security() {
            Security::Plaintext => introduce(&mut session, credentials, false)?,
            Security::Encrypted => introduce(&mut session, credentials, true)?,
            Security::UpgradeRequired => {
                session.stream.write(&wire::ssl_request()).map_err(path)?;
                Stage::Tls(credentials)
            }
        };
        Ok(Opening { session, stage })
    }

    /// Waits for one message and answers it.
    pub(crate) fn step(self) -> Result<Progress<S>, LoginFailure> {
        let Opening { mut session, stage } = self;
        let stage = match stage {
            Stage::Tls(credentials) => {
                upgrade(&mut session.stream)?;
                introduce(&mut session, credentials, true)?
            }
            Stage::Verdict(login) => authenticate(&mut session, login)?,
            Stage::Ready if is_ready(&mut session)? => return Ok(Progress::Opened(session)),
            Stage::Ready => Stage::Ready,
        };
        Ok(Progress::Waiting(Opening { session, stage }))
    }
}

fn upgrade<S: Stream>(stream: &mut S) -> Result<(), LoginFailure> {
    // One byte and no more: what follows it in plaintext was injected by somebody (CVE-2021-23222).
    match stream.read(1).map_err(path)?.first() {
        Some(b'S') => stream.start_tls().map_err(path),
        Some(b'N') => Err(LoginFailure::Path(Error::tls(
            "the server refuses TLS, which the grant demands; set ssl = on in postgresql.conf",
        ))),
        Some(b'E') => Err(LoginFailure::Path(
            Error::unreachable("the server could not take the connection").retryable(true),
        )),
        Some(_) => Err(LoginFailure::Path(Error::protocol(
            "the endpoint does not answer like PostgreSQL; is the port right?",
        ))),
        None => Err(LoginFailure::Path(Error::unreachable(
            "the server closed the connection when TLS was asked for",
        ))),
    }
}

fn introduce<S: Stream>(
    session: &mut Session<S>,
    who: Credentials,
    encrypted: bool,
) -> Result<Stage, LoginFailure> {
    let binding = if encrypted {
        session.stream.channel_binding()
    } else {
        None
    };
    let startup = wire::startup(&who.user, &who.database).map_err(protocol)?;
    session.stream.write(&startup).map_err(path)?;
    let password = who.password.expose();
    let login = Authentication::new(&who.user, password, encrypted, binding, who.nonce);
    Ok(Stage::Verdict(login))
}

fn authenticate<S: Stream>(
    session: &mut Session<S>,
    mut login: Authentication,
) -> Result<Stage, LoginFailure> {
    let message = session.next().map_err(LoginFailure::Path)?;
    match login.on(message) {
        Ok(Step::Wait) => {}
        Ok(Step::Send(bytes)) => session.stream.write(&bytes).map_err(path)?,
        Ok(Step::Done(proof)) => {
            session.proof = proof;
            return Ok(Stage::Ready);
        }
        Err(AuthError::Refused(error)) => {
            return Err(LoginFailure::Refused {
                error,
                password_was_right: false,
            });
        }
        Err(AuthError::Unsupported(why)) => {
            return Err(LoginFailure::Path(Error::unsupported(why)));
        }
        Err(AuthError::Protocol(why)) => {
            return Err(LoginFailure::Path(Error::protocol(why)));
        }
    }
    Ok(Stage::Verdict(login))
}

fn is_ready<S: Stream>(session: &mut Session<S>) -> Result<bool, LoginFailure> {
    match session.next().map_err(LoginFailure::Path)? {
        Message::ReadyForQuery(_) => Ok(true),
        Message::ErrorResponse(body) => Err(LoginFailure::Refused {
            error: wire::server_error(body.fields()).map_err(protocol)?,
            password_was_right: session.proof != Proof::Nothing,
        }),
        _ => Ok(false),
    }
}

fn path(fault: NetFault) -> LoginFailure {
    LoginFailure::Path(fault.error)
}

fn protocol(error: WireError) -> LoginFailure {
    LoginFailure::Path(Error::protocol(error.0))
}
