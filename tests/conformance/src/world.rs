//! One check's world: a secret in a store that forgets, the plugin under a grant that leads to gates, and the gates. It
//! keeps what every call said, so that the last checks can look through it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyturn_engine::{
    Credential, Engine, EngineOptions, Event, EventSink, Goal, Outcome as Ended, RandomIds,
    RunFailure,
};
use keyturn_runtime::{
    Call, CallError, Companion, CreateRequest, Created, EndpointSource, Finding, GrantedPlugin,
    Input, InputRequest, LimitsOverride, Manifest, OtherVersion, Outcome, Purpose, RetireRequest,
    RetirementPlan, Standing, Status, Strategy, TargetEffect, TlsMode, Verdict, Version,
};
use keyturn_store::memory::MemoryStore;
use keyturn_store::{NewSecret, SecretName, SecretStore, SystemClock, VersionId, Which};
use secrecy::{ExposeSecret, SecretString};

use crate::doors::Doors;
use crate::gate::{Gate, Manner, Wire};
use crate::kit::{Kit, Stop, in_doubt, lock};
use crate::stage::{Answers, Scene};
use crate::value;

const SECRET: &str = "conformance/secret";
/// Stands behind an endpoint whose nodes the grant alone could name, where nobody has named one (RFC 6761).
const PEER: &str = "peer.invalid:443";
const FIRST: &str = "keyturn-00000000-0000-4000-8000-000000000001";
/// What the engine's own tokens begin with.
const OWN: &str = "keyturn-";
const BUDGET: Duration = Duration::from_secs(30);
/// The grace of rotations under check, longer than tokens live; they end it themselves where they have to.
pub(crate) const GRACE_SECONDS: u64 = 30 * 86_400;
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);
const ATTEMPTS_MAX: u32 = 3;
/// How long a plugin may ask for patience.
const PATIENCE: Duration = Duration::from_secs(60);

/// A call's answer, with what it took to get it when the plugin asked for patience.
pub(crate) type Answer<T> = Result<T, CallError>;

pub(crate) struct World<'k> {
    pub(crate) kit: &'k Kit<'k>,
    pub(crate) scene: Scene,
    pub(crate) strategy: Strategy,
    pub(crate) wire: Arc<Wire>,
    pub(crate) gates: Vec<Gate>,
    granted: GrantedPlugin,
    companions: Vec<Companion>,
    store: Arc<MemoryStore>,
    /// Whether anybody is behind its gates.
    pub(crate) has_gated_target: bool,
    /// Every value that was made, in order: one of them opens the door when a check has stopped half-way.
    pub(crate) made: Mutex<Vec<Version>>,
    /// The versions whose secrets the kit knows.
    learnt: Mutex<BTreeSet<VersionId>>,
    /// What is answered to every question, once it is set.
    repeated: Mutex<Option<Answers>>,
    ids: AtomicUsize,
}

impl<'k> World<'k> {
    pub(crate) async fn raise(kit: &'k Kit<'k>) -> Result<Self, Stop> {
        let scene = kit.stage.scene().await.map_err(Stop::NotCovered)?;
        let has_target = kit.stage.has_target();
        Self::with(kit, scene, has_target, LimitsOverride::default()).await
    }

    /// One whose gates lead nowhere, in plaintext. There is a gate behind each endpoint.
    pub(crate) async fn raise_without_target(
        kit: &'k Kit<'k>,
        limits: LimitsOverride,
    ) -> Result<Self, Stop> {
        let mut scene = kit.stage.scene().await.map_err(Stop::NotCovered)?;
        scene.tls.mode = TlsMode::Disable;
        for (name, endpoint) in &kit.plugin.manifest().endpoints {
            // Signed requests go to a verified server alone, which no false peer is.
            let is_signed = endpoint.sign.is_some();
            if matches!(endpoint.from, EndpointSource::Grant) && !is_signed {
                let nodes = scene.endpoints.entry(name.clone());
                nodes.or_insert_with(|| vec![PEER.to_owned()]);
            }
        }
        Self::with(kit, scene, false, limits).await
    }

