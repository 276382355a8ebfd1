//! What most commands need: the configuration, the open store, the plugins, the engine with its
//! sinks. Opened on demand, so that a command touches only what it uses.

use std::{num::NonZeroU32, path::PathBuf, sync::Arc, time::Instant};

use anyhow::Result;
use keyturn_config::{Config, CredentialConfig};
use keyturn_engine::{Credential, Engine, EngineOptions, Event, EventSink, RandomIds, What};
use keyturn_store::{Clock, SecretName, SecretStore, SystemClock, embedded::EmbeddedStore};

use crate::{
    cli::Global,
    credential::configured,
    exit::{self, Code, Failure},
    opened::Opened,
    plugins::Plugins,
    sinks::{AuditLog, Fanout, PluginLog, Progress},
};

/// What a command leaves behind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    /// It changes nothing, so there is nothing to write down.
    Nothing,
    /// The audit trail alone: nobody looks on.
    Trail,
    /// The audit trail, and progress for people.
    Everything,
}

pub(crate) struct Session {
    pub(crate) config: Config,
    pub(crate) store: Arc<dyn SecretStore>,
    opened: Opened,
    audit_path: PathBuf,
}

impl Session {
    /// Reads the configuration and opens the store.
    pub(crate) async fn open(global: &Global) -> Result<Self> {
        let config = Config::read(&global.config).map_err(refuse)?;
        let store = config.store(global.store.map(Into::into)).map_err(refuse)?;
        let opened = Opened::open(store).await?;
        let audit_path = config.audit_path(store);
        Ok(Self {
            store: opened.store(),
            config,
            opened,
            audit_path,
        })
    }

    /// The store, where it has to be the embedded one.
    pub(crate) fn embedded(&self) -> Result<&Arc<EmbeddedStore>, Failure> {
        match &self.opened {
            Opened::Embedded(store) => Ok(store),
            Opened::Aws(_) => Err(refuse(
                "this command works on an embedded store; AWS does it itself",
            )),
        }
    }

    /// The engine, the configured credentials among `names` (all if there are none) in order, and whether
    /// any of them was refused; that has been said.
    pub(crate) async fn engine(
        &self,
        global: &Global,
        names: &[String],
        record: Record,
    ) -> Result<(Engine, Vec<Credential>, Code)> {
        // One run after the other, and no call beside another.
        let (sink, opened, refused) = self
            .credentials(global, names, record, NonZeroU32::MIN)
            .await?;
        let engine = Engine::new(EngineOptions {
            store: Arc::clone(&self.store),
            sink,
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
            actor: actor(),
        });
        Ok((engine, opened, refused))
    }

    /// Where their events go, the credentials as for [`engine`](Self::engine), and whether any was refused.
    pub(crate) async fn credentials(
        &self,
        global: &Global,
        names: &[String],
        record: Record,
        calls_at_once: NonZeroU32,
    ) -> Result<(Arc<dyn EventSink>, Vec<Credential>, Code)> {
        let sink = self.sink(global, record)?;
        let plugins = self.plugins(global, &sink, calls_at_once)?;
        if let Some((name, problem)) = plugins.idle_table()? {
            return Err(refuse(self.config.plugin_table_error(name, problem)).into());
        }
        let mut opened = Vec::new();
        let mut refused = Code::Done;
        for config in self.select(names)? {
            match configured(&self.config, &plugins, config).await {
                Ok(credential) => opened.push(credential),
                // One that is configured wrongly does not keep the others waiting.
                Err(error) => {
                    exit::report(&error.into(), global.json);
                    refused = Code::Configuration;
                }
            }
        }
        Ok((sink, opened, refused))
    }

    /// The configured credentials of a secret, without a word about those that cannot be had: for what is done by hand,
    /// whatever the configuration says.
    pub(crate) async fn credentials_of(&self, global: &Global, secret: &str) -> Vec<Credential> {
        let nobody: Arc<dyn EventSink> = Arc::new(Fanout(Vec::new()));
        let mut opened = Vec::new();
        if let Ok(plugins) = self.plugins(global, &nobody, NonZeroU32::MIN) {
            let tables = self.config.credentials().iter();
            for config in tables.filter(|config| config.secret() == secret) {
                opened.extend(configured(&self.config, &plugins, config).await);
            }
        }
        opened
    }

