//! What most commands need: the configuration, the open store, the plugins, the engine with its
//! sinks. Opened on demand, so that a command touches only what it uses.

use std::sync::Arc;

use anyhow::Result;
use keyturn_engine::{Credential, Engine, EngineOptions, EventSink, RandomIds};
use keyturn_store::{
    SecretName, SecretStore, SystemClock,
    embedded::{EmbeddedStore, MasterKey},
};

use crate::{
    cli::Global,
    config::{Config, CredentialConfig, StoreKind},
    exit::{self, Code, Failure},
    plugins::Plugins,
    sinks::{AuditLog, Fanout, PluginLog, Progress},
};

/// What a command leaves behind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    /// It changes nothing, so there is nothing to write down.
    Nothing,
    /// The audit trail, and progress for people.
    Everything,
}

pub(crate) struct Session {
    pub(crate) config: Config,
    pub(crate) store: Arc<EmbeddedStore>,
}

impl Session {
    /// Reads the configuration and opens the store.
    pub(crate) async fn open(global: &Global) -> Result<Self> {
        let config = Config::read(&global.config).map_err(refuse)?;
        let StoreKind::Embedded = config.store.kind;
        let key = match &config.store.master_key_file {
            Some(file) => MasterKey::from_file(file),
            None => MasterKey::from_env(),
        }
        .map_err(refuse)?;
        let store = EmbeddedStore::open(&config.store.path, &key, Arc::new(SystemClock))
            .await
            .map_err(|error| Failure::new(Code::Store, error.to_string()))?;
        Ok(Self {
            config,
            store: Arc::new(store),
        })
    }

    /// The engine, the configured credentials among `names` (all if there are none) in order, and whether
    /// any of them was refused; that has been said.
    pub(crate) async fn engine(
        &self,
        global: &Global,
        names: &[String],
        record: Record,
    ) -> Result<(Engine, Vec<Credential>, Code)> {
        let sink: Arc<dyn EventSink> = Arc::new(Fanout(self.sinks(global, record)?));
        let log = PluginLog {
            sink: Arc::clone(&sink),
            actor: actor(),
        };
        let plugins = Plugins::new(
            global.plugin_dir.clone(),
            Arc::new(log),
            &self.config.plugins,
        )?;
        let mut opened = Vec::new();
        let mut refused = Code::Done;
        for config in self.select(names)? {
            match self.credential(&plugins, config).await {
                Ok(credential) => opened.push(credential),
                // One that is configured wrongly does not keep the others waiting.
                Err(error) => {
                    exit::report(&error.into(), global.json);
                    refused = Code::Configuration;
                }
            }
        }
        let engine = Engine::new(EngineOptions {
            store: Arc::clone(&self.store) as Arc<dyn SecretStore>,
            sink,
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
            actor: actor(),
        });
        Ok((engine, opened, refused))
    }

    async fn credential(
        &self,
        plugins: &Plugins<'_>,
        config: &CredentialConfig,
    ) -> Result<Credential, Failure> {
        let plugin = plugins
            .load(config.plugin())
            .await
            .map_err(|error| refuse(config.plugin_error(&self.config, format!("{error:#}"))))?;
        self.config.credential(config, &plugin).map_err(refuse)
    }

    /// Leaves one file behind. Without it nothing is lost, SQLite's log stays beside the store.
    pub(crate) async fn close(&self) {
        self.store.close().await;
    }

    fn sinks(&self, global: &Global, record: Record) -> Result<Vec<Box<dyn EventSink>>> {
        let mut sinks: Vec<Box<dyn EventSink>> = Vec::new();
        if record == Record::Everything {
            let path = &self.config.audit_path;
            let audit = AuditLog::open(path).map_err(|error| {
                refuse(format!(
                    "the audit trail {} cannot be opened: {error}; nothing was changed",
                    path.display()
                ))
            })?;
            sinks.push(Box::new(audit));
            if !global.json {
                sinks.push(Box::new(Progress::new()));
            }
        }
        Ok(sinks)
    }

    fn select(&self, names: &[String]) -> Result<Vec<&CredentialConfig>> {
        if names.is_empty() {
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
    format!("cli:{}", user.unwrap_or_else(|| "unknown".to_owned()))
}
