//! One byte stream to one checked address. Before TLS it passes a few counted bytes; it never
//! buffers, never reconnects, and closes when it is dropped.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::binding;
use super::net_error::{NetError, NetErrorKind};
use super::tls::{TlsTrust, handshake_error};
use super::way::{Reached, Ways};
use crate::grant::TlsMode;
use crate::manifest::PreTlsBytesMax;

/// One read or write; less where the call's time runs out.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);
/// What one read returns at most: a message that the plugin can hold.
const READ_BYTES_MAX: usize = 64 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    Plaintext,
    UpgradeRequired,
    Encrypted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    TlsServerEndPoint,
    TlsExporter,
}

/// How this connection gets TLS.
pub(super) struct TlsPlan {
    pub(super) endpoint: String,
    pub(super) mode: TlsMode,
    pub(super) trust: Arc<TlsTrust>,
    pub(super) name: ServerName<'static>,
    pub(super) handshake: Duration,
    /// Where it is noted what came of it.
    pub(super) ways: Ways,
}

// `pub`, because the generated bindings re-export it inside this crate.
#[allow(unreachable_pub)]
pub struct Connection {
    stream: Stream,
    /// `host:port`, for messages.
    label: String,
    plan: TlsPlan,
    /// What may still pass in plaintext; None where plaintext is granted.
    pre_tls: Option<PreTlsBytesMax>,
    bytes_left_in: u64,
    bytes_left_out: u64,
    /// When reads and writes must have ended, so that the plugin can still answer.
    deadline: Instant,
    taken_by_kernel: Arc<AtomicU64>,
}

enum Stream {
    Plain(Counted),
    Tls(Box<TlsStream<Counted>>),
    /// A failed handshake leaves nothing that could be used in plaintext.
    Closed,
}

impl Connection {
    pub(super) fn new(
        tcp: TcpStream,
        label: String,
        plan: TlsPlan,
        pre_tls: Option<PreTlsBytesMax>,
        bytes_max: u64,
        deadline: Instant,
    ) -> Self {
        let taken_by_kernel = Arc::new(AtomicU64::new(0));
        let stream = Stream::Plain(Counted {
            tcp,
            taken: taken_by_kernel.clone(),
        });
        let (bytes_left_in, bytes_left_out) = (bytes_max, bytes_max);
        Self {
            stream,
            label,
            plan,
            pre_tls,
            bytes_left_in,
            bytes_left_out,
            deadline,
            taken_by_kernel,
        }
    }

    pub(crate) fn security(&self) -> Security {
        match (&self.stream, self.pre_tls) {
            (Stream::Tls(_), _) => Security::Encrypted,
            (_, Some(_)) => Security::UpgradeRequired,
            (_, None) => Security::Plaintext,
        }
    }

    fn refuse_before_tls(&self) -> io::Result<()> {
        if self.security() == Security::UpgradeRequired {
            return Err(io::Error::other("TLS is demanded and not up"));
        }
        Ok(())
    }

    /// At most `max` bytes; empty at the end of the stream.
    pub(crate) async fn read(&mut self, max: u32) -> Result<Vec<u8>, NetError> {
        if matches!(self.stream, Stream::Closed) {
            return Err(self.closed());
        }
        let mut size = (max as usize).min(READ_BYTES_MAX);
        if size == 0 {
            return Err(NetError::new(
                NetErrorKind::Limit,
                "a read of no bytes; ask for at least 1",
            ));
        }
        if let Some(pre_tls) = self.pre_tls {
            if pre_tls.into == 0 {
                return Err(self.plaintext_denied("read"));
            }
            size = size.min(pre_tls.into as usize);
        }
        if self.bytes_left_in == 0 {
            return Err(self.too_much("sent"));
        }
        size = size.min(usize::try_from(self.bytes_left_in).unwrap_or(usize::MAX));
        let mut buffer = vec![0; size];
        let patience = self.patience();
        let read = match &mut self.stream {
            Stream::Plain(stream) => timeout(patience, stream.read(&mut buffer)).await,
            Stream::Tls(stream) => timeout(patience, stream.read(&mut buffer)).await,
            Stream::Closed => return Err(self.closed()),
        };
        let length = match read {
            Err(_) => return Err(NetError::timeout("an answer of", &self.label)),
            // Many servers close without TLS's goodbye. That is an error and not the end: the
            // plugin could take a cut answer for a whole one.
            Ok(Err(error)) => return Err(NetError::from_io(&error, &self.label)),
            Ok(Ok(length)) => length,
        };
        buffer.truncate(length);
        self.bytes_left_in -= length as u64;
        if let Some(pre_tls) = &mut self.pre_tls {
            pre_tls.into -= length as u32;
        }
        Ok(buffer)
    }

