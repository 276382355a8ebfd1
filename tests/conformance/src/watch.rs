//! Counts a plugin's imports and holds it at one of them for ever: a run that is given up there has crashed there.

use std::sync::Mutex;

use keyturn_runtime::{Entering, ImportWatch};
use tokio::sync::Notify;

use crate::kit::lock;

#[derive(Default)]
pub(crate) struct Watch {
    state: Mutex<State>,
    fired: Notify,
}

#[derive(Default)]
struct State {
    seen: usize,
    /// Counted from 0.
    hold_at: Option<usize>,
    held: Option<&'static str>,
}

impl Watch {
    /// Counts anew, and holds at that import.
    pub(crate) fn arm(&self, hold_at: usize) {
        *lock(&self.state) = State {
            hold_at: Some(hold_at),
            ..State::default()
        };
    }

    pub(crate) fn disarm(&self) {
        *lock(&self.state) = State::default();
    }

    /// The import at which it holds, once it does.
    pub(crate) async fn fired(&self) -> &'static str {
        loop {
            let notified = self.fired.notified();
            if let Some(import) = lock(&self.state).held {
                return import;
            }
            notified.await;
        }
    }
}

impl ImportWatch for Watch {
    fn enter<'a>(&'a self, import: &'static str) -> Entering<'a> {
        let holds = {
            let mut state = lock(&self.state);
            let number = state.seen;
            state.seen += 1;
            let holds = state.hold_at == Some(number);
            if holds {
                state.held = Some(import);
            }
            holds
        };
        Box::pin(async move {
            if holds {
                self.fired.notify_waiters();
                std::future::pending::<()>().await;
            }
        })
    }
}
