//! Byte streams to the endpoints that the manifest names and the operator granted. The host
//! resolves, pins, filters, does TLS and closes; a plugin never names a host. A [`Connection`] is
//! `Read + Write`, so sans-IO protocol crates and `std::io` adaptors work on it as they are.

use std::fmt;
use std::io;

use crate::error::{Error, ErrorKind};
use crate::host;

pub use crate::bindings::keyturn::rotation::endpoint::{Binding, Member, Security};
pub use crate::bindings::keyturn::rotation::types::{NetError, NetErrorKind};

/// The nodes behind an endpoint of the manifest.
///
/// # Errors
/// `unknown-endpoint` if an optional endpoint is absent; see [`members_if_granted`].
pub fn members(endpoint: &str) -> Result<Vec<Member>, NetError> {
    host::members(endpoint)
}

/// The nodes behind an optional endpoint; empty if it is absent.
///
/// # Errors
/// As [`members`], but for the absence.
pub fn members_if_granted(endpoint: &str) -> Result<Vec<Member>, NetError> {
    match host::members(endpoint) {
        Err(error) if error.kind == NetErrorKind::UnknownEndpoint => Ok(Vec::new()),
        answer => answer,
    }
}

/// Opens one node of an endpoint. The host has compared the identities of candidate and CURRENT
/// before the plugin was started.
///
/// # Errors
/// Whatever broke on the way; `From<NetError> for Error` gives it the contract's kind.
pub fn connect(endpoint: &str, member: u32) -> Result<Connection, NetError> {
    host::connect(endpoint, member).map(Connection)
}

/// An open byte stream. Dropping it closes it.
pub struct Connection(host::Stream);

impl Connection {
    /// Under [`Security::UpgradeRequired`] only the manifest's few bytes pass each way before
    /// [`start_tls`](Self::start_tls).
    pub fn security(&self) -> Security {
        self.0.security()
    }

    /// Upgrades the stream to TLS.
    ///
    /// # Errors
    /// `tls` if the handshake or its verification fails, or if plaintext is buffered that the
    /// plugin has not read (somebody may have injected it).
    pub fn start_tls(&mut self) -> Result<(), NetError> {
        self.0.start_tls()
    }

    /// The TLS channel's binding data (RFC 5929, RFC 9266), if there is a TLS channel and it has
    /// data of that kind.
    pub fn channel_binding(&self, kind: Binding) -> Option<Vec<u8>> {
        self.0.channel_binding(kind)
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    /// Whatever broke on the way.
    pub fn shutdown(&mut self) -> Result<(), NetError> {
        self.0.shutdown()
    }
}

impl io::Read for Connection {
    /// 0 = end of stream. The error's inner value is a [`NetError`].
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.0.read(buffer).map_err(into_io)
    }
}

impl io::Write for Connection {
    /// Writes all or fails. The error's inner value is a [`NetError`].
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(into_io)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("security", &self.security())
            .finish_non_exhaustive()
    }
}

/// May bytes of the call that failed so have reached the peer? True as well for an error that did
/// not come from a [`Connection`], because nothing is known about it.
pub fn may_have_been_sent(error: &io::Error) -> bool {
    net_error(error).is_none_or(|error| error.sent)
}

/// The network error inside an I/O error of a [`Connection`].
pub fn net_error(error: &io::Error) -> Option<&NetError> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

impl From<NetError> for Error {
    /// `applied` is `no`: only the plugin knows whether the call that failed was one that changes
    /// the target. `sent` is kept as a detail.
    fn from(error: NetError) -> Self {
        let kind = match error.kind {
            // What the grant does not allow is mended in the configuration, not by trying again.
            NetErrorKind::Denied | NetErrorKind::UnknownEndpoint => ErrorKind::InvalidSettings,
            NetErrorKind::Dns => ErrorKind::Dns,
            NetErrorKind::Refused | NetErrorKind::Reset | NetErrorKind::Closed => {
                ErrorKind::Unreachable
            }
            NetErrorKind::Timeout => ErrorKind::Timeout,
            NetErrorKind::Tls => ErrorKind::Tls,
            NetErrorKind::Limit | NetErrorKind::Other => ErrorKind::Other,
        };
        Self::new(kind, error.message).detail("sent", if error.sent { "true" } else { "false" })
    }
}

impl From<io::Error> for Error {
    /// An early end of stream is `unreachable`; other errors that did not come from a
    /// [`Connection`] are `protocol`, for they come from code that parses what the peer sent.
    fn from(error: io::Error) -> Self {
        match net_error(&error) {
            Some(error) => error.clone().into(),
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::unreachable("the peer closed the connection early").detail("sent", "true")
            }
            None => Self::protocol(format!(
                "the peer's answer could not be read: {}",
                error.kind()
            )),
        }
    }
}

fn into_io(error: NetError) -> io::Error {
    let kind = match error.kind {
        NetErrorKind::Denied => io::ErrorKind::PermissionDenied,
        NetErrorKind::UnknownEndpoint | NetErrorKind::Dns => io::ErrorKind::NotFound,
        NetErrorKind::Refused => io::ErrorKind::ConnectionRefused,
        NetErrorKind::Reset => io::ErrorKind::ConnectionReset,
        NetErrorKind::Timeout => io::ErrorKind::TimedOut,
        NetErrorKind::Closed => io::ErrorKind::ConnectionAborted,
        NetErrorKind::Tls | NetErrorKind::Limit | NetErrorKind::Other => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
