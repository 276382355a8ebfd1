//! One call: a fresh store and instance under a deadline, and whatever ends it turned into a typed
//! error. The store lives exactly as long as the call, so a trap leaves nothing behind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, Trap};

use crate::bindings::{Plugin as Instance, PluginPre};
use crate::endpoint::{EndpointPolicy, Network, Target};
use crate::error::{Applied, CallError, ErrorKind};
use crate::host::{Answers, HostState, LogBudget};
use crate::limits::{Limits, MESSAGE_BYTES_MAX};
use crate::log::{LogRecord, Severity};
use crate::password::PasswordPolicy;
use crate::runtime::Shared;
use crate::sandbox::{ActiveCall, LimitHit, MemoryLimiter};
use crate::scrub::Scrubber;

/// Handles of all kinds; a plugin has one per open connection.
pub(crate) const HANDLES_MAX: usize = 256;

/// Made in one call. Each is a secret that all later text is looked through for, so a plugin that
/// asks without end would make the host remember without end.
pub(crate) const PASSWORDS_MAX: u32 = 64;

/// What to do about a limit that no grant raises, or an answer that breaks the contract.
const REPORT: &str = "this is a fault of the plugin, report it to its author";

/// The export that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Describe,
    Create,
    Set,
    Test,
    Finish,
    Probe,
    Retire,
    Usage,
    Check,
}

impl Function {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Create => "create",
            Self::Set => "set",
            Self::Test => "test",
            Self::Finish => "finish",
            Self::Probe => "probe",
            Self::Retire => "retire",
            Self::Usage => "usage",
            Self::Check => "check",
        }
    }

    /// `create` and `finish` get no sockets.
    pub(crate) fn reaches_targets(self) -> bool {
        !matches!(self, Self::Describe | Self::Create | Self::Finish)
    }

    /// What must be assumed when the call is cut off.
    fn applied_if_cut(self) -> Applied {
        match self {
            Self::Set | Self::Retire => Applied::Unknown,
            _ => Applied::No,
        }
    }
}

/// What a call runs with.
pub(crate) struct Setup<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) pre: &'a PluginPre<HostState>,
    pub(crate) function: Function,
    pub(crate) limits: Limits,
    pub(crate) budget: Duration,
    pub(crate) password: PasswordPolicy,
    pub(crate) scrubber: Scrubber,
    pub(crate) policies: Arc<BTreeMap<String, EndpointPolicy>>,
    pub(crate) targets: BTreeMap<String, Vec<Target>>,
    /// Names for the log; severity, message and fields are not used.
    pub(crate) origin: LogRecord,
}

/// An instance in its store, ready for its one call.
pub(crate) struct Live {
    pub(crate) instance: Instance,
    pub(crate) store: Store<HostState>,
    pub(crate) deadline: Instant,
    pub(crate) budget_ms: u64,
    function: Function,
    plugin: String,
    wall: Duration,
    _active: ActiveCall,
    // Last: the place is free only when the store above is gone.
    _turn: OwnedSemaphorePermit,
}

