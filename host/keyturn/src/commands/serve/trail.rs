//! What clients change, in the same audit trail as rotations. A request's id stands where a rotation's does.

use std::io;

use keyturn_engine::{Event, EventSink, What};
use keyturn_server::{Change, Trail};
use keyturn_store::{Clock, SecretName, SystemClock};

use crate::sinks::AuditLog;

pub(super) struct AuditTrail(AuditLog);

impl AuditTrail {
    pub(super) fn new(audit: AuditLog) -> Self {
        Self(audit)
    }

    /// A deletion that a client asked for days ago has become final.
    pub(super) fn purged(&self, name: &SecretName) {
        let change = Change {
            secret: name.to_string(),
            operation: "purge",
            version: String::new(),
            key: String::new(),
            request_id: String::new(),
        };
        self.outcome(&change, true, 0.0);
    }

    fn record(&self, change: &Change, what: What) -> io::Result<()> {
        self.0.record(&Event {
            at_ms: SystemClock.now_ms(),
            secret: change.secret.clone(),
            credential: String::new(),
            rotation_id: change.request_id.clone(),
            actor: actor(&change.key),
            what,
        })
    }
}

/// The holder of an access key, or the server itself, as the audit trail names whoever asked.
pub(super) fn actor(key: &str) -> String {
    if key.is_empty() {
        return "serve".to_owned();
    }
    format!("key:{key}")
}

impl Trail for AuditTrail {
    fn intent(&self, change: &Change) -> io::Result<()> {
        self.record(
            change,
            What::Intent {
                effect: change.operation.to_owned(),
                version: change.version.clone(),
                rule: None,
            },
        )
    }

    fn outcome(&self, change: &Change, done: bool, duration_ms: f64) {
        // It has happened; a trail that is full by now cannot undo it.
        let _ = self.record(
            change,
            What::Outcome {
                effect: change.operation.to_owned(),
                version: change.version.clone(),
                step: None,
                duration_ms,
                result: if done { "done" } else { "failed" }.to_owned(),
                problem: None,
            },
        );
    }
}
