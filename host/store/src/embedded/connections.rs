//! Connections to the store's file. SQLite's calls block, so each piece of work gets a connection and a thread on
//! which it may: one hand-over for a whole transaction, and a caller that stops waiting cannot tear it apart.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::{self, JoinError};
use tokio::time::timeout;

use super::errors;
use crate::error::{ErrorKind, StoreError};

/// Longer than any one statement waits for another process, so that who comes next hears of that first.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);

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

    /// Does `work` once it is its turn. It is done to its end even if nobody waits for the answer any more, and
    /// whatever its caller held meanwhile: only the end of the process cuts it short, which is a crash.
    pub(super) async fn lend<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.0.turns.clone().acquire_owned();
        let turn = timeout(TURN_TIMEOUT, turn).await.map_err(|_| no_turn())?;
        let turn = turn.map_err(|_| closed())?;
        let shared = self.0.clone();
        let done = task::spawn_blocking(move || {
            // Given back last, when the connection is idle again.
            let _turn = turn;
            shared.work(work)
        });
        done.await.map_err(interrupted)?
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

fn no_turn() -> StoreError {
    StoreError::new(
        ErrorKind::Unavailable,
        "no connection to the store came free in time",
        "try again; if it stays, another call of this process is stuck",
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Changed;

    /// One connection to a database of its own.
    fn one() -> Connections {
        let connections = Connections::new(PathBuf::new(), |_| Connection::open_in_memory(), 1);
        connections.add(Connection::open_in_memory().unwrap());
        connections
    }

    /// A mark in the connection itself tells it from a new one.
    async fn mark(connections: &Connections) {
        let marked = connections.lend(|connection| {
            connection.pragma_update(None, "user_version", 7).unwrap();
            Ok(())
        });
        marked.await.unwrap();
    }

    async fn is_marked(connections: &Connections) -> bool {
        let version = connections.lend(|connection| {
            Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0)))
        });
        version.await.unwrap() == Ok(7)
    }

    #[tokio::test]
    async fn a_connection_is_used_again() {
        let connections = one();
        mark(&connections).await;
        assert!(is_marked(&connections).await);
    }

    #[tokio::test]
    async fn after_a_panic_the_next_gets_its_turn_and_another_connection() {
        let connections = one();
        mark(&connections).await;
        let interrupted = connections.lend::<()>(|_| panic!("as told")).await;
        assert_eq!(interrupted.unwrap_err().changed(), Changed::Unknown);
        assert!(!is_marked(&connections).await);
    }

    #[tokio::test]
    async fn a_transaction_that_is_left_open_goes_with_its_connection() {
        let connections = one();
        mark(&connections).await;
        let left_open = connections.lend(|connection| {
            connection.execute_batch("BEGIN").unwrap();
            Ok(())
        });
        left_open.await.unwrap();
        assert!(!is_marked(&connections).await);
    }

    #[tokio::test]
    async fn closing_waits_for_the_work_and_nothing_is_lent_afterwards() {
        let connections = one();
        let (begin, begun) = std::sync::mpsc::channel::<()>();
        let working = connections.clone();
        let work = tokio::spawn(async move {
            let work = working.lend(move |_| {
                begun.recv().unwrap();
                Ok(())
            });
            work.await
        });
        while connections.0.turns.available_permits() > 0 {
            task::yield_now().await;
        }
        let closing = connections.clone();
        let closed = tokio::spawn(async move { closing.close().await });
        task::yield_now().await;
        assert!(!closed.is_finished());
        begin.send(()).unwrap();
        work.await.unwrap().unwrap();
        closed.await.unwrap();
        let refused = connections.lend(|_| Ok(())).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
    }
}
