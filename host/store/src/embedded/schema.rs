//! The tables of a store file, and what every connection to it is told. The schema itself refuses what must never
//! be (a label on two versions, a secret that loses AWSCURRENT, a changed value), so that a mistake in a statement is
//! an error and not a lost credential. Nothing here reads or writes a row.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, ffi};

use super::failpoint;

/// "KeyT" in ASCII: marks the file as ours (bytes 68 to 71 of its header).
pub(super) const APPLICATION_ID: u32 = 0x4b65_7954;
/// Rises when the tables change (bytes 60 to 63 of the header); a file of a later version is refused, one of an
/// earlier version is brought up to date when it is opened.
pub(super) const SCHEMA_VERSION: u32 = 2;
/// The statements that make each schema version out of the one before it, the first one out of nothing. A new file
/// goes through all of them, so that it cannot differ from one that has grown. What stands here was released: another
/// change is another version.
pub(super) const STEPS: [&str; SCHEMA_VERSION as usize] = [TABLES, SERVICE];

/// How long a statement waits for another process's write. A write takes milliseconds, so a store that is locked
/// for longer has a stuck or stopped owner, and the caller should hear of it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);

/// Notes, descriptions, names and labels stay legible: they hold no values, on AWS they are readable by whoever may
/// describe a secret, and a store whose key is lost or elsewhere can then still be diagnosed with any SQLite tool.
/// Sealing them would not protect them from being altered either, as labels have to be readable by the schema.
const TABLES: &str = "
CREATE TABLE store (
    only_row         INTEGER PRIMARY KEY CHECK (only_row = 1),
    wrapped_data_key BLOB NOT NULL
) STRICT;

