//! Time from the host. WebAssembly has no clock of its own: `SystemTime::now` would trap.

use std::time::Duration;

use crate::host;

/// Unix time in milliseconds.
pub fn now_ms() -> u64 {
    host::now_ms()
}

/// Unix time in whole seconds.
pub fn now_seconds() -> u64 {
    host::now_ms() / 1000
}

/// Monotonic time since the call began.
pub fn elapsed() -> Duration {
    Duration::from_nanos(host::elapsed_ns())
}
