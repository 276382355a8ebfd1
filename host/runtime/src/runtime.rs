//! The sandbox that all plugins of a process share: one engine, one clock, one source of
//! randomness, one sink for log lines.

use std::sync::Arc;

use wasmtime::Engine;

use crate::ambient::{Clock, ProviderRandom, SystemClock};
use crate::endpoint::{Resolver, SystemResolver, TlsTrust};
use crate::error::LoadError;
use crate::loader;
use crate::log::{LogSink, NoLog};
use crate::password::SecureRandom;
use crate::plugin::Plugin;
use crate::sandbox::{Ticker, running_engine};
use crate::source::PluginSource;

/// What a [`Runtime`] is made with. The default is production's, without a log.
#[derive(Clone)]
pub struct RuntimeOptions {
    /// Receives the plugins' log lines; they are dropped unless told.
    pub log: Arc<dyn LogSink>,
    pub resolver: Arc<dyn Resolver>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn SecureRandom>,
}

impl Default for RuntimeOptions {
    fn default() -> Self {
        Self {
            log: Arc::new(NoLog),
            resolver: Arc::new(SystemResolver),
            clock: Arc::new(SystemClock),
            random: Arc::new(ProviderRandom),
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
    pub(crate) options: RuntimeOptions,
    pub(crate) system_trust: Arc<TlsTrust>,
}

impl Runtime {
    /// Starts the sandbox, about a millisecond.
    pub fn new(options: RuntimeOptions) -> Result<Self, LoadError> {
        let engine = running_engine().map_err(|error| LoadError::Engine {
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
