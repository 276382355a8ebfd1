//! What went wrong in one effect, in the words for people and the fields for scripts. All its text
//! has been scrubbed where it came from.

use keyturn_protocol::{Event, FailureClass, PluginFailure};
use keyturn_runtime::{Applied, CallError, ErrorKind, Liveness, Verdict};
use keyturn_store::{Changed, StoreError};
use serde::{Deserialize, Serialize};

/// How `applied` is spelled where nothing changed.
const NOTHING: &str = "no";

/// One failed effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `dns`, `tls`, `auth`, `permission`, …, or `store`.
    pub kind: String,
    /// Did the target change: `no`, `yes`, `unknown`.
    pub applied: String,
    /// SQLSTATE, Redis error word, HTTP status, AWS error name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<(String, String)>,
}

impl Problem {
    /// The kind of "another credential of the secret has to finish first".
    pub(crate) const ELSEWHERE: &str = "unfinished-elsewhere";

    /// Whether it is known that nothing came of what failed.
    pub(crate) fn changed_nothing(&self) -> bool {
        self.applied == NOTHING
    }

    /// The operator's configuration has to change, and nothing else.
    pub(crate) fn is_misconfiguration(&self) -> bool {
        let kinds = [ErrorKind::Denied, ErrorKind::InvalidSettings];
        kinds.iter().any(|kind| self.kind == kebab(kind))
    }
}

/// What an effect answers when it did not work: the event for the core, the problem for people.
pub(crate) struct Failed {
    pub(crate) event: Event,
    pub(crate) problem: Problem,
}

impl Failed {
    /// Whether the target refused the value itself.
    pub(crate) fn is_rejection(&self) -> bool {
        matches!(
            self.event,
            Event::PluginFailed(PluginFailure {
                class: FailureClass::Rejected,
                ..
            })
        )
    }

    /// Whether a plugin answered that the target did not change.
    pub(crate) fn left_target_alone(&self) -> bool {
        matches!(
            self.event,
            Event::PluginFailed(PluginFailure {
                applied: keyturn_protocol::Applied::No,
                ..
            })
        )
    }
}

impl From<StoreError> for Box<Failed> {
    fn from(error: StoreError) -> Self {
        Self::new(Failed {
            event: Event::StoreFailed {
                retryable: error.is_retryable(),
            },
            problem: Problem {
                kind: "store".to_owned(),
                applied: match error.changed() {
                    Changed::No => NOTHING,
                    Changed::Unknown => "unknown",
                }
                .to_owned(),
                code: Some(error.code().to_owned()),
                message: error.to_string(),
                details: Vec::new(),
            },
        })
    }
}

impl From<CallError> for Box<Failed> {
    fn from(error: CallError) -> Self {
        Self::new(Failed {
            event: Event::PluginFailed(PluginFailure {
                class: class_of(error.kind),
                applied: applied_of(error.applied),
                retryable: error.retryable,
                retry_after_ms: error.retry_after_ms,
            }),
            problem: error.into(),
        })
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        Self {
            kind: kebab(&error.kind),
            applied: kebab(&error.applied),
            code: error.code,
            message: error.message,
            details: error.details,
        }
    }
}

/// Why a verdict says nothing, in the words of the first member that has some.
pub(crate) fn why_unknown(verdict: Verdict) -> Option<Problem> {
    if verdict.liveness != Liveness::Unknown {
        return None;
    }
    verdict.members.into_iter().find_map(|report| {
        let mut problem = Problem::from(report.error?);
        problem.message = format!("{} {}: {}", report.endpoint, report.member, problem.message);
        Some(problem)
    })
}

/// The name that serde gives an enum's case.
pub(crate) fn kebab(case: &impl Serialize) -> String {
    match serde_json::to_value(case) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "other".to_owned(),
    }
}

fn applied_of(applied: Applied) -> keyturn_protocol::Applied {
    match applied {
        Applied::No => keyturn_protocol::Applied::No,
        Applied::Yes => keyturn_protocol::Applied::Yes,
        Applied::Unknown => keyturn_protocol::Applied::Unknown,
    }
}

fn class_of(kind: ErrorKind) -> FailureClass {
    match kind {
        ErrorKind::Rejected => FailureClass::Rejected,
        ErrorKind::Auth => FailureClass::Auth,
        ErrorKind::Permission => FailureClass::Permission,
        ErrorKind::Unprotected => FailureClass::Unprotected,
        ErrorKind::Drift => FailureClass::Drift,
        ErrorKind::Conflict => FailureClass::Conflict,
        ErrorKind::Throttled => FailureClass::Throttled,
        ErrorKind::Dns | ErrorKind::Unreachable | ErrorKind::Tls | ErrorKind::Timeout => {
            FailureClass::Path
        }
        ErrorKind::InvalidSecret => FailureClass::Unaskable,
        ErrorKind::InvalidSettings
        | ErrorKind::Unsupported
        | ErrorKind::IdentityChanged
        | ErrorKind::Denied => FailureClass::Invalid,
        ErrorKind::Protocol
        | ErrorKind::Internal
        | ErrorKind::Other
        | ErrorKind::Trap
        | ErrorKind::OutOfFuel
        | ErrorKind::OutOfMemory
        | ErrorKind::TooLarge
        | ErrorKind::InvalidAnswer => FailureClass::Fault,
    }
}
