//! Fake endpoints that lead to real TCP servers. TLS is the test's to bring (through [`Tls`]), so
//! that this crate depends on no TLS library.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::rc::Rc;
use std::time::Duration;

use super::{Connector, Stream, net_error};
use crate::endpoint::{Binding, NetError, NetErrorKind, Security};

/// Does the TLS handshake for [`Tcp`]; server name and roots are its own business.
pub trait Tls {
    /// Shakes hands.
    ///
    /// # Errors
    /// `tls`, or what the network says.
    fn handshake(&self, stream: TcpStream) -> Result<Box<dyn TlsStream>, NetError>;
}

/// A stream after the handshake.
pub trait TlsStream: Read + Write {
    /// The channel's binding data.
    fn channel_binding(&self, kind: Binding) -> Option<Vec<u8>>;
}

/// An endpoint on real TCP servers.
pub struct Tcp {
    addresses: Vec<String>,
    security: Security,
    tls: Option<Rc<dyn Tls>>,
    timeout: Duration,
}

impl Tcp {
    /// Nodes at `host:port` addresses, without TLS.
    pub fn plaintext(addresses: &[&str]) -> Self {
        Self {
            addresses: addresses
                .iter()
                .map(|&address| address.to_owned())
                .collect(),
            security: Security::Plaintext,
            tls: None,
            timeout: Duration::from_secs(10),
        }
    }

    /// Nodes that begin in plaintext and must be upgraded. Unlike the real host this does not count
    /// the bytes before the upgrade.
    pub fn upgrade(addresses: &[&str], tls: impl Tls + 'static) -> Self {
        Self {
            security: Security::UpgradeRequired,
            tls: Some(Rc::new(tls)),
            ..Self::plaintext(addresses)
        }
    }

    /// Nodes that speak TLS from the first byte.
    pub fn encrypted(addresses: &[&str], tls: impl Tls + 'static) -> Self {
        Self {
            security: Security::Encrypted,
            tls: Some(Rc::new(tls)),
            ..Self::plaintext(addresses)
        }
    }

    /// Replaces the 10 s for connecting, reading and writing.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn open(&self, address: &str) -> Result<TcpStream, NetError> {
        let resolved = address
            .to_socket_addrs()
            .map_err(|error| net_error(NetErrorKind::Dns, &format!("{address}: {error}"), false))?
            .next()
            .ok_or_else(|| {
                net_error(
                    NetErrorKind::Dns,
                    &format!("{address} has no address"),
                    false,
                )
            })?;
        let open = || {
            let tcp = TcpStream::connect_timeout(&resolved, self.timeout)?;
            tcp.set_read_timeout(Some(self.timeout))?;
            tcp.set_write_timeout(Some(self.timeout))?;
            tcp.set_nodelay(true)?;
            Ok(tcp)
        };
        open().map_err(|error| from_io(&error, false))
    }
}

impl Connector for Tcp {
    fn labels(&self) -> Vec<String> {
        self.addresses.clone()
    }

    fn connect(&self, member: u32) -> Result<Box<dyn Stream>, NetError> {
        let address = usize::try_from(member)
            .ok()
            .and_then(|index| self.addresses.get(index))
            .ok_or_else(|| {
                net_error(
                    NetErrorKind::UnknownEndpoint,
                    &format!("there is no member {member}"),
                    false,
                )
            })?;
        let mut stream = TcpConnection {
            channel: Channel::Plain(self.open(address)?),
            security: self.security,
            tls: self.tls.clone(),
        };
        if self.security == Security::Encrypted {
            stream.start_tls()?;
        }
        Ok(Box::new(stream))
    }
}

enum Channel {
    Plain(TcpStream),
    Encrypted(Box<dyn TlsStream>),
    /// The handshake failed: nothing passes any more.
    Broken,
}

struct TcpConnection {
    channel: Channel,
    security: Security,
    tls: Option<Rc<dyn Tls>>,
}

impl Stream for TcpConnection {
    fn security(&self) -> Security {
        self.security
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, NetError> {
        let read = match &mut self.channel {
            Channel::Plain(tcp) => tcp.read(buffer),
            Channel::Encrypted(tls) => tls.read(buffer),
            Channel::Broken => return Err(broken()),
        };
        read.map_err(|error| from_io(&error, false))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        let written = match &mut self.channel {
            Channel::Plain(tcp) => tcp.write_all(bytes),
            Channel::Encrypted(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
            Channel::Broken => return Err(broken()),
        };
        written.map_err(|error| from_io(&error, true))
    }

    fn start_tls(&mut self) -> Result<(), NetError> {
        let Some(tls) = self.tls.clone() else {
            return Err(net_error(
                NetErrorKind::Tls,
                "this fake endpoint has no TLS",
                false,
            ));
        };
        match std::mem::replace(&mut self.channel, Channel::Broken) {
            Channel::Plain(tcp) => {
                self.channel = Channel::Encrypted(tls.handshake(tcp)?);
                self.security = Security::Encrypted;
                Ok(())
            }
            other => {
                self.channel = other;
                Err(net_error(
                    NetErrorKind::Tls,
                    "the stream cannot be upgraded",
                    false,
                ))
            }
        }
    }

    fn channel_binding(&self, kind: Binding) -> Option<Vec<u8>> {
        match &self.channel {
            Channel::Encrypted(tls) => tls.channel_binding(kind),
            Channel::Plain(_) | Channel::Broken => None,
        }
    }

    fn shutdown(&mut self) -> Result<(), NetError> {
        match &mut self.channel {
            Channel::Plain(tcp) => tcp
                .shutdown(Shutdown::Write)
                .map_err(|error| from_io(&error, false)),
            Channel::Encrypted(tls) => tls.flush().map_err(|error| from_io(&error, false)),
            Channel::Broken => Err(broken()),
        }
    }
}

fn broken() -> NetError {
    net_error(NetErrorKind::Closed, "the stream is closed", false)
}

fn from_io(error: &io::Error, sent: bool) -> NetError {
    let kind = match error.kind() {
        io::ErrorKind::ConnectionRefused => NetErrorKind::Refused,
        io::ErrorKind::ConnectionReset => NetErrorKind::Reset,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => NetErrorKind::Timeout,
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::UnexpectedEof => NetErrorKind::Closed,
        io::ErrorKind::InvalidData => NetErrorKind::Tls,
        _ => NetErrorKind::Other,
    };
    net_error(kind, &error.to_string(), sent)
}
