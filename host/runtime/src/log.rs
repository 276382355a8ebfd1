//! Where a plugin's log lines go. A line reaches the sink capped, escaped and scrubbed, so a sink
//! may write it anywhere; this crate itself writes nothing to standard output or standard error.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Debug,
    Info,
    Warn,
    Error,
}

/// One line of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogRecord {
    pub plugin: String,
    pub secret: String,
    pub credential: String,
    pub rotation_id: String,
    /// The export that was running, such as `set`.
    pub function: &'static str,
    pub severity: Severity,
    pub message: String,
    pub fields: Vec<(String, String)>,
}

/// Receives log lines. Must not block for long: it runs inside the plugin's call.
pub trait LogSink: Send + Sync {
    fn write(&self, record: LogRecord);
}

/// Drops every line.
pub(crate) struct NoLog;

impl LogSink for NoLog {
    fn write(&self, _record: LogRecord) {}
}
