//! A host for native tests of a plugin: seeded randomness, a clock that stands where the test puts
//! it, captured logs, and endpoints that lead to real TCP servers ([`Tcp`]) or to scripts
//! ([`Script`]). One host per thread; calls without one panic, because a test that forgot it would
//! otherwise measure nothing. It grants everything: grants and limits are the real host's to test.

mod net;
mod script;
mod values;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::endpoint::{Member, NetError, NetErrorKind};
use crate::http::{Request, Response};
use crate::log::Severity;
use crate::password::Constraints;

pub use net::{Tcp, Tls, TlsStream};
pub use script::{Script, Step};
pub use values::{context, create_request, net_error, version};

/// The clock of a new host: 2026-01-02T00:00:00Z in Unix milliseconds.
pub const START_MS: u64 = 1_767_312_000_000;
const AUTHORIZATION: &str = "authorization";

/// An open stream of a fake endpoint; the methods are those of the contract's `connection`.
#[allow(missing_docs, reason = "documented in the contract")]
pub trait Stream {
    fn security(&self) -> crate::endpoint::Security;
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, NetError>;
    fn write(&mut self, bytes: &[u8]) -> Result<(), NetError>;
    fn start_tls(&mut self) -> Result<(), NetError>;
    fn channel_binding(&self, kind: crate::endpoint::Binding) -> Option<Vec<u8>>;
    fn shutdown(&mut self) -> Result<(), NetError>;
}

/// What stands behind a fake endpoint.
pub trait Connector {
    /// One label per node.
    fn labels(&self) -> Vec<String>;

    /// Opens a node.
    ///
    /// # Errors
    /// Whatever the test wants, or what the network says.
    fn connect(&self, member: u32) -> Result<Box<dyn Stream>, NetError>;
}

/// What answers HTTP requests to a fake endpoint.
pub trait HttpServer {
    /// Answers one request.
    ///
    /// # Errors
    /// Whatever the test wants.
    fn send(&self, request: &Request) -> Result<Response, NetError>;
}

impl<F: Fn(&Request) -> Result<Response, NetError>> HttpServer for F {
    fn send(&self, request: &Request) -> Result<Response, NetError> {
        self(request)
    }
}

/// One captured log line.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// Its severity.
    pub severity: Severity,
    /// Its words.
    pub message: String,
    /// Its fields.
    pub fields: Vec<(String, String)>,
}

type PasswordMaker = dyn Fn(&Constraints) -> Result<String, String>;

/// A fake host, to be [installed](Host::install) in the test's thread.
pub struct Host {
    random_state: u64,
    now_ms: u64,
    elapsed_ns: u64,
    password: Option<Rc<PasswordMaker>>,
    logs: Vec<LogLine>,
    endpoints: BTreeMap<String, Rc<dyn Connector>>,
    http: BTreeMap<String, Rc<dyn HttpServer>>,
    /// The AWS services that requests to an endpoint are signed for.
    signed: BTreeMap<String, String>,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// A host with seed 1, the clock at [`START_MS`], and no endpoints.
    pub fn new() -> Self {
        Self {
            random_state: 1,
            now_ms: START_MS,
            elapsed_ns: 0,
            password: None,
            logs: Vec::new(),
            endpoints: BTreeMap::new(),
            http: BTreeMap::new(),
            signed: BTreeMap::new(),
        }
    }

