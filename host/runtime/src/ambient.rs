//! Time and randomness as parameters, so that a test can set both.

use std::time::{SystemTime, UNIX_EPOCH};

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

/// The source could not deliver; the call that asked ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub struct RandomUnavailable;

/// Cryptographic randomness.
pub trait SecureRandom: Send + Sync {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomUnavailable>;
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