    /// All bytes, handed to the kernel, or an error that says whether any were.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        if matches!(self.stream, Stream::Closed) {
            return Err(self.closed());
        }
        if let Some(pre_tls) = self.pre_tls
            && bytes.len() > pre_tls.out as usize
        {
            return Err(self.plaintext_denied("write"));
        }
        if bytes.len() as u64 > self.bytes_left_out {
            return Err(self.too_much("received"));
        }
        let before = self.taken_by_kernel.load(Ordering::Relaxed);
        let patience = self.patience();
        let written = match &mut self.stream {
            Stream::Plain(stream) => timeout(patience, write_all(stream, bytes)).await,
            Stream::Tls(stream) => timeout(patience, write_all(stream.as_mut(), bytes)).await,
            Stream::Closed => return Err(self.closed()),
        };
        let sent = self.taken_by_kernel.load(Ordering::Relaxed) > before;
        match written {
            Err(_) => return Err(NetError::timeout("writing to", &self.label).sent(sent)),
            Ok(Err(error)) => return Err(NetError::from_io(&error, &self.label).sent(sent)),
            Ok(Ok(())) => {}
        }
        self.bytes_left_out -= bytes.len() as u64;
        if let Some(pre_tls) = &mut self.pre_tls {
            pre_tls.out -= bytes.len() as u32;
        }
        Ok(())
    }

    /// The plugin's in-band upgrade.
    pub(crate) async fn start_tls(&mut self) -> Result<(), NetError> {
        let endpoint = &self.plan.endpoint;
        match self.security() {
            Security::UpgradeRequired => {}
            Security::Encrypted => {
                return Err(NetError::new(
                    NetErrorKind::Denied,
                    "the connection is encrypted already",
                ));
            }
            Security::Plaintext => {
                let message = format!(
                    "grant.endpoint.{endpoint}.tls is \"disable\"; set it to \"verify-full\" to use TLS"
                );
                return Err(NetError::new(NetErrorKind::Denied, message));
            }
        }
        if let Stream::Plain(stream) = &self.stream
            && has_unread(&stream.tcp)
        {
            self.stream = Stream::Closed;
            let message = format!(
                "{} sent plaintext after it agreed to TLS, as an attacker in between would; the \
                 connection is closed",
                self.label
            );
            return Err(NetError::new(NetErrorKind::Tls, message));
        }
        self.handshake().await
    }

    /// TLS on the plain stream; on failure nothing is left to use.
    pub(super) async fn handshake(&mut self) -> Result<(), NetError> {
        let shaken = self.shake_hands().await;
        let plan = &self.plan;
        plan.ways
            .note(&plan.endpoint, &self.label, Reached::Tls, shaken)
    }

    async fn shake_hands(&mut self) -> Result<(), NetError> {
        let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Closed) else {
            return Err(self.closed());
        };
        let before = self.taken_by_kernel.load(Ordering::Relaxed);
        let Some(config) = self.plan.trust.client(self.plan.mode)? else {
            return Err(NetError::new(NetErrorKind::Denied, "TLS is not granted"));
        };
        let patience = self.plan.handshake.min(self.patience());
        let connecting = TlsConnector::from(config).connect(self.plan.name.clone(), stream);
        let shaken = timeout(patience, connecting).await;
        let sent = self.taken_by_kernel.load(Ordering::Relaxed) > before;
        match shaken {
            Err(_) => {
                // A server without TLS waits for the rest of what it takes for a command.
                let late = NetError::timeout("the TLS handshake with", &self.label).sent(sent);
                let message = format!("{}, and that it has TLS switched on", late.message);
                Err(NetError { message, ..late })
            }
            Ok(Err(error)) => {
                let plan = &self.plan;
                Err(handshake_error(&error, &self.label, &plan.endpoint, &plan.name).sent(sent))
            }
            Ok(Ok(stream)) => {
                self.stream = Stream::Tls(Box::new(stream));
                self.pre_tls = None;
                Ok(())
            }
        }
    }

    /// None without TLS, or where the binding is not defined.
    pub(crate) fn channel_binding(&self, kind: Binding) -> Option<Vec<u8>> {
        let Stream::Tls(stream) = &self.stream else {
            return None;
        };
        let (_, session) = stream.get_ref();
        match kind {
            Binding::TlsServerEndPoint => {
                binding::server_end_point(session.peer_certificates()?.first()?)
            }
            // Unique only in TLS 1.3 (RFC 9266 §3).
            Binding::TlsExporter => {
                if session.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
                    return None;
                }
                let output = vec![0; 32];
                session
                    .export_keying_material(output, b"EXPORTER-Channel-Binding", Some(b""))
                    .ok()
            }
        }
    }

    pub(crate) async fn shutdown(&mut self) -> Result<(), NetError> {
        let patience = self.patience();
        let shut = match &mut self.stream {
            Stream::Plain(stream) => timeout(patience, stream.shutdown()).await,
            Stream::Tls(stream) => timeout(patience, stream.shutdown()).await,
            Stream::Closed => return Ok(()),
        };
        match shut {
            Err(_) => Err(NetError::timeout("closing the connection to", &self.label)),
            // A peer that is gone already is what shutdown wants.
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            Ok(Err(error)) => Err(NetError::from_io(&error, &self.label)),
            Ok(Ok(())) => Ok(()),
        }
    }

    /// The counter of bytes that the kernel took, for whoever drives this connection itself.
    pub(crate) fn taken_by_kernel(&self) -> Arc<AtomicU64> {
        self.taken_by_kernel.clone()
    }

    fn patience(&self) -> Duration {
        self.deadline
            .saturating_duration_since(Instant::now())
            .min(OPERATION_TIMEOUT)
    }

    fn plaintext_denied(&self, what: &str) -> NetError {
        let message = format!(
            "{what} refused: the grant demands TLS on {}, and only the manifest's pre_tls_bytes_max \
             pass before start-tls; call start-tls first",
            self.label
        );
        NetError::new(NetErrorKind::Denied, message)
    }

    fn too_much(&self, verb: &str) -> NetError {
        let message = format!(
            "{} {verb} more bytes than a connection may carry; raise \
             grant.limits.connection_bytes if that is expected",
            self.label
        );
        NetError::new(NetErrorKind::Limit, message)
    }

    fn closed(&self) -> NetError {
        NetError::new(
            NetErrorKind::Closed,
            format!("the connection to {} is closed", self.label),
        )
    }
}