    /// Seeds the randomness.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.random_state = seed;
        self
    }

    /// Sets the clock, in Unix milliseconds.
    #[must_use]
    pub fn now(mut self, milliseconds: u64) -> Self {
        self.now_ms = milliseconds;
        self
    }

    /// Replaces the default policy: 32 characters of A–Z a–z 0–9 - . _ ~ with a lower-case letter,
    /// a capital and a digit among them, cut to what the target can bear.
    #[must_use]
    pub fn password(
        mut self,
        make: impl Fn(&Constraints) -> Result<String, String> + 'static,
    ) -> Self {
        self.password = Some(Rc::new(make));
        self
    }

    /// Grants an endpoint.
    #[must_use]
    pub fn endpoint(mut self, name: &str, connector: impl Connector + 'static) -> Self {
        self.endpoints.insert(name.to_owned(), Rc::new(connector));
        self
    }

    /// Grants an HTTP endpoint.
    #[must_use]
    pub fn http(mut self, name: &str, server: impl HttpServer + 'static) -> Self {
        self.http.insert(name.to_owned(), Rc::new(server));
        self
    }

    /// Grants an HTTP endpoint whose requests the host signs for an AWS service. Nothing is signed here; the server finds
    /// `authorization: AWS4-HMAC-SHA256 SERVICE` on each, and a plugin that brings the header itself is refused, as by the
    /// real host.
    #[must_use]
    pub fn signed_http(
        mut self,
        name: &str,
        service: &str,
        server: impl HttpServer + 'static,
    ) -> Self {
        self.signed.insert(name.to_owned(), service.to_owned());
        self.http(name, server)
    }

    /// Makes this the thread's host until the guard is dropped.
    pub fn install(self) -> Installed {
        HOST.with(|slot| *slot.borrow_mut() = Some(self));
        Installed(())
    }

    pub(crate) fn members(&self, endpoint: &str) -> Result<Vec<Member>, NetError> {
        let labels = self.connector(endpoint)?.labels();
        Ok((0..)
            .zip(labels)
            .map(|(index, label)| Member { index, label })
            .collect())
    }

    pub(crate) fn connector(&self, endpoint: &str) -> Result<Rc<dyn Connector>, NetError> {
        self.endpoints
            .get(endpoint)
            .cloned()
            .ok_or_else(|| unknown(endpoint))
    }

    pub(crate) fn http_server(&self, endpoint: &str) -> Result<Rc<dyn HttpServer>, NetError> {
        self.http
            .get(endpoint)
            .cloned()
            .ok_or_else(|| unknown(endpoint))
    }

    /// The request as the server gets it.
    pub(crate) fn signed(&self, endpoint: &str, request: &Request) -> Result<Request, NetError> {
        let Some(service) = self.signed.get(endpoint) else {
            return Ok(request.clone());
        };
        let names = request.headers.iter().map(|(name, _)| name);
        if let Some(name) = names
            .into_iter()
            .find(|name| name.eq_ignore_ascii_case(AUTHORIZATION))
        {
            let message = format!("the header {name} is the host's to set; leave it out");
            return Err(net_error(NetErrorKind::Denied, &message, false));
        }
        let signature = format!("AWS4-HMAC-SHA256 {service}");
        Ok(request.clone().header(AUTHORIZATION, signature))
    }

    pub(crate) fn random_bytes(&mut self, length: u32) -> Vec<u8> {
        (0..length).map(|_| self.random_byte()).collect()
    }

    pub(crate) fn generate_password(&mut self, target: &Constraints) -> Result<String, String> {
        match self.password.clone() {
            Some(make) => make(target),
            None => values::default_password(target, || self.random_byte()),
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub(crate) fn elapsed_ns(&mut self) -> u64 {
        // It moves with every look, so that a loop that waits for it ends.
        self.elapsed_ns += 1_000_000;
        self.elapsed_ns
    }

    pub(crate) fn log(&mut self, severity: Severity, message: &str, fields: &[(String, String)]) {
        self.logs.push(LogLine {
            severity,
            message: message.to_owned(),
            fields: fields.to_vec(),
        });
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): enough for tests, and no dependency.
    fn random_byte(&mut self) -> u8 {
        self.random_state = self.random_state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random_state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_le_bytes()[0]
    }
}

/// The installed host; it leaves the thread when this is dropped.
pub struct Installed(());

impl Installed {
    /// Sets the clock, in Unix milliseconds.
    pub fn set_now_ms(&self, milliseconds: u64) {
        with_host(|host| host.now_ms = milliseconds);
    }

    /// Moves the clock forward.
    pub fn advance_ms(&self, milliseconds: u64) {
        with_host(|host| host.now_ms += milliseconds);
    }

    /// Grants an endpoint, or replaces it.
    pub fn set_endpoint(&self, name: &str, connector: impl Connector + 'static) {
        with_host(|host| host.endpoints.insert(name.to_owned(), Rc::new(connector)));
    }

    /// The lines logged so far.
    pub fn logs(&self) -> Vec<LogLine> {
        with_host(|host| host.logs.clone())
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        HOST.with(|slot| slot.borrow_mut().take());
    }
}

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// Runs `use_host` on the thread's host.
pub(crate) fn with_host<R>(use_host: impl FnOnce(&mut Host) -> R) -> R {
    HOST.with(|slot| match slot.borrow_mut().as_mut() {
        Some(host) => use_host(host),
        None => panic!(
            "this thread has no fake host: call keyturn_sdk::fake::Host::new().install() first"
        ),
    })
}

fn unknown(endpoint: &str) -> NetError {
    net_error(
        NetErrorKind::UnknownEndpoint,
        &format!("the fake host has no endpoint `{endpoint}`"),
        false,
    )
}
