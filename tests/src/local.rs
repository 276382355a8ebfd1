//! What several of the harness's parts need on this machine.

use std::io;
use std::net::TcpListener;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A port that nobody has, for a server that is told its port.
pub(crate) fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}

/// A panic in another thread of the test must not hide behind a poisoned lock; what is behind it is whole all the same.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
