//! Keyturn's own Secrets Manager endpoint in the test's process, on a free port, over a store of its own: what any AWS
//! client can be pointed at. Its clock can be moved, and what it tells its surroundings is kept.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex, PoisonError};

use keyturn_server::access::{AccessKey, AccessKeys, Grant, KeyPair, Pattern};
use keyturn_server::faults::Faults;
use keyturn_server::{
    Admitted, Change, Options, Patience, Place, RequestLog, RequestRecord, RotateError, Rotator,
    Server, Service, Trail,
};
use keyturn_store::embedded::{EmbeddedStore, MasterKey};
use keyturn_store::{Clock, ManualClock, SecretName, SystemClock, VersionId};
use rustls::ServerConfig;
use secrecy::ExposeSecret;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::scratch::Scratch;
use crate::signed::Key;
use crate::tls::Identity;

pub const REGION: &str = "eu-west-1";
pub const ACCOUNT: &str = "123456789012";

const WRITING: &[&str] = &[
    "BatchGet*",
    "CancelRotateSecret",
    "CreateSecret",
    "Delete*",
    "Put*",
    "RestoreSecret",
    "RotateSecret",
    "UntagResource",
    "Update*",
    "Validate*",
];

/// A running endpoint; it stops when this is dropped.
pub struct Endpoint {
    pub address: SocketAddr,
    pub store: Arc<EmbeddedStore>,
    pub clock: Arc<ManualClock>,
    /// May do everything.
    pub key: Key,
    /// May read secrets under `prod/`, and nothing else.
    pub reader: Key,
    /// May do what the reader may not, with every secret, but for tags.
    pub writer: Key,
    /// May do everything with secrets under `prod/`.
    pub neighbour: Key,
    pub around: Arc<Around>,
    /// None, until a test aims some.
    pub faults: Arc<Faults>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<keyturn_server::Ended>>,
    _home: Scratch,
}

/// What the endpoint has told its surroundings.
#[derive(Default)]
pub struct Around {
    pub requests: Mutex<Vec<RequestRecord>>,
    pub changes: Mutex<Vec<Change>>,
    /// The operations of those changes, in the order in which they ended, and whether they were made.
    pub outcomes: Mutex<Vec<(&'static str, bool)>>,
    /// Rotations that were begun, and checks.
    pub rotations: Arc<Mutex<Vec<String>>>,
    /// How a check ends; nothing: well.
    pub refusal: Mutex<Option<String>>,
    /// Whether the audit trail cannot be written.
    pub trail_is_full: Mutex<bool>,
    /// Whether writing it is the end of who does so.
    pub trail_panics: Mutex<bool>,
}

impl Endpoint {
    /// On the real clock's time.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Patience::default()).await
    }

    /// The same with other patience.
    pub async fn start_with(patience: Patience) -> io::Result<Self> {
        Self::start_as(patience, None).await
    }

    /// The same over TLS.
    pub async fn start_tls(patience: Patience, identity: &Identity) -> io::Result<Self> {
        Self::start_as(patience, Some(identity)).await
    }

