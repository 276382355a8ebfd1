//! JSON lines on standard output, which Lambda keeps: what the engine tells its sinks (on AWS they are the audit trail)
//! and how each invocation ended, all with what the invocation is about. No line holds a secret value.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keyturn_engine::{Event, EventSink};
use keyturn_store::{Clock, SystemClock};
use serde_json::{Map, Value, json};

#[derive(Default)]
pub(crate) struct Log {
    /// What every line of the invocation says.
    about: Mutex<Map<String, Value>>,
}

impl Log {
    /// From now on every line says this, until the next invocation.
    pub(super) fn begin(&self, about: Map<String, Value>) {
        *self.about() = about;
    }

    /// Adds to that what was learned of the invocation.
    pub(super) fn know(&self, name: &str, value: &str) {
        self.about().insert(name.to_owned(), json!(value));
    }

    /// Writes a JSON object.
    ///
    /// # Errors
    /// Those of standard output.
    pub(crate) fn line(&self, line: Value) -> io::Result<()> {
        let mut members = self.about().clone();
        members.insert("at_ms".to_owned(), json!(SystemClock.now_ms()));
        if let Value::Object(line) = line {
            members.extend(line);
        }
        let mut text = serde_json::to_string(&members)?;
        text.push('\n');
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// What was put there is whole after a panic, too.
    fn about(&self) -> MutexGuard<'_, Map<String, Value>> {
        self.about.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for Log {
    fn record(&self, event: &Event) -> io::Result<()> {
        self.line(serde_json::to_value(event)?)
    }
}
