//! Runs the checks: loads the plugin, gives each check a world, and keeps what was said on the way.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keyturn_engine::RunFailure;
use keyturn_runtime::{
    Applied, CallError, ErrorKind, LogRecord, LogSink, Origin, Plugin, PluginSource, Runtime,
    RuntimeOptions, Strategy,
};
use keyturn_store::{SecretName, SecretStore, VersionId, Which};
use secrecy::ExposeSecret;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::catalogue::{CHECKS, Check, LAST};
use crate::checks;
use crate::doors::Routes;
use crate::report::{Entry, Report, Ruling};
use crate::stage::{Scene, Stage};
use crate::value;
use crate::watch::Watch;

/// Why a check does not pass.
#[derive(Debug)]
pub(crate) enum Stop {
    Failed(String),
    NotApplicable(String),
    NotCovered(String),
}

impl Stop {
    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::Failed(what.into())
    }

    pub(crate) fn not_applicable(why: impl Into<String>) -> Self {
        Self::NotApplicable(why.into())
    }

    pub(crate) fn not_covered(why: impl Into<String>) -> Self {
        Self::NotCovered(why.into())
    }
}

pub(crate) type Checked = Result<(), Stop>;

/// Far more than any sensible plugin needs for one check.
const CHECK_TIME_MAX: Duration = Duration::from_secs(900);
/// More than that is not kept of what was said.
const SAID_BYTES_MAX: usize = 64 << 20;

/// Checks a plugin. `label` names it where it has no name of its own; `stage` brings what it is checked with; `tell` is
/// told of each check as soon as it is over.
pub async fn check(
    label: &str,
    wasm: Vec<u8>,
    stage: &dyn Stage,
    tell: &mut dyn FnMut(&Entry),
) -> Report {
    let (watch, said) = (Arc::new(Watch::default()), Said::default());
    let routes = Arc::new(Routes::default());
    let mut options = RuntimeOptions {
        log: Arc::new(said.clone()),
        resolver: routes.clone(),
        watch: Some(watch.clone()),
        ..RuntimeOptions::default()
    };
    if let Some(identity) = stage.identity() {
        options.identity = identity;
    }
    let runtime = Runtime::new(options);
    let (began, bytes) = (Instant::now(), wasm.len());
    let source = PluginSource::Bytes {
        name: label.to_owned(),
        wasm,
    };
    let loaded = match &runtime {
        Ok(runtime) => runtime.load(source).await,
        Err(error) => {
            return nothing_loaded(label, None, &error.to_string(), began, tell);
        }
    };
    let plugin = match loaded {
        Ok(plugin) => plugin,
        Err(error) => {
            let id = checks::file::broken(&error);
            return nothing_loaded(label, Some(id), &error.to_string(), began, tell);
        }
    };
    let kit = Kit {
        stage,
        plugin,
        bytes,
        watch,
        routes,
        said,
        secrets: Mutex::default(),
        opens: OnceCell::new(),
        first: stage.scene().await.ok().map(|scene| scene.secret),
    };
    kit.run(tell).await
}

/// A file that is refused fails the one check that it is refused for; the others cannot be run.
fn nothing_loaded(
    label: &str,
    broken: Option<&str>,
    why: &str,
    began: Instant,
    tell: &mut dyn FnMut(&Entry),
) -> Report {
    let entries = CHECKS.iter().map(|check| {
        let ruling = match broken {
            Some(broken) if broken == check.id => Ruling::Failed(why.to_owned()),
            Some(_) => Ruling::NotCovered("the plugin cannot be loaded".into()),
            None => Ruling::NotCovered(why.to_owned()),
        };
        Entry::new(check, ruling, milliseconds(began))
    });
    // What failed says it all; forty times that nothing was checked would hide it.
    let entries = entries.inspect(|entry| {
        if broken.is_none() || matches!(entry.ruling, Ruling::Failed(_)) {
            tell(entry);
        }
    });
    let entries: Vec<_> = entries.collect();
    Report::new(label.to_owned(), String::new(), String::new(), entries)
}

