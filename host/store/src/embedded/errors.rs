//! SQLite's failures in the words of [`StoreError`]. Branches on SQLite's result codes, never on its text; the text
//! goes along as the cause, and holds names of tables and constraints but no bound value.

use crate::error::{ErrorKind, StoreError};

/// Primary result codes, <https://www.sqlite.org/rescode.html>.
pub(super) const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_READONLY: i32 = 8;
const SQLITE_IOERR: i32 = 10;
pub(super) const SQLITE_CORRUPT: i32 = 11;
const SQLITE_FULL: i32 = 13;
const SQLITE_CANTOPEN: i32 = 14;
pub(super) const SQLITE_NOTADB: i32 = 26;

/// SQLite's primary result code: the low byte of the extended one.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|extended| extended & 0xff)
}

/// A statement before the commit failed: the transaction is rolled back, so nothing changed.
pub(super) fn statement(error: sqlx::Error) -> StoreError {
    let (kind, what, next) = match (&error, primary_code(&error)) {
        (_, Some(SQLITE_BUSY | SQLITE_LOCKED)) => (
            ErrorKind::Unavailable,
            "the store stayed locked by another process",
            "try again, and look for a stopped process that has the store open",
        ),
        (_, Some(SQLITE_FULL)) => (
            ErrorKind::Unavailable,
            "the disk of the store is full",
            "make room and try again",
        ),
        (_, Some(SQLITE_READONLY)) => (
            ErrorKind::Unavailable,
            "the store can only be read",
            "give the process the right to write the file and its folder, and try again",
        ),
        (_, Some(SQLITE_IOERR | SQLITE_CANTOPEN)) | (sqlx::Error::Io(_), _) => (
            ErrorKind::Unavailable,
            "the store's file could not be read or written",
            "look at the disk and the system log, and try again",
        ),
        (sqlx::Error::PoolTimedOut, _) => (
            ErrorKind::Unavailable,
            "no connection to the store came free in time",
            "try again; if it stays, another call of this process is stuck",
        ),
        (_, Some(SQLITE_CORRUPT | SQLITE_NOTADB)) => (
            ErrorKind::Internal,
            "the store's file is damaged",
            "stop, keep a copy of the file for diagnosis, and restore a backup",
        ),
        _ => (
            ErrorKind::Internal,
            "the store refused a statement of its own",
            "please report this as a bug with the cause",
        ),
    };
    StoreError::new(kind, what, next).with_source(error)
}

/// The commit failed: SQLite usually rolled back, but after an input/output error only a reader can tell.
pub(super) fn commit(error: sqlx::Error) -> StoreError {
    statement(error).with_change_unknown()
}

/// A row that this code could not have written.
pub(super) fn impossible_row(what: impl Into<String>) -> StoreError {
    StoreError::new(
        ErrorKind::Internal,
        what,
        "the store was altered from outside: keep a copy for diagnosis and restore a backup",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Changed;

    #[test]
    fn only_a_failed_commit_leaves_a_doubt() {
        let before = statement(sqlx::Error::PoolTimedOut);
        assert_eq!(
            (before.changed(), before.is_retryable()),
            (Changed::No, true)
        );
        let at_commit = commit(sqlx::Error::PoolTimedOut);
        assert_eq!(
            (at_commit.changed(), at_commit.is_retryable()),
            (Changed::Unknown, true)
        );
        assert!(
            at_commit
                .to_string()
                .contains("it is not known whether the change took effect")
        );
    }
}
