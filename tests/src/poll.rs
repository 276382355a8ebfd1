//! Waiting for a condition: the one place in the harness that pauses. Tests never sleep for a fixed
//! time; they say what they wait for and how long they are willing to.

use std::time::{Duration, Instant};

/// Between two looks: a tenth of the time waited so far, so that what comes soon is seen soon, and what takes long
/// is not asked for so often that the asking keeps it from coming.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Looks until `look` answers something; `None` when `patience` is over.
pub fn until<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        let waited = began.elapsed();
        if waited >= patience {
            return None;
        }
        std::thread::sleep((waited / 10).clamp(PAUSE_MIN, PAUSE_MAX));
    }
}

/// The same for a plain condition.
#[must_use]
pub fn until_true(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    until(patience, || condition().then_some(())).is_some()
}
