//! The prober: an application that reads AWSCURRENT and logs in, again and again without pause, while
//! somebody rotates. It knows Keyturn's store and nothing else of Keyturn: its client, its token
//! verifier and its key check are those of an application. It never changes a secret.
//!
//! A login counts as failed only if the same version was AWSCURRENT before and after it: a login
//! that was overtaken by a promotion says nothing about either version. An application that reads
//! through a cache has no such excuse: whatever it is refused counts.

mod api_key;
mod cache;
mod earlier;
mod jwt;
mod key_ring;
mod postgres;
mod redis;
mod tally;
mod webhook;

pub use key_ring::Vault;
pub use tally::{KindReport, Report};

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cache::Cache;
use keyturn_store::{SecretName, SecretStore, StoredVersion, Which, labels};
use secrecy::ExposeSecret as _;
use tally::Tally;
use tokio::task::JoinSet;

use crate::local::lock;

/// A login that needs no network takes microseconds; back to back it would take a whole core from
/// the rotation that it watches. Also between failures, which may come as fast.
const PAUSE: Duration = Duration::from_millis(1);

/// What kind of application probes a secret, with what it has to know besides the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Logs in over TCP and asks `SELECT 1`.
    Postgres,
    /// Logs in over TCP, writes and reads.
    Redis,
    /// Signs with the current secrets, verifies as guide.md §5.3's application does, and presents
    /// earlier tokens until they expire.
    Jwt,
    /// Presents the current key, and earlier ones for `window` after they were current, to a
    /// verifier such as guide.md §4.3's, whose rotation window is the same.
    ApiKey { window: Duration },
    /// Signs with the current secret of guide.md §2.3's structure, and with earlier ones for `window` after they were
    /// current; the receiver verifies with the current and the previous one, as §2.4's application does.
    Webhook { window: Duration },
    /// Encrypts with the newest key of a ring, and decrypts whatever it has ever encrypted.
    KeyRing,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Jwt => "jwt",
            Self::ApiKey { .. } => "api-key",
            Self::Webhook { .. } => "webhook",
            Self::KeyRing => "key-ring",
        }
    }
}

/// A running set of probers, one task per secret. Dropping it stops them.
pub struct Prober {
    tasks: JoinSet<()>,
    tallies: Vec<Arc<Mutex<Tally>>>,
}

impl Prober {
    /// Starts probing; must be called inside a tokio runtime.
    pub fn start(store: &Arc<dyn SecretStore>, targets: Vec<(Kind, SecretName)>) -> Self {
        Self::start_cached(store, targets, Duration::ZERO)
    }

    /// The same with applications that keep what they read for `ttl`, as guide.md §2.4's does.
    pub fn start_cached(
        store: &Arc<dyn SecretStore>,
        targets: Vec<(Kind, SecretName)>,
        ttl: Duration,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let mut tallies = Vec::new();
        for (kind, name) in targets {
            let tally = Arc::new(Mutex::new(Tally::new(kind.name(), name.as_str())));
            tallies.push(Arc::clone(&tally));
            let mut probe = Probe::new(Arc::clone(store), kind, name, ttl);
            tasks.spawn(async move {
                loop {
                    let attempt = probe.attempt().await;
                    let pause =
                        attempt.is_failure() || !matches!(kind, Kind::Postgres | Kind::Redis);
                    lock(&tally).count(attempt);
                    if pause {
                        tokio::time::sleep(PAUSE).await;
                    } else {
                        tokio::task::yield_now().await;
                    }
                }
            });
        }
        Self { tasks, tallies }
    }

    /// Whether each secret has been logged in with at least once.
    pub fn is_ready(&self) -> bool {
        self.tallies.iter().all(|tally| lock(tally).is_ready())
    }

    /// What has happened so far.
    pub fn report(&self) -> Report {
        Report::new(
            self.tallies
                .iter()
                .map(|tally| lock(tally).report())
                .collect(),
        )
    }

    /// Stops, and says what happened.
    pub async fn stop(mut self) -> Report {
        self.tasks.shutdown().await;
        self.report()
    }
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// `version` let us in, and so did this many earlier tokens or keys.
    Accepted { version: String, earlier: u64 },
    /// Refused, but another version was AWSCURRENT afterwards.
    Overtaken,
    /// Refused although nothing changed, or AWSCURRENT could not be read.
    Failed { reason: String },
}

