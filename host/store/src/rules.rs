//! The rules of labels, versions and limits as pure functions, so that the embedded and the memory store cannot come
//! to differ and each rule is readable in one place. Nothing here stores, reads a clock or keeps a value.
//!
//! Source: the AWS Secrets Manager API reference (PutSecretValue, UpdateSecretVersionStage, GetSecretValue, quotas).

use std::collections::{BTreeMap, BTreeSet};

use secrecy::{ExposeSecret, SecretString};

use crate::error::{ErrorKind, StoreError};
use crate::labels;
use crate::limits;
use crate::types::{NewSecret, SecretName, VersionId, Which};

/// Which version carries which label. A map, so that a label can't be on two versions.
pub(crate) type Held = BTreeMap<String, VersionId>;

/// What a put does to the labels.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PutLabels {
    pub(crate) held: Held,
    pub(crate) abandoned: Option<VersionId>,
}

/// Checks the arguments of a put before any store looks at them.
pub(crate) fn check_put(value: &SecretString, named: &[&str]) -> Result<(), StoreError> {
    check_value(value)?;
    if named.len() > limits::LABELS_MAX {
        return Err(StoreError::new(
            ErrorKind::InvalidParameter,
            format!("{} labels were named in one call", named.len()),
            format!("name at most {}", limits::LABELS_MAX),
        ));
    }
    named.iter().try_for_each(|label| check_label(label))
}

/// Checks the arguments of a new secret.
pub(crate) fn check_new_secret(new: &NewSecret) -> Result<(), StoreError> {
    check_value(&new.value)?;
    check_description(new.description.as_deref())
}

pub(crate) fn check_description(description: Option<&str>) -> Result<(), StoreError> {
    let chars = description.map_or(0, |text| text.chars().count());
    if chars > limits::DESCRIPTION_CHARS_MAX {
        return Err(StoreError::new(
            ErrorKind::InvalidParameter,
            format!("the description has {chars} characters"),
            format!("use at most {}", limits::DESCRIPTION_CHARS_MAX),
        ));
    }
    Ok(())
}

/// Checks notes: a JSON object of bounded size.
pub(crate) fn check_notes(json: &str) -> Result<(), StoreError> {
    if json.len() > limits::NOTES_BYTES_MAX {
        return Err(StoreError::new(
            ErrorKind::InvalidParameter,
            format!("the notes have {} bytes", json.len()),
            format!("use at most {}", limits::NOTES_BYTES_MAX),
        ));
    }
    // The parser's own message could quote the text, so it is not passed on.
    match serde_json::from_str::<BTreeMap<String, serde::de::IgnoredAny>>(json) {
        Ok(_) => Ok(()),
        Err(_) => Err(StoreError::new(
            ErrorKind::InvalidParameter,
            "the notes are not a JSON object",
            "write a JSON object such as {}",
        )),
    }
}

/// The labels after a put of version `id` that named `named`. The first version of a secret gets AWSCURRENT, whatever
/// was named.
pub(crate) fn put(held: &Held, id: &VersionId, named: &[&str]) -> Result<PutLabels, StoreError> {
    let named = if named.is_empty() {
        &[labels::CURRENT]
    } else {
        named
    };
    let mut after = held.clone();
    for label in named {
        after.insert((*label).to_owned(), id.clone());
    }
    if !held.contains_key(labels::CURRENT) {
        after.insert(labels::CURRENT.to_owned(), id.clone());
    }
    let mut abandoned = None;
    if named.contains(&labels::CURRENT) {
        follow_current(held, &mut after);
        if !named.contains(&labels::PENDING) {
            abandoned = after.remove(labels::PENDING);
        }
    }
    check_label_count(&after)?;
    Ok(PutLabels {
        held: after,
        abandoned,
    })
}

/// The labels after a move. `has_value` answers `None` for a version that does not exist.
pub(crate) fn move_label(
    held: &Held,
    has_value: impl Fn(&VersionId) -> Option<bool>,
    label: &str,
    from: Option<&VersionId>,
    to: Option<&VersionId>,
) -> Result<Held, StoreError> {
    let holder = held.get(label);
    if let Some(from) = from
        && holder != Some(from)
    {
        return Err(not_the_holder(label, from, holder));
    }
    let mut after = held.clone();
    match (from, to) {
        (None, None) => return Err(nothing_to_move(label)),
        (Some(_), None) if label == labels::CURRENT => return Err(current_removed()),
        (Some(_), None) => {
            after.remove(label);
        }
        (_, Some(to)) => {
            let Some(to_has_value) = has_value(to) else {
                return Err(no_version(to));
            };
            if let (None, Some(holder)) = (from, holder)
                && holder != to
            {
                return Err(held_elsewhere(label, holder));
            }
            if label == labels::CURRENT && !to_has_value {
                return Err(current_without_value(to));
            }
            after.insert(label.to_owned(), to.clone());
            if label == labels::CURRENT {
                follow_current(held, &mut after);
            }
        }
    }
    check_label_count(&after)?;
    Ok(after)
}

