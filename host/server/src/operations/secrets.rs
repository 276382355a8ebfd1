//! Making, describing, changing and deleting secrets.

use std::collections::BTreeMap;

use keyturn_store::service::{NewRecord, RECOVERY_DAYS_DEFAULT, Recovery, SecretRecord, Update};
use keyturn_store::{SecretName, VersionId, limits};
use serde_json::{Map, Value, json};

use super::{Call, KMS_KEY_CHARS, Operation, seconds};
use crate::error::{Answer, ApiError};
use crate::members::Members;

pub(super) async fn create(call: &mut Call<'_>) -> Answer {
    let value = super::values::value(call)?;
    let name = call
        .members
        .required_text("Name", 1..=limits::NAME_BYTES_MAX)?;
    let name = SecretName::new(name).map_err(|_| ApiError::invalid_name())?;
    call.secret = Some(name.clone());
    call.check_grant(name.as_str())?;
    refuse_what_is_aws_only(&call.members)?;
    if call.members.has("Tags") {
        call.check_also(Operation::TagResource, name.as_str())?;
    }
    let id = call.token()?;
    let new = NewRecord {
        value: value.map(|value| (id.clone(), value)),
        description: description(&call.members)?,
        kms_key_id: kms_key(&call.members)?,
        tags: call.members.tags("Tags")?.unwrap_or_default(),
    };
    let has_value = new.value.is_some();
    let made = async { Ok(call.options().store.create_record(&name, new).await?) };
    let suffix = call.change(&name, id.as_str(), made).await?;
    let mut answer = call.naming(&name, &suffix);
    if has_value {
        answer["VersionId"] = json!(id);
    }
    Ok(answer)
}

pub(super) async fn describe(call: &mut Call<'_>) -> Answer {
    let record = call.record_seen().await?;
    let mut answer = entry(call, &record);
    answer.insert("VersionIdsToStages".to_owned(), stages(&record));
    Ok(Value::Object(answer))
}

pub(super) async fn update(call: &mut Call<'_>) -> Answer {
    let value = super::values::value(call)?;
    let (name, arn_suffix) = call.existing().await?;
    refuse_what_is_aws_only(&call.members)?;
    let value = value
        .map(|value| Answer::Ok((call.token()?, value)))
        .transpose()?;
    let id = value.as_ref().map(|(id, _)| id.clone());
    let update = Update {
        value,
        description: description(&call.members)?,
        kms_key_id: kms_key(&call.members)?,
    };
    let version = id.as_ref().map_or("", VersionId::as_str);
    // Unlike PutSecretValue it refuses even the same value again.
    let updated = async { Ok(call.options().store.update(&name, update).await?) };
    call.change(&name, version, updated).await?;
    let mut answer = call.naming(&name, &arn_suffix);
    if let Some(id) = id {
        answer["VersionId"] = json!(id);
    }
    Ok(answer)
}

pub(super) async fn delete(call: &mut Call<'_>) -> Answer {
    let days = call.members.any_integer("RecoveryWindowInDays")?;
    let force = call
        .members
        .flag("ForceDeleteWithoutRecovery")?
        .unwrap_or(false);
    let recovery = match (days, force) {
        (Some(_), true) => {
            return Err(ApiError::parameter(
                "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
            ));
        }
        (None, true) => Recovery::None,
        // What is below zero is out of bounds as well.
        (Some(days), false) => Recovery::Days(u64::try_from(days).unwrap_or(0)),
        (None, false) => Recovery::Days(RECOVERY_DAYS_DEFAULT),
    };
    let mut answer = match call.record_marked().await {
        Ok(record) => call.naming(&record.description.name, &record.arn_suffix),
        // Whoever wants it gone is told that it is.
        Err(error) if force && error.is_not_found() => return gone(call),
        Err(error) => return Err(error),
    };
    let name = call.secret.clone().ok_or_else(ApiError::no_secret)?;
    let deleted = async { Ok(call.options().store.delete(&name, recovery).await?) };
    let deletion = call.change(&name, "", deleted).await?;
    answer["DeletionDate"] = seconds(deletion.due_at_ms);
    Ok(answer)
}

fn gone(call: &Call<'_>) -> Answer {
    let id = call
        .members
        .required_text("SecretId", super::SECRET_ID_CHARS)?;
    let place = &call.options().place;
    let named = place.secret_id(id)?;
    let now_ms = call.options().clock.now_ms();
    // Nobody knows how its ARN ended.
    let arn = place.arn_of(named.text);
    Ok(json!({"ARN": arn, "Name": named.name(), "DeletionDate": seconds(now_ms)}))
}