impl Live {
    pub(crate) async fn start(setup: Setup<'_>) -> Result<Self, CallError> {
        let Setup {
            shared,
            function,
            limits,
            ..
        } = setup;
        let wall = setup.budget.min(Duration::from_secs(limits.wall_seconds));
        let (began, now) = (StdInstant::now(), Instant::now());
        let deadline = now + wall;
        let plugin = setup.origin.plugin.clone();
        let cut = Cut {
            function,
            plugin: &plugin,
            wall,
            limits: &limits,
        };
        let turn = Arc::clone(&shared.turns).acquire_owned();
        // What starts with little time left is cut off in doubt; what does not start changes nothing.
        let Ok(Ok(turn)) = timeout_at(now + wall / 2, turn).await else {
            return Err(cut.no_turn());
        };
        let budget = deadline.saturating_duration_since(Instant::now());
        // Time for the plugin to say what happened when its I/O ran out of time.
        let io_deadline = deadline - (wall / 10).min(Duration::from_secs(1));
        let pre = setup.pre;
        let state = host_state(setup, began, io_deadline);
        let active = shared.ticker.enter();
        let mut store = limited(&shared.engine, state);
        store
            .set_fuel(limits.fuel)
            .map_err(|error| cut.error(&error, None))?;
        let started = timeout_at(deadline, pre.instantiate_async(&mut store)).await;
        let instance = match started {
            Ok(Ok(instance)) => instance,
            Ok(Err(error)) => return Err(cut.error(&error, Some(&store.data().scrubber))),
            Err(_) => return Err(cut.timeout()),
        };
        Ok(Self {
            instance,
            store,
            deadline,
            budget_ms: u64::try_from(budget.as_millis()).unwrap_or(u64::MAX),
            function,
            plugin,
            wall,
            _active: active,
            _turn: turn,
        })
    }

    /// Turns what `timeout_at(deadline, call)` gave into an answer, taken over by `convert`, which
    /// must see the answer whole.
    pub(crate) fn settle<A, B>(
        &self,
        called: Result<wasmtime::Result<A>, tokio::time::error::Elapsed>,
        convert: impl FnOnce(&Answers<'_>, A) -> Result<B, CallError>,
    ) -> Result<B, CallError> {
        let state = self.store.data();
        let (plugin, limits) = (self.plugin.as_str(), &state.limits);
        let cut = Cut {
            function: self.function,
            plugin,
            wall: self.wall,
            limits,
        };
        let answer = match called {
            Err(_) => return Err(cut.timeout()),
            Ok(Err(error)) => return Err(cut.error(&error, Some(&state.scrubber))),
            Ok(Ok(answer)) => answer,
        };
        let connected = state.network.connected();
        let answers = Answers::new(&state.scrubber, connected, limits.answer_bytes);
        let converted = convert(&answers, answer);
        if answers.too_large() {
            return Err(cut.too_large());
        }
        converted
    }

    /// Whether the plugin has opened a connection in this call.
    pub(crate) fn reached_a_target(&self) -> bool {
        self.store.data().network.connected()
    }

    /// An answer that breaks the contract.
    pub(crate) fn invalid(&self, cause: &str) -> CallError {
        let message = format!(
            "`{}` of plugin {} answered {cause}; {REPORT}",
            self.function.name(),
            self.plugin
        );
        CallError::by_host(
            ErrorKind::InvalidAnswer,
            self.function.applied_if_cut(),
            message,
        )
    }
}

/// A call that was cut off, and what to say about it.
struct Cut<'a> {
    function: Function,
    plugin: &'a str,
    wall: Duration,
    limits: &'a Limits,
}