    async fn with(
        kit: &'k Kit<'k>,
        scene: Scene,
        has_target: bool,
        limits: LimitsOverride,
    ) -> Result<Self, Stop> {
        let strategy = kit.strategy(&scene)?;
        let manifest = kit.plugin.manifest();
        let mut scene = scene;
        scene.secret = value::with_companions(&scene.secret, &scene, manifest);
        kit.learn(&scene.secret);
        let companions = scene.companions.iter().map(|(name, text)| Companion {
            name: name.clone(),
            secret: value::companion_secret(name),
            version: version(&format!("{FIRST}-{name}"), text),
        });
        let companions = companions.collect();
        let doors = Doors::open(&scene, manifest, has_target).await?;
        doors.lead(&kit.routes);
        let grant = doors.grant(&scene, manifest, limits);
        let granted = kit
            .plugin
            .grant(grant)
            .map_err(|error| Stop::NotCovered(error.to_string()))?;
        let store = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
        let new = NewSecret {
            id: version_id(FIRST)?,
            value: scene.secret.clone().into(),
            description: None,
        };
        let created = store.create_secret(&secret()?, new).await;
        created.map_err(|error| Stop::NotCovered(error.to_string()))?;
        let world = Self {
            kit,
            strategy,
            wire: doors.wire,
            gates: doors.gates,
            granted,
            companions,
            store,
            has_gated_target: has_target,
            made: Mutex::default(),
            learnt: Mutex::default(),
            repeated: Mutex::default(),
            ids: AtomicUsize::new(2),
            scene,
        };
        for companion in &world.companions {
            kit.learn(companion.version.value.expose_secret());
            world.store_companion(companion).await?;
        }
        Ok(world)
    }

    async fn store_companion(&self, companion: &Companion) -> Result<(), Stop> {
        let new = NewSecret {
            id: version_id(FIRST)?,
            value: companion.version.value.clone(),
            description: None,
        };
        let name = SecretName::new(companion.secret.clone())
            .map_err(|error| Stop::NotCovered(error.to_string()))?;
        let created = self.store.create_secret(&name, new).await;
        created.map_err(|error| Stop::NotCovered(error.to_string()))
    }

