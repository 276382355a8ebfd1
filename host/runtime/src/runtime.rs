//! The sandbox that all plugins of a process share: one engine, one clock, one source of
//! randomness, one sink for log lines.

use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::Engine;

use crate::ambient::{Clock, SystemClock, SystemRandom};
use crate::endpoint::{Resolver, SystemResolver, TlsTrust};
use crate::error::LoadError;
use crate::loader;
use crate::log::{LogSink, NoLog};
use crate::password::SecureRandom;
use crate::plugin::Plugin;
use crate::sandbox::{Ticker, running_engine};
use crate::signature::{AwsIdentity, NoIdentity};
use crate::source::PluginSource;
use crate::watch::ImportWatch;

/// What a [`Runtime`] is made with. The default is production's, without a log.
#[derive(Clone)]
pub struct RuntimeOptions {
    /// Receives the plugins' log lines; they are dropped unless told.
    pub log: Arc<dyn LogSink>,
    pub resolver: Arc<dyn Resolver>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn SecureRandom>,
    /// Signs the requests for which manifest and grant want that; there are no credentials unless told.
    pub identity: Arc<dyn AwsIdentity>,
    /// Told of each import before it is carried out; nobody unless told.
    pub watch: Option<Arc<dyn ImportWatch>>,
    /// How many plugins may run at the same moment; further calls wait for their turn, half of their time at most.
    /// Each takes about 260 MB of address space, and from its first use on the memory that its plugin touches.
    pub calls_at_once: NonZeroU32,
}

impl Default for RuntimeOptions {
    fn default() -> Self {
        Self {
            log: Arc::new(NoLog),
            resolver: Arc::new(SystemResolver),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            identity: Arc::new(NoIdentity),
            watch: None,
            calls_at_once: NonZeroU32::MIN.saturating_add(63),
        }
    }
}

/// Loads plugins. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

/// What every plugin and call refers to.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) ticker: Ticker,
    /// As many as the engine has places.
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) options: RuntimeOptions,
    pub(crate) system_trust: Arc<TlsTrust>,
}

impl Runtime {
    /// Starts the sandbox, about a millisecond.
    pub fn new(options: RuntimeOptions) -> Result<Self, LoadError> {
        let engine = running_engine(options.calls_at_once).map_err(|error| LoadError::Engine {
            cause: format!("{error:#}"),
        })?;
        let ticker = Ticker::start(engine.clone()).map_err(|error| LoadError::Engine {
            cause: error.to_string(),
        })?;
        let system_trust = Arc::new(TlsTrust::system());
        Ok(Self {
            shared: Arc::new(Shared {
                engine,
                ticker,
                turns: Arc::new(Semaphore::new(options.calls_at_once.get() as usize)),
                options,
                system_trust,
            }),
        })
    }

    /// Reads, verifies, compiles and describes a plugin. Runs on tokio; a bundled plugin takes
    /// about a millisecond, a file is compiled first.
    pub async fn load(&self, source: PluginSource) -> Result<Plugin, LoadError> {
        loader::load(self.shared.clone(), source).await
    }
}
