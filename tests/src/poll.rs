//! Waiting for a condition: the one place in the harness that pauses. Tests never sleep for a fixed
//! time; they say what they wait for and how long they are willing to.

use std::time::{Duration, Instant};

/// Between two looks: short against anything waited for, long against the cost of looking.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until `look` answers something; `None` when `patience` is over.
pub fn until<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}

/// The same for a plain condition.
#[must_use]
pub fn until_true(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    until(patience, || condition().then_some(())).is_some()
}