impl Cut<'_> {
    fn timeout(&self) -> CallError {
        let seconds = self.wall.as_secs_f32();
        let message = self.message(
            &format!("was cut off after {seconds:.1} s"),
            "run it again, and raise grant.limits.wall_seconds if it needs longer",
        );
        let error = self.by_host(ErrorKind::Timeout, message);
        CallError {
            retryable: true,
            ..error
        }
    }

    /// It never started.
    fn no_turn(&self) -> CallError {
        let (function, plugin) = (self.function.name(), self.plugin);
        let message = format!(
            "`{function}` of plugin {plugin} did not start within {:.1} s, half of its time, because as many calls are running as may \
             at once; the target did not change; run it again",
            self.wall.as_secs_f32() / 2.0
        );
        CallError {
            retryable: true,
            ..CallError::by_host(ErrorKind::Timeout, Applied::No, message)
        }
    }

    fn too_large(&self) -> CallError {
        let bytes = self.limits.answer_bytes;
        let message = self.message(&format!("answered more than {bytes} bytes"), REPORT);
        self.by_host(ErrorKind::TooLarge, message)
    }

    fn error(&self, error: &wasmtime::Error, scrubber: Option<&Scrubber>) -> CallError {
        if let Some(hit) = error.downcast_ref::<LimitHit>() {
            let fix = match hit {
                LimitHit::Memory { .. } => {
                    "raise grant.limits.memory_bytes if the plugin is trusted with that"
                }
                LimitHit::Table { .. } | LimitHit::Handles { .. } => REPORT,
            };
            let message = self.message(&format!("wanted {hit}"), fix);
            return self.by_host(ErrorKind::OutOfMemory, message);
        }
        if error.downcast_ref::<Trap>() == Some(&Trap::OutOfFuel) {
            let fuel = self.limits.fuel;
            let message = self.message(
                &format!("used more than {fuel} units of fuel"),
                "raise grant.limits.fuel if that much work is expected",
            );
            return self.by_host(ErrorKind::OutOfFuel, message);
        }
        let root = error.root_cause().to_string();
        // wasmtime keeps this error's type to itself; its version is pinned and a test holds it.
        if root.contains("fuel allocated for hostcalls") {
            let message = self.message(
                &format!("handed over more than {MESSAGE_BYTES_MAX} bytes at once"),
                REPORT,
            );
            return self.by_host(ErrorKind::TooLarge, message);
        }
        let root = match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => "its calls nested too deep".to_owned(),
            Some(trap) => trap.to_string(),
            None => scrubber.map_or_else(String::new, |scrubber| scrubber.line(&root, 512)),
        };
        self.by_host(
            ErrorKind::Trap,
            self.message(&format!("trapped ({root})"), REPORT),
        )
    }

    fn message(&self, what: &str, fix: &str) -> String {
        let changed = match self.function.applied_if_cut() {
            Applied::Unknown => "whether the target changed is not known",
            _ => "the target did not change",
        };
        format!(
            "`{}` of plugin {} {what}; {changed}; {fix}",
            self.function.name(),
            self.plugin
        )
    }

    fn by_host(&self, kind: ErrorKind, message: String) -> CallError {
        CallError::by_host(kind, self.function.applied_if_cut(), message)
    }
}

/// Names for the log of a call.
pub(crate) fn origin(plugin: &str) -> LogRecord {
    LogRecord {
        plugin: plugin.to_owned(),
        secret: String::new(),
        credential: String::new(),
        rotation_id: String::new(),
        function: "",
        severity: Severity::Info,
        message: String::new(),
        fields: Vec::new(),
    }
}

/// What the host knows during a call.
fn host_state(setup: Setup<'_>, began: StdInstant, io_deadline: Instant) -> HostState {
    let (options, limits) = (&setup.shared.options, setup.limits);
    let resolver = options.resolver.clone();
    HostState {
        table: ResourceTable::with_capacity(0),
        limiter: MemoryLimiter::new(&limits),
        limits,
        scrubber: setup.scrubber,
        network: Network::new(setup.policies, setup.targets, resolver, limits, io_deadline),
        log: LogBudget {
            sink: options.log.clone(),
            origin: LogRecord {
                function: setup.function.name(),
                ..setup.origin
            },
            lines_left: limits.log_lines,
            bytes_left: limits.log_bytes,
        },
        clock: options.clock.clone(),
        random: options.random.clone(),
        identity: options.identity.clone(),
        password: setup.password,
        passwords_left: PASSWORDS_MAX,
        began,
        io_deadline,
        watch: options.watch.clone(),
    }
}

/// A store whose limits are in force before anything is made in it.
fn limited(engine: &Engine, state: HostState) -> Store<HostState> {
    let mut store = Store::new(engine, state);
    store.data_mut().table.set_max_capacity(HANDLES_MAX);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(MESSAGE_BYTES_MAX);
    // The plugin's own table counts differently; the host's, which says so better, is full first.
    store.set_max_component_handles(2 * HANDLES_MAX);
    store.epoch_deadline_async_yield_and_update(1);
    // Without this, the first instruction would yield.
    store.set_epoch_deadline(1);
    store
}
