//! Reads for clients. Each day's first one of a secret is dated, which is a write: nobody waits long for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::{EmbeddedStore, rows};
use crate::error::StoreError;
use crate::service::Accessed;
use crate::service::calendar::DAY_MS;
use crate::types::{SecretName, Which};

/// Longest that a read waits until its date is written: another process may have the file for seconds.
const DATING_MAX: Duration = Duration::from_millis(100);

/// Of the reads that have to be dated, one at a time waits for the writer.
#[derive(Clone, Default)]
pub(super) struct Dating(Arc<AtomicBool>);

/// Until it is dropped, nobody else begins.
struct DatingTurn(Arc<AtomicBool>);

impl Dating {
    fn begin(&self) -> Option<DatingTurn> {
        let is_free = !self.0.swap(true, Ordering::AcqRel);
        is_free.then(|| DatingTurn(Arc::clone(&self.0)))
    }
}

impl Drop for DatingTurn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl EmbeddedStore {
    /// Reads a version for a client, and writes down on which day that was, once a day.
    ///
    /// # Errors
    /// As for [`SecretStore::get`](crate::SecretStore::get).
    pub async fn access(&self, name: &SecretName, which: &Which) -> Result<Accessed, StoreError> {
        let wanted = (name.clone(), which.clone());
        let (found, (arn_suffix, accessed_at_ms)) = self
            .read(move |file| {
                let found = rows::find(file, &wanted.0, Some(&wanted.1))?;
                let more = rows::arn_suffix_and_access(file, found.secret)?;
                Ok((found, more))
            })
            .await?;
        let secret = found.secret;
        let version = self.opened(name, which, found)?;
        let today_ms = self.clock.now_ms() / DAY_MS * DAY_MS;
        if accessed_at_ms.is_none_or(|at_ms| at_ms < today_ms)
            && let Some(turn) = self.dating.begin()
        {
            let dated = self.write(move |write| {
                let _turn = turn;
                rows::date_access(write.statement(), secret, today_ms)?;
                write.commit()
            });
            // A store that cannot be written to just now still answers what was asked, and the next read dates it.
            let _ = timeout(DATING_MAX, dated).await;
        }
        Ok(Accessed {
            arn_suffix,
            version,
        })
    }
}
