//! The host's side of one call: what the imports of a plugin act on. Made for a call, dropped
//! with it.

mod convert;
mod imports;
mod key_derivation;
mod log;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::Instant as Deadline;
use wasmtime::component::{HasSelf, Linker, ResourceTable};

pub(crate) use convert::{Answers, to_context, to_create_request, to_retire_request, to_version};
pub(crate) use log::LogBudget;

use crate::ambient::Clock;
use crate::bindings::keyturn::rotation as wit;
use crate::capability::Capability;
use crate::endpoint::Network;
use crate::limits::Limits;
use crate::password::{PasswordPolicy, SecureRandom};
use crate::sandbox::MemoryLimiter;
use crate::scrub::Scrubber;
use crate::signature::AwsIdentity;
use crate::watch::ImportWatch;

/// What the imports act on.
pub(crate) struct HostState {
    pub(crate) table: ResourceTable,
    pub(crate) limiter: MemoryLimiter,
    pub(crate) limits: Limits,
    pub(crate) scrubber: Scrubber,
    pub(crate) network: Network,
    pub(crate) log: LogBudget,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn SecureRandom>,
    pub(crate) identity: Arc<dyn AwsIdentity>,
    pub(crate) password: PasswordPolicy,
    pub(crate) passwords_left: u32,
    pub(crate) began: Instant,
    /// When the plugin's I/O must have ended, a little before the call's own deadline.
    pub(crate) io_deadline: Deadline,
    pub(crate) watch: Option<Arc<dyn ImportWatch>>,
}

impl HostState {
    pub(crate) fn io_patience(&self) -> Duration {
        self.io_deadline.saturating_duration_since(Deadline::now())
    }

    /// Before each import.
    pub(crate) async fn enter(&mut self, import: &'static str) {
        if let Some(watch) = &self.watch {
            watch.enter(import).await;
        }
    }
}

/// Links these imports and no others; the type-only import is always there.
pub(crate) fn link(
    linker: &mut Linker<HostState>,
    capabilities: impl IntoIterator<Item = Capability>,
) -> wasmtime::Result<()> {
    type Own = HasSelf<HostState>;
    wit::types::add_to_linker::<_, Own>(linker, |state| state)?;
    for capability in capabilities {
        match capability {
            Capability::Endpoint => wit::endpoint::add_to_linker::<_, Own>(linker, |state| state)?,
            Capability::Http => wit::http::add_to_linker::<_, Own>(linker, |state| state)?,
            Capability::Random => wit::random::add_to_linker::<_, Own>(linker, |state| state)?,
            Capability::Password => wit::password::add_to_linker::<_, Own>(linker, |state| state)?,
            Capability::KeyDerivation => {
                wit::key_derivation::add_to_linker::<_, Own>(linker, |state| state)?
            }
            Capability::Clock => wit::clock::add_to_linker::<_, Own>(linker, |state| state)?,
            Capability::Log => wit::log::add_to_linker::<_, Own>(linker, |state| state)?,
        }
    }
    Ok(())
}
