//! What a finished run tells its caller, ready for `--json`. Version ids, labels, times; no values.

use std::collections::BTreeMap;

use keyturn_runtime::{Finding, InputRequest};
use serde::Serialize;

/// One run, successful or not.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    pub secret: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub credential: String,
    pub rotation_id: String,
    pub version: Moved,
    /// Staging label to version id.
    pub labels_before: BTreeMap<String, String>,
    pub labels_after: BTreeMap<String, String>,
    pub steps: Vec<StepReport>,
    /// What was noticed on the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    pub duration_ms: f64,
    /// What an operator has to supply before the rotation can go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asks: Option<InputRequest>,
    /// How long AWSCURRENT did not log in (replacing strategies only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_ms: Option<u64>,
}

/// AWSCURRENT before and after.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Moved {
    pub before: Option<String>,
    pub after: Option<String>,
}

/// One step of the protocol, with the time that its effects took.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    pub step: String,
    pub duration_ms: f64,
}
