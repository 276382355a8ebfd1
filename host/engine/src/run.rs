//! One run: asks the core what to do, has it done between an intent and an outcome in the audit
//! trail, and tells the core what came of it. The core decides everything.

use std::{
    cell::Cell,
    io,
    time::{Duration, Instant},
};

use keyturn_protocol::{
    Applied, Command, Event, Failure, Goal, Limits, NextAction, Outcome, Reason, Request, Rotation,
    Rule, VersionId, WaitReason,
};
use keyturn_runtime::{Input, InputRequest, TargetEffect};
use keyturn_store::{RunGuard, StoreError};

use crate::{
    call::{CallSource, ValuesRead},
    credential::Credential,
    effect::Effects,
    elsewhere::Elsewhere,
    engine::EngineOptions,
    event::What,
    failure::{Promoted, RunFailure},
    keeping::Refusal,
    notes::Notes,
    parking,
    problem::{Failed, Problem},
    recorder::Recorder,
    renamed::Unnamed,
    report::Report,
    status, words,
};

pub(crate) struct Run<'a> {
    options: &'a EngineOptions,
    credential: &'a Credential,
    goal: Goal,
    /// An operator's answers.
    inputs: Vec<Input>,
    /// Whether AWSCURRENT is tried before an operator is asked for another value.
    preflight: bool,
    /// Whether an operator is waited for, if one is needed.
    waits: bool,
    /// The last command was that trial.
    in_preflight: bool,
    recorder: Recorder<'a>,
    values: ValuesRead,
    /// What has failed and not gone well since, by what was done, the newest last.
    problems: Vec<(String, Problem)>,
    promoted: Option<Promoted>,
    /// What is not this run's to do.
    elsewhere: Option<Elsewhere>,
    /// Whether this run has changed the target, as far as the engine can tell.
    touched: Applied,
    notes_refused: Refusal,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        options: &'a EngineOptions,
        credential: &'a Credential,
        goal: Goal,
        inputs: Vec<Input>,
    ) -> Self {
        let recorder = Recorder::new(options, credential, words::goal(&goal));
        Self {
            options,
            credential,
            goal,
            // Whoever brings the answer is not asked, and nobody is waited for who has brought a wrong one.
            preflight: inputs.is_empty(),
            waits: inputs.is_empty(),
            in_preflight: false,
            inputs,
            recorder,
            values: ValuesRead::default(),
            problems: Vec::new(),
            promoted: None,
            elsewhere: None,
            touched: Applied::No,
            notes_refused: Refusal::default(),
        }
    }

    /// The answer is on its way: what it has to be is all that is needed.
    pub(crate) fn for_questions(self) -> Self {
        Self {
            preflight: false,
            waits: false,
            ..self
        }
    }

    /// AWSCURRENT is known to be lost, or the answer is on its way.
    pub(crate) fn without_preflight(self) -> Self {
        Self {
            preflight: false,
            ..self
        }
    }

    /// Runs to the end.
    pub(crate) async fn drive(mut self) -> Result<(Outcome, Report), Box<RunFailure>> {
        let (_alone, mut rotation) = self.begin().await?;
        loop {
            match rotation.poll() {
                Command::Done(outcome) => {
                    let report = self.recorder.finish(words::outcome(&outcome), None).await;
                    return Ok((outcome, report));
                }
                Command::Failed(failure) => return Err(self.failed(failure).await),
                command => self.advance(&mut rotation, &command).await?,
            }
        }
    }

    /// What an operator would be asked, unless already the first look keeps this run from asking. Stores nothing; `None`
    /// if the plugin asks nothing.
    pub(crate) async fn questions(mut self) -> Result<Option<InputRequest>, Box<RunFailure>> {
        let (_alone, mut rotation) = self.begin().await?;
        let look = rotation.poll();
        self.advance(&mut rotation, &look).await?;
        if let Command::Failed(failure) = rotation.poll() {
            return Err(self.failed(failure).await);
        }
        let now_ms = self.options.clock.now_ms();
        match parking::questions(&self.source(), now_ms).await {
            Ok(asked) => {
                self.recorder
                    .finish(words::outcome(&Outcome::AwaitingInput), None)
                    .await;
                Ok(asked)
            }
            Err(failed) => {
                self.problems.push(("Create".to_owned(), failed.problem));
                let ended = self.ended(Reason::Store, NextAction::Repair);
                Err(self.failed(ended).await)
            }
        }
    }

    async fn begin(&mut self) -> Result<(RunGuard, Rotation), Box<RunFailure>> {
        let store = self.options.store.as_ref();
        let alone = match store.begin_run(&self.credential.secret).await {
            Ok(Some(guard)) => guard,
            Ok(None) => {
                let contended = self.ended(Reason::Contended, NextAction::Retry);
                return Err(self.failed(contended).await);
            }
            Err(error) => return Err(self.store_failed("BeginRun", error).await),
        };
        self.take_over_unnamed().await?;
        let rotation = Rotation::new(Request {
            goal: self.goal.clone(),
            facts: self.credential.facts(),
            limits: Limits::default(),
            preflight: self.preflight,
        });
        Ok((alone, rotation))
    }

    /// Does what the core asked for, and tells it what came of that.
    async fn advance(
        &mut self,
        rotation: &mut Rotation,
        command: &Command,
    ) -> Result<(), Box<RunFailure>> {
        let answer = match command {
            Command::Wait { why, milliseconds } => self.wait(*why, *milliseconds).await,
            command => self.perform(command, rotation.rule()).await,
        };
        match self.elsewhere.take() {
            // What this run has promoted is told before what that owes.
            Some(Elsewhere::StillRead(..)) if self.promoted.is_some() => {}
            Some(elsewhere) => return Err(self.refused_for(elsewhere).await),
            None => {}
        }
        match answer {
            Ok(event) => match rotation.handle(event) {
                Ok(()) => Ok(()),
                Err(illegal) => Err(self.stopped("internal", illegal.to_string()).await),
            },
            Err(error) => Err(self.unrecorded(&error).await),
        }
    }

    /// The secret's only credential has a name now, and what it left before has none yet.
    async fn take_over_unnamed(&mut self) -> Result<(), Box<RunFailure>> {
        let (store, credential) = (self.options.store.as_ref(), self.credential);
        // On AWS each look is several calls.
        if !Unnamed::is_possible(credential) {
            return Ok(());
        }
        let look = async {
            let described = store.describe(&credential.secret).await?;
            let notes = Notes::read(store, &credential.secret).await?;
            Unnamed::of(&self.source(), &described, &notes).await
        };
        let unnamed = match look.await {
            Ok(Some(unnamed)) => unnamed,
            Ok(None) => return Ok(()),
            Err(error) => return Err(self.store_failed("Observe", error).await),
        };
        let subject = unnamed.retiring.as_ref().map_or("", |id| id.as_str());
        if let Err(error) = self.recorder.intend_to("name", subject) {
            return Err(self.unrecorded(&error).await);
        }
        let began = Instant::now();
        let taken = unnamed.take_over(store, credential).await;
        let recorded = self
            .recorder
            .conclude_that("name", subject, taken.is_ok(), began.elapsed());
        match (taken, recorded) {
            (Err(error), _) => Err(self.store_failed("MoveLabel", error).await),
            (Ok(()), Err(error)) => Err(self.unrecorded(&error).await),
            (Ok(()), Ok(())) => Ok(()),
        }
    }

    async fn store_failed(&mut self, name: &'static str, error: StoreError) -> Box<RunFailure> {
        let Failed { problem, .. } = *Box::<Failed>::from(error);
        self.problems.push((name.to_owned(), problem));
        self.failed(self.ended(Reason::Store, NextAction::Retry))
            .await
    }

    /// Carries out one command.
    ///
    /// # Errors
    /// Those of the audit trail: an effect without its intent on record is not made.
    async fn perform(&mut self, command: &Command, rule: Option<Rule>) -> io::Result<Event> {
        self.recorder.intend(command, rule)?;
        self.in_preflight = rule == Some(Rule::PreflightBeforeAsking);
        let began = Instant::now();
        let kept_notes = !self.notes_refused.is_met();
        let mut effects = Effects {
            source: self.source(),
            options: self.options,
            goal: &self.goal,
            inputs: &self.inputs,
            waits: self.waits,
            asks: None,
            findings: Vec::new(),
            elsewhere: None,
            notes_refused: &self.notes_refused,
        };
        let answer = effects.perform(command).await;
        let (mut findings, asks, elsewhere) = (effects.findings, effects.asks, effects.elsewhere);
        findings.extend(self.notes_refused.finding().filter(|_| kept_notes));
        self.elsewhere = elsewhere;
        self.recorder.asks = asks;
        let (event, problem) = match answer {
            Ok(event) => (event, None),
            Err(failed) => (failed.event, Some(failed.problem)),
        };
        // Before the outcome is recorded: if that fails, it has happened all the same.
        let unmoved = problem.as_ref().is_some_and(Problem::changed_nothing);
        if let Command::Promote { to, .. } = command
            && event != Event::Refused
            && !unmoved
        {
            self.promoted = Some(Promoted {
                version: to.clone(),
                certain: event == Event::Moved,
            });
        }
        let reached_target = matches!(command, Command::Set { .. } | Command::Retire { .. });
        let untouched = matches!(event, Event::Completed { changed: false } | Event::Refused);
        if reached_target && !untouched {
            self.touched = Applied::Unknown;
        }
        self.recorder
            .conclude(command, &event, problem.as_ref(), findings, began.elapsed())?;
        // What is known of one version says nothing about another.
        let done = match command {
            Command::Probe { subject } => probe_of(subject),
            _ => command.name().to_owned(),
        };
        self.problems.retain(|(name, _)| *name != done);
        self.problems.extend(problem.map(|problem| (done, problem)));
        if let (Command::Promote { to, .. }, Event::Moved) = (command, &event) {
            self.close_gap(to).await;
        }
        Ok(event)
    }

    fn source(&self) -> CallSource<'_> {
        CallSource {
            store: self.options.store.as_ref(),
            credential: self.credential,
            rotation_id: self.recorder.rotation_id(),
            values: &self.values,
        }
    }

    /// Writes down how long AWSCURRENT did not log in: since the first call that may have replaced it,
    /// of this run or of one that was interrupted.
    async fn close_gap(&mut self, promoted: &VersionId) {
        if self.credential.strategy.effect != TargetEffect::Replacing {
            return;
        }
        let (store, secret) = (self.options.store.as_ref(), &self.credential.secret);
        let name = &self.credential.name;
        let now_ms = self.options.clock.now_ms();
        let gap = Cell::new(None);
        let written = Notes::update_if(store, secret, |notes| {
            let began_at_ms = notes.of_version(name, promoted.as_str()).gap_began_at_ms;
            gap.set(began_at_ms.map(|at_ms| now_ms.saturating_sub(at_ms)));
            notes.credentials.entry(name.clone()).or_default().gap_ms = gap.get();
            gap.get().is_some()
        });
        // The gap stands in the report and the audit trail too; a missing note is no reason to fail a
        // rotation that has been promoted.
        if let Err(error) = written.await {
            let Failed { problem, .. } = *Box::<Failed>::from(error);
            self.problems.push(("Notes".to_owned(), problem));
        }
        self.recorder.gap_ms = gap.get();
    }

    async fn wait(&mut self, why: WaitReason, ms: u64) -> io::Result<Event> {
        // A wait may take hours, and no value has to lie in memory meanwhile.
        self.values = ValuesRead::default();
        self.recorder.record(What::Waiting {
            why: words::waiting(why).to_owned(),
            ms,
        })?;
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok(Event::Elapsed)
    }

    async fn failed(&mut self, failure: Failure) -> Box<RunFailure> {
        let steps = match &failure.reason {
            Reason::OperatorOwes(_) => Some(self.steps_of_the_operator().await),
            Reason::Undeclared(version) => {
                let kept = self.source().what_is_kept(version).await.in_one_line();
                Some(match &self.goal {
                    Goal::Retire {
                        declared: Some(told),
                        ..
                    } if told != version => {
                        format!("you declared version {told}, which is another one; {kept}")
                    }
                    _ => kept,
                })
            }
            _ => None,
        };
        if let Some(steps) = steps {
            let problem = self.own_problem("operator", steps);
            self.problems.push(("Operator".to_owned(), problem));
        }
        let (problem, promoted) = (
            problem_of(&self.problems, &failure.reason),
            self.promoted.take(),
        );
        let mut ended = RunFailure {
            name: self.credential.display_name(),
            failure,
            problem,
            by_operator: self.credential.strategy.needs_operator,
            promoted,
            nobody_asked: self.in_preflight,
            ended_at_ms: self.options.clock.now_ms(),
            report: Report::default(),
        };
        let outcome = if ended.is_refusal() {
            "refused"
        } else {
            "failed"
        };
        let reason = Some(ended.to_string());
        ended.report = self.recorder.finish(outcome, reason).await;
        Box::new(ended)
    }

    /// What an operator has to do to the value that waits for its end.
    async fn steps_of_the_operator(&self) -> String {
        let unknown = || "end it at its vendor".to_owned();
        match status::status(self.options, self.credential).await {
            Ok(status) => status
                .retirement
                .and_then(|owed| owed.operator_steps)
                .map_or_else(unknown, |steps| steps.in_one_line()),
            Err(_) => unknown(),
        }
    }

    async fn refused_for(&mut self, elsewhere: Elsewhere) -> Box<RunFailure> {
        let (reason, kind, message) = elsewhere.refusal(self.credential);
        let problem = self.own_problem(kind, message);
        self.problems.push(("Observe".to_owned(), problem));
        self.failed(self.ended(reason, NextAction::Repair)).await
    }

    async fn unrecorded(&mut self, error: &io::Error) -> Box<RunFailure> {
        let message = format!("the audit trail cannot be written: {error}");
        self.stopped("audit", message).await
    }

    /// The run ends because of the engine's own surroundings, not by the core's word; whatever was
    /// under way is resolved by the next run.
    async fn stopped(&mut self, kind: &str, message: String) -> Box<RunFailure> {
        let problem = self.own_problem(kind, message);
        self.problems.push(("Audit".to_owned(), problem));
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

fn probe_of(version: &VersionId) -> String {
    format!("Probe {version}")
}

/// What has failed last; where the end is about one version, what failed about that one.
fn problem_of(problems: &[(String, Problem)], reason: &Reason) -> Option<Problem> {
    let asked = match reason {
        Reason::LivenessUnknown(version) | Reason::RetiringUnaskable(version) => {
            Some(probe_of(version))
        }
        _ => None,
    };
    let mut newest_first = problems.iter().rev();
    let found = newest_first.find(|(done, _)| asked.as_ref().is_none_or(|asked| asked == done));
    found.map(|(_, problem)| problem.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_about_one_version_tells_nothing_of_another() {
        let problem = |message: &str| Problem {
            kind: "auth".to_owned(),
            applied: "no".to_owned(),
            code: None,
            message: message.to_owned(),
            details: Vec::new(),
        };
        let id = VersionId::new;
        let problems = ["v1", "v2"].map(|version| (probe_of(&id(version)), problem(version)));
        let told = |reason| problem_of(&problems, &reason).map(|problem| problem.message);
        let says = |version: &str| Some(version.to_owned());
        assert_eq!(told(Reason::LivenessUnknown(id("v1"))), says("v1"));
        assert_eq!(told(Reason::RetiringUnaskable(id("v1"))), says("v1"));
        assert_eq!(told(Reason::LivenessUnknown(id("v3"))), None);
        assert_eq!(told(Reason::AllDead), says("v2"));
    }
}