/// The labels after a rotation service announced version `id`. An AWSPENDING on the current version is a left-over
/// of a finished rotation and moves; on any other version it means that a rotation is in progress. A secret that
/// never had a value has nothing to rotate from.
pub(crate) fn reserve(held: &Held, id: &VersionId) -> Result<Held, StoreError> {
    if !held.contains_key(labels::CURRENT) {
        return Err(StoreError::new(
            ErrorKind::InvalidRequest,
            "the secret has no value yet, so that there is nothing to rotate",
            "put its first value",
        )
        .for_clients("You can't rotate a secret that doesn't have a value."));
    }
    if let Some(pending) = held.get(labels::PENDING)
        && held.get(labels::CURRENT) != Some(pending)
    {
        return Err(StoreError::new(
            ErrorKind::InvalidRequest,
            format!("a previous rotation isn't complete: version {pending} carries AWSPENDING"),
            "finish or cancel that rotation first",
        )
        .for_clients("A previous rotation isn't complete. That rotation will be reattempted."));
    }
    let mut after = held.clone();
    after.insert(labels::PENDING.to_owned(), id.clone());
    check_label_count(&after)?;
    Ok(after)
}

/// The version that `which` means, whether or not it exists.
pub(crate) fn wanted<'a>(held: &'a Held, which: &'a Which) -> Result<&'a VersionId, StoreError> {
    match which {
        Which::Id(id) | Which::IdWithLabel(id, _) => Ok(id),
        Which::Label(label) => held.get(label).ok_or_else(|| {
            StoreError::new(
                ErrorKind::NotFound,
                format!("no version of the secret carries the label {label:?}"),
                "describe the secret to see its labels",
            )
            .for_clients(format!(
                "Secrets Manager can't find the specified secret value for staging label: {label}"
            ))
        }),
    }
}

/// Checks that an existing version carries the label that was asked for beside its id.
pub(crate) fn check_wanted_label(held: &Held, which: &Which) -> Result<(), StoreError> {
    match which {
        Which::IdWithLabel(id, label) if held.get(label) != Some(id) => Err(StoreError::new(
            ErrorKind::InvalidRequest,
            format!("version {id} does not carry the label {label:?}"),
            "describe the secret to see its labels; someone moved it, or it is another rotation's",
        )
        .for_clients(
            "You provided a VersionStage that is not associated to the provided VersionId.",
        )),
        Which::Id(_) | Which::Label(_) | Which::IdWithLabel(..) => Ok(()),
    }
}

/// The labels of one version, sorted.
pub(crate) fn labels_of(held: &Held, id: &VersionId) -> Vec<String> {
    held.iter()
        .filter(|(_, holder)| *holder == id)
        .map(|(label, _)| label.clone())
        .collect()
}

/// Unix milliseconds up to which a version counts as old; `None` while nothing can be old enough.
pub(crate) fn old_until_ms(now_ms: u64) -> Option<u64> {
    now_ms.checked_sub(limits::VERSION_AGE_SECONDS_MIN * 1_000)
}

/// What an ARN of a secret has behind `secret:`; `None` for another text.
pub(crate) fn resource_of(id: &str) -> Option<&str> {
    let parts: Vec<_> = id.splitn(7, ':').collect();
    match parts[..] {
        // Partition, region and account are whatever they are.
        ["arn", _, "secretsmanager", _, _, "secret", resource] => Some(resource),
        _ => None,
    }
}

pub(crate) fn no_secret(name: &SecretName) -> StoreError {
    StoreError::new(
        ErrorKind::NotFound,
        format!("there is no secret named {name}"),
        "check the name, or create the secret",
    )
    .for_clients("Secrets Manager can't find the specified secret.")
}

pub(crate) fn no_version(id: &VersionId) -> StoreError {
    StoreError::new(
        ErrorKind::NotFound,
        format!("the secret has no version {id}"),
        "describe the secret to see its versions",
    )
    .for_clients(cannot_find_version(id))
}

pub(crate) fn no_value(id: &VersionId) -> StoreError {
    StoreError::new(
        ErrorKind::NotFound,
        format!("version {id} has no value yet"),
        "put its value first",
    )
    .for_clients(cannot_find_version(id))
}

fn cannot_find_version(id: &VersionId) -> String {
    format!("Secrets Manager can't find the specified secret value for VersionId: {id}")
}

pub(crate) fn secret_exists(name: &SecretName) -> StoreError {
    StoreError::new(
        ErrorKind::AlreadyExists,
        format!("there is already a secret named {name}"),
        "put a new version of it, or choose another name",
    )
    .for_clients(format!(
        "The operation failed because the secret {name} already exists."
    ))
}

pub(crate) fn version_exists(id: &VersionId) -> StoreError {
    StoreError::new(
        ErrorKind::AlreadyExists,
        format!("version {id} exists already with another value, and a version never changes"),
        "use a new version id for a new value",
    )
    .for_clients(format!("You can't use ClientRequestToken {id} because that value is already in use for a version of the secret."))
}

