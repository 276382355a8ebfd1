//! `{"action": "health_check"}`: how the rotations of secrets stand, from what is stored alone. No value is read and no
//! target is asked.

use keyturn_engine::{Notes, Waiting, time};
use keyturn_store::{Clock as _, SecretDescription, SystemClock};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    event::HealthCheck,
    failure::Failure,
    function::{Function, Invocation},
    metrics::{self, Metric},
    notify,
};

/// A rotation that takes longer has lost its way: AWS gives one up long before that.
const STUCK_AFTER_MS: u64 = 30 * 60 * 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Healthy,
    RotationInProgress,
    Stuck,
    Overdue,
}

/// The secrets of the event, or, without any, all that carry a tag of ours. What cannot be told of one is said in its
/// place.
pub(super) async fn check(
    function: &Function<'_>,
    invocation: &Invocation,
    event: &HealthCheck,
) -> Result<Value, Failure> {
    let tagged;
    let secrets = if event.secrets.is_empty() {
        let names = invocation.store.tagged().await?;
        tagged = names.iter().map(ToString::to_string).collect::<Vec<_>>();
        &tagged
    } else {
        &event.secrets
    };
    let mut results = Vec::with_capacity(secrets.len());
    for secret in secrets {
        results.push(match of_secret(function, invocation, secret).await {
            Ok(result) => result,
            Err(failure) => json!({
                "secret": secret,
                "status": "error",
                "error_type": failure.error_type,
                "error": failure.message,
            }),
        });
    }
    if event.report {
        notify::report(function, &results).await;
    }
    Ok(json!({"statusCode": 200, "body": Value::from(results).to_string()}))
}

async fn of_secret(
    function: &Function<'_>,
    invocation: &Invocation,
    secret: &str,
) -> Result<Value, Failure> {
    let description = function.described(invocation, secret).await?;
    let notes = Notes::read(invocation.store.as_ref(), &description.name).await?;
    let health = Health::of(&description, &notes, SystemClock.now_ms());
    let environment = function.environment_of(&description);
    let name = description.name.as_str();
    let mut metrics = vec![Metric::PendingRotation(health.counts_as_pending())];
    metrics.push(Metric::TimeSinceRotation {
        seconds: health.now_ms.saturating_sub(health.rotated_at_ms) / 1000,
    });
    metrics::publish(function, name, &environment, health.now_ms, &metrics);
    Ok(health.shown(secret, &description))
}

struct Health<'a> {
    status: Status,
    /// Who has to do something before the rotation can go on.
    waiting: Option<&'a Waiting>,
    /// When what AWSCURRENT holds came into use, as far as that is known.
    rotated_at_ms: u64,
    now_ms: u64,
}

impl<'a> Health<'a> {
    fn of(description: &SecretDescription, notes: &'a Notes, now_ms: u64) -> Self {
        let mut waiting = notes.credentials.values();
        let waiting = waiting
            .find_map(|credential| credential.waiting.as_ref())
            .filter(|waiting| now_ms < waiting.expires_at_ms);
        let is_overdue = description.rotation_enabled == Some(true)
            && description
                .next_rotation_at_ms
                .is_some_and(|next_at_ms| next_at_ms < now_ms);
        let status = match pending_since(description) {
            _ if waiting.is_some() => Status::RotationInProgress,
            Some(since_ms) if now_ms.saturating_sub(since_ms) > STUCK_AFTER_MS => Status::Stuck,
            Some(_) => Status::RotationInProgress,
            None if is_overdue => Status::Overdue,
            None => Status::Healthy,
        };
        Self {
            status,
            waiting,
            rotated_at_ms: rotated_at_ms(description, notes),
            now_ms,
        }
    }

    /// A person may take days, of which no alarm should tell.
    fn counts_as_pending(&self) -> bool {
        let pending = matches!(self.status, Status::RotationInProgress | Status::Stuck);
        pending && self.waiting.is_none()
    }

    fn shown(&self, secret: &str, description: &SecretDescription) -> Value {
        let or = |at_ms: Option<u64>, otherwise: &str| at_ms.map_or(otherwise.to_owned(), time);
        let mut shown = json!({
            "secret": secret,
            "rotation_enabled": description.rotation_enabled.unwrap_or(false),
            "last_rotated": or(description.last_rotated_at_ms, "Never"),
            "next_rotation": or(description.next_rotation_at_ms, "N/A"),
            "status": self.status,
        });
        if let Some(waiting) = self.waiting {
            shown["waiting_for_operator"] = json!({
                "what": waiting.steps.in_one_line(),
                "since": time(waiting.since_ms),
                "until": time(waiting.expires_at_ms),
            });
        }
        shown
    }
}

/// Since when a version that is not in use yet has been under AWSPENDING. Where versions may not be listed, all are as
/// old as the secret; then the last change of anything is what is known.
fn pending_since(description: &SecretDescription) -> Option<u64> {
    let pending = description.holder("AWSPENDING")?;
    let current = description.holder("AWSCURRENT");
    if current.is_some_and(|current| current.id == pending.id) {
        return None;
    }
    let is_dated = pending.created_at_ms > description.created_at_ms;
    Some(if is_dated {
        pending.created_at_ms
    } else {
        description.changed_at_ms
    })
}

