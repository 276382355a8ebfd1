//! Credentials that were current: an application that still holds one is accepted for as long as it was promised.

use std::time::{Duration, Instant};

/// How much earlier than `window` after its last use as current one may be refused: the window is counted from a moment
/// that has whole seconds and lies before the promotion, on a busy machine a second before.
const WINDOW_SLACK: Duration = Duration::from_secs(2);

pub(super) struct Earlier {
    window: Duration,
    known: Vec<Known>,
}

struct Known {
    credential: String,
    last_current: Instant,
}

impl Earlier {
    pub(super) fn new(window: Duration) -> Self {
        Self {
            window,
            known: Vec::new(),
        }
    }

    /// `current` was current at `read_at`. Presents the others that are owed acceptance; answers how many there are.
    pub(super) fn present(
        &mut self,
        current: &str,
        read_at: Instant,
        accepts: impl Fn(&str) -> bool,
    ) -> Result<u64, String> {
        self.remember(current, read_at);
        let owed = self.window.saturating_sub(WINDOW_SLACK);
        self.known
            .retain(|known| known.last_current.elapsed() < owed);
        let mut accepted = 0;
        for known in self
            .known
            .iter()
            .filter(|known| known.credential != current)
        {
            if !accepts(&known.credential) {
                return Err(format!(
                    "an earlier key is refused {} ms after it was last current, within the window of {} s",
                    known.last_current.elapsed().as_millis(),
                    self.window.as_secs()
                ));
            }
            accepted += 1;
        }
        Ok(accepted)
    }

    fn remember(&mut self, current: &str, read_at: Instant) {
        let mut known = self.known.iter_mut();
        match known.find(|known| known.credential == current) {
            Some(known) => known.last_current = read_at,
            None => self.known.push(Known {
                credential: current.to_owned(),
                last_current: read_at,
            }),
        }
    }
}