CREATE TABLE secret (
    id             INTEGER PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    description    TEXT,
    created_at_ms  INTEGER NOT NULL,
    changed_at_ms  INTEGER NOT NULL,
    notes          TEXT NOT NULL DEFAULT '{}',
    notes_revision INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE version (
    ordinal       INTEGER PRIMARY KEY,
    secret_id     INTEGER NOT NULL REFERENCES secret (id),
    id            TEXT NOT NULL,
    sealed        BLOB,
    created_at_ms INTEGER NOT NULL,
    UNIQUE (secret_id, id)
) STRICT;

-- What a description says of versions, apart from the pages that their values fill. Nothing but speed depends on it.
CREATE INDEX version_summary ON version (secret_id, ordinal, id, created_at_ms, (sealed IS NOT NULL));

CREATE TABLE label (
    secret_id  INTEGER NOT NULL,
    label      TEXT NOT NULL,
    version_id TEXT NOT NULL,
    PRIMARY KEY (secret_id, label),
    FOREIGN KEY (secret_id, version_id) REFERENCES version (secret_id, id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER a_value_never_changes
BEFORE UPDATE OF secret_id, id, sealed ON version WHEN OLD.sealed IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a stored version never changes'); END;

CREATE TRIGGER current_is_never_removed
BEFORE DELETE ON label WHEN OLD.label = 'AWSCURRENT'
BEGIN SELECT RAISE(ABORT, 'AWSCURRENT can only be moved'); END;

CREATE TRIGGER current_has_a_value_when_attached
BEFORE INSERT ON label WHEN NEW.label = 'AWSCURRENT'
BEGIN SELECT RAISE(ABORT, 'AWSCURRENT needs a value') WHERE NOT EXISTS (
    SELECT 1 FROM version WHERE secret_id = NEW.secret_id AND id = NEW.version_id AND sealed IS NOT NULL
); END;

CREATE TRIGGER current_has_a_value_when_moved
BEFORE UPDATE ON label WHEN OLD.label = 'AWSCURRENT' OR NEW.label = 'AWSCURRENT'
BEGIN SELECT RAISE(ABORT, 'AWSCURRENT needs a value') WHERE NEW.label <> 'AWSCURRENT' OR NOT EXISTS (
    SELECT 1 FROM version WHERE secret_id = NEW.secret_id AND id = NEW.version_id AND sealed IS NOT NULL
); END;
";

/// What a service keeps of a secret beside its versions. An ARN ends in six characters that tell a secret from an
/// earlier one of the same name, so every secret gets them once. Only a secret that is marked for deletion may lose
/// AWSCURRENT, and then nothing is written under it any more.
const SERVICE: &str = "
ALTER TABLE secret ADD COLUMN arn_suffix TEXT NOT NULL DEFAULT '';
ALTER TABLE secret ADD COLUMN kms_key_id TEXT;
ALTER TABLE secret ADD COLUMN rotation TEXT;
ALTER TABLE secret ADD COLUMN rotation_set_at_ms INTEGER;
ALTER TABLE secret ADD COLUMN resource_policy TEXT;
ALTER TABLE secret ADD COLUMN current_since_ms INTEGER;
ALTER TABLE secret ADD COLUMN rotated_at_ms INTEGER;
ALTER TABLE secret ADD COLUMN accessed_at_ms INTEGER;
ALTER TABLE secret ADD COLUMN deleted_at_ms INTEGER;
ALTER TABLE secret ADD COLUMN deletion_due_at_ms INTEGER
    CHECK ((deletion_due_at_ms IS NULL) = (deleted_at_ms IS NULL));

CREATE TABLE tag (
    secret_id INTEGER NOT NULL REFERENCES secret (id),
    key       TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (secret_id, key)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER every_secret_has_an_arn
AFTER INSERT ON secret WHEN NEW.arn_suffix = ''
BEGIN UPDATE secret SET arn_suffix = lower(hex(randomblob(3))) WHERE id = NEW.id; END;

UPDATE secret SET
    arn_suffix = lower(hex(randomblob(3))),
    current_since_ms = (
        SELECT version.created_at_ms FROM label JOIN version
        ON version.secret_id = label.secret_id AND version.id = label.version_id
        WHERE label.secret_id = secret.id AND label.label = 'AWSCURRENT'
    );

CREATE TRIGGER an_arn_never_changes
BEFORE UPDATE OF arn_suffix ON secret WHEN OLD.arn_suffix <> ''
BEGIN SELECT RAISE(ABORT, 'an ARN never changes'); END;

DROP TRIGGER current_is_never_removed;

CREATE TRIGGER current_is_removed_only_with_its_secret
BEFORE DELETE ON label WHEN OLD.label = 'AWSCURRENT'
BEGIN SELECT RAISE(ABORT, 'AWSCURRENT can only be moved') WHERE NOT EXISTS (
    SELECT 1 FROM secret WHERE id = OLD.secret_id AND deleted_at_ms IS NOT NULL
); END;

CREATE TRIGGER a_deleted_secret_gets_no_version
BEFORE INSERT ON version
BEGIN SELECT RAISE(ABORT, 'the secret is marked for deletion') WHERE EXISTS (
    SELECT 1 FROM secret WHERE id = NEW.secret_id AND deleted_at_ms IS NOT NULL
); END;

CREATE TRIGGER a_deleted_secret_gets_no_value
BEFORE UPDATE ON version
BEGIN SELECT RAISE(ABORT, 'the secret is marked for deletion') WHERE EXISTS (
    SELECT 1 FROM secret WHERE id = NEW.secret_id AND deleted_at_ms IS NOT NULL
); END;

CREATE TRIGGER a_deleted_secret_gets_no_label
BEFORE INSERT ON label
BEGIN SELECT RAISE(ABORT, 'the secret is marked for deletion') WHERE EXISTS (
    SELECT 1 FROM secret WHERE id = NEW.secret_id AND deleted_at_ms IS NOT NULL
); END;
";

/// Makes the tables of `version` those of this code; 0 is a file without any. The caller's transaction makes the whole
/// of it durable or nothing.
pub(super) fn bring_up_to_date(connection: &Connection, version: u32) -> rusqlite::Result<()> {
    for step in STEPS.iter().skip(version as usize) {
        failpoint::pass();
        connection.execute_batch(step)?;
    }
    failpoint::pass();
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)
}

/// A connection that writes: WAL, so that readers never wait, and a commit that is on the disk before it returns.
pub(super) fn writing(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connected(path)?;
    // Where it cannot be, SQLite goes on with what it has and says only that.
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_CANTOPEN),
            Some("its file system has no shared memory, which the write-ahead log needs".into()),
        ));
    }
    Ok(connection)
}

/// A connection on which every statement that writes is refused.
pub(super) fn reading(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connected(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn connected(path: &Path) -> rusqlite::Result<Connection> {
    // It is not made if it is missing, and one thread at a time uses it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // macOS: a plain fsync leaves data in the drive's cache there.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    Ok(connection)
}
