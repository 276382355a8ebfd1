//! How a run's end is shown: an object a line with --json, one sentence otherwise, and the exit code.

use anyhow::Result;
use keyturn_engine::{NextAction, Outcome, Report, RunFailure};
use serde_json::{Value, json};

use crate::{
    cli::Global,
    exit::{self, Code, Failure},
    output,
};

/// Prints the end of a run and answers its code. `now`: whether the command was told to wait for no grace.
pub(crate) fn show(
    global: &Global,
    ended: Result<(Outcome, Report), Box<RunFailure>>,
    now: bool,
) -> Result<Code> {
    match ended {
        Ok((outcome, report)) => {
            if global.json {
                output::to_stdout(
                    &with_outcome(&report, outcome_name(&outcome), Value::Null)?.to_string(),
                )?;
            } else {
                output::to_stdout(&sentence(&outcome, &report, now))?;
            }
            Ok(Code::Done)
        }
        Err(failure) => {
            let code = code_of(&failure);
            if global.json {
                let error = json!({
                    "exit_code": code as u8,
                    "kind": failure.problem.as_ref().map(|problem| problem.kind.clone()),
                    "code": failure.problem.as_ref().and_then(|problem| problem.code.clone()),
                    "applied": format!("{:?}", failure.target_changed()).to_lowercase(),
                    "promoted": failure.promoted.as_ref().map(|promoted| promoted.version.to_string()),
                    "message": failure.to_string(),
                    "next": failure.next(),
                    "wait_seconds": failure.wait_seconds(),
                    "labels_kept": failure.failure.kept.iter()
                        .map(|(label, version)| (label.to_string(), json!(version.to_string())))
                        .collect::<serde_json::Map<_, _>>(),
                });
                let outcome = if code == Code::Refused {
                    "refused"
                } else {
                    "failed"
                };
                output::to_stdout(&with_outcome(&failure.report, outcome, error)?.to_string())?;
                return Ok(code);
            }
            let expected = anyhow::Error::new(Failure::new(code, failure.to_string()));
            exit::report(&expected, false);
            Ok(code)
        }
    }
}

/// The exit code that tells a script what the failure means.
pub(crate) fn code_of(failure: &RunFailure) -> Code {
    if failure.is_refusal() {
        return Code::Refused;
    }
    if failure.is_store_refusal() {
        return Code::Store;
    }
    if failure.is_misconfiguration() {
        return Code::Configuration;
    }
    match (failure.changed_nothing(), failure.failure.next) {
        (true, NextAction::Refuse) => Code::Configuration,
        (true, _) => Code::Failed,
        (false, _) => Code::InDoubt,
    }
}

fn with_outcome(report: &Report, outcome: &str, error: Value) -> Result<Value> {
    let mut shown = serde_json::to_value(report)?;
    shown["outcome"] = json!(outcome);
    shown["error"] = error;
    Ok(shown)
}

fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Promoted { .. } => "rotated",
        Outcome::Retired { .. } => "retired",
        Outcome::NothingToRetire => "nothing-to-retire",
        Outcome::AwaitingInput => "waiting-for-operator",
        Outcome::Stepped(_) | Outcome::AlreadyCurrent | Outcome::Checked => "done",
    }
}

fn sentence(outcome: &Outcome, report: &Report, now: bool) -> String {
    let name = output::name(&report.secret, &report.credential);
    match outcome {
        Outcome::Promoted {
            version, resumed, ..
        } => {
            let resumed = if *resumed {
                ", continuing an interrupted rotation"
            } else {
                ""
            };
            let gap = report.gap_ms.map_or(String::new(), |ms| {
                format!("; AWSCURRENT did not log in for {ms} ms")
            });
            format!("{name}: rotated to {version}{resumed}{gap}")
        }
        Outcome::Retired {
            subject,
            proven: true,
        } => format!("{name}: version {subject} is retired"),
        Outcome::Retired {
            subject,
            proven: false,
        } => format!(
            "{name}: version {subject} is given up on your word; whether it still opens anything was not asked"
        ),
        Outcome::NothingToRetire => format!("{name}: no old value waits for its end"),
        Outcome::AwaitingInput => {
            let asked = report
                .asks
                .as_ref()
                .map_or(String::new(), |asked| format!(": {}", asked.title));
            // Within a grace the other command would be refused without it, too.
            let now = if now { " --now" } else { "" };
            format!(
                "{name}: waits for an operator{asked}. Nothing was stored or changed. Run `keyturn assist {name}{now}`"
            )
        }
        Outcome::Stepped(_) | Outcome::AlreadyCurrent | Outcome::Checked => format!("{name}: done"),
    }
}
