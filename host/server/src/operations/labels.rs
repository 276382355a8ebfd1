//! Moving staging labels: the compare-and-swap of rotations.

use keyturn_store::{SecretStore, VersionId};

use super::{Call, STAGE_CHARS, TOKEN_CHARS};
use crate::error::Answer;

pub(super) async fn update(call: &mut Call<'_>) -> Answer {
    let (name, arn_suffix) = call.existing().await?;
    let label = call.members.required_text("VersionStage", STAGE_CHARS)?;
    let version = |name| {
        let id = call.members.text(name, TOKEN_CHARS)?;
        Answer::Ok(id.map(VersionId::new).transpose()?)
    };
    let (from, to) = (version("RemoveFromVersionId")?, version("MoveToVersionId")?);
    let about = to.as_ref().or(from.as_ref()).map_or("", VersionId::as_str);
    let moved = call.change(&name, about, async {
        let store = &call.options().store;
        Ok(store
            .move_label(&name, label, from.as_ref(), to.as_ref())
            .await?)
    });
    moved.await?;
    Ok(call.naming(&name, &arn_suffix))
}
