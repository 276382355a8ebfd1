//! RotateSecret and CancelRotateSecret. The server announces the version and the program around it rotates.

use keyturn_store::service::schedule::RotationRules;
use keyturn_store::service::{RotationSettings, SecretRecord};
use keyturn_store::{VersionId, labels};
use serde_json::{Value, json};

use super::{Call, LAMBDA_CHARS};
use crate::around::{Admitted, RotateError};
use crate::error::{Answer, ApiError};
use crate::members::Members;

const DURATION_CHARS: std::ops::RangeInclusive<usize> = 2..=3;
const EXPRESSION_CHARS: std::ops::RangeInclusive<usize> = 1..=256;

pub(super) async fn rotate(call: &mut Call<'_>) -> Answer {
    let record = call.record().await?;
    let name = record.description.name.clone();
    let token = call.token()?;
    let settings = settings(&call.members, &record)?;
    let immediately = call.members.flag("RotateImmediately")?.unwrap_or(true);
    let mut answer = call.naming(&name, &record.arn_suffix);
    let known = record.description.version(&token).is_some();
    let admitted = match call.options().rotator.admit(&name) {
        Ok(admitted) => admitted,
        // The same call again, whose rotation is on its way.
        Err(RotateError::UnderWay) if known && immediately => {
            answer["VersionId"] = json!(token);
            return Ok(answer);
        }
        Err(error) => return Err(error.into()),
    };
    if immediately {
        begin(call, &record, admitted, &token, &settings).await?;
        answer["VersionId"] = json!(token);
    } else {
        try_out(call, &record, admitted, &token, &settings).await?;
    }
    Ok(answer)
}

async fn begin(
    call: &Call<'_>,
    record: &SecretRecord,
    admitted: Box<dyn Admitted>,
    token: &VersionId,
    settings: &RotationSettings,
) -> Answer<()> {
    let (store, name) = (&call.options().store, &record.description.name);
    let other = unfinished(record).filter(|pending| *pending != token);
    let begun = call.change(name, token.as_str(), async {
        if other.is_some() || !admitted.is_announced() {
            // What is tried again has to be switched on again, too.
            store.set_rotation(name, settings).await?;
        }
        if admitted.is_announced() {
            return Ok(store.begin_rotation(name, token, settings).await?);
        }
        Ok(record.description.version(token).is_none())
    });
    match (begun.await, other) {
        (Ok(true), _) => admitted.begin(token, &call.key.name),
        // The call was made before. A rotation that ended with it stays ended.
        (Ok(false), _) if is_left(record, token, admitted.is_announced()) => {
            admitted.begin(token, &call.key.name);
        }
        (Ok(false), _) => {}
        (Err(error), other) => {
            // AWS tries a rotation again that is not complete, whoever's it is.
            if let Some(pending) = other {
                admitted.begin(pending, &call.key.name);
            }
            return Err(error);
        }
    }
    Ok(())
}

/// Where the trial fails, the settings stay; whether they do on AWS is not documented (?): `describe-secret` after such
/// a `rotate-secret` on a real account would show it.
async fn try_out(
    call: &Call<'_>,
    record: &SecretRecord,
    admitted: Box<dyn Admitted>,
    token: &VersionId,
    settings: &RotationSettings,
) -> Answer<()> {
    let (store, name) = (&call.options().store, &record.description.name);
    let announced = call.change(name, token.as_str(), async {
        Ok(store.begin_rotation(name, token, settings).await?)
    });
    let version = record.description.version(token);
    // A call that was cut off before it had tried is made up for.
    let is_untried = version.is_some_and(|version| !version.has_value);
    if announced.await? || is_untried {
        admitted.check(token, &call.key.name).await?;
    }
    Ok(())
}

/// The version of a rotation that is not complete.
fn unfinished(record: &SecretRecord) -> Option<&VersionId> {
    let holder = |label| record.description.holder(label).map(|version| &version.id);
    let pending = holder(labels::PENDING)?;
    (holder(labels::CURRENT) != Some(pending)).then_some(pending)
}

