//! How a credential stands. `status` reads what is stored, touches no target, and asks the plugin at the most what a
//! value keeps; `verify` asks the target and changes nothing.

use std::time::Duration;

use keyturn_protocol::{Applied, Failure, Label, Labels, Liveness, NextAction, Reason};
use keyturn_runtime::{Finding, MemberReport, Outcome, Status as CallStatus};
use keyturn_store::{SecretDescription, StoreError};
use serde::Serialize;

use crate::{
    call::{CallSource, ValuesRead},
    credential::Credential,
    effect::liveness,
    engine::EngineOptions,
    failure::RunFailure,
    moved,
    notes::{CredentialNotes, Notes, OperatorSteps, Waiting},
    problem::Failed,
    recorder::Recorder,
    renamed::{LeftBehind, Unnamed, left_behind},
    snapshot::{labels_of, owed},
};

/// How often, and for how long at most, `verify` lets members that lag catch up.
const VERIFY_PAUSES_MAX: u32 = 5;
const VERIFY_PAUSE_MAX: Duration = Duration::from_secs(1);

/// A credential as labels and notes show it. Times are Unix milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    pub secret: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub credential: String,
    /// The plugin's name.
    pub kind: String,
    pub strategy: String,
    /// False: an operator supplies the new value.
    pub automatic: bool,
    pub current: Option<String>,
    pub last_rotation_ms: Option<u64>,
    pub next_rotation_ms: Option<u64>,
    /// The superseded value that still works.
    pub retirement: Option<Retirement>,
    /// Seconds until that value's grace is over; 0 if nothing waits.
    pub grace_left_seconds: u64,
    /// The rotation that waits for an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// That wait is over without an answer; the next rotation asks anew.
    pub wait_expired: bool,
    /// An operator's answer is stored and not in use yet.
    pub answered: bool,
    /// The version that holds it.
    #[serde(skip)]
    pub answer: Option<String>,
    /// Who rotates it, if this secret does not any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<String>,
    /// The version of an unfinished rotation.
    pub pending: Option<String>,
    /// The version that may have reached the target without being AWSCURRENT.
    pub in_doubt: Option<String>,
    /// That version is known never to have been applied.
    pub never_applied: bool,
    /// The version that is made from CURRENT and not yet in use.
    pub staged: Option<String>,
    /// When the next key was published, if it is not in use yet.
    pub announced_at_ms: Option<u64>,
    /// How long AWSCURRENT did not log in during the last rotation.
    pub gap_ms: Option<u64>,
    /// What stands in the secret under names that are not configured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<LeftBehind>,
}

/// What is owed to a superseded value.
#[derive(Debug, Clone, Serialize)]
pub struct Retirement {
    pub version: String,
    pub due_at_ms: u64,
    pub at_target: bool,
    pub new_version: bool,
    pub by_operator: bool,
    /// Only the operator's declaration ends it, and no time.
    pub by_word: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator_steps: Option<OperatorSteps>,
    /// NAME#CREDENTIAL of another secret whose AWSCURRENT holds that value still: it must not be ended before the split
    /// is finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub still_read_as: Option<String>,
}

/// Whether AWSCURRENT logs in.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    pub secret: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub credential: String,
    pub version: String,
    /// `live`, `dead`, `mixed` or `unknown`.
    pub liveness: String,
    /// False: nobody was asked, so that the value itself is all that was looked at.
    pub asked: bool,
    pub members: Vec<MemberReport>,
    pub findings: Vec<Finding>,
}

impl Verification {
    pub fn is_live(&self) -> bool {
        self.liveness == "live"
    }
}

