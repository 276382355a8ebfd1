//! Which versions hold what AWSCURRENT holds: a trial of the configuration, and a superseded value that somebody has
//! put back by hand. An operator is never sent to end what is in use again.

use keyturn_protocol::{Content, Goal, Label, Labels, Snapshot, Step, VersionId};
use keyturn_runtime::{Finding, Level};
use keyturn_store::StoreError;
use secrecy::ExposeSecret;

use crate::{
    call::CallSource,
    effect::Effects,
    notes::{Notes, Obligation},
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
        let forgotten = Notes::update_if(store, &credential.secret, |notes| {
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
        self.findings.push(in_use(subject));
        Ok(())
    }

    /// What a candidate that is given up would have owed, had it come into use.
    pub(crate) async fn forget_plans(&self, candidate: &VersionId) -> Result<(), StoreError> {
        let CallSource {
            store, credential, ..
        } = self.source;
        let forgotten = Notes::update_if(store, &credential.secret, |notes| {
            let known = notes.credentials.get_mut(&credential.name);
            known
                .and_then(|known| known.versions.get_mut(candidate.as_str()))
                .filter(|known| known.rotated_at_ms.is_none())
                .is_some_and(|known| known.owes.take().is_some())
        });
        forgotten.await.map(drop)
    }
}

fn in_use(subject: &VersionId) -> Finding {
    Finding {
        id: "retiring-in-use".to_owned(),
        level: Level::Warning,
        summary: format!(
            "AWSCURRENT holds the credential of version {subject} again, which was about to end: it is not ended, and \
             nothing is owed to it any more"
        ),
        fix: Some("end at its vendor what was in use meanwhile, if nobody needs it".to_owned()),
    }
}
