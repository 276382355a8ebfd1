//! The request log: one JSON object a line on standard error. A reader that is slow or stuck must not slow down
//! requests, so lines wait in a bounded queue; what finds no room there is counted and said.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::Duration,
};

use keyturn_server::{RequestLog, RequestRecord};
use serde_json::json;

use crate::output;

/// Some seconds of many requests.
const LINES_MAX: usize = 4096;
/// For what waits when the server ends. Whoever does not read by then never will.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct Lines {
    /// `None` once it is closed.
    queue: Mutex<Option<SyncSender<String>>>,
    lost: Arc<AtomicU64>,
    /// Nothing comes from the writer but its end.
    ended: Mutex<Receiver<Infallible>>,
}

impl Lines {
    pub(super) fn to_stderr() -> Arc<Self> {
        let (queue, lines) = mpsc::sync_channel(LINES_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        let (ending, ended) = mpsc::sync_channel(0);
        thread::spawn(move || {
            let _ending: SyncSender<Infallible> = ending;
            write(&lines, &counted);
        });
        Arc::new(Self {
            queue: Mutex::new(Some(queue)),
            lost,
            ended: Mutex::new(ended),
        })
    }

    /// Writes what is waiting, as long as somebody reads it. Afterwards nothing is recorded any more.
    pub(super) fn close(&self) {
        drop(
            self.queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        // It ends with its queue; if it panicked, its lines are lost and nothing else.
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(CLOSE_TIMEOUT);
    }
}

impl RequestLog for Lines {
    fn record(&self, record: &RequestRecord) {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let line = json!(record).to_string();
        if queue
            .as_ref()
            .is_none_or(|queue| queue.try_send(line).is_err())
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write(lines: &Receiver<String>, lost: &AtomicU64) {
    for line in lines {
        output::to_stderr(&line);
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            output::to_stderr(&json!({"lines_lost": lost}).to_string());
        }
    }
}
