//! What AWSCURRENT keeps of older values until the operator's word ends it. Asked of the value itself: since the notes were
//! written, more may have been put into it by hand, and a word must not end what it does not name.

use keyturn_protocol::{Goal, How, Label, Snapshot, VersionId};
use keyturn_runtime::{Call, Finding, Level, RetirementPlan};

use crate::{
    call::CallSource,
    effect::Effects,
    notes::{Obligation, OperatorSteps},
    problem::Failed,
};

pub(crate) fn how_of(plan: &RetirementPlan) -> How {
    How {
        at_target: plan.how.at_target,
        new_version: plan.how.new_version,
        by_operator: plan.how.by_operator,
    }
}

impl CallSource<'_> {
    /// What an operator declares of that version, the current one.
    pub(crate) async fn what_is_kept(&self, current: &VersionId) -> OperatorSteps {
        let unknown = |title: String| OperatorSteps {
            title,
            ..OperatorSteps::default()
        };
        match self.plan_of(current).await {
            Ok(plan) => plan.operator_steps.map_or_else(
                || unknown("the plugin does not say what it is".to_owned()),
                |steps| OperatorSteps::of(&steps),
            ),
            Err(failed) => unknown(format!(
                "which that is cannot be told now, so do not declare anything: {}",
                failed.problem.message
            )),
        }
    }

    /// What the current version keeps though no rotation has noted it: it came by hand.
    pub(crate) async fn kept_unnoted(
        &self,
        current: &VersionId,
    ) -> Result<Option<Obligation>, Box<Failed>> {
        let facts = self.credential.facts();
        if !facts.is_within_the_secret() {
            return Ok(None);
        }
        let how = how_of(&self.plan_of(current).await?);
        Ok(facts.ends_by_word(how).then(|| Obligation {
            subject: current.to_string(),
            at_target: how.at_target,
            new_version: how.new_version,
            by_operator: how.by_operator,
            due_at_ms: 0,
            operator_steps: None,
        }))
    }

    async fn plan_of(&self, current: &VersionId) -> Result<RetirementPlan, Box<Failed>> {
        let value = self.value(current).await?;
        let plugin = &self.credential.plugin;
        let plan = async |call: &Call| plugin.finish(call, &value).await;
        self.call(current, plan).await
    }
}

impl Effects<'_> {
    /// Whoever wants something ended is not told that nothing stands there.
    pub(crate) async fn look_for_what_is_kept(&mut self, snapshot: &mut Snapshot) {
        let Some(current) = snapshot.holder(Label::Current).cloned() else {
            return;
        };
        if snapshot.owed.is_some() || !matches!(self.goal, Goal::Retire { .. }) {
            return;
        }
        match self.source.kept_unnoted(&current).await {
            Ok(kept) => snapshot.owed = kept.map(|kept| kept.as_of(0)),
            Err(failed) => self.findings.push(untold(&failed.problem.message)),
        }
    }
}

fn untold(cause: &str) -> Finding {
    Finding {
        id: "kept-unknown".to_owned(),
        level: Level::Warning,
        summary: format!("what AWSCURRENT keeps of older values cannot be told: {cause}"),
        fix: None,
    }
}
