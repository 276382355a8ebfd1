//! SQLite's failures in the words of [`StoreError`]. Branches on SQLite's result codes, never on its text; the text
//! goes along as the cause, and holds names of tables and constraints but no bound value.

use rusqlite::ErrorCode;

use crate::error::{ErrorKind, StoreError};

/// A statement before the commit failed: the transaction is rolled back, so nothing changed.
pub(super) fn statement(error: rusqlite::Error) -> StoreError {
    let (kind, what, next) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            ErrorKind::Unavailable,
            "the store stayed locked by another process",
            "try again, and look for a stopped process that has the store open",
        ),
        Some(ErrorCode::DiskFull) => (
            ErrorKind::Unavailable,
            "the disk of the store is full",
            "make room and try again",
        ),
        Some(ErrorCode::ReadOnly) => (
            ErrorKind::Unavailable,
            "the store can only be read",
            "give the process the right to write the file and its folder, and try again",
        ),
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => (
            ErrorKind::Unavailable,
            "the store's file could not be read or written",
            "look at the disk and the system log, and try again",
        ),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (
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
pub(super) fn commit(error: rusqlite::Error) -> StoreError {
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
    use rusqlite::ffi;

    use super::*;
    use crate::error::Changed;

    fn busy() -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)
    }

    #[test]
    fn only_a_failed_commit_leaves_a_doubt() {
        let before = statement(busy());
        assert_eq!(
            (before.changed(), before.is_retryable()),
            (Changed::No, true)
        );
        let at_commit = commit(busy());
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
