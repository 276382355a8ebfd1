//! An application that presents internal API keys in guide.md §4.2's shape to a verifier such as
//! §4.3's: the current hash first, then the previous one within a window after `rotation_timestamp`.
//! It demands that a key is accepted for as long as the window says after it was last current.

use std::time::{Duration, Instant};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::earlier::Earlier;

#[derive(Deserialize)]
struct ApiKeySecret {
    internal_api_key: String,
    internal_api_key_hash: String,
    previous_internal_api_key_hash: Option<String>,
    rotation_timestamp: Option<String>,
}

/// Presents keys and remembers those that were current.
pub(super) struct Caller {
    window: Duration,
    earlier: Earlier,
}

impl Caller {
    pub(super) fn new(window: Duration) -> Self {
        Self {
            window,
            earlier: Earlier::new(window),
        }
    }

    /// Answers how many earlier keys were accepted besides the current one. `presented` was read at
    /// `read_at`; the verifier has read `checked`.
    pub(super) fn log_in(
        &mut self,
        presented: &str,
        checked: &str,
        read_at: Instant,
    ) -> Result<u64, String> {
        let parse = |value: &str| -> Result<ApiKeySecret, String> {
            serde_json::from_str(value)
                .map_err(|error| format!("not an API-key secret: line {}", error.line()))
        };
        let (key, verifier) = (parse(presented)?.internal_api_key, parse(checked)?);
        let in_window = verifier.in_rotation_window(self.window)?;
        let accepts = |key: &str| {
            hash_matches(key, &verifier.internal_api_key_hash)
                || in_window
                    && verifier
                        .previous_internal_api_key_hash
                        .as_ref()
                        .is_some_and(|hash| hash_matches(key, hash))
        };
        if !accepts(&key) {
            return Err("the current key is refused".to_owned());
        }
        if accepts(&format!("{key}-forged")) {
            return Err("a forged key is accepted".to_owned());
        }
        self.earlier.present(&key, read_at, accepts)
    }
}

impl ApiKeySecret {
    fn in_rotation_window(&self, window: Duration) -> Result<bool, String> {
        let Some(start) = &self.rotation_timestamp else {
            return Ok(false);
        };
        let start = OffsetDateTime::parse(start, &Rfc3339)
            .map_err(|_| format!("rotation_timestamp {start:?} is not an RFC 3339 time"))?;
        Ok(OffsetDateTime::now_utc() < start + window)
    }
}

/// guide.md §4.3 compares bare hex, §4.2 shows `sha256:` before it: both are read.
fn hash_matches(key: &str, hash: &str) -> bool {
    let hash = hash.strip_prefix("sha256:").unwrap_or(hash);
    let hex: String = Sha256::digest(key.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    hex == hash
}
