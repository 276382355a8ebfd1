//! What the engine reports while it works. Sinks (audit, progress, later notifications and metrics)
//! see these events and nothing else; no event carries a secret value.

use std::{collections::BTreeMap, io};

use serde::{Deserialize, Serialize};

/// One thing that happened to one credential.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// Unix milliseconds.
    pub at_ms: u64,
    pub secret: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub credential: String,
    pub rotation_id: String,
    /// Who asked for it.
    pub actor: String,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    Started {
        /// `rotate`, `rotate --now`, `retire`, …; empty in older trails.
        #[serde(default)]
        goal: String,
        strategy: String,
        labels: BTreeMap<String, String>,
    },
    /// Recorded before the effect happens.
    Intent {
        effect: String,
        version: String,
        /// The rule of the plan that chose it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
    },
    /// Recorded after it, with what came of it.
    Outcome {
        effect: String,
        version: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        duration_ms: f64,
        result: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<crate::Problem>,
    },
    Waiting {
        why: String,
        ms: u64,
    },
    PluginLog {
        severity: String,
        message: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        fields: Vec<(String, String)>,
    },
    Finding {
        level: String,
        id: String,
        summary: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fix: Option<String>,
    },
    Finished {
        outcome: String,
        /// Why it was refused or failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        labels: BTreeMap<String, String>,
        duration_ms: f64,
    },
}

/// Consumes events. The audit trail's intent stands before each effect, so an error stops the
/// rotation before the effect is made.
pub trait EventSink: Send + Sync {
    fn record(&self, event: &Event) -> io::Result<()>;
}
