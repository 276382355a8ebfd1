//! A plugin's log lines on their way out: capped, scrubbed, escaped. Past the caps one last line
//! says that the rest is gone.

use std::sync::Arc;

use crate::log::{LogRecord, LogSink, Severity};
use crate::scrub::Scrubber;

const MESSAGE_BYTES_MAX: usize = 2048;
const FIELD_BYTES_MAX: usize = 512;
const FIELDS_MAX: usize = 32;
/// What is looked through for secrets. A longer text is dropped whole rather than cut first: a cut
/// could leave half a secret that is then not found.
const SCRUBBED_BYTES_MAX: usize = 16 << 10;

/// What is left of one call's lines.
pub(crate) struct LogBudget {
    pub(crate) sink: Arc<dyn LogSink>,
    /// Names of the call; message and fields are filled per line.
    pub(crate) origin: LogRecord,
    pub(crate) lines_left: u32,
    pub(crate) bytes_left: usize,
}

impl LogBudget {
    pub(crate) fn write(
        &mut self,
        scrubber: &Scrubber,
        severity: Severity,
        message: &str,
        fields: &[(String, String)],
    ) {
        let fields = fields.iter().take(FIELDS_MAX);
        let bytes: usize = message.len().min(MESSAGE_BYTES_MAX)
            + fields
                .clone()
                .map(|(k, v)| k.len().min(64) + v.len().min(FIELD_BYTES_MAX))
                .sum::<usize>();
        if self.lines_left == 0 || bytes > self.bytes_left {
            if self.lines_left > 0 || self.bytes_left > 0 {
                (self.lines_left, self.bytes_left) = (0, 0);
                let message =
                    "the plugin logs more than it may; the rest of this call's lines is dropped";
                self.send(Severity::Warn, message.into(), Vec::new());
            }
            return;
        }
        self.lines_left -= 1;
        self.bytes_left -= bytes;
        let fields = fields
            .map(|(key, value)| {
                (
                    line(scrubber, key, 64),
                    line(scrubber, value, FIELD_BYTES_MAX),
                )
            })
            .collect();
        self.send(severity, line(scrubber, message, MESSAGE_BYTES_MAX), fields);
    }

    fn send(&self, severity: Severity, message: String, fields: Vec<(String, String)>) {
        self.sink.write(LogRecord {
            severity,
            message,
            fields,
            ..self.origin.clone()
        });
    }
}

fn line(scrubber: &Scrubber, text: &str, bytes_max: usize) -> String {
    if text.len() > SCRUBBED_BYTES_MAX {
        return format!("[{} bytes, too long for a log]", text.len());
    }
    scrubber.line(text, bytes_max)
}