pub(crate) async fn status(
    options: &EngineOptions,
    credential: &Credential,
) -> Result<Status, StoreError> {
    let store = options.store.as_ref();
    let source = CallSource {
        store,
        credential,
        rotation_id: &options.ids.fresh(),
        values: &ValuesRead::default(),
    };
    let (description, notes) = look(&source).await?;
    let labels = labels_of(&description, credential);
    let holder = |label| labels.holder(label).map(ToString::to_string);
    // Labels belong to the secret: what another credential's rotation made is that one's to finish.
    let own = |label| {
        holder(label).filter(|id| {
            let maker = notes.maker(id);
            maker.is_none_or(|maker| maker == credential.name)
        })
    };
    let current = holder(Label::Current);
    let known = current
        .as_deref()
        .map(|id| notes.of_version(&credential.name, id))
        .unwrap_or_default();
    // A value written by hand counts as a rotation, as on AWS.
    let written_at_ms = description
        .holder(Label::Current.as_str())
        .map(|version| version.created_at_ms);
    let retirement = retirement(&source, &notes, &description, &labels).await?;
    let now_ms = options.clock.now_ms();
    let of_credential = notes.of(&credential.name);
    let answer = stored_answer(&of_credential, &description);
    let (waiting, gap_ms) = (of_credential.waiting, of_credential.gap_ms);
    Ok(Status {
        secret: credential.secret.to_string(),
        credential: credential.name.clone(),
        kind: credential.plugin.plugin().descriptor().name.clone(),
        strategy: credential.strategy.name.clone(),
        automatic: !credential.strategy.needs_operator,
        last_rotation_ms: known.rotated_at_ms,
        next_rotation_ms: known
            .rotated_at_ms
            .or(written_at_ms)
            .and_then(|at_ms| credential.next_rotation_ms(at_ms)),
        grace_left_seconds: retirement.as_ref().map_or(0, |retirement| {
            retirement.due_at_ms.saturating_sub(now_ms).div_ceil(1000)
        }),
        retirement,
        wait_expired: waiting
            .as_ref()
            .is_some_and(|waiting| waiting.expires_at_ms <= now_ms),
        waiting,
        answered: answer.is_some(),
        answer,
        owned_by: moved::owner(&notes, credential),
        pending: own(Label::Pending),
        never_applied: labels.holder(Label::InDoubt).is_some_and(|doubt| {
            let known = notes.of_version(&credential.name, doubt.as_str());
            known.never_applied()
        }),
        in_doubt: own(Label::InDoubt),
        staged: own(Label::Staged),
        announced_at_ms: known.announced_at_ms,
        gap_ms,
        left_behind: left_behind(credential, &description, &notes),
        current,
    })
}

/// The version that holds an operator's answer; it is noted before it is stored.
fn stored_answer(known: &CredentialNotes, description: &SecretDescription) -> Option<String> {
    let current = description.holder(Label::Current.as_str());
    let answer = known.unused_answer(current.map_or("", |current| current.id.as_str()))?;
    let mut stored = description.versions.iter();
    stored
        .any(|version| version.has_value && version.id.as_str() == answer.version)
        .then(|| answer.version.clone())
}

/// What an earlier time without a name left is shown as the credential's, though no run has taken it over yet.
async fn look(source: &CallSource<'_>) -> Result<(SecretDescription, Notes), StoreError> {
    let CallSource {
        store, credential, ..
    } = *source;
    let mut description = store.describe(&credential.secret).await?;
    let mut notes = Notes::read(store, &credential.secret).await?;
    if let Some(unnamed) = Unnamed::of(source, &description, &notes).await? {
        unnamed.show(credential, &mut description, &mut notes);
    }
    Ok((description, notes))
}

/// Nothing is owed to a value that somebody has put back, but to what was in use meanwhile. What a word ends is asked of the value, as `retire` does.
async fn retirement(
    source: &CallSource<'_>,
    notes: &Notes,
    description: &SecretDescription,
    labels: &Labels,
) -> Result<Option<Retirement>, StoreError> {
    let (facts, current) = (source.credential.facts(), labels.holder(Label::Current));
    let noted = match source.put_back(labels).await? {
        Some(returned) => source.put_aside(notes, description, &returned).await?,
        None => owed(notes, source.credential, labels),
    };
    // What cannot be told is said by `retire`, which asks the same.
    let owed = match (noted, current) {
        (None, Some(current)) => source.kept_unnoted(current).await.ok().flatten(),
        (noted, _) => noted,
    };
    let Some(mut owed) = owed else {
        return Ok(None);
    };
    let by_word = facts.ends_by_word(owed.how());
    if let Some(current) = current.filter(|_| by_word) {
        owed.operator_steps = Some(source.what_is_kept(current).await);
    }
    Ok(Some(Retirement {
        by_word,
        version: owed.subject,
        due_at_ms: owed.due_at_ms,
        at_target: owed.at_target,
        new_version: owed.new_version,
        by_operator: owed.by_operator,
        operator_steps: owed.operator_steps,
        still_read_as: source
            .still_read(notes, labels)
            .await?
            .map(|(_, old_name)| old_name),
    }))
}

