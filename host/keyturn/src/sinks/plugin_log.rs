//! A plugin's log lines, as events like all others.

use std::sync::Arc;

use keyturn_engine::{Event, EventSink, What};
use keyturn_runtime::{LogRecord, LogSink, Severity};
use keyturn_store::{Clock, SystemClock};

pub(crate) struct PluginLog {
    pub(crate) sink: Arc<dyn EventSink>,
    pub(crate) actor: String,
}

impl LogSink for PluginLog {
    fn write(&self, record: LogRecord) {
        let severity = match record.severity {
            Severity::Debug => "debug",
            Severity::Info => "info",
            Severity::Warn => "warn",
            Severity::Error => "error",
        };
        // A log line is no effect: if it cannot be written, the call goes on.
        let _ = self.sink.record(&Event {
            at_ms: SystemClock.now_ms(),
            secret: record.secret,
            credential: record.credential,
            rotation_id: record.rotation_id,
            actor: self.actor.clone(),
            what: What::PluginLog {
                severity: severity.to_owned(),
                message: record.message,
                fields: record.fields,
            },
        });
    }
}
