//! One run: asks the core what to do, has it done between an intent and an outcome in the audit
//! trail, and tells the core what came of it. The core decides everything.

use std::{
    io,
    time::{Duration, Instant},
};

use keyturn_protocol::{
    Applied, Command, Event, Failure, Goal, Limits, NextAction, Outcome, Reason, Request, Rotation,
    Rule, VersionId, WaitReason,
};
use keyturn_runtime::TargetEffect;

use crate::{
    call::CallSource,
    credential::Credential,
    effect::Effects,
    engine::EngineOptions,
    event::What,
    failure::{RunFailure, is_refusal},
    notes::Notes,
    problem::{Failed, Problem},
    recorder::Recorder,
    report::Report,
    words,
};

pub(crate) struct Run<'a> {
    options: &'a EngineOptions,
    credential: &'a Credential,
    goal: Goal,
    recorder: Recorder<'a>,
    problem: Option<Problem>,
    /// What another credential of the secret has to finish first.
    elsewhere: Option<(VersionId, String)>,
    /// Whether this run has changed the target, as far as the engine can tell.
    touched: Applied,
    /// When a replacing `set` began: from then until promotion AWSCURRENT may not log in.
    gap_began: Option<Instant>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(options: &'a EngineOptions, credential: &'a Credential, goal: Goal) -> Self {
        let recorder = Recorder::new(options, credential);
        Self {
            options,
            credential,
            goal,
            recorder,
            problem: None,
            elsewhere: None,
            touched: Applied::No,
            gap_began: None,
        }
    }

    /// Runs to the end.
    pub(crate) async fn drive(mut self) -> Result<(Outcome, Report), Box<RunFailure>> {
        let mut rotation = Rotation::new(Request {
            goal: self.goal.clone(),
            facts: self.credential.facts(),
            limits: Limits::default(),
        });
        loop {
            let answer = match rotation.poll() {
                Command::Done(outcome) => {
                    let report = self.recorder.finish(words::outcome(&outcome)).await;
                    return Ok((outcome, report));
                }
                Command::Failed(failure) => return Err(self.failed(failure).await),
                Command::Wait { why, milliseconds } => self.wait(why, milliseconds).await,
                command => self.perform(&command, rotation.rule()).await,
            };
            if let Some((version, maker)) = self.elsewhere.take() {
                return Err(self.unfinished_elsewhere(version, &maker).await);
            }
            match answer {
                Ok(event) => {
                    if let Err(illegal) = rotation.handle(event) {
                        return Err(self.stopped("internal", illegal.to_string()).await);
                    }
                }
                Err(error) => {
                    return Err(self
                        .stopped(
                            "audit",
                            format!("the audit trail cannot be written: {error}"),
                        )
                        .await);
                }
            }
        }
    }

    /// Carries out one command.
    ///
    /// # Errors
    /// Those of the audit trail: an effect without its intent on record is not made.
    async fn perform(&mut self, command: &Command, rule: Option<Rule>) -> io::Result<Event> {
        self.recorder.intend(command, rule)?;
        if matches!(command, Command::Set { .. })
            && self.credential.strategy.effect == TargetEffect::Replacing
        {
            self.gap_began.get_or_insert_with(Instant::now);
        }
        let began = Instant::now();
        let mut effects = Effects {
            source: CallSource {
                store: self.options.store.as_ref(),
                credential: self.credential,
                rotation_id: self.recorder.rotation_id(),
            },
            options: self.options,
            goal: &self.goal,
            findings: Vec::new(),
            elsewhere: None,
        };
        let answer = effects.perform(command).await;
        self.elsewhere = effects.elsewhere;
        let findings = effects.findings;
        let (event, problem) = match answer {
            Ok(event) => (event, None),
            Err(failed) => (failed.event, Some(failed.problem)),
        };
        // Before the outcome is recorded: if that fails, the target has changed all the same.
        let reached_target = matches!(command, Command::Set { .. } | Command::Retire { .. });
        let untouched = matches!(event, Event::Completed { changed: false } | Event::Refused);
        if reached_target && !untouched {
            self.touched = Applied::Unknown;
        }
        self.recorder
            .conclude(command, &event, problem.as_ref(), findings, began.elapsed())?;
        if problem.is_some() {
            self.problem = problem;
        }
        if matches!((command, &event), (Command::Promote { .. }, Event::Moved)) {
            self.close_gap().await;
        }
        Ok(event)
    }

    /// Writes down how long AWSCURRENT did not log in.
    async fn close_gap(&mut self) {
        let Some(began) = self.gap_began.take() else {
            return;
        };
        let gap_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.recorder.gap_ms = Some(gap_ms);
        let name = &self.credential.name;
        let written = Notes::update(
            self.options.store.as_ref(),
            &self.credential.secret,
            |notes| {
                notes.credentials.entry(name.clone()).or_default().gap_ms = Some(gap_ms);
            },
        );
        // The gap stands in the report and the audit trail too; a missing note is no reason to fail a
        // rotation that has been promoted.
        if let Err(error) = written.await {
            self.problem = Some(Box::<Failed>::from(error).problem);
        }
    }

    async fn wait(&mut self, why: WaitReason, ms: u64) -> io::Result<Event> {
        self.recorder.record(What::Waiting {
            why: words::waiting(why).to_owned(),
            ms,
        })?;
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok(Event::Elapsed)
    }

    async fn failed(&mut self, failure: Failure) -> Box<RunFailure> {
        let outcome = if is_refusal(&failure.reason) {
            "refused"
        } else {
            "failed"
        };
        let report = self.recorder.finish(outcome).await;
        let name = self.credential.display_name();
        Box::new(RunFailure {
            name,
            failure,
            problem: self.problem.take(),
            report,
        })
    }

    async fn unfinished_elsewhere(&mut self, version: VersionId, maker: &str) -> Box<RunFailure> {
        let secret = &self.credential.secret;
        self.problem = Some(self.own_problem(
            "conflict",
            format!(
                "run `keyturn rotate {secret}#{maker}` or `keyturn retire {secret}#{maker}` first"
            ),
        ));
        let reason = Reason::Unfinished(version);
        self.failed(self.ended(reason, NextAction::Repair)).await
    }

    /// The run ends because of the engine's own surroundings, not by the core's word; whatever was
    /// under way is resolved by the next run.
    async fn stopped(&mut self, kind: &str, message: String) -> Box<RunFailure> {
        self.problem = Some(self.own_problem(kind, message));
        self.failed(self.ended(Reason::Store, NextAction::Retry))
            .await
    }

    fn own_problem(&self, kind: &str, message: String) -> Problem {
        Problem {
            kind: kind.to_owned(),
            applied: format!("{:?}", self.touched).to_lowercase(),
            code: None,
            message,
            details: Vec::new(),
        }
    }

    fn ended(&self, reason: Reason, next: NextAction) -> Failure {
        Failure {
            reason,
            applied: self.touched,
            next,
            kept: Vec::new(),
        }
    }
}
