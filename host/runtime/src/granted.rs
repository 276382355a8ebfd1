//! A plugin together with what it may use: the only thing that can be called.

use secrecy::SecretString;

use crate::call::{Call, CompanionNeed, CreateRequest, RetireRequest, Version};
use crate::error::{CallError, GrantError};
use crate::grant::Grant;
use crate::outcome::{Created, Finding, Outcome, RetirementPlan, UsageReport, Verdict};
use crate::plugin::Plugin;

/// A plugin under a grant. Each call gets a fresh instance; calls may run side by side.
#[derive(Clone)]
pub struct GrantedPlugin {
    plugin: Plugin,
    grant: Grant,
}

impl GrantedPlugin {
    pub(crate) fn new(plugin: Plugin, grant: Grant) -> Result<Self, GrantError> {
        Ok(Self { plugin, grant })
    }

    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// The secrets to read at AWSCURRENT before a call. Looks at CURRENT alone, never at a
    /// candidate, so that nobody who can write AWSPENDING picks the admin secret.
    pub fn companions_needed(
        &self,
        _current: &SecretString,
    ) -> Result<Vec<CompanionNeed>, CallError> {
        let _ = &self.grant;
        Ok(Vec::new())
    }

    /// Compares the manifest's identity pointers. `set` and `test` do this themselves, before the
    /// plugin is instantiated.
    pub fn compare_identity(
        &self,
        _current: &SecretString,
        _candidate: &SecretString,
    ) -> Result<(), CallError> {
        Ok(())
    }

    /// A whole new value, or questions for the operator. Opens no connection.
    pub async fn create(
        &self,
        _call: &Call,
        _request: &CreateRequest,
    ) -> Result<Created, CallError> {
        unreachable!()
    }

    /// Makes the target accept `candidate`.
    pub async fn set(&self, _call: &Call, _candidate: &Version) -> Result<Outcome, CallError> {
        unreachable!()
    }

    /// Proves that `candidate` opens the door and a wrong value does not.
    pub async fn test(&self, _call: &Call, _candidate: &Version) -> Result<Outcome, CallError> {
        unreachable!()
    }

    /// What becomes of the value in `call.current` once `candidate` is promoted. Opens no
    /// connection.
    pub async fn finish(
        &self,
        _call: &Call,
        _candidate: &Version,
    ) -> Result<RetirementPlan, CallError> {
        unreachable!()
    }

    /// Does `subject` open the door right now?
    pub async fn probe(&self, _call: &Call, _subject: &Version) -> Result<Verdict, CallError> {
        unreachable!()
    }

    /// Kills a value that `call.current` does not hold.
    pub async fn retire(
        &self,
        _call: &Call,
        _request: &RetireRequest,
    ) -> Result<Outcome, CallError> {
        unreachable!()
    }

    /// Who still uses the identity of `subject`.
    pub async fn usage(&self, _call: &Call, _subject: &Version) -> Result<UsageReport, CallError> {
        unreachable!()
    }

    /// Preflight without a candidate.
    pub async fn check(&self, _call: &Call) -> Result<Vec<Finding>, CallError> {
        unreachable!()
    }
}
