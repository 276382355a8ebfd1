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

/// The TLS provider's generator: one for the process.
pub(crate) struct ProviderRandom;

impl SecureRandom for ProviderRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        provider
            .secure_random
            .fill(bytes)
            .map_err(|_| RandomUnavailable)
    }
}
