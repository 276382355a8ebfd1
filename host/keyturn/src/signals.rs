//! The polite ends. A rotation needs no clean-up when it is cut off anywhere, so a signal only gets words,
//! those of the command (`commands::when_interrupted`).

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Heeds Ctrl-C and SIGTERM from now on; the answer waits for one of them and is the signal's number.
pub(crate) fn interrupted() -> impl Future<Output = u8> {
    let interrupt = signal(SignalKind::interrupt());
    let terminate = signal(SignalKind::terminate());
    async move {
        tokio::select! {
            () = heard(interrupt) => 2,
            () = heard(terminate) => 15,
        }
    }
}

async fn heard(signals: io::Result<Signal>) {
    match signals {
        Ok(mut signals) => drop(signals.recv().await),
        // Without a handler the signal ends the process as ever.
        Err(_) => std::future::pending().await,
    }
}
