//! One write as one transaction, from its lock to its commit, and the places between its statements at which a test
//! kills the process. It decides nothing and holds no SQL of rows.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{errors, failpoint, rows};
use crate::error::StoreError;
use crate::rules::Held;

/// A write in progress. Dropped without a commit it changes nothing.
pub(super) struct Write<'c> {
    transaction: Transaction<'c>,
}

impl<'c> Write<'c> {
    /// Takes SQLite's one write lock at once: a transaction that began as a reader could be refused it later.
    pub(super) fn begin(connection: &'c mut Connection) -> Result<Self, StoreError> {
        failpoint::pass();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(errors::statement)?;
        Ok(Self { transaction })
    }

    /// The connection for the next statement, and the place where a test kills the process before it.
    pub(super) fn statement(&self) -> &Connection {
        failpoint::pass();
        &self.transaction
    }

    /// Makes the stored labels those of `after`.
    pub(super) fn labels(
        &self,
        secret: i64,
        before: &Held,
        after: &Held,
    ) -> Result<(), StoreError> {
        for label in before.keys().filter(|label| !after.contains_key(*label)) {
            rows::remove_label(self.statement(), secret, label)?;
        }
        for (label, id) in after
            .iter()
            .filter(|(label, id)| before.get(*label) != Some(id))
        {
            rows::attach_label(self.statement(), secret, label, id)?;
        }
        Ok(())
    }

    /// Makes the write durable.
    pub(super) fn commit(self) -> Result<(), StoreError> {
        failpoint::pass();
        self.transaction.commit().map_err(errors::commit)?;
        failpoint::pass();
        Ok(())
    }
}
