//! A rotation that waits for an operator, and what becomes of the answer. Only a note says that it waits: nothing is
//! stored before the operator has answered, so that the wait survives every restart and losing it loses nothing.

use keyturn_protocol::{Goal, VersionId};
use keyturn_runtime::{
    Call, CreateRequest, Created, Finding, InputRequest, Level, Origin, Purpose, Version,
};
use keyturn_store::StoreError;
use secrecy::SecretString;

use crate::{
    call::CallSource,
    credential::Credential,
    effect::Effects,
    notes::{Answered, Notes, OperatorSteps, Waiting},
    problem::Failed,
};

/// What there is of an operator's earlier answer.
pub(crate) enum Earlier {
    None,
    /// On top of what is AWSCURRENT now.
    Carried(SecretString),
    /// It was, and is of no use.
    Dropped,
}

/// Whether a new value is made of what an operator brings.
pub(crate) fn needs_answer(credential: &Credential, request: &CreateRequest) -> bool {
    credential.strategy.needs_operator && request.purpose == Purpose::Replace
}

/// What an operator is asked for, without a run: an answer that is stored is not given up before there is another.
/// `None` if the plugin asks nothing.
pub(crate) async fn questions(
    source: &CallSource<'_>,
    now_ms: u64,
) -> Result<Option<InputRequest>, Box<Failed>> {
    let credential = source.credential;
    let call = source.gather(None, 1).await?;
    let request = credential.create_request(keyturn_protocol::Purpose::Replace, now_ms);
    match credential.plugin.create(&call, &request).await? {
        Created::NeedsInput(asked) => Ok(Some(asked)),
        Created::Value(_) => Ok(None),
    }
}

