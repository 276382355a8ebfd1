//! The polite ends. A rotation needs no clean-up when it is cut off anywhere, so a signal only gets words,
//! those of the command (`commands::when_interrupted`).

use tokio::signal::unix::{SignalKind, signal};

/// Waits for Ctrl-C or SIGTERM; answers the signal's number.
pub(crate) async fn interrupted() -> u8 {
    let wait = |kind: SignalKind| async move {
        match signal(kind) {
            Ok(mut signals) => signals.recv().await,
            // Without a handler the signal ends the process as ever.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = wait(SignalKind::interrupt()) => 2,
        _ = wait(SignalKind::terminate()) => 15,
    }
}
