//! One session with one server: TLS in-band and login ([`opening`]), simple queries. It exists to keep
//! two facts that decide a rotation: how the server checked the password, and whether a statement can
//! have reached the server when something broke. It knows nothing of secrets, endpoints or rotation.

pub(crate) mod opening;

use crate::auth::Proof;
use crate::wire::{self, Frames, Row, ServerError, WireError};
use keyturn_sdk::Error;
use postgres_protocol::message::backend::Message;

/// All rows of one answer together.
const RESULT_BYTES_MAX: usize = 8 * 1024 * 1024;
const READ_BYTES: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    /// The grant does without TLS.
    Plaintext,
    /// TLS has to be asked for in-band before anything else is sent.
    UpgradeRequired,
    Encrypted,
}

/// A byte stream to a granted endpoint. Errors say whether bytes can have reached the peer.
pub(crate) trait Stream {
    fn security(&self) -> Security;
    /// At most `max` bytes; empty = end of stream.
    fn read(&mut self, max: usize) -> Result<Vec<u8>, NetFault>;
    fn write(&mut self, bytes: &[u8]) -> Result<(), NetFault>;
    fn start_tls(&mut self) -> Result<(), NetFault>;
    /// `tls-server-end-point` data.
    fn channel_binding(&self) -> Option<Vec<u8>>;
}

#[derive(Debug)]
pub(crate) struct NetFault {
    pub(crate) error: Error,
    pub(crate) sent: bool,
}

/// Why a login did not open.
#[derive(Debug)]
pub(crate) enum LoginFailure {
    Refused {
        error: ServerError,
        /// The refusal came after the password had been accepted (NOLOGIN, connection limit, …).
        password_was_right: bool,
    },
    /// The path broke, or the server asks for what this plugin does not do: no verdict.
    Path(Error),
}

/// Why a query did not answer.
#[derive(Debug)]
pub(crate) struct QueryFailure {
    pub(crate) cause: Cause,
    /// The statement may have reached the server.
    pub(crate) sent: bool,
}

#[derive(Debug)]
pub(crate) enum Cause {
    Server(ServerError),
    Path(Error),
}

/// What a simple query answered.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) rows: Vec<Row>,
    /// The tag of the last statement, such as `COMMIT`.
    pub(crate) tag: String,
}

#[derive(Debug)]
pub(crate) struct Session<S> {
    stream: S,
    frames: FramesBox,
    pub(crate) proof: Proof,
}

/// Hides the buffer from `Debug`: it holds rows.
#[derive(Default)]
struct FramesBox(Frames);

impl std::fmt::Debug for FramesBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.buffered())
    }
}

impl<S: Stream> Session<S> {
    fn new(stream: S) -> Session<S> {
        Session {
            stream,
            frames: FramesBox::default(),
            proof: Proof::Nothing,
        }
    }

    /// Runs one simple query, which may hold several statements.
    pub(crate) fn run(&mut self, sql: &str) -> Result<Reply, QueryFailure> {
        let broken = |sent: bool| {
            move |error: Error| QueryFailure {
                cause: Cause::Path(error),
                sent,
            }
        };
        let bytes = wire::query(sql).map_err(|e| broken(false)(Error::internal(e.0)))?;
        self.stream
            .write(&bytes)
            .map_err(|fault| broken(fault.sent)(fault.error))?;
        self.answer()
            .map_err(|cause| QueryFailure { cause, sent: true })
    }

    fn answer(&mut self) -> Result<Reply, Cause> {
        let malformed = |error: WireError| Cause::Path(Error::protocol(error.0));
        let mut reply = Reply::default();
        let mut refused = None;
        let mut bytes = 0;
        loop {
            match self.next().map_err(Cause::Path)? {
                Message::ReadyForQuery(_) => {
                    return match refused {
                        Some(error) => Err(Cause::Server(error)),
                        None => Ok(reply),
                    };
                }
                Message::ErrorResponse(body) => {
                    let error = wire::server_error(body.fields()).map_err(malformed)?;
                    if error.ends_session() {
                        return Err(Cause::Server(error));
                    }
                    refused = Some(error);
                }
                Message::DataRow(body) => {
                    bytes += body.buffer().len();
                    if bytes > RESULT_BYTES_MAX || reply.rows.len() == wire::ROWS_MAX {
                        return Err(Cause::Path(Error::protocol(
                            "the server answered more rows than any statement of this plugin can have",
                        )));
                    }
                    reply.rows.push(wire::row(&body).map_err(malformed)?);
                }
                Message::CommandComplete(body) => {
                    let tag = body.tag().map_err(|_| Cause::Path(not_expected()))?;
                    tag.clone_into(&mut reply.tag);
                }
                Message::RowDescription(_)
                | Message::EmptyQueryResponse
                | Message::NoticeResponse(_)
                | Message::NotificationResponse(_)
                | Message::ParameterStatus(_) => {}
                _ => return Err(Cause::Path(not_expected())),
            }
        }
    }

    fn next(&mut self) -> Result<Message, Error> {
        loop {
            if let Some(message) = self
                .frames
                .0
                .next_message()
                .map_err(|e| Error::protocol(e.0))?
            {
                return Ok(message);
            }
            let bytes = self.stream.read(READ_BYTES).map_err(|fault| fault.error)?;
            if bytes.is_empty() {
                return Err(Error::unreachable("the server closed the connection"));
            }
            self.frames.0.push(&bytes);
        }
    }

    /// Ends the session in order. Nothing depends on it, so a failure is no error.
    pub(crate) fn close(mut self) {
        let _ = self.stream.write(&wire::terminate());
    }
}

fn not_expected() -> Error {
    Error::protocol("the server sent a message that does not belong to a simple query")
}

#[cfg(test)]
pub(crate) mod tests;
