//! `keyturn history`: the audit trail, filtered.

use std::process::ExitCode;

use anyhow::Result;
use keyturn_config::Config;
use keyturn_engine::{Event, What};

use crate::{
    cli::{Global, History},
    output,
    session::refuse,
    sinks::read_audit,
};

pub(crate) fn run(global: &Global, arguments: &History) -> Result<ExitCode> {
    let config = Config::read(&global.config).map_err(refuse)?;
    let store = config.store(global.store.map(Into::into)).map_err(refuse)?;
    let trail = config.audit_path(store);
    let events = read_audit(&trail).map_err(|error| {
        refuse(format!(
            "the audit trail {} cannot be read: {error}",
            trail.display()
        ))
    })?;
    let events: Vec<_> = events
        .iter()
        .filter(|event| concerns(event, arguments.name.as_deref()))
        .collect();
    if events.is_empty() && !global.json {
        output::to_stderr("The audit trail has no entry of that name.");
    }
    let newest = &events[events.len().saturating_sub(arguments.most)..];
    for event in newest {
        let line = if global.json {
            serde_json::to_string(event)?
        } else {
            sentence(event)
        };
        output::to_stdout(&line)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn concerns(event: &Event, name: Option<&str>) -> bool {
    let Some(name) = name else { return true };
    match name.split_once('#') {
        Some((secret, credential)) => event.secret == secret && event.credential == credential,
        None => event.secret == name,
    }
}

fn sentence(event: &Event) -> String {
    let name = output::name(&event.secret, &event.credential);
    let what = match &event.what {
        What::Started { goal, strategy, .. } => {
            format!("{goal} started ({strategy}) by {}", event.actor)
        }
        What::Intent {
            effect,
            version,
            rule,
        } => {
            let rule = rule
                .as_ref()
                .map_or(String::new(), |rule| format!(" ({rule})"));
            // What is no part of a run was done by hand.
            let by = if event.rotation_id.is_empty() {
                format!(" by {}", event.actor)
            } else {
                String::new()
            };
            format!("about to {effect} {version}{rule}{by}")
        }
        What::Outcome {
            effect,
            version,
            result,
            problem,
            duration_ms,
            ..
        } => {
            let problem = problem
                .as_ref()
                .map_or(String::new(), |problem| format!(": {}", problem.message));
            format!("{effect} {version}: {result} in {duration_ms:.1} ms{problem}")
        }
        What::Waiting { why, ms } => format!("waiting {}: {why}", output::duration(*ms)),
        What::PluginLog {
            severity, message, ..
        } => format!("plugin {severity}: {message}"),
        What::Finding { level, summary, .. } => format!("{level}: {summary}"),
        What::Finished {
            outcome,
            reason,
            duration_ms,
            ..
        } => {
            let reason = reason
                .as_ref()
                .map_or(String::new(), |reason| format!(": {reason}"));
            format!("{outcome} in {duration_ms:.1} ms{reason}")
        }
    };
    format!("{}  {name}  {what}", output::time(event.at_ms))
}
