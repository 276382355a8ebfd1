//! An invocation that failed, as its caller sees it: an errorType to branch and alarm on, an errorMessage for people.

use std::fmt;

use keyturn_config::ConfigError;
use keyturn_engine::{NextAction, Reason, RunFailure};
use keyturn_store::StoreError;
use lambda_runtime::Diagnostic;

use crate::exit;

/// Alarms leave it out: somebody is expected to act, and nothing is broken.
pub(crate) const WAITING_FOR_OPERATOR: &str = "Keyturn.WaitingForOperator";
const OWED_BY_OPERATOR: &str = "Keyturn.OperatorOwes";
const UNKNOWN_KIND: &str = "Keyturn.UnknownKind";
const CONFIGURATION: &str = "Keyturn.Configuration";
const INVALID_EVENT: &str = "Keyturn.InvalidEvent";
const STORE: &str = "Keyturn.Store";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) error_type: String,
    /// What failed, whether the target changed, what to do next.
    pub(crate) message: String,
    /// Whether the same event may succeed later although nobody did anything in between.
    pub(crate) retryable: bool,
}

impl Failure {
    /// One that only somebody's doing mends. `kind` is what stands behind `Keyturn.`.
    pub(crate) fn new(kind: &str, message: impl Into<String>) -> Self {
        Self {
            error_type: format!("Keyturn.{kind}"),
            message: message.into(),
            retryable: false,
        }
    }

    pub(crate) fn configuration(message: impl fmt::Display) -> Self {
        Self {
            error_type: CONFIGURATION.to_owned(),
            message: message.to_string(),
            retryable: false,
        }
    }

    pub(crate) fn invalid_event(problem: &str) -> Self {
        Self {
            error_type: INVALID_EVENT.to_owned(),
            message: format!(
                "the event is none that keyturn knows: {problem}; nothing was changed; send what the service sends, or \
                 one of keyturn's actions"
            ),
            retryable: false,
        }
    }

    pub(crate) fn invalid_member(member: &str, error: &StoreError) -> Self {
        Self::invalid_event(&format!("its {member} is wrong, {error}"))
    }

    /// The invocation would have been killed.
    pub(crate) fn out_of_time() -> Self {
        Self {
            retryable: true,
            ..Self::new(
                "OutOfTime",
                "it did not come to its end within the function's timeout; the target may have changed; invoke it again, it \
                 continues, and give the function more time if that happens often",
            )
        }
    }

    /// Nothing tells how the secret is rotated.
    pub(super) fn unknown_kind(message: String) -> Self {
        Self {
            error_type: UNKNOWN_KIND.to_owned(),
            message,
            retryable: false,
        }
    }

    pub(super) fn is_unknown_kind(&self) -> bool {
        self.error_type == UNKNOWN_KIND
    }

    /// Whether a person has to end an old value, or to say that it is not needed.
    pub(super) fn is_owed_by_operator(&self) -> bool {
        self.error_type == OWED_BY_OPERATOR
    }

    pub(crate) fn is_waiting_for_operator(&self) -> bool {
        self.error_type == WAITING_FOR_OPERATOR
    }
}

impl From<Box<RunFailure>> for Failure {
    fn from(failure: Box<RunFailure>) -> Self {
        Self {
            error_type: format!("Keyturn.{}", kind_of(&failure)),
            message: failure.to_string(),
            retryable: matches!(
                failure.failure.next,
                NextAction::Retry | NextAction::WaitSeconds(_)
            ),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self {
            error_type: STORE.to_owned(),
            message: error.to_string(),
            retryable: error.is_retryable(),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::configuration(format!("{error}; nothing was changed"))
    }
}

impl From<exit::Failure> for Failure {
    fn from(failure: exit::Failure) -> Self {
        Self {
            error_type: match failure.code {
                exit::Code::Store => STORE,
                _ => CONFIGURATION,
            }
            .to_owned(),
            message: format!("{}; nothing was changed", failure.message),
            retryable: false,
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<exit::Failure>() {
            Ok(failure) => failure.into(),
            Err(error) => Self::configuration(format!("{error:#}; nothing was changed")),
        }
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self {
            error_type: failure.error_type,
            error_message: failure.message,
        }
    }
}

/// The guards of the protocol have names of their own; else what the plugin or the store said, else why the run ended.
fn kind_of(failure: &RunFailure) -> String {
    let guard = match failure.failure.reason {
        Reason::WaitingForOperator => "WaitingForOperator",
        Reason::RotationDisabled => "RotationDisabled",
        Reason::UnknownToken => "UnknownToken",
        Reason::NotPending => "NotPending",
        Reason::OutOfOrder => "OutOfOrder",
        Reason::CheckFailed => "CheckFailed",
        Reason::Rejected => "Rejected",
        Reason::WithinGrace { .. } => "WithinGrace",
        Reason::BaseMoved | Reason::Contended | Reason::ForeignPending(_) => "Contended",
        Reason::IdentityDiffers(_) => "IdentityDiffers",
        Reason::AllDead | Reason::CurrentNotLive(_) | Reason::RetiringIsTheOnlyKey(_) => {
            "CurrentNotLive"
        }
        Reason::StillPending => "StillPending",
        Reason::OperatorOwes(_) | Reason::Undeclared(_) => "OperatorOwes",
        Reason::NoCurrent
        | Reason::Unsupported(_)
        | Reason::NothingToRestore
        | Reason::Unfinished(_)
        | Reason::OwnedElsewhere
        | Reason::StillRead(_)
        | Reason::DoubtWithoutTarget(_)
        | Reason::LivenessUnknown(_)
        | Reason::RetiringUnaskable(_)
        | Reason::Plugin(_)
        | Reason::Store
        | Reason::Cancelled => {
            let said = failure.problem.as_ref();
            return said.map_or_else(|| "Refused".to_owned(), |said| pascal(&said.kind));
        }
    };
    guard.to_owned()
}

/// `InvalidSecret` for `invalid-secret`.
fn pascal(kebab: &str) -> String {
    let capital = |word: &str| {
        let mut chars = word.chars();
        let first = chars.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    kebab.split('-').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_spelled_like_error_types() {
        assert_eq!(pascal("invalid-secret"), "InvalidSecret");
        assert_eq!(pascal("store"), "Store");
        assert_eq!(pascal(""), "");
    }
}
