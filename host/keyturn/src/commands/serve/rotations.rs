//! RotateSecret, carried out by the engine as AWS's service does it: a version is announced under the client's token,
//! then the four steps are invoked on it, and all of them again a few times if one fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use async_trait::async_trait;
use keyturn_engine::{
    Credential, Engine, EngineOptions, EventSink, Goal, NextAction, RandomIds, RunFailure, Step,
    VersionIds,
};
use keyturn_server::{Admitted, RotateError, Rotator};
use keyturn_store::{
    SecretName, SecretStore, SystemClock, VersionId, embedded::EmbeddedStore, labels,
    service::SecretRecord,
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
    time::{sleep, timeout},
};

use super::trail::actor;
use crate::{
    cli::Global,
    session::{Record, Session},
};

/// Each waits for its target more than it works.
const ROTATIONS_MAX: u32 = 32;
/// Calls of plugins at once; each has its place in memory from the start.
pub(super) const CALLS_AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);
/// How often a rotation is attempted, and how long after a failure.
const PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];
const STEPS: [Step; 4] = [Step::Create, Step::Set, Step::Test, Step::Finish];

pub(super) struct Rotations {
    store: Arc<EmbeddedStore>,
    sink: Arc<dyn EventSink>,
    /// The credentials of each secret.
    credentials: BTreeMap<SecretName, Vec<Credential>>,
    places: Arc<Semaphore>,
    under_way: Arc<Mutex<BTreeSet<SecretName>>>,
}

impl Rotations {
    pub(super) async fn new(
        global: &Global,
        session: &Session,
        store: &Arc<EmbeddedStore>,
    ) -> Result<Self> {
        let (sink, opened) = if session.config.credentials().is_empty() {
            // A store may be served without anything being rotated.
            (session.sink(global, Record::Trail)?, Vec::new())
        } else {
            let (sink, opened, _) = session
                .credentials(global, &[], Record::Trail, CALLS_AT_ONCE)
                .await?;
            (sink, opened)
        };
        let mut credentials: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for credential in opened {
            let name = credential.secret.clone();
            credentials.entry(name).or_default().push(credential);
        }
        Ok(Self {
            store: Arc::clone(store),
            sink,
            credentials,
            places: Arc::new(Semaphore::new(ROTATIONS_MAX as usize)),
            under_way: Arc::default(),
        })
    }

    /// Waits until no rotation is under way, for so long at the most; answers whether that is so.
    pub(super) async fn rest(&self, patience: Duration) -> bool {
        timeout(patience, self.places.acquire_many(ROTATIONS_MAX))
            .await
            .is_ok()
    }

    /// Goes on with what a stop or a crash has cut off, as AWS's service does without being asked. What a client has
    /// put under AWSPENDING itself is left to the client.
    pub(super) async fn resume(&self) {
        for name in self.credentials.keys() {
            let Ok(record) = self.store.record(name).await else {
                continue;
            };
            if let Some(pending) = cut_off(&record)
                && let Ok(admitted) = self.admit(name)
            {
                admitted.begin(pending, "");
            }
        }
    }

    fn credential(&self, name: &SecretName) -> Result<&Credential, RotateError> {
        let credentials = self.credentials.get(name).map(Vec::as_slice);
        match credentials.unwrap_or_default() {
            [] => Err(RotateError::NotConfigured),
            [one] if one.strategy.needs_operator => Err(RotateError::Refused(format!(
                "The new value of this secret has to come from an operator, by `keyturn assist {name}` at the server."
            ))),
            [one] => Ok(one),
            several => {
                let names: Vec<_> = several.iter().map(Credential::display_name).collect();
                Err(RotateError::Refused(format!(
                    "This secret holds several credentials. Rotate one of them by `keyturn rotate` at the server: {}.",
                    names.join(", ")
                )))
            }
        }
    }

    fn enter(&self, name: &SecretName) -> Result<Place, RotateError> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let _place = place.map_err(|_| RotateError::Busy)?;
        let mut names = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !names.insert(name.clone()) {
            return Err(RotateError::UnderWay);
        }
        Ok(Place {
            name: name.clone(),
            under_way: Arc::clone(&self.under_way),
            _place,
        })
    }
}

/// The version that RotateSecret has announced and whose steps have not ended.
fn cut_off(record: &SecretRecord) -> Option<&VersionId> {
    let described = &record.description;
    let pending = described.holder(labels::PENDING)?;
    let carries = |label: &str| pending.labels.iter().any(|held| held == label);
    let is_begun = !pending.has_value || carries("KEYTURN_INDOUBT");
    let is_own = pending.id.as_str().starts_with("keyturn-");
    let is_on = record
        .rotation
        .as_ref()
        .is_some_and(|rotation| rotation.settings.enabled);
    (is_begun && is_on && !is_own && !carries(labels::CURRENT)).then_some(&pending.id)
}

