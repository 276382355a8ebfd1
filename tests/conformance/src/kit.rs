//! Runs the checks: loads the plugin, gives each check a world, and keeps what was said on the way.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use keyturn_runtime::{
    CallError, ErrorKind, LogRecord, LogSink, Origin, Plugin, PluginSource, Runtime,
    RuntimeOptions, Strategy,
};
use keyturn_store::{SecretName, SecretStore, Which};
use secrecy::ExposeSecret;

use crate::catalogue::{self, CHECKS};
use crate::checks;
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

/// Checks a plugin. `label` names it where it has no name of its own; `stage` brings what it is checked with; `tell` is
/// told of each check as soon as it is over.
pub async fn check(
    label: &str,
    wasm: Vec<u8>,
    stage: &dyn Stage,
    tell: &mut dyn FnMut(&Entry),
) -> Report {
    let (watch, said) = (Arc::new(Watch::default()), Said::default());
    let runtime = Runtime::new(RuntimeOptions {
        log: Arc::new(said.clone()),
        watch: Some(watch.clone()),
        ..RuntimeOptions::default()
    });
    let began = Instant::now();
    let source = PluginSource::Bytes {
        name: label.to_owned(),
        wasm: wasm.clone(),
    };
    let loaded = match &runtime {
        Ok(runtime) => runtime.load(source).await,
        Err(error) => {
            return nothing_loaded(label, "component", &error.to_string(), began, tell);
        }
    };
    let plugin = match loaded {
        Ok(plugin) => plugin,
        Err(error) => {
            let id = checks::file::broken(&error);
            return nothing_loaded(label, id, &error.to_string(), began, tell);
        }
    };
    let kit = Kit {
        stage,
        plugin,
        wasm,
        watch,
        said,
        secrets: Mutex::default(),
    };
    let mut entries = Vec::new();
    for check in CHECKS {
        let began = Instant::now();
        let ruling = match checks::run(&kit, check.id).await {
            Ok(()) => Ruling::Passed,
            Err(Stop::Failed(why)) => Ruling::Failed(kit.without_secrets(&why)),
            Err(Stop::NotApplicable(why)) => Ruling::NotApplicable(why),
            Err(Stop::NotCovered(why)) => Ruling::NotCovered(kit.without_secrets(&why)),
        };
        kit.watch.disarm();
        let entry = Entry::new(check, ruling, milliseconds(began));
        tell(&entry);
        entries.push(entry);
    }
    let strategy = match kit.stage.scene().await {
        Ok(scene) => kit
            .strategy(&scene)
            .map_or(String::new(), |strategy| strategy.name),
        Err(_) => String::new(),
    };
    let name = kit.plugin.manifest().name.clone();
    Report::new(name, kit.plugin.sha256().to_owned(), strategy, entries)
}

/// A file that is refused fails the one check that it is refused for; the others cannot be run.
fn nothing_loaded(
    label: &str,
    id: &str,
    why: &str,
    began: Instant,
    tell: &mut dyn FnMut(&Entry),
) -> Report {
    let broken = catalogue::by_id(id);
    let entries = CHECKS.iter().map(|check| {
        let ruling = match broken {
            Some(broken) if broken.number == check.number => Ruling::Failed(why.to_owned()),
            Some(broken) if broken.number > check.number => Ruling::Passed,
            _ => Ruling::NotCovered("the plugin cannot be loaded".into()),
        };
        Entry::new(check, ruling, milliseconds(began))
    });
    let entries: Vec<_> = entries.inspect(|entry| tell(entry)).collect();
    Report::new(label.to_owned(), String::new(), String::new(), entries)
}

fn milliseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What all checks share.
pub(crate) struct Kit<'a> {
    pub(crate) stage: &'a dyn Stage,
    pub(crate) plugin: Plugin,
    pub(crate) wasm: Vec<u8>,
    pub(crate) watch: Arc<Watch>,
    said: Said,
    /// Every secret text that a value had.
    secrets: Mutex<BTreeSet<String>>,
}

impl Kit<'_> {
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
        lock(&self.said.0).clone()
    }

    /// Remembers the secrets of a value.
    pub(crate) fn learn(&self, value: &str) {
        let found = value::secrets(value, self.plugin.manifest());
        lock(&self.secrets).extend(found.into_values());
    }

    pub(crate) fn learn_text(&self, text: &str) {
        if text.len() >= value::SECRET_BYTES_MIN {
            lock(&self.secrets).insert(text.to_owned());
        }
    }

    /// The secrets that a run has made.
    pub(crate) async fn learn_all(&self, store: &dyn SecretStore, secret: &SecretName) {
        let Ok(described) = store.describe(secret).await else {
            return;
        };
        for version in described.versions {
            if let Ok(stored) = store.get(secret, &Which::Id(version.id)).await {
                self.learn(stored.value.expose_secret());
            }
        }
    }

    pub(crate) fn secrets(&self) -> BTreeSet<String> {
        lock(&self.secrets).clone()
    }

    /// A text of the report, which may go anywhere.
    fn without_secrets(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.secrets() {
            text = text.replace(&secret, "[secret]");
        }
        text
    }

    /// An operator's answer that nobody has.
    pub(crate) fn unanswered(&self, cause: String) -> CallError {
        CallError {
            kind: ErrorKind::Other,
            applied: keyturn_runtime::Applied::No,
            retryable: false,
            retry_after_ms: None,
            code: Some(UNANSWERED.to_owned()),
            message: cause,
            details: Vec::new(),
            origin: Origin::Host,
        }
    }

    /// A call that had to succeed for a check to go on.
    pub(crate) fn stop(&self, call: &str, error: &CallError) -> Stop {
        if error.code.as_deref() == Some(UNANSWERED) {
            return Stop::NotCovered(error.message.clone());
        }
        Stop::Failed(format!("{call} failed ({}): {}", error.kind, error.message))
    }
}

const UNANSWERED: &str = "conformance-unanswered";

/// What was said, in the order in which it was.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<String>>);

impl Said {
    /// As `Debug` shows it: whoever logs an answer logs that.
    pub(crate) fn add(&self, what: &impl Debug) {
        let mut said = lock(&self.0);
        said.push_str(&format!("{what:?}\n"));
    }
}

impl LogSink for Said {
    fn write(&self, record: LogRecord) {
        self.add(&record);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
