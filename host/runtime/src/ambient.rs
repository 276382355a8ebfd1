//! Time and randomness as parameters, so that a test can set both. Randomness has its trait where
//! passwords are made, in keyturn-policy.

use std::time::{SystemTime, UNIX_EPOCH};

use keyturn_policy::password::{RandomUnavailable, SecureRandom};

/// Tells the time to plugins. Deadlines do not use it: they are monotonic.
pub trait Clock: Send + Sync {
    /// Unix time in milliseconds.
    fn now_ms(&self) -> u64;
}

/// The operating system's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The operating system's generator. Not the TLS provider's: that one spends tens of milliseconds on its first
/// bytes, which a process that opens no connection need not wait for.
pub(crate) struct SystemRandom;

impl SecureRandom for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        getrandom::fill(bytes).map_err(|_| RandomUnavailable)
    }
}
