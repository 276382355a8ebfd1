//! Which versions hold what AWSCURRENT holds: a trial of the configuration, and a superseded value that somebody has
//! put back by hand. An operator is never sent to end what is in use again.

use keyturn_protocol::{Content, Goal, Label, Labels, Snapshot, Step, VersionId};
use keyturn_runtime::{Finding, Level};
use keyturn_store::{SecretDescription, StoreError};
use secrecy::ExposeSecret;

use crate::{
    call::CallSource,
    effect::Effects,
    notes::{Notes, Obligation, OperatorSteps},
    snapshot::labels_of,
};

impl CallSource<'_> {
    /// The version under KEYTURN_RETIRING, if an operator ends it and AWSCURRENT holds its credential again.
    pub(crate) async fn put_back(&self, labels: &Labels) -> Result<Option<VersionId>, StoreError> {
        let held = (
            labels.holder(Label::Retiring),
            labels.holder(Label::Current),
        );
        let (Some(subject), Some(current)) = held else {
            return Ok(None);
        };
        if subject == current || !self.credential.strategy.needs_operator {
            return Ok(None);
        }
        let (old, new) = (
            self.value_if_any(subject).await?,
            self.value_if_any(current).await?,
        );
        let same = old.zip(new).is_some_and(|(old, new)| {
            let plugin = &self.credential.plugin;
            plugin.is_same_credential(&old.value, &new.value)
        });
        Ok(same.then(|| subject.clone()))
    }

    /// What was in use until the credential of `returned` came back by hand: the newest version that had superseded
    /// it. An answer that never came into use is none, though it would have superseded it, too.
    pub(crate) async fn put_aside(
        &self,
        notes: &Notes,
        described: &SecretDescription,
        returned: &VersionId,
    ) -> Result<Option<Obligation>, StoreError> {
        let Some(current) = described.holder(Label::Current.as_str()) else {
            return Ok(None);
        };
        let since_ms = current.created_at_ms;
        let current = self.value(&VersionId::new(current.id.as_str())).await?;
        let known = notes.of(&self.credential.name);
        for version in described.versions.iter().rev() {
            let id = version.id.as_str();
            let noted = known.versions.get(id);
            let owed = noted
                .filter(|noted| noted.rotated_at_ms.is_some())
                .and_then(|noted| noted.owes.as_ref())
                .filter(|owed| owed.subject == returned.as_str());
            let is_answer = known
                .answered
                .as_ref()
                .is_some_and(|answer| answer.version == id);
            let Some(owed) = owed.filter(|_| !is_answer) else {
                continue;
            };
            let Some(value) = self.value_if_any(&VersionId::new(id)).await? else {
                continue;
            };
            let plugin = &self.credential.plugin;
            if !plugin.is_same_credential(&value.value, &current.value) {
                let grace_ms = self.credential.grace_seconds().saturating_mul(1000);
                return Ok(Some(Obligation {
                    subject: id.to_owned(),
                    due_at_ms: since_ms.saturating_add(grace_ms),
                    operator_steps: owed.operator_steps.as_ref().map(|steps| newer(steps, id)),
                    ..owed.clone()
                }));
            }
        }
        Ok(None)
    }
}

/// The plugin's words are about the old one of two, and here that is the one in use. Said in the title and where the
/// steps are followed one by one.
fn newer(steps: &OperatorSteps, version: &str) -> OperatorSteps {
    let which =
        format!("the newer one, that of version {version}: the one from before is in use again");
    let mut steps = steps.clone();
    steps.title += &format!(", which here is {which}");
    if !steps.checklist.is_empty() {
        steps
            .checklist
            .push(format!("The old one of these steps is here {which}"));
    }
    steps
}

