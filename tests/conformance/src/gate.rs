//! What stands between a plugin and a node of its target: a listener on loopback that passes bytes on, counts the
//! connections, and does what networks and servers do on bad days. The port stays the gate's for as long as it lives.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::kit::lock;

/// How long a server may take to carry out what it was sent before the answer is dropped.
const CARRIED_OUT: Duration = Duration::from_millis(500);
/// What a loaded server or a long way costs.
const LATE: Duration = Duration::from_millis(50);
const CHUNK_BYTES: usize = 16 << 10;
const NOISE_BYTES: usize = 1024;
const BACKLOG: u32 = 64;

/// What happens to new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Pass,
    /// Keeps the connection and says nothing.
    Silent,
    /// Answers whatever comes with bytes that belong to no protocol.
    Nonsense(Pace),
    /// Closes at once.
    HangUp,
    /// Answers with nonsense and closes in the middle of it.
    NonsenseCutAfter(usize),
    /// Passes so many bytes of the server's answers on and closes.
    AnswerCutAfter(usize),
    /// Passes the server's answers on like this.
    Slow(Pace),
}

/// How answers come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    AtOnce,
    /// Each byte by itself.
    Dribble,
    /// Each piece after a while.
    Late,
}

/// Where the connections of one world break.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// The piece to the server at which it breaks, counted from 0 over all connections.
    pub(crate) at: usize,
    /// Whether that piece still arrives; its answer never does.
    pub(crate) delivered: bool,
}

/// Counts what passes through all gates of a world.
#[derive(Default)]
pub(crate) struct Wire {
    pieces: AtomicUsize,
    connections: AtomicUsize,
    answered: AtomicUsize,
    cut: Mutex<Option<Cut>>,
    fired: AtomicBool,
}

impl Wire {
    /// Counts anew, and breaks once.
    pub(crate) fn arm(&self, cut: Option<Cut>) {
        *lock(&self.cut) = cut;
        self.fired.store(false, Ordering::SeqCst);
        self.pieces.store(0, Ordering::SeqCst);
        self.answered.store(0, Ordering::SeqCst);
    }

    /// Bytes of answers since it was armed.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    pub(crate) fn fired(&self) -> bool {
        self.fired.load(Ordering::SeqCst)
    }

    /// Connections since the beginning.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn breaks(&self) -> Option<Cut> {
        let piece = self.pieces.fetch_add(1, Ordering::SeqCst);
        let cut = lock(&self.cut).filter(|cut| cut.at == piece)?;
        let first = !self.fired.swap(true, Ordering::SeqCst);
        first.then_some(cut)
    }
}

/// One node's gate. Dropping it ends its connections.
pub(crate) struct Gate {
    /// Bound and never listening: while the gate is down, connections to its port are refused, and nobody else can
    /// have the port.
    _reserved: TcpSocket,
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Mutex<JoinSet<()>>,
}

struct Shared {
    /// `host:port`; none: whoever comes is hung up on.
    upstream: Option<String>,
    manner: Mutex<Manner>,
    wire: Arc<Wire>,
}

