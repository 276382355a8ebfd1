//! Metrics in CloudWatch's embedded metric format: a line of the log that CloudWatch makes metrics of, so that a metric
//! costs no call and needs no right. Each counts for its secret and, without dimensions, for all of them together.
//!
//! Source: "Specification: Embedded metric format" of the Amazon CloudWatch user guide.

use serde_json::{Value, json};

use super::{function::Function, step::Stepped};

/// CloudWatch takes no empty value of a dimension.
const UNKNOWN: &str = "unknown";

/// One value of one metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Metric {
    /// A rotation was begun: its value is stored.
    RotationAttempts,
    /// It is AWSCURRENT.
    RotationSuccess,
    /// How long that took.
    RotationDuration { ms: u64 },
    /// Whether a rotation is under way.
    PendingRotation(bool),
    /// The age of what AWSCURRENT holds.
    TimeSinceRotation { seconds: u64 },
}

impl Metric {
    /// Its name, unit and value.
    fn parts(self) -> (&'static str, &'static str, u64) {
        match self {
            Self::RotationAttempts => ("RotationAttempts", "Count", 1),
            Self::RotationSuccess => ("RotationSuccess", "Count", 1),
            Self::RotationDuration { ms } => ("RotationDuration", "Milliseconds", ms),
            Self::PendingRotation(pending) => ("PendingRotation", "Count", pending.into()),
            Self::TimeSinceRotation { seconds } => ("TimeSinceRotation", "Seconds", seconds),
        }
    }
}

/// A rotation counts once, whatever is repeated: as an attempt when its value is stored, as a success when AWSCURRENT
/// moves.
pub(super) fn of_step(function: &Function<'_>, stepped: &Stepped<'_>) {
    let mut metrics = Vec::new();
    if stepped.created {
        metrics.push(Metric::RotationAttempts);
    }
    if stepped.promoted {
        metrics.push(Metric::RotationSuccess);
        metrics.extend(stepped.version_created_at_ms.map(|created_at_ms| {
            let ms = stepped.now_ms.saturating_sub(created_at_ms);
            Metric::RotationDuration { ms }
        }));
    }
    let (secret, environment) = (stepped.secret.as_str(), stepped.environment);
    publish(function, secret, environment, stepped.now_ms, &metrics);
}

/// Of one secret, as of now.
pub(super) fn publish(
    function: &Function<'_>,
    secret: &str,
    environment: &str,
    now_ms: u64,
    metrics: &[Metric],
) {
    if !metrics.is_empty() {
        let namespace = &function.environment.metric_namespace;
        let line = document(namespace, secret, environment, now_ms, metrics);
        // Where the log cannot be written there are no metrics either.
        let _ = function.log.line(line);
    }
}

fn document(
    namespace: &str,
    secret: &str,
    environment: &str,
    now_ms: u64,
    metrics: &[Metric],
) -> Value {
    let environment = if environment.is_empty() {
        UNKNOWN
    } else {
        environment
    };
    let named = metrics.iter().map(|metric| {
        let (name, unit, _) = metric.parts();
        json!({"Name": name, "Unit": unit})
    });
    let mut document = json!({
        "_aws": {
            "Timestamp": now_ms,
            "CloudWatchMetrics": [{
                "Namespace": namespace,
                "Dimensions": [["SecretName", "Environment"], []],
                "Metrics": named.collect::<Vec<_>>(),
            }],
        },
        "SecretName": secret,
        "Environment": environment,
    });
    for metric in metrics {
        let (name, _, value) = metric.parts();
        document[name] = value.into();
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_counts_for_its_secret_and_for_all() {
        let metrics = [
            Metric::RotationSuccess,
            Metric::RotationDuration { ms: 1234 },
        ];
        assert_eq!(
            document("Festival/Secrets", "festival-prod/jwt", "prod", 5, &metrics),
            json!({
                "_aws": {
                    "Timestamp": 5,
                    "CloudWatchMetrics": [{
                        "Namespace": "Festival/Secrets",
                        "Dimensions": [["SecretName", "Environment"], []],
                        "Metrics": [
                            {"Name": "RotationSuccess", "Unit": "Count"},
                            {"Name": "RotationDuration", "Unit": "Milliseconds"},
                        ],
                    }],
                },
                "SecretName": "festival-prod/jwt",
                "Environment": "prod",
                "RotationSuccess": 1,
                "RotationDuration": 1234,
            })
        );
    }

    #[test]
    fn an_environment_that_nobody_knows_has_a_name() {
        let document = document("N", "jwt", "", 5, &[Metric::PendingRotation(false)]);
        assert_eq!(document["Environment"], "unknown");
        assert_eq!(document["PendingRotation"], 0);
    }
}
