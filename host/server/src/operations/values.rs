//! Reading and writing versions.

use keyturn_store::service::Accessed;
use keyturn_store::{SecretName, SecretStore, VersionId, Which, labels, limits};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{Call, STAGE_CHARS, TOKEN_CHARS};
use crate::error::{Answer, ApiError};
use crate::faults;

const ROTATION_TOKEN_CHARS: std::ops::RangeInclusive<usize> = 36..=256;

pub(super) async fn get(call: &mut Call<'_>) -> Answer {
    let name = call.name().await?;
    let id = call.members.text("VersionId", TOKEN_CHARS)?;
    let id = id.map(VersionId::new).transpose()?;
    let stage = call.members.text("VersionStage", STAGE_CHARS)?;
    let which = match (id, stage) {
        (None, stage) => Which::Label(stage.unwrap_or(labels::CURRENT).to_owned()),
        (Some(id), None) => Which::Id(id),
        (Some(id), Some(stage)) => Which::IdWithLabel(id, stage.to_owned()),
    };
    let answer = read(call, &name, &which).await?;
    call.secret = Some(name);
    Ok(answer)
}

/// A version with its value, as it is told.
pub(super) async fn read(call: &Call<'_>, name: &SecretName, which: &Which) -> Answer {
    let stale = call.options().faults.stale(name);
    let seen = stale.as_ref().map(|record| faults::seen(record, which));
    let seen = seen.transpose()?;
    let id = seen.map(|version| Which::Id(version.id.clone()));
    let read = call
        .options()
        .store
        .access(name, id.as_ref().unwrap_or(which));
    let Accessed {
        arn_suffix,
        version,
    } = match read.await {
        Ok(accessed) => accessed,
        Err(error) => return Err(call.refusal(name, error).await),
    };
    let mut answer = call.naming(name, &arn_suffix);
    answer["CreatedDate"] = super::seconds(version.created_at_ms);
    answer["SecretString"] = json!(version.value.expose_secret());
    answer["VersionId"] = json!(version.id);
    answer["VersionStages"] = json!(seen.map_or(&version.labels, |seen| &seen.labels));
    Ok(answer)
}

pub(super) async fn put(call: &mut Call<'_>) -> Answer {
    let value = value(call)?.ok_or_else(|| {
        ApiError::request("You must provide either SecretString or SecretBinary.")
    })?;
    let (name, arn_suffix) = call.existing().await?;
    let id = call.token()?;
    // On AWS it proves whose rotation this is; here the access key does.
    call.members.text("RotationToken", ROTATION_TOKEN_CHARS)?;
    let stages = call
        .members
        .texts("VersionStages", &(1..=limits::LABELS_MAX), &STAGE_CHARS)?
        .unwrap_or_default();
    let stages: Vec<&str> = stages.iter().map(String::as_str).collect();
    let put = call.change(&name, id.as_str(), async {
        let store = &call.options().store;
        Ok(store.put(&name, &id, &value, &stages).await?)
    });
    let put = put.await?;
    let mut answer = call.naming(&name, &arn_suffix);
    answer["VersionId"] = json!(id);
    answer["VersionStages"] = json!(put.labels);
    Ok(answer)
}

/// The value that a request brings.
///
/// # Errors
/// InvalidParameterException for binary values: plugins and their rotations work on text.
pub(super) fn value(call: &mut Call<'_>) -> Answer<Option<SecretString>> {
    let value = call.members.take_secret("SecretString")?;
    if call.members.has("SecretBinary") {
        return Err(ApiError::parameter(if value.is_some() {
            "You can't specify both a binary secret value and a string secret value in the same secret."
        } else {
            "SecretBinary is not supported by this server; store the value as a SecretString, in base64 if it is binary."
        }));
    }
    if let Some(value) = &value {
        let bytes = value.expose_secret().len();
        if bytes == 0 {
            return Err(ApiError::constraint(
                "SecretString",
                "have length greater than or equal to 1",
            ));
        }
        if bytes > limits::VALUE_BYTES_MAX {
            let most = format!(
                "have length less than or equal to {}",
                limits::VALUE_BYTES_MAX
            );
            return Err(ApiError::constraint("SecretString", &most));
        }
    }
    Ok(value)
}
