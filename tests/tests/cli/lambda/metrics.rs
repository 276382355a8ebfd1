//! What CloudWatch makes metrics of: one attempt and one success for each rotation, whatever is repeated.

use std::sync::Arc;

use keyturn_store::embedded::{EmbeddedStore, MasterKey};
use keyturn_store::{Clock as _, ManualClock, NewSecret, SecretStore as _, SystemClock, VersionId};
use serde_json::{Value, json};

use super::{OnLambda, STEPS, end, succeeded};
use crate::support::{Workspace, own_id, secret};
use crate::tokens::jwt_value;

const JWT: &str = "festival-prod/jwt";

#[test]
fn a_rotation_counts_once_however_often_its_steps_are_invoked() {
    let workspace = Workspace::new();
    workspace.create(JWT, &jwt_value().to_string());
    check(&OnLambda::new(&workspace));
}

/// Where versions may not be listed, all seem to be as old as the secret, which here is a day.
#[test]
fn a_duration_is_the_rotations_own_with_the_policy_of_awss_functions() {
    let workspace = Workspace::new();
    let yesterday = ManualClock::at_ms(SystemClock.now_ms() - 86_400_000);
    let key = MasterKey::from_file(&workspace.path("master.key")).unwrap();
    let store = EmbeddedStore::open(&workspace.path("store.db"), &key, Arc::new(yesterday));
    let first = NewSecret {
        id: VersionId::new(own_id(1)).unwrap(),
        value: jwt_value().to_string().into(),
        description: None,
    };
    let (store, name) = (store.unwrap(), secret(JWT));
    let made = workspace.on_store(|_| async { store.create_secret(&name, first).await });
    made.unwrap();
    check(&OnLambda::with_template_policy(&workspace));
}

#[track_caller]
fn check(site: &OnLambda<'_>) {
    let mut function = site.function(&[("METRIC_NAMESPACE", "Tests/Secrets")]);
    let token = site.announce(JWT);
    for step in STEPS {
        for _ in 0..2 {
            succeeded(&site.step(&mut function, JWT, step, &token), step);
        }
    }
    let lines = end(function, &[]);
    let metrics: Vec<_> = lines
        .iter()
        .filter(|line| line["_aws"].is_object())
        .collect();
    let [attempt, success] = metrics.as_slice() else {
        panic!("{metrics:?}");
    };
    assert_eq!(attempt["RotationAttempts"], 1);
    assert_eq!(success["RotationSuccess"], 1);
    let took_ms = success["RotationDuration"].as_u64().unwrap();
    assert!((1..60_000).contains(&took_ms), "{took_ms}");
    let metric = |name: &str, unit: &str| json!({"Name": name, "Unit": unit});
    let named = |metrics: Value| {
        json!([{
            "Namespace": "Tests/Secrets",
            "Dimensions": [["SecretName", "Environment"], []],
            "Metrics": metrics,
        }])
    };
    let attempted = named(json!([metric("RotationAttempts", "Count")]));
    assert_eq!(attempt["_aws"]["CloudWatchMetrics"], attempted);
    let succeeded = named(json!([
        metric("RotationSuccess", "Count"),
        metric("RotationDuration", "Milliseconds"),
    ]));
    assert_eq!(success["_aws"]["CloudWatchMetrics"], succeeded);
    for line in metrics {
        assert_eq!(
            (&line["SecretName"], &line["Environment"]),
            (&json!(JWT), &json!("prod"))
        );
        assert!(line["_aws"]["Timestamp"].is_u64(), "{line}");
    }
}
