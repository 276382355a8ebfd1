//! The rules of deletion, details and pages as pure functions, with the words in which AWS refuses.

use super::calendar::DAY_MS;
use super::{Deletion, ListQuery, NewRecord, PAGE_MAX, Recovery, RotationSettings, Update};
use crate::error::{ErrorKind, StoreError};
use crate::rules;
use crate::tags;
use crate::types::{SecretName, VersionId};

/// The window in which a deleted secret can be restored.
const RECOVERY_DAYS: std::ops::RangeInclusive<u64> = 7..=30;
/// Longest id of a KMS key and longest ARN of a Lambda function, in characters.
const ID_CHARS_MAX: usize = 2_048;

pub(crate) fn check_new(new: &NewRecord) -> Result<(), StoreError> {
    if let Some((_, value)) = &new.value {
        rules::check_value(value)?;
    }
    check_details(new.description.as_deref(), new.kms_key_id.as_deref())?;
    tags::check(&new.tags)?;
    tags::merged(&new.tags, &tags::Tags::new()).map(drop)
}

pub(crate) fn check_update(update: &Update) -> Result<(), StoreError> {
    if let Some((_, value)) = &update.value {
        rules::check_value(value)?;
    }
    check_details(update.description.as_deref(), update.kms_key_id.as_deref())
}

pub(crate) fn check_rotation(settings: &RotationSettings) -> Result<(), StoreError> {
    check_id("Lambda ARN", settings.lambda_arn.as_deref())?;
    match &settings.rules {
        Some(rules) => rules.schedule().map(drop),
        None => Ok(()),
    }
}

pub(crate) fn check_query(query: &ListQuery) -> Result<(), StoreError> {
    if !(1..=PAGE_MAX).contains(&query.limit) {
        return Err(refused(
            format!("{} results are asked for", query.limit),
            format!("ask for 1 to {PAGE_MAX}"),
        ));
    }
    super::filter::check(&query.filters)
}

/// Until when a secret that is deleted at `now_ms` can be restored.
pub(crate) fn deletion(recovery: Recovery, now_ms: u64) -> Result<Deletion, StoreError> {
    let days = match recovery {
        Recovery::None => 0,
        Recovery::Days(days) if RECOVERY_DAYS.contains(&days) => days,
        Recovery::Days(days) => {
            return Err(
                refused(format!("the recovery window is {days} days"), "use 7 to 30").for_clients(
                    "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
                ),
            );
        }
    };
    Ok(Deletion {
        deleted_at_ms: now_ms,
        due_at_ms: now_ms.saturating_add(days * DAY_MS),
    })
}

pub(crate) fn marked_for_deletion() -> StoreError {
    StoreError::new(
        ErrorKind::InvalidRequest,
        "the secret is marked for deletion",
        "restore it first",
    )
    .for_clients(
        "You can't perform this operation on the secret because it was marked for deletion.",
    )
}

pub(crate) fn deleted_already() -> StoreError {
    StoreError::new(
        ErrorKind::InvalidRequest,
        "the secret is marked for deletion already",
        "restore it first, or delete it without recovery",
    )
    .for_clients(
        "You can't perform this operation on the secret because it was already scheduled for deletion.",
    )
}

pub(crate) fn name_waits_for_deletion(name: &SecretName) -> StoreError {
    StoreError::new(
        ErrorKind::InvalidRequest,
        format!("a secret named {name} is marked for deletion"),
        "restore it, delete it without recovery, or choose another name",
    )
    .for_clients("You can't create this secret because a secret with this name is already scheduled for deletion.")
}

pub(crate) fn has_a_value(id: &VersionId) -> StoreError {
    StoreError::new(
        ErrorKind::InvalidRequest,
        format!("version {id} has a value and is not taken back"),
        "move its labels",
    )
}

fn check_details(description: Option<&str>, kms_key_id: Option<&str>) -> Result<(), StoreError> {
    rules::check_description(description)?;
    check_id("KMS key id", kms_key_id)
}

fn check_id(what: &str, id: Option<&str>) -> Result<(), StoreError> {
    match id.map(|id| id.chars().count()) {
        Some(chars) if chars > ID_CHARS_MAX => Err(refused(
            format!("the {what} has {chars} characters"),
            format!("use at most {ID_CHARS_MAX}"),
        )),
        _ => Ok(()),
    }
}

fn refused(what: impl Into<String>, next: impl Into<String>) -> StoreError {
    StoreError::new(ErrorKind::InvalidParameter, what, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_secret_can_be_restored_for_7_to_30_days() {
        let due_at_ms = |recovery| deletion(recovery, 5).map(|deletion| deletion.due_at_ms);
        assert_eq!(due_at_ms(Recovery::None).unwrap(), 5);
        assert_eq!(due_at_ms(Recovery::Days(7)).unwrap(), 5 + 7 * DAY_MS);
        assert_eq!(due_at_ms(Recovery::Days(30)).unwrap(), 5 + 30 * DAY_MS);
        for days in [0, 6, 31, u64::MAX] {
            let error = due_at_ms(Recovery::Days(days)).unwrap_err();
            assert_eq!(error.code(), "InvalidParameterException");
        }
    }

    #[test]
    fn details_have_bounds() {
        let id = |chars: usize| NewRecord {
            kms_key_id: Some("k".repeat(chars)),
            ..NewRecord::default()
        };
        assert!(check_new(&id(2_048)).is_ok());
        assert!(check_new(&id(2_049)).is_err());
        let long = Update {
            description: Some("d".repeat(2_049)),
            ..Update::default()
        };
        assert!(check_update(&long).is_err());
        for (limit, fits) in [(0, false), (1, true), (100, true), (101, false)] {
            let query = ListQuery {
                limit,
                ..ListQuery::default()
            };
            assert_eq!(check_query(&query).is_ok(), fits, "{limit}");
        }
    }
}
