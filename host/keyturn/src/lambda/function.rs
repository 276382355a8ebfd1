//! What invocations share, made once when the process starts: store, plugins, variables, configuration. And how it
//! becomes what one invocation works with.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use keyturn_config::{Config, CredentialConfig, StoreKind};
use keyturn_engine::{Credential, Engine, EngineOptions, EventSink, RandomIds};
use keyturn_store::{
    Clock, SecretDescription, SecretStore, SystemClock,
    aws::{AwsStore, Invocation as Bounds},
};
use lambda_runtime::Context;

use super::{
    environment::Environment, event::StepEvent, failure::Failure, kind, log::Log, notify::Notifier,
    unlisted,
};
use crate::{
    cli::Global, credential::configured, opened::Opened, plugins::Plugins, sinks::PluginLog,
};

/// Before Lambda ends the process, for telling of what could not be finished, and for the answer's way.
const MARGIN: Duration = Duration::from_millis(1500);
const MARGIN_OF_ANSWER: Duration = Duration::from_millis(300);

/// Lambda's own bound.
const LAMBDA_TIMEOUT_MAX: Duration = Duration::from_secs(900);

pub(crate) struct Function<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) log: Arc<Log>,
    pub(super) notifier: Notifier,
    config: &'a Config,
    store: Arc<AwsStore>,
    plugins: Plugins<'a>,
    /// For the audit trail.
    actor: String,
}

/// One invocation.
pub(crate) struct Invocation {
    /// Bound to it.
    pub(crate) store: Arc<AwsStore>,
    /// When the work has to be over.
    pub(crate) deadline: Instant,
    /// When everything has to be.
    pub(crate) end: Instant,
}

impl<'a> Function<'a> {
    pub(super) async fn start(
        global: &Global,
        environment: &'a Environment,
        config: &'a Config,
        log: &Arc<Log>,
    ) -> Result<Self, Failure> {
        let store = config.store(Some(StoreKind::Aws))?;
        let Opened::Aws(store) = Opened::open(store).await? else {
            return Err(Failure::configuration(
                "the configured store is not AWS Secrets Manager; nothing was changed",
            ));
        };
        let name = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
        let actor = format!("lambda:{name}");
        let sink = PluginLog {
            sink: Arc::clone(log) as Arc<dyn EventSink>,
            actor: actor.clone(),
        };
        // One invocation after the other, and no call beside another.
        let plugins = Plugins::new(
            global.plugin_dir.clone(),
            Arc::new(sink),
            &config.plugins,
            NonZeroU32::MIN,
        )?;
        if let Some((name, problem)) = plugins.idle_table()? {
            return Err(config.plugin_table_error(name, problem).into());
        }
        Ok(Self {
            environment,
            log: Arc::clone(log),
            notifier: Notifier::new(environment),
            config,
            store,
            plugins,
            actor,
        })
    }

    pub(super) fn invocation(&self, context: &Context, step: Option<&StepEvent>) -> Invocation {
        let left = context.deadline.saturating_sub(SystemClock.now_ms());
        let left = match left {
            // Whoever emulates Lambda may tell no time of now.
            0 => LAMBDA_TIMEOUT_MAX,
            left => Duration::from_millis(left),
        };
        let now = Instant::now();
        let (deadline, end) = (
            now + (left - MARGIN.min(left / 4)),
            now + (left - MARGIN_OF_ANSWER.min(left / 8)),
        );
        let bounds = Bounds {
            rotation_token: step.and_then(|event| event.rotation_token.clone()),
            deadline: Some(deadline),
            pending_patience: match step {
                // An empty version is what it is called for.
                Some(event) if event.step == keyturn_engine::Step::Create => Duration::ZERO,
                _ => Bounds::default().pending_patience,
            },
        };
        Invocation {
            store: Arc::new(self.store.within(bounds)),
            deadline,
            end,
        }
    }

    /// The secret that an id means: its ARN or its name.
    pub(crate) async fn described(
        &self,
        invocation: &Invocation,
        id: &str,
    ) -> Result<SecretDescription, Failure> {
        let name = invocation.store.name_of(id).await?;
        Ok(invocation.store.describe(&name).await?)
    }

    /// The credentials of a secret: those that are configured, else the one that its tags or its name tell of.
    ///
    /// # Errors
    /// `Keyturn.UnknownKind` if nothing does; `Keyturn.Configuration` for what does not fit.
    pub(crate) async fn credentials(
        &self,
        secret: &SecretDescription,
    ) -> Result<Vec<Credential>, Failure> {
        let tables: Vec<_> = self.tables(secret).collect();
        if tables.is_empty() {
            return Ok(vec![self.unlisted(secret).await?]);
        }
        let mut credentials = Vec::new();
        for table in &tables {
            let mut credential = configured(self.config, &self.plugins, table).await?;
            credential.environment = self.environment_of(secret);
            credentials.push(credential);
        }
        // Tags are about a secret, so they say nothing of one of several credentials.
        if let ([table], [credential]) = (&tables[..], &mut credentials[..]) {
            kind::check(secret, table)?;
            kind::choose_strategy(secret, credential)?;
        }
        Ok(credentials)
    }

    /// Whether anybody has named the strategy.
    pub(super) fn is_strategy_named(&self, secret: &SecretDescription) -> bool {
        let mut tables = self.tables(secret);
        kind::strategy(secret).is_some() || tables.any(|table| table.strategy().is_some())
    }

    pub(crate) fn environment_of(&self, secret: &SecretDescription) -> String {
        let configured = self.tables(secret).next();
        let configured = configured.map(CredentialConfig::environment);
        kind::environment(secret, configured, &self.environment.name)
    }

    pub(crate) fn engine(&self, invocation: &Invocation) -> Engine {
        Engine::new(EngineOptions {
            store: Arc::clone(&invocation.store) as Arc<dyn SecretStore>,
            sink: Arc::clone(&self.log) as Arc<dyn EventSink>,
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
            actor: self.actor.clone(),
        })
    }

    fn tables(&self, secret: &SecretDescription) -> impl Iterator<Item = &'a CredentialConfig> {
        let tables = self.config.credentials().iter();
        tables.filter(move |table| table.secret() == secret.name.as_str())
    }

    async fn unlisted(&self, secret: &SecretDescription) -> Result<Credential, Failure> {
        let plugin = self.plugins.load(kind::plugin(secret)?).await;
        let plugin = plugin.map_err(|error| {
            Failure::configuration(format!("{}: {error:#}; nothing was changed", secret.name))
        })?;
        let environment = self.environment_of(secret);
        let mut credential = unlisted::credential(secret, &plugin, self.environment, environment)?;
        kind::choose_strategy(secret, &mut credential)?;
        Ok(credential)
    }
}