    fn plugins(
        &self,
        global: &Global,
        sink: &Arc<dyn EventSink>,
        calls_at_once: NonZeroU32,
    ) -> Result<Plugins<'_>> {
        let log = PluginLog {
            sink: Arc::clone(sink),
            actor: actor(),
        };
        Plugins::new(
            global.plugin_dir.clone(),
            Arc::new(log),
            &self.config.plugins,
            calls_at_once,
        )
    }

    /// Leaves one file behind. Without it nothing is lost, SQLite's log stays beside the store.
    pub(crate) async fn close(&self) {
        if let Opened::Embedded(store) = &self.opened {
            store.close().await;
        }
    }

    /// Does something by hand between an intent and an outcome in the audit trail, like an effect of a
    /// run.
    ///
    /// # Errors
    /// Its own, and those of the audit trail: without the intent on record it is not done.
    pub(crate) async fn by_hand<T>(
        &self,
        secret: &SecretName,
        effect: &str,
        version: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let audit = self.audit()?;
        let record = |what| {
            audit.record(&Event {
                at_ms: SystemClock.now_ms(),
                secret: secret.to_string(),
                credential: String::new(),
                rotation_id: String::new(),
                actor: actor(),
                what,
            })
        };
        let (effect, version) = (effect.to_owned(), version.to_owned());
        record(What::Intent {
            effect: effect.clone(),
            version: version.clone(),
            rule: None,
        })
        .map_err(|error| self.no_audit(&error))?;
        let began = Instant::now();
        let worked = work.await;
        let result = if worked.is_ok() { "done" } else { "failed" };
        // It has happened; a trail that is full by now cannot undo it.
        let _ = record(What::Outcome {
            effect,
            version,
            step: None,
            duration_ms: began.elapsed().as_secs_f64() * 1000.0,
            result: result.to_owned(),
            problem: None,
        });
        worked
    }

    pub(crate) fn audit(&self) -> Result<AuditLog> {
        AuditLog::open(&self.audit_path).map_err(|error| self.no_audit(&error).into())
    }

    fn no_audit(&self, error: &std::io::Error) -> Failure {
        refuse(format!(
            "the audit trail {} cannot be written: {error}; nothing was changed",
            self.audit_path.display()
        ))
    }

    pub(crate) fn sink(&self, global: &Global, record: Record) -> Result<Arc<dyn EventSink>> {
        let mut sinks: Vec<Box<dyn EventSink>> = Vec::new();
        if record != Record::Nothing {
            sinks.push(Box::new(self.audit()?));
        }
        if record == Record::Everything && !global.json {
            sinks.push(Box::new(Progress::new()));
        }
        Ok(Arc::new(Fanout(sinks)))
    }

    fn select(&self, names: &[String]) -> Result<Vec<&CredentialConfig>> {
        if names.is_empty() {
            if self.config.credentials().is_empty() {
                // Monitoring must not take a wrong file for a healthy one.
                return Err(
                    refuse("no secret is configured: add a table [secret.\"NAME\"]").into(),
                );
            }
            return Ok(self.config.credentials().iter().collect());
        }
        let mut selected: Vec<&CredentialConfig> = Vec::new();
        for name in names {
            for config in self.config.select(name).map_err(refuse)? {
                if !selected.iter().any(|known| std::ptr::eq(*known, config)) {
                    selected.push(config);
                }
            }
        }
        Ok(selected)
    }
}

/// A secret's name from the command line.
pub(crate) fn secret_name(name: &str) -> Result<SecretName> {
    Ok(SecretName::new(name)?)
}

/// Bad configuration is an expected failure with its own exit code.
pub(crate) fn refuse(error: impl std::fmt::Display) -> Failure {
    Failure::new(Code::Configuration, error.to_string())
}

/// Who runs the command, for the audit trail.
fn actor() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    let uid = || format!("uid-{}", rustix::process::getuid().as_raw());
    format!("cli:{}", user.unwrap_or_else(uid))
}