impl Attempt {
    fn is_failure(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}

/// One secret and the application that uses it: one part presents a credential or signs with it, the
/// other checks what is presented. Both read the secret by themselves.
struct Probe {
    store: Arc<dyn SecretStore>,
    name: SecretName,
    application: Application,
    presenter: Cache,
    checker: Cache,
}

enum Application {
    Postgres(postgres::Client),
    Redis(redis::Client),
    Jwt(jwt::Service),
    ApiKey(api_key::Caller),
    Webhook(webhook::Sender),
    KeyRing(Vault),
}

impl Probe {
    fn new(store: Arc<dyn SecretStore>, kind: Kind, name: SecretName, ttl: Duration) -> Self {
        let application = match kind {
            Kind::Postgres => Application::Postgres(postgres::Client::default()),
            Kind::Redis => Application::Redis(redis::Client::default()),
            Kind::Jwt => Application::Jwt(jwt::Service::default()),
            Kind::ApiKey { window } => Application::ApiKey(api_key::Caller::new(window)),
            Kind::Webhook { window } => Application::Webhook(webhook::Sender::new(window)),
            Kind::KeyRing => Application::KeyRing(Vault::default()),
        };
        Self {
            store,
            name,
            application,
            presenter: Cache::new(ttl),
            // Two processes that were not started at the same moment.
            checker: Cache::new(ttl).half_a_life_old(),
        }
    }

    async fn attempt(&mut self) -> Attempt {
        let read = match self.read().await {
            Ok(read) => read,
            Err(reason) => return Attempt::Failed { reason },
        };
        let result = match &mut self.application {
            Application::Postgres(client) => client.log_in(read.presented()).await.map(|()| 0),
            Application::Redis(client) => client.log_in(read.presented()).await.map(|()| 0),
            Application::Jwt(service) => service.log_in(read.presented(), read.checked()),
            Application::ApiKey(caller) => {
                caller.log_in(read.presented(), read.checked(), read.presented_at)
            }
            Application::Webhook(sender) => {
                sender.log_in(read.presented(), read.checked(), read.presented_at)
            }
            Application::KeyRing(vault) => vault.log_in(read.presented(), read.checked()),
        };
        let version = read.presenter.id.to_string();
        match result {
            Ok(earlier) => Attempt::Accepted { version, earlier },
            Err(reason) if self.presenter.keeps() => Attempt::Failed {
                reason: format!("version {version}, from a cache: {reason}"),
            },
            Err(reason) => match self.current_id().await {
                Ok(after) if after != version => Attempt::Overtaken,
                Ok(_) => Attempt::Failed {
                    reason: format!("version {version}: {reason}"),
                },
                Err(store) => Attempt::Failed {
                    reason: format!("version {version}: {reason}; then {store}"),
                },
            },
        }
    }

    /// What both parts hold at this moment; without a cache, the same version.
    async fn read(&mut self) -> Result<Read, String> {
        if self.presenter.is_stale() {
            let version = Arc::new(self.current().await?);
            self.presenter.fill(version);
        }
        if self.checker.is_stale() && self.checker.keeps() {
            let version = Arc::new(self.current().await?);
            self.checker.fill(version);
        }
        let (presenter, presented_at) = self.presenter.held().ok_or("nothing was read")?;
        let checker = match self.checker.held() {
            Some((version, _)) => version,
            None => Arc::clone(&presenter),
        };
        Ok(Read {
            presenter,
            presented_at,
            checker,
        })
    }

    async fn current(&self) -> Result<StoredVersion, String> {
        self.store
            .get(&self.name, &Which::current())
            .await
            .map_err(|error| format!("reading AWSCURRENT of {}: {error}", self.name))
    }

    async fn current_id(&self) -> Result<String, String> {
        let description = self
            .store
            .describe(&self.name)
            .await
            .map_err(|error| format!("describing {}: {error}", self.name))?;
        description
            .holder(labels::CURRENT)
            .map(|version| version.id.to_string())
            .ok_or_else(|| format!("no version of {} is AWSCURRENT", self.name))
    }
}

/// The versions that an attempt is made with.
struct Read {
    presenter: Arc<StoredVersion>,
    presented_at: Instant,
    checker: Arc<StoredVersion>,
}

impl Read {
    fn presented(&self) -> &str {
        self.presenter.value.expose_secret()
    }

    fn checked(&self) -> &str {
        self.checker.value.expose_secret()
    }
}

#[cfg(test)]
mod tests;
