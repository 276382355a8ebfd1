//! The record of one run: the events for the sinks, and the steps and times for the report.

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

use keyturn_protocol::{Command, Event, Rule, Step};
use keyturn_runtime::{Finding, InputRequest};

use crate::{
    credential::Credential,
    engine::EngineOptions,
    event::{self, What},
    problem::{Problem, kebab},
    report::{Moved, Report, StepReport},
    snapshot::{label_names, labels_of},
    words,
};

pub(crate) struct Recorder<'a> {
    options: &'a EngineOptions,
    credential: &'a Credential,
    goal: &'static str,
    rotation_id: String,
    started: Instant,
    labels_before: Option<BTreeMap<String, String>>,
    steps: Vec<StepReport>,
    findings: Vec<Finding>,
    pub(crate) gap_ms: Option<u64>,
    pub(crate) asks: Option<InputRequest>,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(
        options: &'a EngineOptions,
        credential: &'a Credential,
        goal: &'static str,
    ) -> Self {
        Self {
            options,
            credential,
            goal,
            rotation_id: options.ids.fresh(),
            started: Instant::now(),
            labels_before: None,
            steps: Vec::new(),
            findings: Vec::new(),
            gap_ms: None,
            asks: None,
        }
    }

    pub(crate) fn rotation_id(&self) -> &str {
        &self.rotation_id
    }

    /// Before an effect: what is about to happen, and by which rule of the plan.
    pub(crate) fn intend(&self, command: &Command, rule: Option<Rule>) -> io::Result<()> {
        if has_effect(command) {
            self.record(What::Intent {
                effect: effect_name(command).to_owned(),
                version: subject(command),
                rule: rule.map(|rule| rule.name().to_owned()),
            })?;
        }
        Ok(())
    }

    /// The same for what no command of the core asks for.
    pub(crate) fn intend_to(&self, effect: &str, version: &str) -> io::Result<()> {
        self.record(What::Intent {
            effect: effect.to_owned(),
            version: version.to_owned(),
            rule: None,
        })
    }

    /// After that.
    pub(crate) fn conclude_that(
        &self,
        effect: &str,
        version: &str,
        done: bool,
        took: Duration,
    ) -> io::Result<()> {
        self.record(What::Outcome {
            effect: effect.to_owned(),
            version: version.to_owned(),
            step: None,
            duration_ms: milliseconds(took),
            result: if done { "done" } else { "failed" }.to_owned(),
            problem: None,
        })
    }

    /// After it: what came of it.
    pub(crate) fn conclude(
        &mut self,
        command: &Command,
        answer: &Event,
        problem: Option<&Problem>,
        findings: Vec<Finding>,
        took: Duration,
    ) -> io::Result<()> {
        for finding in findings {
            self.record(what_of(&finding))?;
            self.findings.push(finding);
        }
        let step = step_of(command);
        if let Some(step) = step {
            self.add_to_step(step, took);
        }
        if has_effect(command) || step.is_some() || problem.is_some() {
            self.record(What::Outcome {
                effect: effect_name(command).to_owned(),
                version: subject(command),
                step: step.map(|step| step.as_str().to_owned()),
                duration_ms: milliseconds(took),
                result: words::answer(answer),
                problem: problem.cloned(),
            })?;
        }
        if let Event::Observed(snapshot) = answer
            && self.labels_before.is_none()
        {
            let labels = label_names(&snapshot.labels);
            self.labels_before = Some(labels.clone());
            self.record(What::Started {
                goal: self.goal.to_owned(),
                strategy: self.credential.strategy.name.clone(),
                labels,
            })?;
        }
        Ok(())
    }

    /// The end of the run.
    pub(crate) async fn finish(&mut self, outcome: &str, reason: Option<String>) -> Report {
        let labels_after = match self.options.store.describe(&self.credential.secret).await {
            Ok(description) => label_names(&labels_of(&description, self.credential)),
            Err(_) => BTreeMap::new(),
        };
        let labels_before = self.labels_before.take().unwrap_or_default();
        let duration_ms = milliseconds(self.started.elapsed());
        // The run is over: a sink that fails now can no longer stop anything.
        let _ = self.record(What::Finished {
            outcome: outcome.to_owned(),
            reason,
            labels: labels_after.clone(),
            duration_ms,
        });
        let current = |labels: &BTreeMap<String, String>| labels.get("AWSCURRENT").cloned();
        Report {
            secret: self.credential.secret.to_string(),
            credential: self.credential.name.clone(),
            rotation_id: self.rotation_id.clone(),
            version: Moved {
                before: current(&labels_before),
                after: current(&labels_after),
            },
            labels_before,
            labels_after,
            steps: std::mem::take(&mut self.steps),
            findings: std::mem::take(&mut self.findings),
            duration_ms,
            gap_ms: self.gap_ms,
            asks: self.asks.take(),
        }
    }

    pub(crate) fn record(&self, what: What) -> io::Result<()> {
        self.options.sink.record(&event::Event {
            at_ms: self.options.clock.now_ms(),
            secret: self.credential.secret.to_string(),
            credential: self.credential.name.clone(),
            rotation_id: self.rotation_id.clone(),
            actor: self.options.actor.clone(),
            what,
        })
    }

    fn add_to_step(&mut self, step: Step, took: Duration) {
        let duration_ms = milliseconds(took);
        match self.steps.last_mut() {
            Some(last) if last.step == step.as_str() => last.duration_ms += duration_ms,
            _ => self.steps.push(StepReport {
                step: step.as_str().to_owned(),
                duration_ms,
            }),
        }
    }
}

