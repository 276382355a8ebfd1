//! One write as one transaction, from its lock to its commit, and the places between its statements at which a test
//! kills the process. It decides nothing and holds no SQL of rows.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{errors, failpoint, rows};
use crate::error::StoreError;
use crate::rules::{self, Held};
use crate::tags::Tags;

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

    /// Makes the stored labels those of `after`, and dates the change.
    pub(super) fn labels(
        &self,
        secret: i64,
        before: &Held,
        after: &Held,
        now_ms: u64,
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
        let current = rules::current_move(before, after);
        rows::touch_secret(self.statement(), secret, current, now_ms)
    }

    /// Makes the stored tags those of `after`.
    pub(super) fn tags(&self, secret: i64, before: &Tags, after: &Tags) -> Result<(), StoreError> {
        for key in before.keys().filter(|key| !after.contains_key(*key)) {
            rows::remove_tag(self.statement(), secret, key)?;
        }
        for (key, value) in after
            .iter()
            .filter(|(key, value)| before.get(*key) != Some(value))
        {
            rows::set_tag(self.statement(), secret, key, value)?;
        }
        Ok(())
    }

    /// Removes a secret that is marked for deletion, with all that belongs to it.
    pub(super) fn remove(&self, secret: i64) -> Result<(), StoreError> {
        for sql in rows::REMOVE {
            rows::execute(self.statement(), sql, [secret])?;
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
