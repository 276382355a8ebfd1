//! A small HTTPS server with a certificate of ours, for the servers that stand in for vendors: it reads one request a
//! connection, has it answered by whoever plays the vendor, and remembers what was asked.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::local::lock;
use crate::tls::Identity;

const TIMEOUT: Duration = Duration::from_secs(10);
const BODY_BYTES_MAX: u64 = 1 << 20;

/// What a client sent.
pub struct Request {
    /// Method and path: `GET /v1/account`.
    pub asked: String,
    /// The server's name in TLS and in HTTP, where both are given.
    pub names: Option<[String; 2]>,
    /// What followed `Bearer `.
    pub bearer: Option<String>,
    /// All of them, as they came; names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A status and the JSON that goes with it.
pub type Answer = (u16, Value);

/// An answer of any kind.
pub struct Response {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl From<Answer> for Response {
    fn from((status, body): Answer) -> Self {
        Self {
            status,
            content_type: "application/json",
            headers: Vec::new(),
            body: body.to_string(),
        }
    }
}

/// A running server. Dropping it stops it.
pub struct HttpsServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    answer: Box<dyn Fn(&Request) -> Response + Send + Sync>,
    /// Answered instead of anything else.
    trouble: Mutex<Option<u16>>,
    requests: Mutex<Vec<String>>,
    names: Mutex<BTreeSet<[String; 2]>>,
    stopping: AtomicBool,
    tls: Arc<ServerConfig>,
}

impl HttpsServer {
    /// On a free port of 127.0.0.1.
    pub fn start<R: Into<Response>>(
        identity: &Identity,
        answer: impl Fn(&Request) -> R + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            answer: Box::new(move |request| answer(request).into()),
            trouble: Mutex::default(),
            requests: Mutex::default(),
            names: Mutex::default(),
            stopping: AtomicBool::new(false),
            tls: Arc::new(tls(identity)?),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accept_all(&accepting, &listener));
        Ok(Self {
            address,
            shared,
            acceptor: Some(acceptor),
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on every request is answered with this status; `None`: as it should be.
    pub fn have_trouble(&self, status: Option<u16>) {
        *lock(&self.shared.trouble) = status;
    }

    /// Method and path of each request so far.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.shared.requests).clone()
    }

    /// The names by which it was asked, in TLS and in HTTP.
    pub fn names(&self) -> BTreeSet<[String; 2]> {
        lock(&self.shared.names).clone()
    }
}

impl Drop for HttpsServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which sees that it should stop.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn tls(identity: &Identity) -> io::Result<ServerConfig> {
    let certificates = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(io::Error::other)?;
    let key =
        PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| {
            config
                .with_no_client_auth()
                .with_single_cert(certificates, key)
        })
        .map_err(io::Error::other)
}

fn accept_all(shared: &Arc<Shared>, listener: &TcpListener) {
    for connection in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(connection) = connection else { continue };
        let shared = Arc::clone(shared);
        // A client that goes away in the middle is its own affair.
        thread::spawn(move || {
            let _ = shared.serve(connection);
        });
    }
}

impl Shared {
    /// One request a connection.
    fn serve(&self, connection: TcpStream) -> io::Result<()> {
        connection.set_read_timeout(Some(TIMEOUT))?;
        connection.set_write_timeout(Some(TIMEOUT))?;
        let session = ServerConnection::new(Arc::clone(&self.tls)).map_err(io::Error::other)?;
        let mut stream = BufReader::new(StreamOwned::new(session, connection));
        let request = read(&mut stream)?;
        lock(&self.requests).push(request.asked.clone());
        lock(&self.names).extend(request.names.clone());
        let trouble = *lock(&self.trouble);
        let response = match trouble {
            Some(status) => (status, Value::Null).into(),
            None => (self.answer)(&request),
        };
        let stream = stream.get_mut();
        write!(
            stream,
            "HTTP/1.1 {} -\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n",
            response.status,
            response.content_type,
            response.body.len()
        )?;
        for (name, value) in &response.headers {
            write!(stream, "{name}: {value}\r\n")?;
        }
        write!(stream, "\r\n{}", response.body)?;
        stream.conn.send_close_notify();
        stream.flush()
    }
}

fn read(stream: &mut BufReader<StreamOwned<ServerConnection, TcpStream>>) -> io::Result<Request> {
    let mut first = String::new();
    stream.read_line(&mut first)?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let header = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str())
    };
    let host = header("host").map(str::to_owned);
    let bearer = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let bearer = bearer.map(str::to_owned);
    let length = header("content-length").map_or(Ok(0), str::parse);
    let length: u64 = length.map_err(io::Error::other)?;
    let mut body = Vec::new();
    stream
        .by_ref()
        .take(BODY_BYTES_MAX.min(length))
        .read_to_end(&mut body)?;
    let in_tls = stream.get_ref().conn.server_name().map(str::to_owned);
    let mut words = first.split(' ');
    let mut word = || words.next().unwrap_or("");
    Ok(Request {
        asked: format!("{} {}", word(), word()),
        names: in_tls.zip(host).map(|(in_tls, host)| [in_tls, host]),
        bearer,
        headers,
        body,
    })
}
