//! Whether the target knows what the store says it does: a plugin names the version whose value let it in.

use keyturn_protocol::{Label, VersionId};
use keyturn_runtime::Outcome;
use keyturn_store::StoreError;

use crate::{call::CallSource, effect::Effects, event::What, snapshot::labels_of};

impl Effects<'_> {
    /// Anything but AWSCURRENT or the candidate that opened the door: the target was changed outside, or the store.
    pub(crate) async fn report_drift(
        &mut self,
        candidate: &VersionId,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        let Some(opener) = &outcome.opened_with else {
            return Ok(());
        };
        let CallSource {
            store, credential, ..
        } = self.source;
        let labels = labels_of(&store.describe(&credential.secret).await?);
        let current = labels.holder(Label::Current).map(VersionId::as_str);
        if opener != candidate.as_str() && Some(opener.as_str()) != current {
            self.findings.push(What::Finding {
                level: "warning".to_owned(),
                id: "drift".to_owned(),
                summary: format!(
                    "version {opener} opened the target, and AWSCURRENT did not everywhere"
                ),
                fix: None,
            });
        }
        Ok(())
    }
}
