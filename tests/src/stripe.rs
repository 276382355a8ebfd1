//! A small server that answers as Stripe does about accounts: HTTPS with a certificate of ours, keys that belong to
//! accounts, that may lack the right to read theirs, and that can be revoked. It is written from Stripe's API reference
//! ("Retrieve account", "Errors") and shares no code with the plugin.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::tls::Identity;

const TIMEOUT: Duration = Duration::from_secs(10);

/// What a key may do.
#[derive(Debug, Clone)]
pub struct Key {
    /// `acct_…`.
    pub account: String,
    pub may_read_account: bool,
}

/// A running server. Dropping it stops it.
pub struct StripeLike {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    keys: Mutex<BTreeMap<String, Key>>,
    /// Answered instead of anything else.
    trouble: Mutex<Option<u16>>,
    requests: Mutex<Vec<String>>,
    stopping: AtomicBool,
    tls: Arc<ServerConfig>,
}

impl StripeLike {
    /// On a free port of 127.0.0.1, without keys.
    pub fn start(identity: &Identity) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            keys: Mutex::default(),
            trouble: Mutex::default(),
            requests: Mutex::default(),
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

    /// A new key, or new rights for one that is there.
    pub fn add_key(&self, key: &str, account: &str, may_read_account: bool) {
        let rights = Key {
            account: account.to_owned(),
            may_read_account,
        };
        lock(&self.shared.keys).insert(key.to_owned(), rights);
    }

    /// Deletes a key, as an operator does in the dashboard.
    pub fn revoke(&self, key: &str) {
        lock(&self.shared.keys).remove(key);
    }

    /// From now on every request is answered with this status; `None`: as it should be.
    pub fn have_trouble(&self, status: Option<u16>) {
        *lock(&self.shared.trouble) = status;
    }

    /// Method and path of each request so far.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.shared.requests).clone()
    }
}

impl Drop for StripeLike {
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
        let (mut request, mut key) = (String::new(), None);
        stream.read_line(&mut request)?;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            if name.eq_ignore_ascii_case("authorization") {
                key = value.strip_prefix("Bearer ").map(str::to_owned);
            }
        }
        let mut words = request.split(' ');
        let asked = format!(
            "{} {}",
            words.next().unwrap_or(""),
            words.next().unwrap_or("")
        );
        lock(&self.requests).push(asked.clone());
        let (status, body) = self.answer(&asked, key.as_deref());
        let body = body.to_string();
        let stream = stream.get_mut();
        write!(
            stream,
            "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )?;
        stream.conn.send_close_notify();
        stream.flush()
    }

    fn answer(&self, asked: &str, key: Option<&str>) -> (u16, Value) {
        let failure =
            |kind: &str, message: &str| json!({"error": {"type": kind, "message": message}});
        if let Some(status) = *lock(&self.trouble) {
            return (status, failure("api_error", "An unknown error occurred"));
        }
        let keys = lock(&self.keys);
        let Some((key, rights)) = key.and_then(|key| keys.get_key_value(key)) else {
            return (
                401,
                failure("invalid_request_error", "Invalid API Key provided"),
            );
        };
        if asked != "GET /v1/account" {
            return (
                404,
                failure("invalid_request_error", "Unrecognized request URL"),
            );
        }
        if !rights.may_read_account {
            let message = format!(
                "The provided key '{}***' does not have the required permissions for this endpoint on account '{}'. \
                 Having the 'rak_accounts_kyc_basic_read' permission would allow this request to continue.",
                &key[..8],
                rights.account
            );
            return (403, failure("invalid_request_error", &message));
        }
        (
            200,
            json!({"id": rights.account, "object": "account", "country": "DE"}),
        )
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
