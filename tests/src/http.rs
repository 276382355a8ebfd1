//! A small HTTP server on loopback for the services of AWS that tests play: each connection has a thread of its own and
//! is kept for further requests, so that an answer may take as long as whoever plays the service wants.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

const BODY_BYTES_MAX: u64 = 8 << 20;

/// What a client sent.
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// What it is answered.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// A running server. Dropping it stops it.
pub struct HttpServer {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// On a free port of 127.0.0.1. Without a reply the connection is closed.
    pub fn start(
        answer: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (stops, answer) = (Arc::clone(&stopping), Arc::new(answer));
        let acceptor = thread::spawn(move || {
            for connection in listener.incoming() {
                if stops.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(connection) = connection else { continue };
                let answer = Arc::clone(&answer);
                // A client that goes away in the middle is its own affair.
                thread::spawn(move || drop(serve(connection, &*answer)));
            }
        });
        Ok(Self {
            address,
            stopping,
            acceptor: Some(acceptor),
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which sees that it should stop.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn serve(connection: TcpStream, answer: &dyn Fn(&Request) -> Option<Reply>) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut writer = connection.try_clone()?;
    let mut reader = BufReader::new(connection);
    while let Some(request) = read(&mut reader)? {
        let Some(reply) = answer(&request) else {
            break;
        };
        let mut text = format!("HTTP/1.1 {} -\r\n", reply.status).into_bytes();
        for (name, value) in &reply.headers {
            write!(text, "{name}: {value}\r\n")?;
        }
        write!(text, "content-length: {}\r\n\r\n", reply.body.len())?;
        text.extend(&reply.body);
        writer.write_all(&text)?;
    }
    Ok(())
}

/// `None` when the client has closed the connection between two requests.
fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut first = String::new();
    if stream.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or("0", String::as_str);
    let length: u64 = length.parse().map_err(io::Error::other)?;
    let mut body = Vec::new();
    let whole = BODY_BYTES_MAX.min(length);
    stream.by_ref().take(whole).read_to_end(&mut body)?;
    let mut words = first.split(' ');
    let mut word = || words.next().unwrap_or("").to_owned();
    Ok(Some(Request {
        method: word(),
        path: word(),
        headers,
        body,
    }))
}
