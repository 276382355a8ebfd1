//! Carries out the core's commands, one at a time, on the store and through the plugin. Each command
//! is one effect; what it answers is a fact, and no decision is taken here.

use std::collections::BTreeSet;

use keyturn_protocol::{Command, Event, Goal, How, Label, Liveness, Purpose, Snapshot, VersionId};
use keyturn_runtime::{
    CreateRequest, Created, Finding, Input, InputRequest, Level, Outcome, RetireRequest,
    RetirementPlan, Status,
};
use keyturn_store::{ErrorKind, StoreError};
use secrecy::ExposeSecret;

use crate::{
    call::CallSource,
    drift,
    elsewhere::Elsewhere,
    engine::EngineOptions,
    keeping::Refusal,
    kept::how_of,
    notes::{Answered, Notes, Obligation, OperatorSteps},
    parking::{Earlier, needs_answer},
    problem::{Failed, Problem, why_unknown},
    snapshot::{labels_of, observe},
};

pub(crate) struct Effects<'a> {
    pub(crate) source: CallSource<'a>,
    pub(crate) options: &'a EngineOptions,
    pub(crate) goal: &'a Goal,
    /// An operator's answers.
    pub(crate) inputs: &'a [Input],
    /// Whether an operator is waited for, if one is needed.
    pub(crate) waits: bool,
    /// What an operator is asked for.
    pub(crate) asks: Option<InputRequest>,
    /// What plugins found while they did something else.
    pub(crate) findings: Vec<Finding>,
    /// What is not this run's to do.
    pub(crate) elsewhere: Option<Elsewhere>,
    /// Whether the store keeps no notes.
    pub(crate) notes_refused: &'a Refusal,
}