pub(crate) async fn verify(
    options: &EngineOptions,
    credential: &Credential,
) -> Result<Verification, Box<RunFailure>> {
    let mut recorder = Recorder::new(options, credential, "verify");
    match ask(options, credential, recorder.rotation_id()).await {
        Ok(verification) => Ok(verification),
        Err(failed) => Err(unanswered(options, credential, &mut recorder, *failed).await),
    }
}

/// The failure of what changes nothing.
pub(crate) async fn unanswered(
    options: &EngineOptions,
    credential: &Credential,
    recorder: &mut Recorder<'_>,
    failed: Failed,
) -> Box<RunFailure> {
    Box::new(RunFailure {
        name: credential.display_name(),
        failure: Failure {
            reason: Reason::Store,
            applied: Applied::No,
            next: NextAction::Repair,
            kept: Vec::new(),
        },
        problem: Some(failed.problem),
        by_operator: credential.strategy.needs_operator,
        promoted: None,
        nobody_asked: false,
        ended_at_ms: options.clock.now_ms(),
        report: recorder.finish("failed", None).await,
    })
}

async fn ask(
    options: &EngineOptions,
    credential: &Credential,
    rotation_id: &str,
) -> Result<Verification, Box<Failed>> {
    let source = CallSource {
        store: options.store.as_ref(),
        credential,
        rotation_id,
        values: &ValuesRead::default(),
    };
    let call = source.gather(None, 1).await?;
    let subject = call.current.clone();
    let id = keyturn_protocol::VersionId::new(subject.id.as_str());
    let plugin = &credential.plugin;
    let verified = |liveness, asked, members, findings| Verification {
        secret: credential.secret.to_string(),
        credential: credential.name.clone(),
        version: subject.id.clone(),
        liveness: crate::problem::kebab(&liveness),
        asked,
        members,
        findings,
    };
    let tested = |liveness: keyturn_runtime::Liveness, outcome: Outcome| {
        verified(
            liveness,
            outcome.connected,
            outcome.members,
            outcome.findings,
        )
    };
    // As the application would: every member, with the negative control. A probe asks only where
    // values are set, so it alone would not notice that the application's own way is closed.
    let mut pauses = 0;
    let failed = loop {
        let answer = source
            .call(&id, async |call| plugin.test(call, &subject).await)
            .await;
        match answer {
            Ok(outcome) => match outcome.status {
                CallStatus::Pending { after_ms } if pauses < VERIFY_PAUSES_MAX => {
                    pauses += 1;
                    let pause = Duration::from_millis(after_ms).min(VERIFY_PAUSE_MAX);
                    tokio::time::sleep(pause).await;
                }
                // Some member still refuses it, such as a standby that lags, or does not follow any more.
                CallStatus::Pending { .. } => {
                    return Ok(tested(keyturn_runtime::Liveness::Mixed, outcome));
                }
                CallStatus::Done | CallStatus::Unchanged => {
                    return Ok(tested(keyturn_runtime::Liveness::Live, outcome));
                }
            },
            Err(failed) => break failed,
        }
    };
    let verdict = source
        .call(&id, async |call| plugin.probe(call, &subject).await)
        .await?;
    match liveness(verdict.liveness) {
        Liveness::Live => Err(failed),
        Liveness::Dead | Liveness::Mixed | Liveness::Unknown => Ok(verified(
            verdict.liveness,
            verdict.connected,
            verdict.members,
            plugin.check(&call).await?,
        )),
    }
}
