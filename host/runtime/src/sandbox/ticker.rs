//! Makes running plugins yield. One thread raises the engine's epoch while at least one call is
//! active and sleeps otherwise: it must be a thread, because on a single-threaded runtime a task
//! would wait for the very plugin that it should interrupt.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmtime::Engine;

/// Between two yields. Long against a switch to the executor (microseconds), and short because
/// tokio looks at sockets and timers only every 61 polls while a thread is busy: this bounds what
/// an endless loop adds to its neighbours' latency at about 61 ms.
const TICK: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    active: usize,
    stopped: bool,
    /// The thread waits to be woken. Most calls find it between two ticks and need not ask the kernel to wake it.
    waiting: bool,
}

impl Shared {
    fn update(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        if state.waiting && !state.is_idle() {
            self.changed.notify_all();
        }
    }

    /// A panic while the lock was held cannot leave a counter half-changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.active == 0 && !self.stopped
    }
}

/// Owns the thread; dropping it ends the thread.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
}

impl Ticker {
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        std::thread::Builder::new()
            .name("keyturn-ticker".into())
            .spawn(move || tick(&engine, &of_thread))?;
        Ok(Self { shared })
    }

    /// Keeps the epoch moving until the guard is dropped.
    pub(crate) fn enter(&self) -> ActiveCall {
        self.shared.update(|state| state.active += 1);
        ActiveCall {
            shared: self.shared.clone(),
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.update(|state| state.stopped = true);
    }
}

pub(crate) struct ActiveCall {
    shared: Arc<Shared>,
}

impl Drop for ActiveCall {
    fn drop(&mut self) {
        self.shared.update(|state| state.active -= 1);
    }
}

/// Sleeps rather than waits while calls are active: calls that come and go would wake a waiting
/// thread before each tick, and then nothing would ever yield.
fn tick(engine: &Engine, shared: &Shared) {
    loop {
        let mut state = shared.lock();
        state.waiting = true;
        let mut state = shared
            .changed
            .wait_while(state, |state| state.is_idle())
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting = false;
        if state.stopped {
            return;
        }
        drop(state);
        std::thread::sleep(TICK);
        engine.increment_epoch();
    }
}
