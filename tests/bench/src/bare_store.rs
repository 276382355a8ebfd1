//! The floor under the embedded store: its writes as bare transactions. The same tables without their triggers, the
//! same settings of SQLite, each statement prepared once; no rule is checked and nothing is sealed.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::Result;
use crate::recording::Write;

const TABLES: &str = "
CREATE TABLE secret (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, changed_at_ms INTEGER NOT NULL,
    notes TEXT NOT NULL, notes_revision INTEGER NOT NULL) STRICT;
CREATE TABLE version (ordinal INTEGER PRIMARY KEY, secret_id INTEGER NOT NULL, id TEXT NOT NULL, sealed BLOB,
    created_at_ms INTEGER NOT NULL, UNIQUE (secret_id, id)) STRICT;
CREATE TABLE label (secret_id INTEGER NOT NULL, label TEXT NOT NULL, version_id TEXT NOT NULL,
    PRIMARY KEY (secret_id, label)) STRICT, WITHOUT ROWID;
INSERT INTO secret VALUES (1, 'bench/jwt', 0, '{}', 0);
";
/// What the store keeps of a secret's versions.
const VERSIONS_KEPT: i64 = 100;
/// Nonce and tag of a sealed value.
const SEAL_BYTES: usize = 40;

pub(crate) struct BareStore {
    pool: SqlitePool,
}

impl BareStore {
    pub(crate) async fn create(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("fullfsync", "ON")
            .pragma("checkpoint_fullfsync", "ON");
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        sqlx::raw_sql(TABLES).execute(&pool).await?;
        Ok(Self { pool })
    }

    /// Each write is one transaction that is on the disk when it is over.
    pub(crate) async fn write(&self, writes: &[Write]) -> Result<()> {
        for write in writes {
            let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
            match write {
                Write::Put { bytes, labels } => put(&mut transaction, *bytes, *labels).await?,
                Write::MoveLabel { label, attached } => {
                    move_label(&mut transaction, label, *attached).await?;
                }
                Write::Notes { json } => {
                    sqlx::query("UPDATE secret SET notes = ?1, notes_revision = notes_revision + 1 WHERE id = 1")
                        .bind(json)
                        .execute(&mut *transaction)
                        .await?;
                }
            }
            transaction.commit().await?;
        }
        Ok(())
    }
}

async fn put(transaction: &mut Transaction<'_, Sqlite>, bytes: usize, labels: usize) -> Result<()> {
    sqlx::query(
        "INSERT INTO version (secret_id, id, sealed, created_at_ms) VALUES (1, lower(hex(randomblob(18))), ?1, 0)",
    )
    .bind(vec![7_u8; bytes + SEAL_BYTES])
    .execute(&mut **transaction)
    .await?;
    for label in 0..labels {
        attach(transaction, &format!("LABEL{label}")).await?;
    }
    sqlx::query(
        "DELETE FROM version WHERE secret_id = 1 AND ordinal NOT IN (
             SELECT ordinal FROM version WHERE secret_id = 1 ORDER BY ordinal DESC LIMIT ?1
         )",
    )
    .bind(VERSIONS_KEPT)
    .execute(&mut **transaction)
    .await?;
    touch(transaction).await
}

async fn move_label(
    transaction: &mut Transaction<'_, Sqlite>,
    label: &str,
    attached: bool,
) -> Result<()> {
    if attached {
        attach(transaction, label).await?;
    } else {
        sqlx::query("DELETE FROM label WHERE secret_id = 1 AND label = ?1")
            .bind(label)
            .execute(&mut **transaction)
            .await?;
    }
    if label == "AWSCURRENT" {
        attach(transaction, "AWSPREVIOUS").await?;
    }
    touch(transaction).await
}

async fn attach(transaction: &mut Transaction<'_, Sqlite>, label: &str) -> Result<()> {
    sqlx::query(
        "INSERT INTO label (secret_id, label, version_id)
         VALUES (1, ?1, 'keyturn-00000000-0000-4000-8000-000000000001')
         ON CONFLICT (secret_id, label) DO UPDATE SET version_id = excluded.version_id",
    )
    .bind(label)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn touch(transaction: &mut Transaction<'_, Sqlite>) -> Result<()> {
    sqlx::query("UPDATE secret SET changed_at_ms = changed_at_ms + 1 WHERE id = 1")
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
