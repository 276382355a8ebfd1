//! Counting: what was tried, what failed and why, and which version was the last to let us in.

use serde::{Deserialize, Serialize};

use super::Attempt;

/// The first failures tell most; the rest is counted.
const REASONS_MAX: usize = 5;

/// The prober's report; one JSON line on its standard output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub logins: u64,
    pub failed: u64,
    pub secrets: Vec<KindReport>,
}

/// The same for one secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindReport {
    /// The name of a [`Kind`](super::Kind).
    pub kind: String,
    pub secret: String,
    pub logins: u64,
    pub failed: u64,
    /// Refused, but overtaken by a promotion: neither a success nor a failure.
    pub overtaken: u64,
    /// Earlier tokens or keys that were presented besides and accepted, or decrypted with.
    pub earlier_accepted: u64,
    /// How many versions have let us in.
    pub versions: u64,
    /// The last that did.
    pub last_version: Option<String>,
    pub first_failures: Vec<String>,
}

impl Report {
    pub(super) fn new(secrets: Vec<KindReport>) -> Self {
        Self {
            logins: secrets.iter().map(|secret| secret.logins).sum(),
            failed: secrets.iter().map(|secret| secret.failed).sum(),
            secrets,
        }
    }

    /// The part about one secret.
    pub fn of(&self, secret: &str) -> Option<&KindReport> {
        self.secrets.iter().find(|report| report.secret == secret)
    }
}

pub(super) struct Tally(KindReport);

impl Tally {
    pub(super) fn new(kind: &str, secret: &str) -> Self {
        Self(KindReport {
            kind: kind.to_owned(),
            secret: secret.to_owned(),
            logins: 0,
            failed: 0,
            overtaken: 0,
            earlier_accepted: 0,
            versions: 0,
            last_version: None,
            first_failures: Vec::new(),
        })
    }

    pub(super) fn count(&mut self, attempt: Attempt) {
        let report = &mut self.0;
        report.logins += 1;
        match attempt {
            Attempt::Accepted { version, earlier } => {
                report.earlier_accepted += earlier;
                if report.last_version.as_ref() != Some(&version) {
                    report.versions += 1;
                    report.last_version = Some(version);
                }
            }
            Attempt::Overtaken => report.overtaken += 1,
            Attempt::Failed { reason } => {
                report.failed += 1;
                if report.first_failures.len() < REASONS_MAX {
                    report.first_failures.push(reason);
                }
            }
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.0.last_version.is_some()
    }

    pub(super) fn report(&self) -> KindReport {
        self.0.clone()
    }
}
