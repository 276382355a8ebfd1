//! The contract's vocabulary as plugins use it. Types that hold secret values are this crate's own,
//! with a redacted `Debug`; the harmless ones are the bindings' own. Nothing here does any work.

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::secret::SecretText;

pub use crate::bindings::keyturn::rotation::types::{
    Applied, Consumer, Descriptor, Finding, InputRequest, Level, Liveness, Prompt, Purpose,
    Retirement, RetirementPlan, Standing, Status, Strategy, TargetEffect, UsageReport,
};

/// A stored value under its version id.
#[derive(Clone, Debug)]
pub struct Version {
    /// The version's id.
    pub id: String,
    /// The secret's whole text.
    pub value: SecretText,
}

/// An older value that may still open the door: tried when CURRENT does not, never promoted.
#[derive(Clone, Debug)]
pub struct OtherVersion {
    /// Why it is here.
    pub standing: Standing,
    /// The value.
    pub version: Version,
}

/// Another secret that manifest and grant both name (such as `admin`), at its AWSCURRENT.
#[derive(Clone, Debug)]
pub struct Companion {
    /// The manifest's name for it.
    pub name: String,
    /// The secret's name.
    pub secret: String,
    /// Its value.
    pub version: Version,
}

/// What the host hands over with every call.
#[derive(Clone, Debug)]
pub struct Context {
    /// The secret's name, for logs.
    pub secret: String,
    /// The credential's name; empty unless a secret holds several.
    pub credential: String,
    /// prod, staging, …; empty if unknown.
    pub environment: String,
    /// The rotation's id, for logs.
    pub rotation_id: String,
    /// From 1.
    pub attempt: u32,
    /// Time left for this call, in milliseconds.
    pub budget_ms: u64,
    /// One of those that `describe` lists.
    pub strategy: String,
    /// JSON, valid under the descriptor's settings schema.
    pub settings_json: String,
    /// The value at AWSCURRENT.
    pub current: Version,
    /// Older values that may still open the door.
    pub others: Vec<OtherVersion>,
    /// The companion secrets granted.
    pub companions: Vec<Companion>,
}

impl Context {
    /// The settings as a type of the plugin's.
    ///
    /// # Errors
    /// `invalid-settings`, naming what does not fit.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let text = if self.settings_json.is_empty() {
            "{}"
        } else {
            &self.settings_json
        };
        serde_json::from_str(text).map_err(|error| {
            Error::invalid_settings(format!(
                "the settings of `{}` do not fit: {error}",
                self.secret
            ))
        })
    }

    /// The companion that the manifest calls `name`, if the host passed one.
    pub fn companion(&self, name: &str) -> Option<&Companion> {
        self.companions
            .iter()
            .find(|companion| companion.name == name)
    }
}

/// An operator's answer to a prompt.
#[derive(Clone, Debug)]
pub struct Input {
    /// The prompt's name.
    pub name: String,
    /// What was entered.
    pub value: SecretText,
}

/// What `create` is asked for.
#[derive(Clone, Debug)]
pub struct CreateRequest {
    /// Why a new version is made.
    pub purpose: Purpose,
    /// Answers to an earlier input request, else empty.
    pub inputs: Vec<Input>,
    /// How long the old value stays accepted; 0 = revoke at once, keep no previous value.
    pub overlap_seconds: u64,
    /// When the next rotation is due, in Unix seconds.
    pub next_rotation: Option<u64>,
    /// The value to bring back; only with purpose restore.
    pub restore: Option<Version>,
}

impl CreateRequest {
    /// The version to restore.
    ///
    /// # Errors
    /// `internal` if the host passed none.
    pub fn version_to_restore(&self) -> Result<&Version, Error> {
        self.restore
            .as_ref()
            .ok_or_else(|| Error::internal("purpose restore came without a version to restore"))
    }
}

/// What `create` answers.
#[derive(Clone, Debug)]
pub enum Created {
    /// The secret's whole new text.
    Value(SecretText),
    /// Only an operator can bring the new value.
    NeedsInput(InputRequest),
}

/// What `retire` is asked for.
#[derive(Clone, Debug)]
pub struct RetireRequest {
    /// The value to kill.
    pub subject: Version,
    /// End sessions that are older than this many milliseconds.
    pub end_sessions_older_than_ms: Option<u64>,
}

/// How one node fared.
#[derive(Clone, Debug)]
pub struct MemberReport {
    /// The endpoint's name in the manifest.
    pub endpoint: String,
    /// The node's label.
    pub member: String,
    /// Did this node change?
    pub applied: Applied,
    /// Does the value in question open this node?
    pub liveness: Liveness,
    /// What failed here.
    pub error: Option<Error>,
}

impl MemberReport {
    /// Nothing changed here, and whether the value opens this node cannot be told; the error says why.
    pub fn unknown(endpoint: &str, member: &str, error: Error) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            member: member.to_owned(),
            applied: Applied::No,
            liveness: Liveness::Unknown,
            error: Some(error),
        }
    }
}

/// What `set`, `test` and `retire` answer.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Done, already so, or to be asked again.
    pub status: Status,
    /// One report per node.
    pub members: Vec<MemberReport>,
    /// What the operator should know.
    pub findings: Vec<Finding>,
    /// The version id that logged in; anything but CURRENT or the candidate is drift.
    pub opened_with: Option<String>,
}

impl Outcome {
    /// An outcome without reports.
    pub fn new(status: Status) -> Self {
        Self {
            status,
            members: Vec::new(),
            findings: Vec::new(),
            opened_with: None,
        }
    }

    /// It is done.
    pub fn done() -> Self {
        Self::new(Status::Done)
    }

    /// It was so already.
    pub fn unchanged() -> Self {
        Self::new(Status::Unchanged)
    }

    /// Ask again after that many milliseconds, with the same arguments.
    pub fn pending(milliseconds: u64) -> Self {
        Self::new(Status::Pending(milliseconds))
    }

    /// Adds a node's report.
    #[must_use]
    pub fn member(mut self, report: MemberReport) -> Self {
        self.members.push(report);
        self
    }

    /// Adds a finding.
    #[must_use]
    pub fn finding(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    /// Names the version whose value opened the door.
    #[must_use]
    pub fn opened_with(mut self, version_id: impl Into<String>) -> Self {
        self.opened_with = Some(version_id.into());
        self
    }
}

/// What `probe` answers.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The answer over all nodes.
    pub liveness: Liveness,
    /// One report per node.
    pub members: Vec<MemberReport>,
}

impl Verdict {
    /// A verdict without reports, for kinds without a target.
    pub fn new(liveness: Liveness) -> Self {
        Self {
            liveness,
            members: Vec::new(),
        }
    }

    /// The verdict over all nodes: mixed if they disagree, unknown if any is unknown or none is there.
    pub fn of_members(members: Vec<MemberReport>) -> Self {
        let mut all = members.iter().map(|report| report.liveness);
        let liveness = match all.next() {
            None => Liveness::Unknown,
            Some(first) => all.fold(first, |sum, next| match (sum, next) {
                (Liveness::Unknown, _) | (_, Liveness::Unknown) => Liveness::Unknown,
                (a, b) if a == b => a,
                _ => Liveness::Mixed,
            }),
        };
        Self { liveness, members }
    }
}