impl Effects<'_> {
    pub(crate) async fn compare_with_current(
        &self,
        snapshot: &mut Snapshot,
    ) -> Result<(), StoreError> {
        let is_test = matches!(
            self.goal,
            Goal::Step {
                step: Step::Test,
                ..
            }
        );
        if is_test {
            self.compare_pending(snapshot).await?;
        }
        if let Some(subject) = self.source.put_back(&snapshot.labels).await? {
            if let Some(owed) = self.put_aside(&subject).await? {
                snapshot.owed = Some(owed.as_of(self.options.clock.now_ms()));
            }
            snapshot.versions.insert(subject, Content::SameAsCurrent);
        }
        Ok(())
    }

    /// `testSecret` on a pending version that equals CURRENT is how the service asks for a preflight.
    async fn compare_pending(&self, snapshot: &mut Snapshot) -> Result<(), StoreError> {
        let (Some(pending), Some(current)) = (
            snapshot.holder(Label::Pending).cloned(),
            snapshot.holder(Label::Current).cloned(),
        ) else {
            return Ok(());
        };
        if pending != current && snapshot.has_value(&pending) {
            let (pending_value, current_value) = (
                self.source.value(&pending).await?.value,
                self.source.value(&current).await?.value,
            );
            if pending_value.expose_secret() == current_value.expose_secret() {
                snapshot.versions.insert(pending, Content::SameAsCurrent);
            }
        }
        Ok(())
    }

    /// Before the label of a value that is in use again is taken off: whatever was owed to it is owed no more.
    pub(crate) async fn forget_if_in_use(&mut self, subject: &VersionId) -> Result<(), StoreError> {
        let CallSource {
            store, credential, ..
        } = self.source;
        let labels = labels_of(&store.describe(&credential.secret).await?, credential);
        if self.source.put_back(&labels).await?.as_ref() != Some(subject) {
            return Ok(());
        }
        let forgotten = self.note_if(|notes| {
            let known = notes.credentials.get_mut(&credential.name);
            let versions = known
                .into_iter()
                .flat_map(|known| known.versions.values_mut());
            let is_it = |owed: &mut Obligation| owed.subject == subject.as_str();
            versions
                .filter_map(|known| known.owes.take_if(is_it))
                .count()
                > 0
        });
        forgotten.await?;
        self.findings.push(in_use(
            subject,
            "nothing is owed to it any more",
            Some("end at its vendor what was in use meanwhile, if nobody needs it"),
        ));
        Ok(())
    }

    async fn put_aside(&self, returned: &VersionId) -> Result<Option<Obligation>, StoreError> {
        let CallSource {
            store, credential, ..
        } = self.source;
        let described = store.describe(&credential.secret).await?;
        let notes = Notes::read(store, &credential.secret).await?;
        self.source.put_aside(&notes, &described, returned).await
    }

    /// Before the label moves from a value that is in use again to what was in use meanwhile: that is owed from now on.
    /// False if something else is.
    pub(crate) async fn owe_another(
        &mut self,
        returned: &VersionId,
        another: &VersionId,
    ) -> Result<bool, StoreError> {
        let owed = self.put_aside(returned).await?;
        let Some(owed) = owed.filter(|owed| owed.subject == another.as_str()) else {
            return Ok(false);
        };
        let CallSource {
            store, credential, ..
        } = self.source;
        let labels = labels_of(&store.describe(&credential.secret).await?, credential);
        let Some(current) = labels.holder(Label::Current) else {
            return Ok(false);
        };
        // What the other one noted stays: a run that ends before the label moves finds it again.
        Notes::update(store, &credential.secret, |notes| {
            let known = notes.version_mut(&credential.name, current.as_str());
            known.owes = Some(owed.clone());
        })
        .await?;
        self.findings.push(in_use(
            returned,
            &format!("version {another}, which was in use meanwhile, is to end instead"),
            None,
        ));
        Ok(true)
    }

    /// What a candidate that is given up would have owed, had it come into use.
    pub(crate) async fn forget_plans(&self, candidate: &VersionId) -> Result<(), StoreError> {
        let credential = self.source.credential;
        let forgotten = self.note_if(|notes| {
            let known = notes.credentials.get_mut(&credential.name);
            known
                .and_then(|known| known.versions.get_mut(candidate.as_str()))
                .filter(|known| known.rotated_at_ms.is_none())
                .is_some_and(|known| known.owes.take().is_some())
        });
        forgotten.await.map(drop)
    }
}

fn in_use(subject: &VersionId, instead: &str, fix: Option<&str>) -> Finding {
    Finding {
        id: "retiring-in-use".to_owned(),
        level: Level::Warning,
        summary: format!(
            "AWSCURRENT holds the credential of version {subject} again, which was about to end: it is not ended, and \
             {instead}"
        ),
        fix: fix.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_follows_the_steps_is_told_which_one_is_meant() {
        let steps = OperatorSteps {
            title: "Delete the old key".to_owned(),
            link: None,
            checklist: vec!["delete the old key in the dashboard".to_owned()],
        };
        let newer = newer(&steps, "v2");
        for said in [&newer.title, newer.checklist.last().unwrap()] {
            assert!(said.contains("newer one, that of version v2"), "{said}");
        }
    }
}
