//! Connections to the store's file. SQLite's calls block, so each piece of work gets a connection and a thread on
//! which it may: one hand-over for a whole transaction, and a caller that stops waiting cannot tear it apart.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::{self, JoinError};

use super::errors;
use crate::error::{ErrorKind, StoreError};

#[derive(Clone)]
pub(super) struct Connections(Arc<Shared>);

struct Shared {
    path: PathBuf,
    open: Open,
    idle: Mutex<Vec<Connection>>,
    /// Callers wait here and in order, not on threads.
    turns: Arc<Semaphore>,
    at_most: u32,
}

type Open = fn(&std::path::Path) -> rusqlite::Result<Connection>;

impl Connections {
    /// At most so many at once, each opened by `open` when it is first needed.
    pub(super) fn new(path: PathBuf, open: Open, at_most: u32) -> Self {
        Self(Arc::new(Shared {
            path,
            open,
            idle: Mutex::default(),
            turns: Arc::new(Semaphore::new(at_most as usize)),
            at_most,
        }))
    }

    /// One that is open already.
    pub(super) fn add(&self, connection: Connection) {
        self.0.idle().push(connection);
    }

    /// Does `work` once it is its turn. It is done to its end even if nobody waits for the answer any more.
    pub(super) async fn lend<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.0.turns.clone().acquire_owned().await;
        let turn = turn.map_err(|_| closed())?;
        let shared = self.0.clone();
        let done = task::spawn_blocking(move || {
            // Given back last, when the connection is idle again.
            let _turn = turn;
            shared.work(work)
        });
        done.await.map_err(interrupted)?
    }

    /// Does `work` at once and on this thread: for what waits for no lock and is shorter than a hand-over.
    pub(super) fn lend_here<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.0.turns.is_closed() {
            return Err(closed());
        }
        self.0.work(work)
    }

    /// Closes all, once the work on them is done; nothing is lent from then on.
    pub(super) async fn close(&self) {
        // Only a second call finds no turns any more.
        let Ok(_turns) = self.0.turns.acquire_many(self.0.at_most).await else {
            return;
        };
        self.0.turns.close();
        let idle = std::mem::take(&mut *self.0.idle());
        // The last one to close the file takes the log into it. If that fails, the log stays, and nothing is lost.
        let _ = task::spawn_blocking(|| drop(idle)).await;
    }
}

impl Shared {
    fn work<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => (self.open)(&self.path).map_err(errors::statement)?,
        };
        let answer = work(&mut connection);
        // One whose rollback failed is no use to the next.
        if connection.is_autocommit() {
            self.idle().push(connection);
        }
        answer
    }

    /// A list of whole connections is whole after a panic, too.
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> StoreError {
    StoreError::new(
        ErrorKind::Unavailable,
        "the store is closed",
        "open it again",
    )
}

/// The thread of a piece of work ended before it: by a panic, or with the process.
fn interrupted(error: JoinError) -> StoreError {
    StoreError::new(
        ErrorKind::Internal,
        "the work on the store was interrupted",
        "please report this as a bug with the cause",
    )
    .with_source(error)
    .with_change_unknown()
}
