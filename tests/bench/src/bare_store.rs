//! The floor under the embedded store: its writes as bare transactions. The same tables and index without triggers, the
//! same settings of SQLite, each statement prepared once; no rule is checked and nothing is sealed.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::Result;
use crate::recording::Write;

const TABLES: &str = "
CREATE TABLE secret (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, changed_at_ms INTEGER NOT NULL,
    notes TEXT NOT NULL, notes_revision INTEGER NOT NULL) STRICT;
CREATE TABLE version (ordinal INTEGER PRIMARY KEY, secret_id INTEGER NOT NULL, id TEXT NOT NULL, sealed BLOB,
    created_at_ms INTEGER NOT NULL, UNIQUE (secret_id, id)) STRICT;
CREATE INDEX version_summary ON version (secret_id, ordinal, id, created_at_ms, (sealed IS NOT NULL));
CREATE TABLE label (secret_id INTEGER NOT NULL, label TEXT NOT NULL, version_id TEXT NOT NULL,
    PRIMARY KEY (secret_id, label)) STRICT, WITHOUT ROWID;
INSERT INTO secret VALUES (1, 'bench/jwt', 0, '{}', 0);
";
/// What the store keeps of a secret's versions.
const VERSIONS_KEPT: i64 = 100;
const VERSION: &str = "keyturn-00000000-0000-4000-8000-000000000001";
/// Nonce and tag of a sealed value.
const SEAL_BYTES: usize = 40;

pub(crate) struct BareStore(Connection);

impl BareStore {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "fullfsync", true)?;
        connection.pragma_update(None, "checkpoint_fullfsync", true)?;
        connection.execute_batch(TABLES)?;
        Ok(Self(connection))
    }

    /// Each write is one transaction that is on the disk when it is over.
    pub(crate) fn write(&mut self, writes: &[Write]) -> Result<()> {
        for write in writes {
            let transaction = self
                .0
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            match write {
                Write::Put { bytes, labels } => put(&transaction, *bytes, *labels)?,
                Write::MoveLabel { label, attached } => {
                    move_label(&transaction, label, *attached)?;
                }
                Write::Notes { json } => {
                    transaction
                        .prepare_cached(
                            "UPDATE secret SET notes = ?1, notes_revision = notes_revision + 1 WHERE id = 1",
                        )?
                        .execute([json])?;
                }
            }
            transaction.commit()?;
        }
        Ok(())
    }
}

fn put(transaction: &Transaction<'_>, bytes: usize, labels: usize) -> Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO version (secret_id, id, sealed, created_at_ms) VALUES (1, lower(hex(randomblob(18))), ?1, 0)",
        )?
        .execute([vec![7_u8; bytes + SEAL_BYTES]])?;
    for label in 0..labels {
        attach(transaction, &format!("LABEL{label}"))?;
    }
    transaction
        .prepare_cached(
            "DELETE FROM version WHERE secret_id = 1 AND ordinal NOT IN (
                 SELECT ordinal FROM version WHERE secret_id = 1 ORDER BY ordinal DESC LIMIT ?1
             )",
        )?
        .execute([VERSIONS_KEPT])?;
    touch(transaction)
}

fn move_label(transaction: &Transaction<'_>, label: &str, attached: bool) -> Result<()> {
    if attached {
        attach(transaction, label)?;
    } else {
        transaction
            .prepare_cached("DELETE FROM label WHERE secret_id = 1 AND label = ?1")?
            .execute([label])?;
    }
    if label == "AWSCURRENT" {
        attach(transaction, "AWSPREVIOUS")?;
    }
    touch(transaction)
}

fn attach(transaction: &Transaction<'_>, label: &str) -> Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO label (secret_id, label, version_id) VALUES (1, ?1, ?2)
             ON CONFLICT (secret_id, label) DO UPDATE SET version_id = excluded.version_id",
        )?
        .execute(params![label, VERSION])?;
    Ok(())
}

fn touch(transaction: &Transaction<'_>) -> Result<()> {
    transaction
        .prepare_cached("UPDATE secret SET changed_at_ms = changed_at_ms + 1 WHERE id = 1")?
        .execute([])?;
    Ok(())
}