    async fn start_as(patience: Patience, identity: Option<&Identity>) -> io::Result<Self> {
        let home = Scratch::new("endpoint")?;
        let clock = Arc::new(ManualClock::at_ms(SystemClock.now_ms()));
        let master = MasterKey::generate().map_err(io::Error::other)?;
        let store = EmbeddedStore::create(&home.path().join("store.db"), &master, clock.clone());
        let store = Arc::new(store.map_err(io::Error::other)?);
        let (key, everything) = access("admin", &["*"], &["*"])?;
        let (reader, reading) = access("reader", &["prod/*"], &["Get*", "Describe*", "List*"])?;
        let (writer, writing) = access("writer", &["*"], WRITING)?;
        let (neighbour, next_door) = access("neighbour", &["prod/*"], &["*"])?;
        let keys = [everything, reading, writing, next_door];
        let around = Arc::new(Around::default());
        let faults = Arc::new(Faults::default());
        let service = Service::new(Options {
            store: store.clone(),
            clock: clock.clone(),
            keys: AccessKeys::new(keys).map_err(io::Error::other)?,
            place: Place {
                region: REGION.to_owned(),
                account: ACCOUNT.to_owned(),
            },
            rotator: around.clone(),
            trail: around.clone(),
            log: around.clone(),
            faults: faults.clone(),
        });
        let tls = identity
            .map(|identity| presented(&home, identity))
            .transpose()?;
        let server = Server::bind(([127, 0, 0, 1], 0).into(), tls, service).await?;
        let server = server.with(patience);
        let address = server.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async { drop(stopped.await) }));
        Ok(Self {
            address,
            store,
            clock,
            key,
            reader,
            writer,
            neighbour,
            around,
            faults,
            stop: Some(stop),
            task: Some(task),
            _home: home,
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops as on a signal, and answers how that went.
    ///
    /// # Errors
    /// If the server panicked.
    pub async fn stop(&mut self) -> io::Result<keyturn_server::Ended> {
        drop(self.stop.take());
        match self.task.take() {
            Some(task) => task.await.map_err(io::Error::other),
            None => Err(io::Error::other("it was stopped before")),
        }
    }
}

fn presented(home: &Scratch, identity: &Identity) -> io::Result<Arc<ServerConfig>> {
    let [certificate, key] = ["tls.pem", "tls.key"].map(|name| home.path().join(name));
    fs::write(&certificate, &identity.certificate_pem)?;
    fs::write(&key, &identity.key_pem)?;
    fs::set_permissions(&key, Permissions::from_mode(0o600))?;
    keyturn_server::tls(&certificate, &key).map_err(io::Error::other)
}

fn access(name: &str, secrets: &[&str], actions: &[&str]) -> io::Result<(Key, AccessKey)> {
    let KeyPair { id, secret } = KeyPair::generate().map_err(io::Error::other)?;
    let key = Key {
        id: id.clone(),
        secret: secret.expose_secret().to_owned(),
    };
    let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::new(text)).collect();
    let grant = Grant {
        secrets: patterns(secrets),
        actions: patterns(actions),
    };
    let name = name.to_owned();
    Ok((
        key,
        AccessKey {
            name,
            id,
            secret,
            grant,
        },
    ))
}

/// What a panicking test left behind is still whole.
pub fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RequestLog for Around {
    fn record(&self, record: &RequestRecord) {
        locked(&self.requests).push(record.clone());
    }
}

impl Trail for Around {
    fn intent(&self, change: &Change) -> io::Result<()> {
        let panics = *locked(&self.trail_panics);
        assert!(!panics, "as told");
        if *locked(&self.trail_is_full) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        locked(&self.changes).push(change.clone());
        Ok(())
    }

    fn outcome(&self, change: &Change, done: bool, _: f64) {
        locked(&self.outcomes).push((change.operation, done));
    }
}

impl Rotator for Around {
    fn admit(&self, name: &SecretName) -> Result<Box<dyn Admitted>, RotateError> {
        if name.as_str().ends_with("unconfigured") {
            return Err(RotateError::NotConfigured);
        }
        Ok(Box::new(Promise {
            name: name.clone(),
            refusal: locked(&self.refusal).clone(),
            rotations: self.rotations.clone(),
        }))
    }
}

/// Writes down what it is told and does nothing.
struct Promise {
    name: SecretName,
    refusal: Option<String>,
    rotations: Arc<Mutex<Vec<String>>>,
}

#[async_trait::async_trait]
impl Admitted for Promise {
    fn is_announced(&self) -> bool {
        !self.name.as_str().ends_with("lead")
    }

    fn begin(self: Box<Self>, token: &VersionId, key: &str) {
        locked(&self.rotations).push(format!("{key} rotates {} to {token}", self.name));
    }

    async fn check(self: Box<Self>, token: &VersionId, key: &str) -> Result<(), RotateError> {
        locked(&self.rotations).push(format!("{key} checks {} with {token}", self.name));
        match &self.refusal {
            Some(refusal) => Err(RotateError::Refused(refusal.clone())),
            None => Ok(()),
        }
    }
}