    pub(crate) fn manifest(&self) -> &'k Manifest {
        self.kit.plugin.manifest()
    }

    /// Whether a rotation changes something outside of the secret.
    pub(crate) fn has_target(&self) -> bool {
        self.strategy.effect != TargetEffect::None
    }

    /// What AWSCURRENT holds.
    pub(crate) async fn current(&self) -> Result<Version, Stop> {
        let stored = self.labelled("AWSCURRENT").await;
        stored?.ok_or_else(|| Stop::Failed("no version is AWSCURRENT any more".into()))
    }

    pub(crate) async fn labelled(&self, label: &str) -> Result<Option<Version>, Stop> {
        let stored = self
            .store
            .get(&secret()?, &Which::Label(label.to_owned()))
            .await;
        Ok(stored.ok().map(|stored| Version {
            id: stored.id.to_string(),
            value: stored.value,
        }))
    }

    /// How many versions have a value.
    pub(crate) async fn versions(&self) -> Result<usize, Stop> {
        let described = self.store.describe(&secret()?).await;
        let described = described.map_err(|error| Stop::Failed(error.to_string()))?;
        Ok(described
            .versions
            .iter()
            .filter(|version| version.has_value)
            .count())
    }

    /// Announces an empty version under AWSPENDING, as AWS's service does, and with a token like its own.
    pub(crate) async fn reserve(&self) -> Result<keyturn_protocol::VersionId, Stop> {
        let id = self.fresh_id().replace(OWN, "");
        let reserved = self.store.reserve(&secret()?, &version_id(&id)?).await;
        reserved.map_err(|error| Stop::Failed(error.to_string()))?;
        Ok(keyturn_protocol::VersionId::new(id))
    }

    pub(crate) fn fresh_id(&self) -> String {
        let number = self.ids.fetch_add(1, Ordering::SeqCst);
        format!("{OWN}00000000-0000-4000-8000-{number:012}")
    }

    /// A call about this CURRENT, with older values that may open the door.
    pub(crate) fn call(&self, current: &Version, others: &[(Standing, &Version)]) -> Call {
        Call {
            secret: SECRET.to_owned(),
            credential: String::new(),
            environment: "test".to_owned(),
            rotation_id: "keyturn-conformance".to_owned(),
            attempt: 1,
            budget: BUDGET,
            strategy: self.strategy.name.clone(),
            current: current.clone(),
            others: others
                .iter()
                .map(|(standing, version)| OtherVersion {
                    standing: *standing,
                    version: (*version).clone(),
                })
                .collect(),
            companions: self.companions.clone(),
        }
    }

    /// A value for that purpose, with an operator's answers where the plugin asks for some.
    pub(crate) async fn create(
        &self,
        call: &Call,
        purpose: Purpose,
        overlap_seconds: u64,
        restore: Option<&Version>,
    ) -> Answer<Version> {
        let mut request = CreateRequest {
            purpose,
            inputs: Vec::new(),
            overlap_seconds,
            next_rotation: None,
            restore: restore.cloned(),
        };
        // It asks once.
        for _ in 0..2 {
            let created = self.kit.hear(self.granted.create(call, &request).await)?;
            match created {
                Created::Value(value) => {
                    self.kit.learn(value.expose_secret());
                    let id = self.fresh_id();
                    let made = Version { id, value };
                    lock(&self.made).push(made.clone());
                    return Ok(made);
                }
                Created::NeedsInput(asked) => match self.answers(&asked) {
                    Ok(inputs) => request.inputs = inputs,
                    Err(cause) => return Err(self.kit.own_error(cause)),
                },
            }
        }
        Err(self
            .kit
            .own_error("it asks again after it was answered".into()))
    }

    /// From now on one answer is given to every question: it is not what is looked at.
    pub(crate) async fn repeat_one_answer(&self) -> Result<(), Stop> {
        let call = self.call(&self.current().await?, &[]);
        let request = CreateRequest {
            purpose: Purpose::Replace,
            inputs: Vec::new(),
            overlap_seconds: GRACE_SECONDS,
            next_rotation: None,
            restore: None,
        };
        if let Ok(Created::NeedsInput(asked)) = self.granted.create(&call, &request).await {
            let answers = self.kit.stage.answers(&asked).map_err(Stop::NotCovered)?;
            *lock(&self.repeated) = Some(answers);
        }
        Ok(())
    }

    /// Why a rotation waits for an operator for good.
    pub(crate) fn unanswered(&self) -> Stop {
        Stop::not_covered("the plugin waits for an operator, and there is no (further) answer")
    }

    pub(crate) fn answers(&self, asked: &InputRequest) -> Result<Vec<Input>, String> {
        let repeated = lock(&self.repeated).clone();
        let answers = match repeated {
            Some(answers) => answers,
            None => self.kit.stage.answers(asked)?,
        };
        let inputs = answers.into_iter().map(|(name, value)| {
            self.kit.learn_text(&value);
            Input {
                name,
                value: value.into(),
            }
        });
        Ok(inputs.collect())
    }

    /// A new value from AWSCURRENT's.
    pub(crate) async fn candidate(&self) -> Result<Version, Stop> {
        let current = self.current().await?;
        let call = self.call(&current, &[]);
        let made = self
            .create(&call, Purpose::Replace, GRACE_SECONDS, None)
            .await;
        made.map_err(|error| self.kit.stop("`create`", &error))
    }

    pub(crate) async fn set(&self, call: &Call, candidate: &Version) -> Answer<Outcome> {
        self.patiently(async || self.granted.set(call, candidate).await)
            .await
    }

    pub(crate) async fn test(&self, call: &Call, candidate: &Version) -> Answer<Outcome> {
        self.patiently(async || self.granted.test(call, candidate).await)
            .await
    }

    /// The first answer, `pending` or not.
    pub(crate) async fn test_once(&self, call: &Call, candidate: &Version) -> Answer<Outcome> {
        self.kit.hear(self.granted.test(call, candidate).await)
    }

    pub(crate) async fn retire(&self, call: &Call, subject: &Version) -> Answer<Outcome> {
        let request = RetireRequest {
            subject: subject.clone(),
            end_sessions_older_than: None,
        };
        self.patiently(async || self.granted.retire(call, &request).await)
            .await
    }

    /// Again, as the engine does, where the plugin names a pause.
    pub(crate) async fn probe(&self, call: &Call, subject: &Version) -> Answer<Verdict> {
        for _ in 1..ATTEMPTS_MAX {
            let answer = self.kit.hear(self.granted.probe(call, subject).await);
            let pause_ms = answer.as_ref().err().and_then(|error| error.retry_after_ms);
            let Some(pause_ms) = pause_ms else {
                return answer;
            };
            tokio::time::sleep(Duration::from_millis(pause_ms).min(RETRY_PAUSE_MAX)).await;
        }
        self.kit.hear(self.granted.probe(call, subject).await)
    }

    pub(crate) async fn finish(&self, call: &Call, candidate: &Version) -> Answer<RetirementPlan> {
        self.kit.hear(self.granted.finish(call, candidate).await)
    }

    pub(crate) async fn usage(&self, call: &Call, subject: &Version) -> Answer<()> {
        self.kit
            .hear(self.granted.usage(call, subject).await)
            .map(drop)
    }

    pub(crate) async fn check(&self, call: &Call) -> Answer<Vec<Finding>> {
        self.kit.hear(self.granted.check(call).await)
    }

    pub(crate) fn limits(&self) -> &keyturn_runtime::Limits {
        self.granted.limits()
    }

    /// Calls again for as long as the plugin asks for patience, as the engine does.
    async fn patiently(&self, call: impl AsyncFn() -> Answer<Outcome>) -> Answer<Outcome> {
        let (began, mut is_later) = (Instant::now(), false);
        loop {
            let answer = self.kit.hear(call().await);
            let Ok(Outcome {
                status: Status::Pending { after_ms },
                ..
            }) = answer
            else {
                return answer.map_err(|error| if is_later { in_doubt(error) } else { error });
            };
            is_later = true;
            if began.elapsed() > PATIENCE {
                return Err(self.kit.own_error("it keeps asking for patience".into()));
            }
            tokio::time::sleep(Duration::from_millis(after_ms).min(RETRY_PAUSE_MAX)).await;
        }
    }

    /// A whole rotation by the engine. An operator's answers are brought where they are asked for.
    pub(crate) async fn rotate(&self, lead_ms: u64) -> Result<Ended, Box<RunFailure>> {
        let goal = || Goal::Rotate {
            now: true,
            lead_ms,
            unstick: false,
            anew: false,
        };
        let (ended, report) = self.run(goal(), None).await?;
        let (Ended::AwaitingInput, Some(asked)) = (&ended, &report.asks) else {
            return Ok(ended);
        };
        match self.answers(asked) {
            Ok(inputs) => Ok(self.run(goal(), Some(inputs)).await?.0),
            Err(_) => Ok(ended),
        }
    }

    pub(crate) async fn run(
        &self,
        goal: Goal,
        answers: Option<Vec<Input>>,
    ) -> Result<(Ended, keyturn_engine::Report), Box<RunFailure>> {
        let engine = Engine::new(EngineOptions {
            store: self.store.clone(),
            sink: Arc::new(Overheard(self.kit.overheard())),
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
            actor: "conformance".to_owned(),
        });
        let credential = self.credential();
        let ended = match answers {
            Some(answers) => engine.run_with(&credential, goal, answers).await,
            // The answers are there, so that nobody has to be kept from making one.
            None => engine.run_without_preflight(&credential, goal).await,
        };
        self.kit
            .learn_all(self.store.as_ref(), &credential.secret, &self.learnt)
            .await;
        ended
    }

    fn credential(&self) -> Credential {
        Credential {
            // The name is a constant that fits.
            secret: secret().unwrap_or_else(|_| unreachable!("{SECRET} is a name")),
            name: String::new(),
            environment: "test".to_owned(),
            plugin: self.granted.clone(),
            strategy: self.strategy.clone(),
            grace_seconds: Some(GRACE_SECONDS),
            lead_seconds: 0,
            rotate_after_days: None,
            beside: Vec::new(),
        }
    }

    /// Makes a value AWSCURRENT by hand: it has taken the place of the one before at the target.
    pub(crate) async fn adopt(&self, version: &Version) -> Result<(), Stop> {
        let (secret, id) = (secret()?, version_id(&version.id)?);
        let put = self
            .store
            .put(&secret, &id, &version.value, &["AWSCURRENT"])
            .await;
        put.map(drop)
            .map_err(|error| Stop::Failed(error.to_string()))
    }

    /// Everybody behaves like this.
    pub(crate) fn behave(&self, manner: Manner) {
        for gate in &self.gates {
            gate.behave(manner);
        }
    }

    pub(crate) async fn down(&self) {
        for gate in &self.gates {
            gate.down().await;
        }
    }
}

/// Hands the engine's events to the kit, which looks through them for secrets.
struct Overheard(crate::kit::Said);

impl EventSink for Overheard {
    fn record(&self, event: &Event) -> std::io::Result<()> {
        self.0.add(event);
        Ok(())
    }
}

pub(crate) fn version(id: &str, value: &str) -> Version {
    Version {
        id: id.to_owned(),
        value: SecretString::from(value),
    }
}

fn secret() -> Result<SecretName, Stop> {
    SecretName::new(SECRET).map_err(|error| Stop::NotCovered(error.to_string()))
}

fn version_id(id: &str) -> Result<VersionId, Stop> {
    VersionId::new(id).map_err(|error| Stop::NotCovered(error.to_string()))
}
