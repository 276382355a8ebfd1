//! Which secrets a run is at work on, across processes: one empty file a secret, in a folder beside the store, that
//! the run holds locked. The operating system frees the lock when the process ends, however it ends. A file and not
//! a row: a row would outlive a process that was killed.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{ErrorKind, StoreError};
use crate::store::RunGuard;

pub(super) struct Runs {
    folder: PathBuf,
}

impl Runs {
    /// Those of the store at `store`; the folder is made when it is first needed.
    pub(super) fn of(store: &Path) -> Self {
        let mut folder = store.as_os_str().to_owned();
        folder.push(".locks");
        Self {
            folder: folder.into(),
        }
    }

    /// `None` if a run is at work on this secret, which the store knows by this number.
    pub(super) fn begin(&self, secret: i64) -> Result<Option<RunGuard>, StoreError> {
        let path = self.folder.join(secret.to_string());
        let opened = match open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_folder().and_then(|()| open(&path))
            }
            opened => opened,
        };
        let file = opened.map_err(|error| unavailable(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(RunGuard::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(unavailable(&path, error)),
        }
    }

    fn make_folder(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::metadata(&self.folder).map(drop)
            }
            made => made,
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn unavailable(path: &Path, error: io::Error) -> StoreError {
    StoreError::new(
        ErrorKind::Unavailable,
        format!("{} cannot be locked: {error}", path.display()),
        "let this user write beside the store, on a file system that has locks",
    )
    .with_source(error)
}