fn what_of(finding: &Finding) -> What {
    What::Finding {
        level: kebab(&finding.level),
        id: finding.id.clone(),
        summary: finding.summary.clone(),
        fix: finding.fix.clone(),
    }
}

/// The name in the audit trail.
fn effect_name(command: &Command) -> &'static str {
    match command {
        Command::Observe => "observe",
        Command::NewToken => "new-token",
        Command::MoveLabel { .. } => "move-label",
        Command::Create { .. } => "create",
        Command::CompareIdentity { .. } => "compare-identity",
        Command::Set { .. } => "set",
        Command::Test { .. } => "test",
        Command::Finish { .. } => "finish",
        Command::Promote { .. } => "promote",
        Command::Probe { .. } => "probe",
        Command::Retire { .. } => "retire",
        Command::Withdraw { .. } => "withdraw",
        Command::Check => "check",
        Command::Wait { .. } => "wait",
        Command::Done(_) => "done",
        Command::Failed(_) => "failed",
    }
}

/// Whether store or target may change.
fn has_effect(command: &Command) -> bool {
    matches!(
        command,
        Command::MoveLabel { .. }
            | Command::Create { .. }
            | Command::Set { .. }
            | Command::Finish { .. }
            | Command::Promote { .. }
            | Command::Retire { .. }
            | Command::Withdraw { .. }
    )
}

/// What the command is about: a version, and for a label its move.
fn subject(command: &Command) -> String {
    match command {
        Command::Create { token, .. } => token.to_string(),
        Command::CompareIdentity { candidate }
        | Command::Set { candidate }
        | Command::Test { candidate }
        | Command::Finish { candidate, .. } => candidate.to_string(),
        Command::Promote { to, .. } => to.to_string(),
        Command::Probe { subject }
        | Command::Retire { subject }
        | Command::Withdraw { subject } => subject.to_string(),
        Command::MoveLabel { label, from, to } => match (from, to) {
            (_, Some(to)) => format!("{label} to {to}"),
            (Some(from), None) => format!("{label} off {from}"),
            (None, None) => label.to_string(),
        },
        Command::Observe
        | Command::NewToken
        | Command::Check
        | Command::Wait { .. }
        | Command::Done(_)
        | Command::Failed(_) => String::new(),
    }
}

/// The step of the four-step protocol that a command belongs to.
fn step_of(command: &Command) -> Option<Step> {
    match command {
        Command::Create { .. } => Some(Step::Create),
        Command::Set { .. } => Some(Step::Set),
        Command::Test { .. } => Some(Step::Test),
        Command::Promote { .. } => Some(Step::Finish),
        _ => None,
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
