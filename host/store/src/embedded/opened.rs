//! Which files this process has opened as stores, because looking at one a second time would break it. SQLite's locks
//! are POSIX advisory locks, and the system drops all that a process holds on a file as soon as the process closes
//! *any* handle to it (<https://www.sqlite.org/howtocorrupt.html>, section 2.2). A plain look at the header of a store
//! that is open in this process would so take away its locks, and another process could then take itself for the last
//! one and remove the log under it (SQLite 3.51 defends itself against that very case, others do not). This module
//! never opens a file itself.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Device, inode, and time of birth where the file system keeps one, as inodes are used again.
type Identity = (u64, u64, Option<SystemTime>);

/// Files are added and never taken out: a dropped store closes its connections some time later.
static OPENED: Mutex<BTreeSet<Identity>> = Mutex::new(BTreeSet::new());

/// Runs `look` unless this process has opened the file before; if it finds nothing wrong, the caller may open it.
pub(super) fn look_once<E>(
    metadata: &Metadata,
    look: impl FnOnce() -> Result<(), E>,
) -> Result<(), E> {
    let identity = (metadata.dev(), metadata.ino(), metadata.created().ok());
    // Held while looking, so that nobody opens the same file as a store meanwhile.
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if !opened.contains(&identity) {
        look()?;
        opened.insert(identity);
    }
    Ok(())
}