impl Gate {
    pub(crate) async fn open(upstream: Option<String>, wire: Arc<Wire>) -> io::Result<Self> {
        let reserved = socket(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let gate = Self {
            address: reserved.local_addr()?,
            _reserved: reserved,
            shared: Arc::new(Shared {
                upstream,
                manner: Mutex::new(Manner::Pass),
                wire,
            }),
            serving: Mutex::default(),
        };
        gate.up()?;
        Ok(gate)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *lock(&self.shared.manner) = manner;
    }

    /// Connections are refused, and those that there are end.
    pub(crate) async fn down(&self) {
        let mut serving = std::mem::take(&mut *lock(&self.serving));
        serving.shutdown().await;
    }

    pub(crate) fn up(&self) -> io::Result<()> {
        let mut serving = lock(&self.serving);
        if serving.is_empty() {
            let listener = socket(self.address)?.listen(BACKLOG)?;
            serving.spawn(serve(listener, Arc::clone(&self.shared)));
        }
        Ok(())
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        shared.wire.connections.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let manner = *lock(&shared.manner);
            // How a connection ends is its two sides' affair.
            let _ = match manner {
                Manner::Pass | Manner::AnswerCutAfter(_) | Manner::Slow(_) => {
                    shared.pass(client, manner).await
                }
                Manner::Silent => silent(client).await,
                Manner::Nonsense(pace) => nonsense(client, NOISE_BYTES, pace).await,
                Manner::NonsenseCutAfter(bytes) => nonsense(client, bytes, Pace::AtOnce).await,
                Manner::HangUp => Ok(()),
            };
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Shared {
    async fn pass(&self, mut client: TcpStream, manner: Manner) -> io::Result<()> {
        let Some(upstream) = &self.upstream else {
            return Ok(());
        };
        let mut server = TcpStream::connect(upstream.as_str()).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (mut out, mut back) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
        let (mut left, pace) = match manner {
            Manner::AnswerCutAfter(bytes) => (bytes, Pace::AtOnce),
            Manner::Slow(pace) => (usize::MAX, pace),
            _ => (usize::MAX, Pace::AtOnce),
        };
        loop {
            tokio::select! {
                read = client.read(&mut out) => {
                    let read = read?;
                    if read == 0 {
                        // What the server still has to say to somebody who has said everything.
                        server.shutdown().await?;
                        return tokio::io::copy(&mut server, &mut client).await.map(drop);
                    }
                    if let Some(cut) = self.wire.breaks() {
                        if cut.delivered {
                            server.write_all(&out[..read]).await?;
                            let _ = tokio::time::timeout(CARRIED_OUT, server.read(&mut back)).await;
                        }
                        return Ok(());
                    }
                    server.write_all(&out[..read]).await?;
                }
                read = server.read(&mut back) => {
                    let read = read?;
                    if read == 0 {
                        return client.shutdown().await;
                    }
                    let passed = read.min(left);
                    self.wire.answered.fetch_add(passed, Ordering::SeqCst);
                    answer(&mut client, &back[..passed], pace).await?;
                    left -= passed;
                    if left == 0 {
                        return client.shutdown().await;
                    }
                }
            }
        }
    }
}

async fn silent(mut client: TcpStream) -> io::Result<()> {
    tokio::io::copy(&mut client, &mut tokio::io::sink())
        .await
        .map(drop)
}

async fn answer(client: &mut TcpStream, bytes: &[u8], pace: Pace) -> io::Result<()> {
    if pace == Pace::Late {
        tokio::time::sleep(LATE).await;
    }
    if pace != Pace::Dribble {
        return client.write_all(bytes).await;
    }
    for byte in bytes {
        client.write_all(&[*byte]).await?;
        // So that whoever reads has read it before the next one comes, more often than not.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// So many bytes, the same each time: neither ASCII nor a sensible length in any byte order.
async fn nonsense(mut client: TcpStream, bytes: usize, pace: Pace) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut heard = vec![0; CHUNK_BYTES];
    let noise: Vec<u8> = (0..=255).rev().cycle().take(bytes).collect();
    while client.read(&mut heard).await? > 0 {
        answer(&mut client, &noise, pace).await?;
        if bytes < NOISE_BYTES {
            return client.shutdown().await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gate_that_is_down_refuses_and_keeps_its_port() {
        let wire = Arc::new(Wire::default());
        let gate = Gate::open(None, Arc::clone(&wire)).await.unwrap();
        let address = ("127.0.0.1", gate.port());
        // Nobody is behind it: the end of the stream says that it was served.
        let mut client = TcpStream::connect(address).await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(wire.connections(), 1);
        gate.down().await;
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        gate.up().unwrap();
        TcpStream::connect(address).await.unwrap();
    }
}