pub(crate) fn notes_revision_differs(expected: u64, found: u64) -> StoreError {
    StoreError::new(
        ErrorKind::PreconditionNotMet,
        format!("the notes have revision {found}, not {expected}: someone else wrote them"),
        "read the notes again and repeat the change on what they say now",
    )
}

pub(crate) fn too_many_versions() -> StoreError {
    StoreError::new(
        ErrorKind::LimitExceeded,
        format!("the secret has {} versions", limits::VERSIONS_MAX),
        "find out what writes so often; versions without a label that are older than a day make room",
    )
    .for_clients("You can't create another version of the secret because it has reached the maximum number of versions.")
}

/// How AWSCURRENT came to another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CurrentMove {
    None,
    ByHand,
    /// To a version that a rotation prepared.
    Rotation,
}

pub(crate) fn current_move(before: &Held, after: &Held) -> CurrentMove {
    let current = after.get(labels::CURRENT);
    if current == before.get(labels::CURRENT) {
        CurrentMove::None
    } else if [labels::PENDING, labels::STAGED]
        .iter()
        .any(|label| before.get(*label) == current)
    {
        CurrentMove::Rotation
    } else {
        CurrentMove::ByHand
    }
}

/// AWSPREVIOUS goes to the version that lost AWSCURRENT, if one did. It wins over an AWSPREVIOUS named in the same
/// call, because a rollback relies on it.
fn follow_current(before: &Held, after: &mut Held) {
    if let Some(loser) = before.get(labels::CURRENT)
        && after.get(labels::CURRENT) != Some(loser)
    {
        after.insert(labels::PREVIOUS.to_owned(), loser.clone());
    }
}

pub(crate) fn check_value(value: &SecretString) -> Result<(), StoreError> {
    let bytes = value.expose_secret().len();
    if bytes == 0 || bytes > limits::VALUE_BYTES_MAX {
        return Err(StoreError::new(
            ErrorKind::InvalidParameter,
            format!("the value has {bytes} bytes"),
            format!("store 1 to {} bytes", limits::VALUE_BYTES_MAX),
        ));
    }
    Ok(())
}

pub(crate) fn check_label(label: &str) -> Result<(), StoreError> {
    let chars = label.chars().count();
    if chars == 0 || chars > limits::LABEL_CHARS_MAX {
        return Err(StoreError::new(
            ErrorKind::InvalidParameter,
            format!("a label of {chars} characters was named"),
            format!("use 1 to {} characters", limits::LABEL_CHARS_MAX),
        ));
    }
    Ok(())
}

fn check_label_count(held: &Held) -> Result<(), StoreError> {
    let count = held.keys().collect::<BTreeSet<_>>().len();
    if count > limits::LABELS_MAX {
        return Err(StoreError::new(
            ErrorKind::LimitExceeded,
            format!("the secret would have {count} labels"),
            format!(
                "remove labels until at most {} are left",
                limits::LABELS_MAX
            ),
        ));
    }
    Ok(())
}

fn not_the_holder(label: &str, from: &VersionId, holder: Option<&VersionId>) -> StoreError {
    let (found, told) = match holder {
        Some(holder) => (
            format!("version {holder} does"),
            format!(
                "currently attached to version {holder}, so you must explicitly reference that version in \
                 RemoveFromVersionId."
            ),
        ),
        None => (
            "no version does".to_owned(),
            format!("not attached to version {from}."),
        ),
    };
    StoreError::new(
        ErrorKind::InvalidParameter,
        format!("version {from} does not carry the label {label:?}, {found}"),
        "someone else moved the label: describe the secret and decide again",
    )
    .for_clients(format!(
        "The parameter RemoveFromVersionId is incorrect. Staging label {label} is {told}"
    ))
}

fn held_elsewhere(label: &str, holder: &VersionId) -> StoreError {
    StoreError::new(
        ErrorKind::InvalidParameter,
        format!("version {holder} carries the label {label:?}"),
        "name that version as the one to take the label from, or leave the label",
    )
    .for_clients(format!("The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to version {holder}, so you must explicitly reference that version in RemoveFromVersionId."))
}

fn nothing_to_move(label: &str) -> StoreError {
    StoreError::new(
        ErrorKind::InvalidParameter,
        format!(
            "neither a version to take the label {label:?} from nor one to give it to was named"
        ),
        "name at least one of them",
    )
}

fn current_removed() -> StoreError {
    StoreError::new(
        ErrorKind::InvalidParameter,
        "AWSCURRENT can't be removed, only moved",
        "name the version that is to become current",
    )
    .for_clients("You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
}

fn current_without_value(id: &VersionId) -> StoreError {
    StoreError::new(
        ErrorKind::InvalidRequest,
        format!("version {id} has no value and can't become current"),
        "put its value first",
    )
}
