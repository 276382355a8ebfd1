//! One write as one transaction, from its lock to its commit, and the places between its statements at which a test
//! kills the process. It decides nothing and holds no SQL of rows.

use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};

use super::{errors, failpoint, rows};
use crate::error::StoreError;
use crate::rules::Held;

/// A write in progress. Dropped without a commit it changes nothing.
pub(super) struct Write {
    transaction: Transaction<'static, Sqlite>,
}

impl Write {
    /// Takes SQLite's one write lock at once: a transaction that began as a reader could be refused it later.
    pub(super) async fn begin(writer: &SqlitePool) -> Result<Self, StoreError> {
        failpoint::pass();
        let transaction = writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(errors::statement)?;
        Ok(Self { transaction })
    }

    /// The connection for the next statement, and the place where a test kills the process before it.
    pub(super) fn statement(&mut self) -> &mut SqliteConnection {
        failpoint::pass();
        &mut self.transaction
    }

    /// Makes the stored labels those of `after`.
    pub(super) async fn labels(
        &mut self,
        secret: i64,
        before: &Held,
        after: &Held,
    ) -> Result<(), StoreError> {
        for label in before.keys().filter(|label| !after.contains_key(*label)) {
            rows::remove_label(self.statement(), secret, label).await?;
        }
        for (label, id) in after
            .iter()
            .filter(|(label, id)| before.get(*label) != Some(id))
        {
            rows::attach_label(self.statement(), secret, label, id).await?;
        }
        Ok(())
    }

    /// Makes the write durable.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        failpoint::pass();
        self.transaction.commit().await.map_err(errors::commit)?;
        failpoint::pass();
        Ok(())
    }
}
