//! Moving staging labels: the compare-and-swap of rotations.

use keyturn_store::service::SecretRecord;
use keyturn_store::{SecretStore, VersionId, labels};

use super::{Call, STAGE_CHARS, TOKEN_CHARS};
use crate::error::{Answer, ApiError};

pub(super) async fn update(call: &mut Call<'_>) -> Answer {
    let record = call.record().await?;
    let name = &record.description.name;
    let label = call.members.required_text("VersionStage", STAGE_CHARS)?;
    let version = |name| {
        let id = call.members.text(name, TOKEN_CHARS)?;
        Answer::Ok(id.map(VersionId::new).transpose()?)
    };
    let (from, to) = (version("RemoveFromVersionId")?, version("MoveToVersionId")?);
    check(&record, label, from.as_ref(), to.as_ref())?;
    let about = to.as_ref().or(from.as_ref()).map_or("", VersionId::as_str);
    let moved = call.change(name, about, async {
        let store = &call.options().store;
        Ok(store
            .move_label(name, label, from.as_ref(), to.as_ref())
            .await?)
    });
    moved.await?;
    Ok(call.naming(name, &record.arn_suffix))
}

/// AWS's words for what cannot be. The store decides it once more, in the transaction that moves the label.
fn check(
    record: &SecretRecord,
    label: &str,
    from: Option<&VersionId>,
    to: Option<&VersionId>,
) -> Answer<()> {
    let holder = record.description.holder(label).map(|version| &version.id);
    if label == labels::CURRENT && to.is_none() {
        return Err(ApiError::parameter(format!(
            "You can only move staging label {label} to a different secret version. It can't be completely removed."
        )));
    }
    match (from, holder) {
        (None, Some(holder)) if to.is_some_and(|to| to != holder) => {
            Err(ApiError::parameter(format!(
                "The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to \
                 version {holder}, so you must explicitly reference that version in RemoveFromVersionId."
            )))
        }
        (Some(from), Some(holder)) if from != holder => Err(ApiError::parameter(format!(
            "The parameter RemoveFromVersionId is incorrect. Staging label {label} is currently attached to version \
             {holder}, so you must explicitly reference that version in RemoveFromVersionId."
        ))),
        (Some(from), None) => Err(ApiError::parameter(format!(
            "The parameter RemoveFromVersionId is incorrect. Staging label {label} is not attached to version {from}."
        ))),
        _ => Ok(()),
    }
}