async fn write_all<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Whether bytes wait in the kernel. Asked of the socket itself: tokio's own readiness may lag.
fn has_unread(tcp: &TcpStream) -> bool {
    let mut byte = [std::mem::MaybeUninit::uninit()];
    matches!(socket2::SockRef::from(tcp).peek(&mut byte), Ok(length) if length > 0)
}

/// Counts the bytes that the kernel takes: the only honest meaning of "sent".
struct Counted {
    tcp: TcpStream,
    taken: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        if let Poll::Ready(Ok(length)) = &polled {
            self.taken.fetch_add(*length as u64, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// hyper drives a connection as a stream; the byte caps hold there too, and nothing passes before TLS
/// where it is demanded.
impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.refuse_before_tls()?;
        if this.bytes_left_in == 0 {
            return Poll::Ready(Err(io::Error::other(
                "more bytes than a connection may carry",
            )));
        }
        let before = buf.filled().len();
        let polled = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
            Stream::Closed => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        };
        let read = buf.filled().len().saturating_sub(before) as u64;
        this.bytes_left_in = this.bytes_left_in.saturating_sub(read);
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.refuse_before_tls()?;
        if bytes.len() as u64 > this.bytes_left_out {
            return Poll::Ready(Err(io::Error::other(
                "more bytes than a connection may carry",
            )));
        }
        let polled = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
            Stream::Closed => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        };
        if let Poll::Ready(Ok(length)) = &polled {
            this.bytes_left_out -= *length as u64;
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Stream::Closed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Stream::Closed => Poll::Ready(Ok(())),
        }
    }
}
