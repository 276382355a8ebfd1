//! Exit codes and the last words on standard error. Scripts branch on the code, people read the
//! message; a message says what failed, whether the target changed and what to do next.

use std::process::ExitCode;

use serde_json::json;

/// Shown under `keyturn --help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done; or a rotation waits for an operator, which is no failure: --json says \"waiting-for-operator\"
  1  a fault of keyturn itself, please report it; or its result cannot be written to standard output
  2  the command line is wrong
  3  the configuration, a grant or a plugin is refused; target and AWSCURRENT are what they were
  4  the store refused, or the secret is not there; nothing was changed
  5  failed, and the target did not change: AWSCURRENT is what it was; of `plugin check`: the plugin is not fit
  6  failed, and the target or AWSCURRENT changed or may have changed: do what the message says and run
     the command again, it continues from there
  7  refused for now: a grace or another rotation is still running, or your declaration is missing; nothing was
     changed; of `plugin check`: nothing failed, and something could not be checked
  8  the credential that AWSCURRENT names does not log in
  130, 143  interrupted by Ctrl-C or SIGTERM; a rotation that was under way is continued by the same command
Of several credentials, the gravest code counts.";

/// What a failure means to a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Done = 0,
    Fault = 1,
    Configuration = 3,
    Store = 4,
    Failed = 5,
    InDoubt = 6,
    Refused = 7,
    NotLive = 8,
}

impl Code {
    /// Of two credentials' codes, the one that a script must hear of.
    pub(crate) fn worse(self, other: Self) -> Self {
        if other.severity() > self.severity() {
            other
        } else {
            self
        }
    }

    fn severity(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Configuration => 2,
            Self::Store => 3,
            Self::Failed => 4,
            Self::NotLive => 5,
            Self::InDoubt => 6,
            Self::Fault => 7,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// An expected failure with its exit code. Everything else that reaches `main` is a fault.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// Prints the error and gives the exit code that goes with it.
pub(crate) fn report(error: &anyhow::Error, as_json: bool) -> ExitCode {
    let code = code_of(error);
    let message = format!("{error:#}");
    if as_json {
        let line = json!({"error": {"exit_code": code as u8, "message": message}});
        crate::output::to_stderr(&line.to_string());
    } else {
        crate::output::to_stderr(&format!("keyturn: {message}"));
        if code == Code::Fault && !error.is::<crate::output::Unwritten>() {
            crate::output::to_stderr(
                "This is a fault of keyturn. Please report it with the command that you ran.",
            );
        }
    }
    code.into()
}

/// The end by a signal, as a shell counts it: 128 and its number. `left_behind` says what that leaves.
pub(crate) fn interrupted(signal: u8, left_behind: &str) -> ExitCode {
    crate::output::to_stderr(&format!("keyturn: interrupted. {left_behind}"));
    ExitCode::from(128 + signal)
}

fn code_of(error: &anyhow::Error) -> Code {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.code;
    }
    if error.downcast_ref::<keyturn_store::StoreError>().is_some() {
        return Code::Store;
    }
    Code::Fault
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graver_code_counts_in_either_order() {
        assert_eq!(Code::InDoubt.worse(Code::Refused), Code::InDoubt);
        assert_eq!(Code::Refused.worse(Code::InDoubt), Code::InDoubt);
        assert_eq!(Code::Done.worse(Code::Refused), Code::Refused);
    }
}