impl Effects<'_> {
    /// Asked again within its time, it waits for as long as it was told first.
    pub(crate) async fn park(&self, asked: &InputRequest) -> Result<(), StoreError> {
        let credential = self.source.credential;
        let now_ms = self.options.clock.now_ms();
        let lasts_ms = asked.expires_after_seconds.saturating_mul(1000);
        let waiting = Waiting {
            since_ms: now_ms,
            expires_at_ms: now_ms.saturating_add(lasts_ms),
            steps: OperatorSteps::of(asked),
        };
        self.note(|notes| {
            let known = notes
                .credentials
                .entry(credential.name.clone())
                .or_default();
            let known = &mut known.waiting;
            if known
                .as_ref()
                .is_none_or(|known| known.expires_at_ms <= now_ms)
            {
                *known = Some(waiting.clone());
            }
        })
        .await
    }

    /// Writes down which version holds the operator's answer, before it is stored; `None`: it is of no use any more.
    pub(crate) async fn answered(&self, answered: Option<Answered>) -> Result<(), StoreError> {
        let credential = self.source.credential;
        let changed = self.note_if(|notes| {
            let known = notes
                .credentials
                .entry(credential.name.clone())
                .or_default();
            let before = std::mem::replace(&mut known.answered, answered.clone());
            before != answered
        });
        changed.await.map(drop)
    }

    /// Writes down that the answer is in use, once it is: a run that is cut off before would lose it otherwise. Where
    /// this cannot be written it is seen by AWSCURRENT, so that it is no reason to fail what has been promoted.
    pub(crate) async fn answer_is_used(&self, version: &VersionId) {
        let CallSource {
            store, credential, ..
        } = self.source;
        let _ = Notes::update_if(store, &credential.secret, |notes| {
            let known = notes.credentials.get_mut(&credential.name);
            known.is_some_and(|known| {
                let before = known.answered.clone();
                known.use_answer(version.as_str());
                before != known.answered
            })
        })
        .await;
    }

    /// Says that an answer loses its AWSPENDING to a goal that has nothing to do with it. The note of it stays.
    pub(crate) async fn set_answer_aside(
        &mut self,
        candidate: &VersionId,
    ) -> Result<(), StoreError> {
        if !matches!(self.goal, Goal::Retire { .. }) {
            return Ok(());
        }
        let CallSource {
            store, credential, ..
        } = self.source;
        let known = Notes::read(store, &credential.secret).await?;
        let answer = known.of(&credential.name).answered;
        if answer.is_some_and(|answer| answer.version == candidate.as_str()) {
            let name = credential.display_name();
            self.findings.push(set_aside(candidate, &name));
        }
        Ok(())
    }

    /// An answer that lost its AWSPENDING because AWSCURRENT was changed by hand, put on top of what is AWSCURRENT
    /// now: nobody is asked twice for one thing. Where that is impossible it is said and forgotten.
    pub(crate) async fn carry_over(
        &mut self,
        call: &Call,
        request: &CreateRequest,
    ) -> Result<Earlier, Box<Failed>> {
        let CallSource {
            store, credential, ..
        } = self.source;
        if !needs_answer(credential, request) || !request.inputs.is_empty() {
            return Ok(Earlier::None);
        }
        let known = Notes::read(store, &credential.secret).await?;
        let known = known.of(&credential.name);
        let Some(Answered { version, base }) = known.unused_answer(&call.current.id).cloned()
        else {
            return Ok(Earlier::None);
        };
        if let Goal::Rotate { anew: true, .. } = self.goal {
            self.answered(None).await?;
            return Ok(Earlier::Dropped);
        }
        let restore = match self.answer_to(&version, &base, &call.current).await? {
            Ok(restore) => restore,
            Err(cause) => return self.drop_answer(&version, cause).await,
        };
        let request = CreateRequest {
            purpose: Purpose::Restore,
            restore: Some(restore),
            ..request.clone()
        };
        match credential.plugin.create(call, &request).await {
            Ok(Created::Value(value)) => {
                self.findings.push(carried_over(&version));
                Ok(Earlier::Carried(value))
            }
            Ok(Created::NeedsInput(_)) => self.drop_answer(&version, "the plugin asks again").await,
            // That says nothing about the answer: another time it may be of use.
            Err(error) if error.retryable || error.origin == Origin::Host => Err(error.into()),
            Err(error) => self.drop_answer(&version, &error.message).await,
        }
    }

    async fn drop_answer(&mut self, version: &str, cause: &str) -> Result<Earlier, Box<Failed>> {
        self.answered(None).await?;
        self.findings.push(asked_again(version, cause));
        Ok(Earlier::Dropped)
    }

    /// The answer, or why it may not be put on top of what is current now. A credential that was itself changed by hand
    /// is newer than the answer.
    async fn answer_to(
        &self,
        version: &str,
        base: &str,
        current: &Version,
    ) -> Result<Result<Version, &'static str>, StoreError> {
        let (version, base) = (VersionId::new(version), VersionId::new(base));
        let answer = self.source.value_if_any(&version).await?;
        let Some((answer, base)) = answer.zip(self.source.value_if_any(&base).await?) else {
            return Ok(Err(
                "it, or what it was to supersede, is not stored any more",
            ));
        };
        let plugin = &self.source.credential.plugin;
        Ok(if plugin.is_same_credential(&base.value, &current.value) {
            Ok(answer)
        } else {
            Err("its credential was changed by hand, too")
        })
    }
}

fn set_aside(version: &VersionId, name: &str) -> Finding {
    Finding {
        id: "answer-set-aside".to_owned(),
        level: Level::Note,
        summary: format!(
            "the operator's answer, version {version}, which is not in use yet, is set aside and not lost"
        ),
        fix: Some(format!(
            "run `keyturn rotate {name}` afterwards: it goes on with that answer"
        )),
    }
}

fn carried_over(version: &str) -> Finding {
    Finding {
        id: "answer-carried-over".to_owned(),
        level: Level::Note,
        summary: format!(
            "the operator's earlier answer, version {version}, was put on top of what is AWSCURRENT now"
        ),
        fix: None,
    }
}

fn asked_again(version: &str, cause: &str) -> Finding {
    Finding {
        id: "answer-not-carried-over".to_owned(),
        level: Level::Warning,
        summary: format!(
            "the operator's earlier answer, version {version}, cannot be put on top of what is AWSCURRENT now: {cause}"
        ),
        fix: Some("answer again, if AWSCURRENT is not what you want".to_owned()),
    }
}
