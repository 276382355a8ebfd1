//! A TCP proxy that breaks connections on purpose: cut after the n-th byte, held back, swallowed.
//! It keeps what each side sent, so that a test can find the byte to aim at, and it counts how often
//! its fault happened: a fault test that never met its fault has tested nothing.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::local::lock;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ToServer,
    ToClient,
}

/// What happens to a connection.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Exactly this many bytes pass in this direction; then both sides see the end of the stream.
    CutAfter { direction: Direction, bytes: usize },
    /// Exactly this many bytes pass in this direction; then nothing passes either way, and nothing
    /// is closed. With 0 bytes to the server this is a listener that never answers.
    BlackHoleAfter { direction: Direction, bytes: usize },
    /// Each piece waits this long before it passes.
    Delay { direction: Direction, by: Duration },
    /// Exactly this many bytes pass in this direction; the rest waits for [`Proxy::release`], even
    /// if whoever sent it has gone meanwhile: a packet that arrives late.
    HoldAfter { direction: Direction, bytes: usize },
}

/// Listens on a free port of 127.0.0.1 and passes connections on. Dropping it cuts them all.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    target: Mutex<SocketAddr>,
    stopping: AtomicBool,
    fired: AtomicUsize,
    plan: Mutex<Vec<(Option<usize>, Fault)>>,
    /// By number; `None` once it was severed and forgotten.
    connections: Mutex<Vec<Option<Arc<Connection>>>>,
    /// Counts the releases of what is held.
    releases: Mutex<usize>,
    released: Condvar,
}

/// One connection: its two sockets and what passed.
struct Connection {
    client: TcpStream,
    server: TcpStream,
    fault: Option<Fault>,
    /// Set when the fault happened: from then on both directions only swallow.
    broken: AtomicBool,
    delayed: AtomicBool,
    /// How many of its two directions have come to their end.
    ended: AtomicUsize,
    to_server: Mutex<Vec<u8>>,
    to_client: Mutex<Vec<u8>>,
}

impl Proxy {
    /// A proxy without a fault.
    pub fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            stopping: AtomicBool::new(false),
            fired: AtomicUsize::new(0),
            plan: Mutex::new(Vec::new()),
            connections: Mutex::new(Vec::new()),
            releases: Mutex::new(0),
            released: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accepting.accept_all(&listener));
        Ok(Self {
            address,
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// New connections lead to another server, as after a failover.
    pub fn lead_to(&self, target: SocketAddr) {
        *lock(&self.shared.target) = target;
    }

    /// From now on every new connection meets this fault.
    pub fn break_all(&self, fault: Fault) {
        lock(&self.shared.plan).push((None, fault));
    }

    /// The connection with this number (counted from 0 since the start) meets this fault.
    pub fn break_connection(&self, number: usize, fault: Fault) {
        lock(&self.shared.plan).push((Some(number), fault));
    }

    /// New connections are passed on untouched again.
    pub fn heal(&self) {
        lock(&self.shared.plan).clear();
    }

    /// What is held passes.
    pub fn release(&self) {
        *lock(&self.shared.releases) += 1;
        self.shared.released.notify_all();
    }

    /// Ends the connections that met a cut or a black hole, as a network does that gives up on them;
    /// they and those that have ended by themselves are forgotten, transcripts included.
    pub fn sever(&self) {
        for place in lock(&self.shared.connections).iter_mut() {
            if let Some(connection) = place
                && (connection.broken.load(Ordering::SeqCst)
                    || connection.ended.load(Ordering::SeqCst) == 2)
            {
                connection.end();
                *place = None;
            }
        }
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        lock(&self.shared.connections).len()
    }

    /// How many connections have met their fault.
    pub fn fired(&self) -> usize {
        self.shared.fired.load(Ordering::SeqCst)
    }

    /// What passed in one direction of the connection with this number; `None` if there was none or
    /// it was forgotten.
    pub fn transcript(&self, number: usize, direction: Direction) -> Option<Vec<u8>> {
        let connections = lock(&self.shared.connections);
        let connection = connections.get(number)?.as_ref()?;
        Some(lock(connection.passed(direction)).clone())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which sees that it should stop.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.release();
        for connection in lock(&self.shared.connections).iter().flatten() {
            connection.end();
        }
    }
}

impl Shared {
    fn accept_all(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            // A connection that can't be made is one that the client sees closed.
            let Ok(client) = client else { continue };
            let target = *lock(&self.target);
            let Ok(server) = TcpStream::connect(target) else {
                continue;
            };
            self.pass_on(client, server);
        }
    }

    fn pass_on(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let mut connections = lock(&self.connections);
        let connection = Arc::new(Connection {
            client,
            server,
            fault: self.fault_of(connections.len()),
            broken: AtomicBool::new(false),
            delayed: AtomicBool::new(false),
            ended: AtomicUsize::new(0),
            to_server: Mutex::default(),
            to_client: Mutex::default(),
        });
        connections.push(Some(Arc::clone(&connection)));
        drop(connections);
        for direction in [Direction::ToServer, Direction::ToClient] {
            let shared = Arc::clone(self);
            let connection = Arc::clone(&connection);
            // Writing fails when the other side vanished: the end of this direction, no more.
            thread::spawn(move || {
                let _ = connection.run(direction, &shared);
                connection.ended.fetch_add(1, Ordering::SeqCst);
            });
        }
    }

    fn fault_of(&self, number: usize) -> Option<Fault> {
        lock(&self.plan)
            .iter()
            .rev()
            .find(|(aim, _)| aim.is_none_or(|aim| aim == number))
            .map(|(_, fault)| *fault)
    }

    fn wait_for_release(&self, before: usize) {
        let releases = lock(&self.releases);
        // Poisoning cannot harm a counter.
        drop(self.released.wait_while(releases, |now| {
            *now == before && !self.stopping.load(Ordering::SeqCst)
        }));
    }
}

