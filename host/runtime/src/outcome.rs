//! What a plugin answers, as owned host types. The types that wasmtime generates derive `Debug`
//! over secrets, so they end at the edge; all text here has been scrubbed, escaped and capped, and
//! may be logged, stored and printed. The one secret, a created value, sits in a `SecretString`.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::call::Purpose;
use crate::endpoint::Way;
use crate::error::{Applied, CallError};

/// What a plugin says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Descriptor {
    pub name: String,
    pub version: String,
    pub summary: String,
    /// Not empty, names distinct; the first is the default.
    pub strategies: Vec<Strategy>,
    /// JSON Schemas.
    pub settings_schema: serde_json::Value,
    pub secret_schema: serde_json::Value,
}

impl Descriptor {
    /// The strategy with this name.
    pub fn strategy(&self, name: &str) -> Option<&Strategy> {
        self.strategies
            .iter()
            .find(|strategy| strategy.name == name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Strategy {
    pub name: String,
    pub effect: TargetEffect,
    pub purposes: Vec<Purpose>,
    pub needs_operator: bool,
    pub summary: String,
}

/// What a strategy does to the credential in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetEffect {
    /// No target to change.
    None,
    /// CURRENT keeps working after `set`.
    Additive,
    /// CURRENT stops working when `set` applies.
    Replacing,
}

/// What `create` made.
#[derive(Clone, Debug)]
pub enum Created {
    /// A whole new value, not empty, at most 65,536 bytes, identity equal to CURRENT's.
    Value(SecretString),
    /// The operator is asked first; call again with the answers.
    NeedsInput(InputRequest),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputRequest {
    pub title: String,
    pub link: Option<String>,
    pub checklist: Vec<String>,
    pub prompts: Vec<Prompt>,
    pub expires_after_seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prompt {
    pub name: String,
    pub label: String,
    pub sensitive: bool,
    pub multiline: bool,
    pub pattern: Option<String>,
    pub example: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Done,
    /// The target was already as asked.
    Unchanged,
    /// Call again after that time with the same arguments.
    Pending {
        after_ms: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Liveness {
    Live,
    Dead,
    /// Live on some members, dead on others.
    Mixed,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemberReport {
    pub endpoint: String,
    pub member: String,
    pub applied: Applied,
    pub liveness: Liveness,
    pub error: Option<CallError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Ok,
    Note,
    Warning,
    Failure,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub id: String,
    pub level: Level,
    pub summary: String,
    pub fix: Option<String>,
}

/// The answer of `set`, `test` and `retire`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    pub status: Status,
    pub members: Vec<MemberReport>,
    pub findings: Vec<Finding>,
    /// The version id that logged in; anything but CURRENT or the candidate is drift.
    pub opened_with: Option<String>,
    /// The host's own word: the call has opened a connection.
    pub connected: bool,
}

/// The answer of `probe`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    pub liveness: Liveness,
    pub members: Vec<MemberReport>,
    /// The host's own word: the call has opened a connection.
    pub connected: bool,
}

/// The answer of `probe`, and what the host saw on the way to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// One for each server that the plugin may reach.
    pub ways: Vec<Way>,
    pub answer: Result<Verdict, CallError>,
}

/// How the old value ends. None set: there is nothing to kill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retirement {
    /// `retire` kills it at the target.
    pub at_target: bool,
    /// `create` with purpose retire makes a version without it.
    pub new_version: bool,
    /// An operator deletes it at the vendor.
    pub by_operator: bool,
}

/// The answer of `finish`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetirementPlan {
    pub how: Retirement,
    pub after_seconds: u64,
    pub operator_steps: Option<InputRequest>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Consumer {
    pub name: String,
    pub address: Option<String>,
    pub sessions: u32,
    pub idle_seconds: Option<u64>,
}

/// The answer of `usage`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsageReport {
    pub observable: bool,
    pub consumers: Vec<Consumer>,
    pub note: Option<String>,
}