fn milliseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What all checks share.
pub(crate) struct Kit<'a> {
    pub(crate) stage: &'a dyn Stage,
    pub(crate) plugin: Plugin,
    /// The component's size.
    pub(crate) bytes: usize,
    pub(crate) watch: Arc<Watch>,
    pub(crate) routes: Arc<Routes>,
    said: Said,
    /// Every secret text that a value had.
    secrets: Mutex<BTreeSet<String>>,
    /// What the stage began with.
    first: Option<String>,
    /// Whether the first value opens the target; if not, nobody can say anything about the plugin there.
    pub(crate) opens: OnceCell<Result<(), String>>,
}

impl Kit<'_> {
    /// Every check, in the catalogue's order but for the last.
    async fn run(&self, tell: &mut dyn FnMut(&Entry)) -> Report {
        let mut entries = Vec::new();
        for check in CHECKS.iter().filter(|check| check.id != LAST) {
            entries.push(self.enter(check, tell).await);
        }
        checks::put_back(self).await;
        for check in CHECKS.iter().filter(|check| check.id == LAST) {
            entries.push(self.enter(check, tell).await);
        }
        entries.sort_by_key(|entry| entry.number);
        let strategy = match self.stage.scene().await {
            Ok(scene) => self
                .strategy(&scene)
                .map_or(String::new(), |strategy| strategy.name),
            Err(_) => String::new(),
        };
        let known = self.plugin.descriptor().strategies.iter();
        let mut others: Vec<_> = known.map(|other| other.name.clone()).collect();
        others.retain(|other| *other != strategy);
        let name = self.plugin.manifest().name.clone();
        let sha256 = self.plugin.sha256().to_owned();
        let mut report = Report::new(name, sha256, strategy, entries);
        report.other_strategies = others;
        report
    }

    async fn enter(&self, check: &Check, tell: &mut dyn FnMut(&Entry)) -> Entry {
        let began = Instant::now();
        let ruling = self.rule(check.id).await;
        let entry = Entry::new(check, ruling, milliseconds(began));
        tell(&entry);
        entry
    }

    async fn rule(&self, id: &str) -> Ruling {
        if self.stage.leaves_out(id) {
            return Ruling::NotCovered("it is left out".into());
        }
        let checked = timeout(CHECK_TIME_MAX, checks::run(self, id)).await;
        self.watch.disarm();
        match checked {
            Ok(Ok(())) => Ruling::Passed,
            Ok(Err(Stop::Failed(why))) => Ruling::Failed(self.without_secrets(&why)),
            Ok(Err(Stop::NotApplicable(why))) => Ruling::NotApplicable(why),
            Ok(Err(Stop::NotCovered(why))) => Ruling::NotCovered(self.without_secrets(&why)),
            Err(_) => Ruling::Failed(format!("it is not over after {CHECK_TIME_MAX:?}")),
        }
    }

    pub(crate) fn strategy(&self, scene: &Scene) -> Result<Strategy, Stop> {
        let descriptor = self.plugin.descriptor();
        let found = match &scene.strategy {
            Some(name) => descriptor.strategy(name),
            None => descriptor.strategies.first(),
        };
        found
            .cloned()
            .ok_or_else(|| Stop::not_covered("the plugin has no strategy of that name"))
    }

    pub(crate) fn first(&self) -> Option<String> {
        self.first.clone()
    }

    /// Keeps what a call said.
    pub(crate) fn hear<T: Debug>(&self, answer: Result<T, CallError>) -> Result<T, CallError> {
        self.said.add(&answer);
        answer
    }

    pub(crate) fn overheard(&self) -> Said {
        self.said.clone()
    }

    /// Everything that was said so far.
    pub(crate) fn all_said(&self) -> String {
        lock(&self.said.0).text.clone()
    }

    /// From now on values are malformed, or not any more.
    pub(crate) fn hear_malformed(&self, on: bool) {
        lock(&self.said.0).is_malformed = on;
    }

    /// Remembers the secrets of a value.
    pub(crate) fn learn(&self, value: &str) {
        let found = value::secrets(value, self.plugin.manifest());
        lock(&self.secrets).extend(found);
    }

    pub(crate) fn learn_text(&self, text: &str) {
        if text.len() >= value::SECRET_BYTES_MIN {
            lock(&self.secrets).insert(text.to_owned());
        }
    }

    /// The secrets that a run has made. What a version holds stays, so each is looked at once.
    pub(crate) async fn learn_all(
        &self,
        store: &dyn SecretStore,
        secret: &SecretName,
        learnt: &Mutex<BTreeSet<VersionId>>,
    ) {
        let Ok(described) = store.describe(secret).await else {
            return;
        };
        let versions = described.versions.into_iter();
        for version in versions.filter(|version| version.has_value) {
            if lock(learnt).insert(version.id.clone())
                && let Ok(stored) = store.get(secret, &Which::Id(version.id)).await
            {
                self.learn(stored.value.expose_secret());
            }
        }
    }

    pub(crate) fn secrets(&self) -> BTreeSet<String> {
        lock(&self.secrets).clone()
    }

    /// A text of the report, which may go anywhere.
    fn without_secrets(&self, text: &str) -> String {
        let mut secrets: Vec<_> = self.secrets().into_iter().collect();
        // One may be the beginning of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let hide = |text: String, secret: &String| text.replace(secret, "[secret]");
        secrets.iter().fold(text.to_owned(), hide)
    }

    /// What the kit itself has to say instead of an answer.
    pub(crate) fn own_error(&self, cause: String) -> CallError {
        CallError {
            kind: ErrorKind::Other,
            applied: Applied::No,
            retryable: false,
            retry_after_ms: None,
            code: Some(OWN.to_owned()),
            message: cause,
            details: Vec::new(),
            origin: Origin::Host,
        }
    }

    /// A call that had to succeed for a check to go on.
    pub(crate) fn stop(&self, call: &str, error: &CallError) -> Stop {
        // The kit has no answer for the plugin, or its grant does not lead where the value does.
        let is_own = error.code.as_deref() == Some(OWN)
            || error.origin == Origin::Host && error.kind == ErrorKind::Denied;
        // What the sample may do at the target, and how that was started, is not the plugin's fault either.
        let is_the_stages =
            [ErrorKind::Permission, ErrorKind::InvalidSettings].contains(&error.kind);
        if is_own || is_the_stages {
            return Stop::NotCovered(format!(
                "{call} needs more than it was given: {}",
                error.message
            ));
        }
        Stop::Failed(format!("{call} failed ({}): {}", error.kind, error.message))
    }

    /// The same of a run.
    pub(crate) fn stop_of(&self, run: &str, failure: &RunFailure) -> Stop {
        let kind = failure
            .problem
            .as_ref()
            .map(|problem| problem.kind.as_str());
        if matches!(kind, Some("permission" | "invalid-settings")) {
            return Stop::NotCovered(format!("{run} needs more than it was given: {failure}"));
        }
        Stop::Failed(format!("{run} failed: {failure}"))
    }
}

const OWN: &str = "conformance";

/// What was pending before may have been applied, whatever a later call says of itself.
pub(crate) fn in_doubt(error: CallError) -> CallError {
    let applied = match error.applied {
        Applied::No => Applied::Unknown,
        applied => applied,
    };
    CallError { applied, ..error }
}

/// What was said, in the order in which it was.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    text: String,
    is_malformed: bool,
}

impl Said {
    /// As `Debug` shows it: whoever logs an answer logs that.
    pub(crate) fn add(&self, what: &impl Debug) {
        let said = &mut *lock(&self.0);
        let text = format!("{what:?}\n");
        if said.is_malformed {
            // What the host hides there may be the name of a member that stood where a value should.
            said.text.push_str(&text.replace("[secret]", "[hidden]"));
        } else {
            said.text.push_str(&text);
        }
        if said.text.len() > SAID_BYTES_MAX {
            let mut half = SAID_BYTES_MAX / 2;
            while !said.text.is_char_boundary(half) {
                half += 1;
            }
            said.text.drain(..half);
        }
    }
}

impl LogSink for Said {
    fn write(&self, record: LogRecord) {
        self.add(&record);
    }
}

/// What is behind the lock is whole after a panic, too.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