impl Rotator for Rotations {
    fn admit(&self, name: &SecretName) -> Result<Box<dyn Admitted>, RotateError> {
        Ok(Box::new(Rotation {
            credential: self.credential(name)?.clone(),
            store: Arc::clone(&self.store),
            sink: Arc::clone(&self.sink),
            _place: self.enter(name)?,
        }))
    }
}

/// A place among the rotations; given back however its rotation ends.
struct Place {
    name: SecretName,
    under_way: Arc<Mutex<BTreeSet<SecretName>>>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut names = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        names.remove(&self.name);
    }
}

struct Rotation {
    credential: Credential,
    store: Arc<EmbeddedStore>,
    sink: Arc<dyn EventSink>,
    _place: Place,
}

#[async_trait]
impl Admitted for Rotation {
    fn is_announced(&self) -> bool {
        // A lead takes two rounds, neither of which may show AWSPENDING.
        self.credential.lead_seconds == 0
    }

    fn begin(self: Box<Self>, token: &VersionId, key: &str) {
        let (token, key, handle) = (token.clone(), key.to_owned(), Handle::current());
        // A thread of its own: what an engine holds stays on one.
        task::spawn_blocking(move || {
            handle.block_on(async {
                let work = self.work(&token, &key).await;
                if let Err(failure) = work.carry_out(&self.credential, &token).await {
                    super::say_failed(&failure);
                    self.withdraw(&token).await;
                }
            });
        });
    }

    async fn check(self: Box<Self>, token: &VersionId, key: &str) -> Result<(), RotateError> {
        let engine = self.engine(key, Arc::new(RandomIds));
        let (token, handle) = (token.clone(), Handle::current());
        let checked = task::spawn_blocking(move || {
            handle.block_on(async {
                let checked = engine.run(&self.credential, step(Step::Test, &token)).await;
                self.withdraw(&token).await;
                checked
            })
        });
        match checked.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(failure)) => Err(RotateError::Refused(failure.to_string())),
            Err(_) => Err(RotateError::Refused(
                "The check was interrupted by a fault of the server. Please report it.".to_owned(),
            )),
        }
    }
}

impl Rotation {
    async fn work(&self, token: &VersionId, key: &str) -> Work {
        if self.is_announced() {
            return Work::Steps(self.engine(key, Arc::new(RandomIds)));
        }
        let described = self.store.describe(&self.credential.secret).await;
        // One that goes on has made that version already, and would be refused its id for the next.
        let is_made = described.is_ok_and(|secret| secret.version(token).is_some());
        let ids: Arc<dyn VersionIds> = if is_made {
            Arc::new(RandomIds)
        } else {
            Arc::new(TokenSecond::new(token))
        };
        Work::Rounds(self.engine(key, ids))
    }

    fn engine(&self, key: &str, ids: Arc<dyn VersionIds>) -> Engine {
        Engine::new(EngineOptions {
            store: Arc::clone(&self.store) as Arc<dyn SecretStore>,
            sink: Arc::clone(&self.sink),
            clock: Arc::new(SystemClock),
            ids,
            actor: actor(key),
        })
    }

    /// Takes back a version that got no value, so that the next rotation begins afresh. The store refuses to with one
    /// that has a value: the next rotation continues there.
    async fn withdraw(&self, token: &VersionId) {
        // If it fails, the next rotation continues with this version.
        let _ = self.store.withdraw(&self.credential.secret, token).await;
    }
}

enum Work {
    /// As AWS's service invokes a rotation function.
    Steps(Engine),
    /// As `keyturn rotate` does it.
    Rounds(Engine),
}

impl Work {
    async fn carry_out(
        &self,
        credential: &Credential,
        token: &VersionId,
    ) -> Result<(), Box<RunFailure>> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let failure = match self.attempt(credential, token).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            match (failure.failure.next, pauses.next()) {
                (NextAction::Retry, Some(pause)) => sleep(pause).await,
                _ => return Err(failure),
            }
        }
    }

    async fn attempt(
        &self,
        credential: &Credential,
        token: &VersionId,
    ) -> Result<(), Box<RunFailure>> {
        match self {
            Self::Rounds(engine) => {
                let goal = Goal::Rotate {
                    now: false,
                    lead_ms: credential.lead_seconds.saturating_mul(1000),
                    unstick: false,
                    anew: false,
                };
                engine.run(credential, goal).await.map(drop)
            }
            Self::Steps(engine) => {
                for each in STEPS {
                    engine.run(credential, step(each, token)).await?;
                }
                Ok(())
            }
        }
    }
}

fn step(step: Step, token: &VersionId) -> Goal {
    let token = keyturn_engine::VersionId::new(token.as_str());
    Goal::Step { step, token }
}

/// The first id that an engine asks for names its run, the second one its first version.
struct TokenSecond(Mutex<(u8, String)>);

impl TokenSecond {
    fn new(token: &VersionId) -> Self {
        Self(Mutex::new((0, token.to_string())))
    }
}

impl VersionIds for TokenSecond {
    fn fresh(&self) -> String {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.0 = asked.0.saturating_add(1);
        if asked.0 == 2 {
            asked.1.clone()
        } else {
            RandomIds.fresh()
        }
    }
}
