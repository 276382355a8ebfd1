//! The engine's doors: run a goal on a credential, verify it, say how it stands.

use std::sync::Arc;

use keyturn_protocol::{Goal, Outcome};
use keyturn_runtime::{Input, InputRequest};
use keyturn_store::{Clock, SecretStore, StoreError};

use crate::{
    credential::Credential,
    event::EventSink,
    failure::RunFailure,
    ids::VersionIds,
    reach::{self, Reach},
    report::Report,
    run::Run,
    status::{self, Status, Verification},
};

/// What an engine works with; time and ids are parameters.
pub struct EngineOptions {
    pub store: Arc<dyn SecretStore>,
    pub sink: Arc<dyn EventSink>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn VersionIds>,
    /// Who asks, for the audit trail.
    pub actor: String,
}

/// Carries out rotations. Holds nothing between two runs: what a run needs to know stands in the
/// store.
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    pub fn new(options: EngineOptions) -> Self {
        Self { options }
    }

    /// Runs towards a goal until it is reached or cannot be reached now. A run that is killed at any
    /// point is continued by the next one.
    ///
    /// # Errors
    /// [`RunFailure`] says why, whether the target changed and what to do next.
    pub async fn run(
        &self,
        credential: &Credential,
        goal: Goal,
    ) -> Result<(Outcome, Report), Box<RunFailure>> {
        self.run_with(credential, goal, Vec::new()).await
    }

    /// The same where AWSCURRENT is not tried before an operator is asked for another value: it is known to be lost, or
    /// somebody has the answer.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_without_preflight(
        &self,
        credential: &Credential,
        goal: Goal,
    ) -> Result<(Outcome, Report), Box<RunFailure>> {
        Run::new(&self.options, credential, goal, Vec::new())
            .without_preflight()
            .drive()
            .await
    }

    /// The same where the answer is there and only the questions are needed: AWSCURRENT is not tried either, and no wait
    /// begins that a wrong answer would leave behind.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_for_questions(
        &self,
        credential: &Credential,
        goal: Goal,
    ) -> Result<(Outcome, Report), Box<RunFailure>> {
        Run::new(&self.options, credential, goal, Vec::new())
            .for_questions()
            .drive()
            .await
    }

    /// The same with an operator's answers to what an earlier run asked for ([`Report::asks`]).
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_with(
        &self,
        credential: &Credential,
        goal: Goal,
        inputs: Vec<Input>,
    ) -> Result<(Outcome, Report), Box<RunFailure>> {
        Run::new(&self.options, credential, goal, inputs)
            .drive()
            .await
    }

    /// Asks the target whether AWSCURRENT logs in right now. Changes nothing.
    ///
    /// # Errors
    /// [`RunFailure`] if that cannot be told.
    pub async fn verify(&self, credential: &Credential) -> Result<Verification, Box<RunFailure>> {
        status::verify(&self.options, credential).await
    }

    /// How far each server of a credential can be reached, and whether AWSCURRENT logs in there, by the way that its plugin
    /// takes. Changes nothing.
    ///
    /// # Errors
    /// [`RunFailure`] if nothing could be tried.
    pub async fn reach(&self, credential: &Credential) -> Result<Reach, Box<RunFailure>> {
        reach::reach(&self.options, credential).await
    }

    /// What an operator would be asked on the way to a goal; `None` if nothing. Stores no value and changes none.
    ///
    /// # Errors
    /// [`RunFailure`] if that cannot be told, or if a run would be refused at its first look: nobody is asked in vain.
    pub async fn questions(
        &self,
        credential: &Credential,
        goal: Goal,
    ) -> Result<Option<InputRequest>, Box<RunFailure>> {
        Run::new(&self.options, credential, goal, Vec::new())
            .questions()
            .await
    }

    /// How a credential stands, from what is stored. Touches no target; what a value keeps until the operator's word, the
    /// plugin says.
    ///
    /// # Errors
    /// The store's.
    pub async fn status(&self, credential: &Credential) -> Result<Status, StoreError> {
        status::status(&self.options, credential).await
    }
}
