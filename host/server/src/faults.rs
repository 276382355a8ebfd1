//! Faults on demand, for suites that test clients: what AWS does now and then and nobody can wait for. A server without
//! faults has none of this; nothing here decides about a request that no fault is aimed at.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyturn_store::service::SecretRecord;
use keyturn_store::{SecretName, VersionDescription, Which};
use serde::Deserialize;
use tokio::time::sleep;

use crate::access::Pattern;
use crate::error::{Answer, ApiError};
use crate::operations::Operation;

/// One fault, aimed at some requests.
#[derive(Debug, Clone, Deserialize)]
pub struct Fault {
    /// An operation; `*` at the end stands for anything.
    pub operation: String,
    #[serde(flatten)]
    pub kind: Kind,
    /// How many of those requests are spared first.
    #[serde(default)]
    pub skip: u32,
    /// How many are hit then.
    #[serde(default = "once")]
    pub times: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// ThrottlingException; nothing is done.
    Throttle,
    /// InternalServiceError; nothing is done.
    Error,
    /// InternalServiceError, and it is done all the same.
    ErrorAfter,
    /// The connection ends without an answer; nothing is done.
    HangUp,
    /// The connection ends without an answer, and it is done all the same.
    HangUpAfter,
    /// It takes longer.
    Latency { ms: u64 },
    /// Aimed at a change: so many reads of its secret that follow do not see it yet.
    Stale { reads: u32 },
}

/// The faults of one server.
#[derive(Default)]
pub struct Faults(Mutex<State>);

#[derive(Default)]
struct State {
    aimed: Vec<Fault>,
    /// How often each has hit, in the order in which they were aimed.
    hits: Vec<u32>,
    stale: HashMap<SecretName, Stale>,
}

struct Stale {
    record: SecretRecord,
    reads_left: u32,
}

/// What the faults that hit a request do to it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hit {
    latency_ms: u64,
    before: Option<Kind>,
    after: Option<Kind>,
    pub(crate) stale_reads: u32,
}

/// The connection is to end without an answer.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("hung up as told")]
pub(crate) struct HungUp;

impl Faults {
    /// Aims a fault; it comes on top of the others.
    pub fn aim(&self, fault: Fault) {
        let mut state = self.state();
        state.aimed.push(fault);
        state.hits.push(0);
    }

    /// How often each fault has hit, in the order in which they were aimed.
    pub fn hits(&self) -> Vec<u32> {
        self.state().hits.clone()
    }

    /// Takes all of them away, stale reads included.
    pub fn clear(&self) {
        *self.state() = State::default();
    }

    pub(crate) fn hit(&self, operation: Operation) -> Hit {
        let mut state = self.state();
        let State { aimed, hits, .. } = &mut *state;
        let mut hit = Hit::default();
        for (fault, hits) in aimed.iter_mut().zip(hits) {
            if !Pattern::new(&fault.operation).matches(operation.name()) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if *hits < fault.times {
                *hits += 1;
                match fault.kind {
                    Kind::Throttle | Kind::Error | Kind::HangUp => hit.before = Some(fault.kind),
                    Kind::ErrorAfter | Kind::HangUpAfter => hit.after = Some(fault.kind),
                    Kind::Latency { ms } => hit.latency_ms += ms,
                    Kind::Stale { reads } => hit.stale_reads = reads,
                }
            }
        }
        hit
    }

    /// The next reads of the secret see it like this.
    pub(crate) fn keep(&self, record: SecretRecord, reads: u32) {
        let stale = Stale {
            reads_left: reads,
            record,
        };
        let name = stale.record.description.name.clone();
        self.state().stale.insert(name, stale);
    }

    /// What a read of the secret sees, if that is not what there is.
    pub(crate) fn stale(&self, name: &SecretName) -> Option<SecretRecord> {
        let mut state = self.state();
        let stale = state.stale.get_mut(name)?;
        if stale.reads_left == 0 {
            state.stale.remove(name);
            return None;
        }
        stale.reads_left -= 1;
        Some(stale.record.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hit {
    /// What happens instead of the operation.
    pub(crate) async fn before(&self) -> Result<Answer<()>, HungUp> {
        sleep(Duration::from_millis(self.latency_ms)).await;
        instead(self.before)
    }

    /// What is told instead of what came of it.
    pub(crate) fn after(&self) -> Result<Answer<()>, HungUp> {
        instead(self.after)
    }
}

fn instead(kind: Option<Kind>) -> Result<Answer<()>, HungUp> {
    match kind {
        Some(Kind::Throttle) => Ok(Err(ApiError::new("ThrottlingException", "Rate exceeded"))),
        Some(Kind::Error | Kind::ErrorAfter) => Ok(Err(ApiError::internal(
            "An error occurred on the server side.",
        ))),
        Some(Kind::HangUp | Kind::HangUpAfter) => Err(HungUp),
        Some(Kind::Latency { .. } | Kind::Stale { .. }) | None => Ok(Ok(())),
    }
}

/// The version that a stale read means, as it was then. Values never change, so the store still has what it held.
///
/// # Errors
/// As if the store had answered then.
pub(crate) fn seen<'a>(record: &'a SecretRecord, which: &Which) -> Answer<&'a VersionDescription> {
    let described = &record.description;
    let version = match which {
        Which::Label(label) => described.holder(label),
        Which::Id(id) | Which::IdWithLabel(id, _) => described.version(id),
    };
    let version = version.filter(|version| version.has_value);
    version.ok_or_else(ApiError::no_secret)
}

fn once() -> u32 {
    1
}