/// Whether the rotation that made the version `token` has something left to do. One that is not announced shows its
/// version to nobody first, then to those who read it ahead of its use, and then it makes another.
fn is_left(record: &SecretRecord, token: &VersionId, is_announced: bool) -> bool {
    if is_announced {
        return unfinished(record) == Some(token);
    }
    let version = record.description.version(token);
    let carries = |label: &str| version.is_some_and(|v| v.labels.iter().any(|held| held == label));
    carries(labels::STAGED) || carries(labels::CURRENT)
}

pub(super) async fn cancel(call: &mut Call<'_>) -> Answer {
    let record = call.record().await?;
    let name = &record.description.name;
    let settings = RotationSettings {
        enabled: false,
        ..kept(&record)
    };
    let cancelled = async { Ok(call.options().store.set_rotation(name, &settings).await?) };
    call.change(name, "", cancelled).await?;
    let mut answer = call.naming(name, &record.arn_suffix);
    if let Some(pending) = record.description.holder(labels::PENDING) {
        answer["VersionId"] = json!(pending.id);
    }
    Ok(answer)
}

/// What is not given stays as it was.
fn settings(members: &Members, record: &SecretRecord) -> Answer<RotationSettings> {
    let kept = kept(record);
    let lambda_arn = members.text("RotationLambdaARN", LAMBDA_CHARS)?;
    let rules = members.object("RotationRules")?;
    let rules = rules.map(|rules| self::rules(&rules)).transpose()?;
    Ok(RotationSettings {
        enabled: true,
        lambda_arn: lambda_arn.map(str::to_owned).or(kept.lambda_arn),
        rules: rules.or(kept.rules),
    })
}

fn kept(record: &SecretRecord) -> RotationSettings {
    let kept = record
        .rotation
        .as_ref()
        .map(|rotation| rotation.settings.clone());
    kept.unwrap_or(RotationSettings {
        enabled: false,
        lambda_arn: None,
        rules: None,
    })
}

fn rules(members: &Members) -> Answer<RotationRules> {
    let days = members.integer("AutomaticallyAfterDays", &(1..=1000))?;
    let text = |name, chars| Answer::Ok(members.text(name, chars)?.map(str::to_owned));
    let rules = RotationRules {
        automatically_after_days: days.and_then(|days| u64::try_from(days).ok()),
        schedule_expression: text("ScheduleExpression", EXPRESSION_CHARS)?,
        duration: text("Duration", DURATION_CHARS)?,
    };
    rules.schedule()?;
    Ok(rules)
}

pub(super) fn shown(rules: &RotationRules, now_ms: u64) -> Value {
    let mut shown = json!({});
    // AWS says the days of a schedule expression, too.
    if let Ok(schedule) = rules.schedule() {
        shown["AutomaticallyAfterDays"] = json!(schedule.interval_days(now_ms));
    }
    if let Some(expression) = &rules.schedule_expression {
        shown["ScheduleExpression"] = json!(expression);
    }
    if let Some(duration) = &rules.duration {
        shown["Duration"] = json!(duration);
    }
    shown
}

impl From<RotateError> for ApiError {
    fn from(error: RotateError) -> Self {
        match error {
            // AWS's words, and where the rotation has to be configured here.
            RotateError::NotConfigured => Self::request(
                "No Lambda rotation function ARN is associated with this secret. On this server a secret is rotated by \
                 a plugin: its operator names it in the configuration.",
            ),
            RotateError::UnderWay => Self::request(
                "A previous rotation isn't complete. That rotation will be reattempted.",
            ),
            RotateError::Busy => Self::new(
                "LimitExceededException",
                "Too many rotations are under way; try again.",
            ),
            RotateError::Refused(words) => Self::request(words),
        }
    }
}