pub(super) async fn restore(call: &mut Call<'_>) -> Answer {
    let record = call.record_marked().await?;
    let name = &record.description.name;
    let restored = async { Ok(call.options().store.restore(name).await?) };
    call.change(name, "", restored).await?;
    Ok(call.naming(name, &record.arn_suffix))
}

pub(super) async fn tag(call: &mut Call<'_>) -> Answer {
    let (name, _) = call.existing().await?;
    let tags = call
        .members
        .tags("Tags")?
        .ok_or_else(|| crate::members::missing("Tags"))?;
    let tagged = async { Ok(call.options().store.tag(&name, &tags).await?) };
    call.change(&name, "", tagged).await?;
    Ok(json!({}))
}

pub(super) async fn untag(call: &mut Call<'_>) -> Answer {
    let (name, _) = call.existing().await?;
    let keys = call.members.texts(
        "TagKeys",
        &(0..=usize::MAX),
        &(1..=limits::TAG_KEY_CHARS_MAX),
    )?;
    let keys = keys.ok_or_else(|| crate::members::missing("TagKeys"))?;
    let untagged = async { Ok(call.options().store.untag(&name, &keys).await?) };
    call.change(&name, "", untagged).await?;
    Ok(json!({}))
}

/// What DescribeSecret and ListSecrets both say of a secret.
pub(super) fn entry(call: &Call<'_>, record: &SecretRecord) -> Map<String, Value> {
    let described = &record.description;
    let now_ms = call.options().clock.now_ms();
    let mut entry = Map::new();
    let mut say = |name: &str, value: Option<Value>| {
        entry.extend(value.map(|value| (name.to_owned(), value)));
    };
    let arn = call
        .options()
        .place
        .arn(&described.name, &record.arn_suffix);
    say("ARN", Some(json!(arn)));
    say("Name", Some(json!(described.name)));
    say(
        "Description",
        described.description.as_ref().map(|text| json!(text)),
    );
    say("KmsKeyId", record.kms_key_id.as_ref().map(|id| json!(id)));
    say("CreatedDate", Some(seconds(described.created_at_ms)));
    say("LastChangedDate", Some(seconds(described.changed_at_ms)));
    say("LastRotatedDate", record.rotated_at_ms.map(seconds));
    say("LastAccessedDate", record.accessed_at_ms.map(seconds));
    say(
        "DeletedDate",
        record
            .deletion
            .map(|deletion| seconds(deletion.deleted_at_ms)),
    );
    if let Some(rotation) = &record.rotation {
        let settings = &rotation.settings;
        say("RotationEnabled", Some(json!(settings.enabled)));
        say(
            "RotationLambdaARN",
            settings.lambda_arn.as_ref().map(|arn| json!(arn)),
        );
        say(
            "RotationRules",
            settings
                .rules
                .as_ref()
                .map(|rules| super::rotation::shown(rules, now_ms)),
        );
        // "On or before".
        let next = record
            .next_rotation(now_ms)
            .map(|window| window.end_ms - 1_000);
        say("NextRotationDate", next.map(seconds));
    }
    let tags = described.tags.iter();
    let tags: Vec<_> = tags
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect();
    say("Tags", (!tags.is_empty()).then(|| json!(tags)));
    entry
}

/// Version ids with their labels; versions without any are deprecated and not shown, as on AWS.
pub(super) fn stages(record: &SecretRecord) -> Value {
    let labelled = record.description.versions.iter();
    let labelled = labelled.filter(|version| !version.labels.is_empty());
    json!(
        labelled
            .map(|version| (version.id.to_string(), &version.labels))
            .collect::<BTreeMap<_, _>>()
    )
}

fn description(members: &Members) -> Answer<Option<String>> {
    let text = members.text("Description", 0..=limits::DESCRIPTION_CHARS_MAX)?;
    Ok(text.map(str::to_owned))
}

/// Kept and told, and used for nothing: values here are sealed with the store's own key.
fn kms_key(members: &Members) -> Answer<Option<String>> {
    Ok(members.text("KmsKeyId", KMS_KEY_CHARS)?.map(str::to_owned))
}

fn refuse_what_is_aws_only(members: &Members) -> Answer<()> {
    for name in ["AddReplicaRegions", "Type", "CrossAccountPrimaryARN"] {
        if members.has(name) {
            return Err(ApiError::parameter(format!(
                "{name} is not supported by this server."
            )));
        }
    }
    Ok(())
}