impl Effects<'_> {
    pub(crate) async fn perform(&mut self, command: &Command) -> Result<Event, Box<Failed>> {
        match command {
            Command::Observe => Ok(Event::Observed(self.observe().await?)),
            Command::NewToken => Ok(Event::Token(VersionId::new(self.options.ids.fresh()))),
            Command::MoveLabel { label, from, to } => {
                self.move_label(*label, from.as_ref(), to.as_ref()).await
            }
            Command::Create {
                token,
                base,
                purpose,
                stage,
                restore,
            } => {
                self.create(token, base, *purpose, *stage, restore.as_ref())
                    .await
            }
            Command::CompareIdentity { candidate } => self.compare_identity(candidate).await,
            Command::Set { candidate } => self.set(candidate).await,
            Command::Test { candidate } => self.test(candidate).await,
            Command::Finish { candidate, base } => self.finish(candidate, base).await,
            Command::Promote { to, from, purpose } => self.promote(to, from, *purpose).await,
            Command::Probe { subject } => self.probe(subject).await,
            Command::Retire { subject } => self.retire(subject).await,
            Command::Withdraw { subject } => self.withdraw(subject).await,
            Command::Check => self.check().await,
            // The run takes these before they get here; time passes there, and an end has no answer.
            Command::Wait { .. } | Command::Done(_) | Command::Failed(_) => Ok(Event::Elapsed),
        }
    }

    async fn observe(&mut self) -> Result<Snapshot, Box<Failed>> {
        let CallSource {
            store, credential, ..
        } = self.source;
        let observed = observe(store, credential, self.options.clock.now_ms()).await?;
        self.elsewhere = observed.elsewhere;
        let mut snapshot = observed.snapshot;
        if self.elsewhere.is_none() {
            let notes = Notes::read(store, &credential.secret).await?;
            let (source, labels) = (&self.source, &snapshot.labels);
            let still_read = match source.still_read(&notes, labels).await? {
                None => {
                    source
                        .still_read_when_replaced(&notes, labels, self.goal)
                        .await?
                }
                found => found,
            };
            self.elsewhere =
                still_read.map(|(version, holder)| Elsewhere::StillRead(version, holder));
            // To end what it had under a former name is for a run under that name; not to break its grace, for every run.
            let may_end = matches!(
                self.goal,
                Goal::Retire { .. } | Goal::Rotate { now: true, .. }
            );
            if self.elsewhere.is_none() && snapshot.owed.is_none() && !may_end {
                let current = labels.holder(Label::Current).map_or("", VersionId::as_str);
                let now_ms = self.options.clock.now_ms();
                let promised = source.promised_under_former_names(&notes, current, now_ms);
                snapshot.owed = promised.await?;
            }
        }
        self.compare_with_current(&mut snapshot).await?;
        self.look_for_what_is_kept(&mut snapshot).await;
        Ok(snapshot)
    }

    async fn move_label(
        &mut self,
        label: Label,
        from: Option<&VersionId>,
        to: Option<&VersionId>,
    ) -> Result<Event, Box<Failed>> {
        match (label, from, to) {
            (Label::InDoubt, Some(subject), None) => self.forbid_set(subject).await?,
            (Label::Retiring, Some(subject), None) => self.forget_if_in_use(subject).await?,
            (Label::Pending, Some(candidate), None) => {
                self.forget_plans(candidate).await?;
                self.set_answer_aside(candidate).await?;
            }
            _ => {}
        }
        if let (Label::Retiring, Some(returned), Some(another)) = (label, from, to)
            && !self.owe_another(returned, another).await?
        {
            return Ok(Event::Refused);
        }
        self.swap_label(label, from, to).await
    }

    pub(crate) async fn swap_label(
        &self,
        label: Label,
        from: Option<&VersionId>,
        to: Option<&VersionId>,
    ) -> Result<Event, Box<Failed>> {
        let (from, to) = (
            from.map(store_id).transpose()?,
            to.map(store_id).transpose()?,
        );
        let CallSource {
            store, credential, ..
        } = self.source;
        match store
            .move_label(
                &credential.secret,
                &credential.label(label),
                from.as_ref(),
                to.as_ref(),
            )
            .await
        {
            Ok(()) => Ok(Event::Moved),
            Err(error) => refused(error),
        }
    }

    async fn create(
        &mut self,
        token: &VersionId,
        base: &VersionId,
        purpose: Purpose,
        stage: Label,
        restore: Option<&VersionId>,
    ) -> Result<Event, Box<Failed>> {
        // One token, one value: what is stored already stays.
        match self.source.value(token).await {
            Ok(_) => return Ok(Event::Created),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let call = self.source.gather_from(base, 1).await?;
        let credential = self.source.credential;
        let now_ms = self.options.clock.now_ms();
        let restore = match restore {
            Some(version) => Some(self.source.value(version).await?),
            None => None,
        };
        let request = CreateRequest {
            inputs: self.inputs.to_vec(),
            restore,
            ..credential.create_request(purpose, now_ms)
        };
        if !credential.name.is_empty() {
            Notes::update(self.source.store, &credential.secret, |notes| {
                notes.version_mut(&credential.name, token.as_str()).made = true;
            })
            .await?;
        }
        let created = match self.carry_over(&call, &request).await? {
            Earlier::Carried(value) => Created::Value(value),
            Earlier::Dropped => return Ok(Event::Refused),
            Earlier::None => credential.plugin.create(&call, &request).await?,
        };
        let value = match created {
            Created::Value(value) => value,
            Created::NeedsInput(asked) => {
                if self.waits {
                    self.park(&asked).await?;
                }
                self.asks = Some(asked);
                return Ok(Event::InputNeeded);
            }
        };
        if needs_answer(credential, &request) {
            self.answered(Some(Answered::new(token, base))).await?;
        }
        let put = self
            .source
            .store
            .put(
                &credential.secret,
                &store_id(token)?,
                &value,
                &[stage.as_str()],
            )
            .await;
        match put {
            Ok(_) => Ok(Event::Created),
            // Another run of the same rotation was faster; its value is the token's value.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Event::Created),
            Err(error) => Err(error.into()),
        }
    }

    async fn compare_identity(&self, candidate: &VersionId) -> Result<Event, Box<Failed>> {
        let call = self.source.gather(Some(candidate), 1).await?;
        let candidate = self.source.value(candidate).await?;
        match self
            .source
            .credential
            .plugin
            .compare_identity(&call.current.value, &candidate.value)
        {
            Ok(()) => Ok(Event::IdentityEqual),
            Err(error) => {
                let Failed { problem, .. } = *Box::<Failed>::from(error);
                Err(Box::new(Failed {
                    event: Event::IdentityDiffers,
                    problem,
                }))
            }
        }
    }

    async fn set(&mut self, candidate: &VersionId) -> Result<Event, Box<Failed>> {
        let value = self.source.value(candidate).await?;
        if !self.begin_set(candidate).await? {
            return Ok(Event::Refused);
        }
        let plugin = &self.source.credential.plugin;
        let answer = self
            .source
            .call(candidate, async |call| {
                let outcome = plugin.set(call, &value).await?;
                Ok((outcome, call.current.id.clone()))
            })
            .await;
        match answer {
            Ok((outcome, current)) => {
                self.findings
                    .extend(drift::finding(candidate, &current, &outcome));
                Ok(self.outcome(outcome))
            }
            Err(failed) => {
                if failed.left_target_alone() {
                    self.end_set(candidate).await;
                }
                Err(failed)
            }
        }
    }

    async fn test(&mut self, candidate: &VersionId) -> Result<Event, Box<Failed>> {
        let value = self.source.value(candidate).await?;
        let plugin = &self.source.credential.plugin;
        let outcome = self
            .source
            .call(candidate, async |call| plugin.test(call, &value).await)
            .await;
        if matches!(&outcome, Err(failed) if failed.is_rejection()) {
            self.answered(None).await?;
        }
        Ok(self.outcome(outcome?))
    }

    /// Asks what becomes of the value that is superseded, and writes it down before AWSCURRENT moves.
    async fn finish(&self, candidate: &VersionId, base: &VersionId) -> Result<Event, Box<Failed>> {
        let call = self.source.gather(Some(candidate), 1).await?;
        let value = self.source.value(candidate).await?;
        let plan = self.source.credential.plugin.finish(&call, &value).await?;
        let how = how_of(&plan);
        let owes = (how != How::default()).then(|| self.obligation(base, how, &plan));
        let name = &self.source.credential.name;
        self.note(|notes| {
            notes.version_mut(name, candidate.as_str()).owes = owes.clone();
        })
        .await?;
        // KEYTURN_RETIRING without a note would say that a value must die and not when, and stop the next rotation.
        let kept = !self.notes_refused.is_met();
        Ok(Event::Planned(if kept { how } else { How::default() }))
    }

    fn obligation(&self, subject: &VersionId, how: How, plan: &RetirementPlan) -> Obligation {
        let credential = self.source.credential;
        // The operator's grace and the plugin's knowledge of the value (the longest token, say): the
        // longer of the two. Where a word ends it, no time is waited for.
        let grace_seconds = match credential.facts().ends_by_word(how) {
            true => 0,
            false => credential.grace_seconds().max(plan.after_seconds),
        };
        Obligation {
            subject: subject.to_string(),
            at_target: how.at_target,
            new_version: how.new_version,
            by_operator: how.by_operator,
            due_at_ms: self
                .options
                .clock
                .now_ms()
                .saturating_add(grace_seconds.saturating_mul(1000)),
            operator_steps: plan.operator_steps.as_ref().map(OperatorSteps::of),
        }
    }

    async fn promote(
        &self,
        to: &VersionId,
        from: &VersionId,
        purpose: Option<Purpose>,
    ) -> Result<Event, Box<Failed>> {
        let CallSource {
            store, credential, ..
        } = self.source;
        let now_ms = self.options.clock.now_ms();
        let described = store.describe(&credential.secret).await?;
        if !labels_of(&described, credential).is_on(Label::Current, from) {
            return Ok(Event::Refused);
        }
        let brings_credential = purpose.is_none_or(Purpose::brings_credential);
        let former = match brings_credential {
            true => self.source.former_names(from.as_str()).await?,
            false => BTreeSet::new(),
        };
        let is_same = |name: &str| name != credential.name && !former.contains(name);
        // Notes count only while their version is current, so they can be written before the move; a
        // crash between the two then leaves nothing unsaid.
        let prepare = |notes: &mut Notes| {
            let before = notes.of_version(&credential.name, from.as_str());
            notes.prepare_promotion(from.as_str(), to.as_str(), is_same);
            let after = notes.version_mut(&credential.name, to.as_str());
            if purpose == Some(Purpose::Announce) {
                after.announced_at_ms = Some(now_ms);
                // What only a word ends stays in the value until then, announced or not.
                let by_word = |owed: &Obligation| credential.facts().ends_by_word(owed.how());
                after.owes = before.owes.clone().filter(by_word);
            } else {
                after.announced_at_ms = None;
            }
            after.rotated_at_ms = match purpose {
                Some(Purpose::Announce | Purpose::Extend | Purpose::Retire) => before.rotated_at_ms,
                Some(Purpose::Replace | Purpose::Activate | Purpose::Restore) | None => {
                    Some(now_ms)
                }
            };
            // The operator has answered, if one was waited for.
            if brings_credential && let Some(known) = notes.credentials.get_mut(&credential.name) {
                known.waiting = None;
            }
            notes.prune(&described);
        };
        // An announcement that nobody remembers would be made again and again.
        if purpose == Some(Purpose::Announce) {
            Notes::update(store, &credential.secret, prepare).await?;
        } else {
            self.note(prepare).await?;
        }
        let moved = self
            .swap_label(Label::Current, Some(from), Some(to))
            .await?;
        if moved == Event::Moved {
            self.answer_is_used(to).await;
        }
        Ok(moved)
    }

    async fn probe(&self, subject: &VersionId) -> Result<Event, Box<Failed>> {
        let value = self.source.value(subject).await?;
        let plugin = &self.source.credential.plugin;
        let verdict = self
            .source
            .call(subject, async |call| plugin.probe(call, &value).await)
            .await?;
        let event = Event::Probed(liveness(verdict.liveness));
        match why_unknown(verdict) {
            Some(problem) => Err(Box::new(Failed { event, problem })),
            None => Ok(event),
        }
    }

    async fn retire(&mut self, subject: &VersionId) -> Result<Event, Box<Failed>> {
        let request = RetireRequest {
            subject: self.source.value(subject).await?,
            end_sessions_older_than: None,
        };
        // Put back by hand, it is what AWSCURRENT holds, and that is never revoked. Where only other
        // members differ, the plugin says so.
        let current = self.source.gather(Some(subject), 1).await?.current;
        if current.value.expose_secret() == request.subject.value.expose_secret() {
            return Ok(Event::Completed { changed: false });
        }
        let cut = self.end_grace(subject).await?;
        let plugin = &self.source.credential.plugin;
        let outcome = self
            .source
            .call(subject, async |call| plugin.retire(call, &request).await)
            .await;
        if matches!(&outcome, Err(failed) if failed.left_target_alone()) {
            self.give_grace_back(subject, &cut).await;
        }
        Ok(self.outcome(outcome?))
    }

    async fn check(&mut self) -> Result<Event, Box<Failed>> {
        let call = self.source.gather(None, 1).await?;
        let findings = self.source.credential.plugin.check(&call).await?;
        let passed = findings
            .iter()
            .all(|finding| finding.level != Level::Failure);
        let failure = findings
            .iter()
            .find(|finding| finding.level == Level::Failure)
            .map(problem_of);
        self.findings.extend(findings);
        match failure {
            Some(problem) => Err(Box::new(Failed {
                event: Event::Checked { passed },
                problem,
            })),
            None => Ok(Event::Checked { passed }),
        }
    }

    fn outcome(&mut self, outcome: Outcome) -> Event {
        self.findings.extend(outcome.findings);
        match outcome.status {
            Status::Done => Event::Completed { changed: true },
            Status::Unchanged => Event::Completed { changed: false },
            Status::Pending { after_ms } => Event::StillPending {
                milliseconds: after_ms,
            },
        }
    }
}

/// A label that is not where the caller thought is an answer, not a failure.
fn refused(error: StoreError) -> Result<Event, Box<Failed>> {
    match error.kind() {
        ErrorKind::InvalidParameter => Ok(Event::Refused),
        _ => Err(error.into()),
    }
}

fn store_id(version: &VersionId) -> Result<keyturn_store::VersionId, StoreError> {
    keyturn_store::VersionId::new(version.as_str())
}

pub(crate) fn liveness(liveness: keyturn_runtime::Liveness) -> Liveness {
    match liveness {
        keyturn_runtime::Liveness::Live => Liveness::Live,
        keyturn_runtime::Liveness::Dead => Liveness::Dead,
        keyturn_runtime::Liveness::Mixed => Liveness::Mixed,
        keyturn_runtime::Liveness::Unknown => Liveness::Unknown,
    }
}

fn problem_of(finding: &Finding) -> Problem {
    let fix = finding
        .fix
        .as_ref()
        .map_or(String::new(), |fix| format!("; {fix}"));
    Problem {
        kind: "check".to_owned(),
        applied: "no".to_owned(),
        code: Some(finding.id.clone()),
        message: format!("{}{fix}", finding.summary),
        details: Vec::new(),
    }
}
