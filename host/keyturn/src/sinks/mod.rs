//! Consumers of the engine's events. They see events and nothing else.

mod audit;
mod plugin_log;
mod progress;

use std::io;

use keyturn_engine::{Event, EventSink};

pub(crate) use audit::{AuditLog, read as read_audit};
pub(crate) use plugin_log::PluginLog;
pub(crate) use progress::Progress;

/// Several sinks in order; the first that fails stops the event's cause.
pub(crate) struct Fanout(pub(crate) Vec<Box<dyn EventSink>>);

impl EventSink for Fanout {
    fn record(&self, event: &Event) -> io::Result<()> {
        self.0.iter().try_for_each(|sink| sink.record(event))
    }
}
