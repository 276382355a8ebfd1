//! Why a connection failed, and whether bytes of the failed call may have reached the peer. The
//! plugin decides `applied` from that flag, so it is counted where the kernel takes the bytes.

use std::io;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NetErrorKind {
    Denied,
    UnknownEndpoint,
    Dns,
    Refused,
    Reset,
    Timeout,
    Tls,
    Closed,
    Limit,
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NetError {
    pub(crate) kind: NetErrorKind,
    pub(crate) message: String,
    pub(crate) sent: bool,
}

impl NetError {
    pub(crate) fn new(kind: NetErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            sent: false,
        }
    }

    pub(crate) fn sent(self, sent: bool) -> Self {
        Self { sent, ..self }
    }

    pub(crate) fn timeout(what: &str, label: &str) -> Self {
        Self::new(
            NetErrorKind::Timeout,
            format!(
                "{what} {label} took too long; check that the server answers, and the network between"
            ),
        )
    }

    /// From an I/O error, by its kind and never by its text.
    pub(crate) fn from_io(error: &io::Error, label: &str) -> Self {
        let (kind, what) = match error.kind() {
            io::ErrorKind::ConnectionRefused => (
                NetErrorKind::Refused,
                "refused the connection; check the port, and that the server runs",
            ),
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
                (NetErrorKind::Reset, "cut the connection")
            }
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof => (NetErrorKind::Closed, "closed the connection"),
            io::ErrorKind::TimedOut => (NetErrorKind::Timeout, "did not answer"),
            _ => return Self::new(NetErrorKind::Other, format!("{label}: {error}")),
        };
        Self::new(kind, format!("{label} {what}"))
    }
}