/// AWS dates what its own service has rotated, notes what any run of ours has; a value cannot be older than its
/// version.
fn rotated_at_ms(description: &SecretDescription, notes: &Notes) -> u64 {
    let current = description.holder("AWSCURRENT");
    let noted = current.and_then(|current| {
        let credentials = notes.credentials.values();
        credentials
            .filter_map(|known| known.versions.get(current.id.as_str())?.rotated_at_ms)
            .max()
    });
    let known = description.last_rotated_at_ms.max(noted);
    // A value that was put by hand counts as well, as for AWS's next date.
    let made = current.map_or(description.created_at_ms, |current| current.created_at_ms);
    known.unwrap_or(made).max(made)
}

#[cfg(test)]
mod tests {
    use keyturn_engine::{OperatorSteps, VersionNotes};
    use keyturn_store::{SecretName, VersionDescription, VersionId};

    use super::*;

    const MINUTE_MS: u64 = 60 * 1000;
    const NOW_MS: u64 = 1_000 * MINUTE_MS;
    const FIRST: &str = "11111111-0000-4000-8000-000000000001";
    const SECOND: &str = "11111111-0000-4000-8000-000000000002";

    /// One that was made at 1 ms, changed 40 minutes ago, and is to rotate some day.
    fn secret(versions: &[(&str, &[&str], u64)]) -> SecretDescription {
        let versions = versions.iter();
        SecretDescription {
            name: SecretName::new("festival-prod/jwt").unwrap(),
            description: None,
            created_at_ms: 1,
            changed_at_ms: NOW_MS - 40 * MINUTE_MS,
            tags: Default::default(),
            rotation_enabled: Some(true),
            last_rotated_at_ms: None,
            next_rotation_at_ms: Some(NOW_MS + 1),
            versions: versions
                .map(|(id, labels, created_at_ms)| VersionDescription {
                    id: VersionId::new(*id).unwrap(),
                    labels: labels.iter().map(|label| (*label).to_owned()).collect(),
                    has_value: true,
                    created_at_ms: *created_at_ms,
                })
                .collect(),
        }
    }

    fn pending(created_at_ms: u64) -> SecretDescription {
        secret(&[
            (FIRST, &["AWSCURRENT"], 1),
            (SECOND, &["AWSPENDING"], created_at_ms),
        ])
    }

    fn waiting(expires_at_ms: u64) -> Notes {
        let mut notes = Notes::default();
        notes.credentials.entry(String::new()).or_default().waiting = Some(Waiting {
            since_ms: 5,
            expires_at_ms,
            steps: OperatorSteps::default(),
        });
        notes
    }

    #[track_caller]
    fn check(secret: &SecretDescription, notes: &Notes, status: Status, is_pending: bool) {
        let health = Health::of(secret, notes, NOW_MS);
        assert_eq!(
            (health.status, health.counts_as_pending()),
            (status, is_pending)
        );
    }

    #[test]
    fn a_rotation_is_stuck_after_half_an_hour() {
        let nothing = Notes::default();
        let begun = |minutes: u64| pending(NOW_MS - minutes * MINUTE_MS);
        check(&begun(29), &nothing, Status::RotationInProgress, true);
        check(&begun(31), &nothing, Status::Stuck, true);
        // Versions that may not be listed are as old as the secret; this one changed 40 minutes ago.
        check(&pending(1), &nothing, Status::Stuck, true);
        // A rotation that is complete may leave its label where it was.
        let complete = secret(&[(FIRST, &["AWSCURRENT", "AWSPENDING"], 1)]);
        check(&complete, &nothing, Status::Healthy, false);
    }

    #[test]
    fn a_person_may_take_as_long_as_the_wait_lasts() {
        let begun = pending(NOW_MS - 31 * MINUTE_MS);
        check(
            &begun,
            &waiting(NOW_MS + 1),
            Status::RotationInProgress,
            false,
        );
        check(&begun, &waiting(NOW_MS), Status::Stuck, true);
    }

    #[test]
    fn what_was_due_and_did_not_begin_is_overdue() {
        let mut due = secret(&[(FIRST, &["AWSCURRENT"], 1)]);
        check(&due, &Notes::default(), Status::Healthy, false);
        due.next_rotation_at_ms = Some(NOW_MS - 1);
        check(&due, &Notes::default(), Status::Overdue, false);
        due.rotation_enabled = Some(false);
        check(&due, &Notes::default(), Status::Healthy, false);
    }

    #[test]
    fn the_last_rotation_is_the_services_or_ours_whichever_is_later() {
        let mut secret = secret(&[(FIRST, &["AWSCURRENT"], 7)]);
        let mut notes = Notes::default();
        assert_eq!(rotated_at_ms(&secret, &notes), 7);
        secret.last_rotated_at_ms = Some(20);
        assert_eq!(rotated_at_ms(&secret, &notes), 20);
        let noted = VersionNotes {
            rotated_at_ms: Some(30),
            ..VersionNotes::default()
        };
        let credential = notes.credentials.entry(String::new()).or_default();
        credential.versions.insert(FIRST.to_owned(), noted);
        assert_eq!(rotated_at_ms(&secret, &notes), 30);
    }
}