impl Connection {
    fn run(&self, direction: Direction, shared: &Shared) -> io::Result<()> {
        let fired = &shared.fired;
        let (mut from, mut to) = match direction {
            Direction::ToServer => (&self.client, &self.server),
            Direction::ToClient => (&self.server, &self.client),
        };
        let mut passed = 0;
        self.break_if_due(direction, passed, fired);
        let mut buffer = vec![0; 16 * 1024];
        loop {
            // A process that is killed with unread bytes ends its connection with a reset: an end as well.
            let read = match from.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
                read => read?,
            };
            if read == 0 {
                if !self.broken.load(Ordering::SeqCst) {
                    let _ = to.shutdown(Shutdown::Write);
                }
                return Ok(());
            }
            if let Some(Fault::Delay { direction: aim, by }) = self.fault
                && aim == direction
            {
                fired_once(&self.delayed, fired);
                thread::sleep(by);
            }
            // After a fault both sides are read to their end and what they say is dropped: closing
            // a socket with unread bytes would send a reset, and a reset discards bytes that were
            // already handed over, so the cut would no longer be exact.
            if self.broken.load(Ordering::SeqCst) {
                continue;
            }
            let piece = &buffer[..read.min(self.allowance(direction, passed))];
            // Kept first: whoever saw the bytes arrive finds them in the transcript.
            lock(self.passed(direction)).extend_from_slice(piece);
            to.write_all(piece)?;
            passed += piece.len();
            if let Some(Fault::HoldAfter { .. }) = self.fault
                && piece.len() < read
            {
                // Counted before anybody can know of it, so that no release is missed.
                let releases = *lock(&shared.releases);
                fired_once(&self.delayed, fired);
                shared.wait_for_release(releases);
                let rest = &buffer[piece.len()..read];
                lock(self.passed(direction)).extend_from_slice(rest);
                to.write_all(rest)?;
            }
            self.break_if_due(direction, passed, fired);
        }
    }

    /// How many more bytes may pass in this direction; of a hold, before it.
    fn allowance(&self, direction: Direction, passed: usize) -> usize {
        match self.fault {
            Some(Fault::HoldAfter {
                direction: aim,
                bytes,
            }) if aim == direction && !self.delayed.load(Ordering::SeqCst) => bytes - passed,
            Some(
                Fault::CutAfter {
                    direction: aim,
                    bytes,
                }
                | Fault::BlackHoleAfter {
                    direction: aim,
                    bytes,
                },
            ) if aim == direction => bytes - passed,
            _ => usize::MAX,
        }
    }

    fn end(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    fn break_if_due(&self, direction: Direction, passed: usize, fired: &AtomicUsize) {
        let breaks = matches!(
            self.fault,
            Some(Fault::CutAfter { .. } | Fault::BlackHoleAfter { .. })
        );
        if !breaks || self.allowance(direction, passed) > 0 {
            return;
        }
        if !fired_once(&self.broken, fired) {
            return;
        }
        if let Some(Fault::CutAfter { .. }) = self.fault {
            let _ = self.client.shutdown(Shutdown::Write);
            let _ = self.server.shutdown(Shutdown::Write);
        }
    }

    fn passed(&self, direction: Direction) -> &Mutex<Vec<u8>> {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }
}

fn fired_once(flag: &AtomicBool, fired: &AtomicUsize) -> bool {
    let first = !flag.swap(true, Ordering::SeqCst);
    if first {
        fired.fetch_add(1, Ordering::SeqCst);
    }
    first
}
