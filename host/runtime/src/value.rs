//! Looks into a secret's value at the manifest's JSON pointers: identity, companions, hosts. Never
//! changes a value and never puts one into an error.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::call::CompanionNeed;
use crate::error::{Applied, CallError, ErrorKind};
use crate::grant::Grant;
use crate::manifest::Manifest;

/// A parsed value; `Null` for text that is not JSON, in which every pointer is absent.
pub(crate) fn parse(value: &SecretString) -> Value {
    serde_json::from_str(value.expose_secret()).unwrap_or(Value::Null)
}

/// A string at a pointer; an absent member and null are the same.
pub(crate) fn string_at<'a>(
    value: &'a Value,
    pointer: &str,
    whose: &str,
) -> Result<Option<&'a str>, CallError> {
    match value.pointer(pointer) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(refused(
            ErrorKind::InvalidSecret,
            format!("{pointer} of {whose} is not a string; correct the stored value"),
        )),
    }
}

/// A port at a pointer: a number, or a string of digits as some templates write it.
pub(crate) fn port_at(value: &Value, pointer: &str, whose: &str) -> Result<Option<u16>, CallError> {
    let port = match value.pointer(pointer) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_u64().and_then(|port| u16::try_from(port).ok()),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    port.filter(|port| *port > 0).map(Some).ok_or_else(|| {
        let fix = "write a number from 1 to 65535 into the stored value";
        refused(
            ErrorKind::InvalidSecret,
            format!("{pointer} of {whose} is not a port; {fix}"),
        )
    })
}

/// Refuses a candidate whose identity pointers differ from CURRENT's.
pub(crate) fn compare_identity(
    manifest: &Manifest,
    current: &SecretString,
    candidate: &SecretString,
) -> Result<(), CallError> {
    let (current, candidate) = (parse(current), parse(candidate));
    let differs = |pointer: &&String| {
        let at = |value: &Value| {
            value
                .pointer(pointer)
                .filter(|found| !found.is_null())
                .cloned()
        };
        at(&current) != at(&candidate)
    };
    let different: Vec<_> = manifest
        .secret
        .identity
        .iter()
        .filter(differs)
        .map(String::as_str)
        .collect();
    if different.is_empty() {
        return Ok(());
    }
    let message = format!(
        "its {} differs from CURRENT's, and only where CURRENT points a connection is made",
        different.join(", ")
    );
    Err(refused(ErrorKind::IdentityChanged, message))
}

/// Which companion secrets this CURRENT needs under this grant.
pub(crate) fn companions_needed(
    manifest: &Manifest,
    grant: &Grant,
    current: &SecretString,
) -> Result<Vec<CompanionNeed>, CallError> {
    let current = parse(current);
    let mut needs = Vec::new();
    for (name, companion) in &manifest.companions {
        let granted = grant.companions.get(name).map_or(&[][..], Vec::as_slice);
        let secret = match string_at(&current, &companion.pointer, "CURRENT")? {
            Some(secret) if granted.iter().any(|name| name == secret || name == "*") => secret,
            // Grants name secrets, and which name an ARN means only the store knows: see `check_companion`.
            Some(arn) if arn.starts_with("arn:") && !granted.is_empty() => arn,
            Some(secret) => return Err(companion_denied(name, &companion.pointer, secret)),
            None => match granted {
                [only] if only != "*" => only,
                [] if companion.optional => continue,
                [pattern] if companion.optional && pattern == "*" => continue,
                // Of several listed ones nobody guesses which is meant.
                _ => return Err(companion_unnamed(name, &companion.pointer)),
            },
        };
        needs.push(CompanionNeed {
            name: name.clone(),
            secret: secret.to_owned(),
        });
    }
    Ok(needs)
}

fn companion_denied(name: &str, pointer: &str, secret: &str) -> CallError {
    let secret = crate::text::line(secret, 256);
    refused(
        ErrorKind::Denied,
        format!(
            "CURRENT names \"{secret}\" at {pointer} as its {name} secret, which is not granted; \
             if that is intended, add it: grant.companion.{name} = [\"{secret}\"]"
        ),
    )
}

fn companion_unnamed(name: &str, pointer: &str) -> CallError {
    refused(
        ErrorKind::Denied,
        format!(
            "no {name} secret is known: CURRENT has nothing at {pointer}, and the grant does not \
             name exactly one; set grant.companion.{name} = [\"<name of the secret>\"], or name one of them in CURRENT"
        ),
    )
}

/// An error of the host before the plugin ran, so the target is as it was.
pub(crate) fn refused(kind: ErrorKind, message: String) -> CallError {
    CallError::by_host(kind, Applied::No, message)
}
