//! The cache of guide.md §2.4's application: what was read is used for a fixed time, whatever happens
//! to the secret meanwhile. It never reads by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keyturn_store::StoredVersion;

pub(super) struct Cache {
    ttl: Duration,
    held: Option<(Arc<StoredVersion>, Instant)>,
    /// Cut from the first entry's life.
    age: Duration,
}

impl Cache {
    /// With a `ttl` of zero nothing is kept.
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            held: None,
            age: Duration::ZERO,
        }
    }

    pub(super) fn half_a_life_old(mut self) -> Self {
        self.age = self.ttl / 2;
        self
    }

    pub(super) fn keeps(&self) -> bool {
        !self.ttl.is_zero()
    }

    pub(super) fn is_stale(&self) -> bool {
        let life = self.ttl.saturating_sub(self.age);
        self.held
            .as_ref()
            .is_none_or(|(_, read_at)| read_at.elapsed() >= life)
    }

    pub(super) fn fill(&mut self, version: Arc<StoredVersion>) {
        if self.held.is_some() {
            self.age = Duration::ZERO;
        }
        self.held = Some((version, Instant::now()));
    }

    /// The version and when it was read.
    pub(super) fn held(&self) -> Option<(Arc<StoredVersion>, Instant)> {
        self.held.clone()
    }
}
