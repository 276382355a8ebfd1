//! The health check: how the rotations of several secrets stand, with the metrics of each, and who is told.

use harness::sns::Sns;
use serde_json::{Value, json};

use super::{OnLambda, end};
use crate::support::Workspace;
use crate::tokens::jwt_value;

const JWT: &str = "festival-prod/jwt";
const SENTRY: &str = "festival-prod/sentry";
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:rotations";

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.create(JWT, &jwt_value().to_string());
    workspace
}

/// The list in the body of an answer.
fn results(answer: &Value) -> Vec<Value> {
    assert_eq!(answer["statusCode"], 200, "{answer}");
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

#[test]
fn a_secret_is_healthy_in_progress_or_not_there() {
    let workspace = workspace();
    let site = OnLambda::new(&workspace);
    let mut function = site.function(&[]);
    let mut check = |secrets: &[&str]| {
        let event = json!({"action": "health_check", "secrets": secrets});
        let answer = function.invoke(&event).unwrap().response().unwrap();
        results(&answer)
    };
    let arn = site.arn(JWT);
    let found = check(&[&arn, "festival-prod/nobody"]);
    assert_eq!(
        found[0],
        json!({
            "secret": arn, "rotation_enabled": false, "last_rotated": "Never", "next_rotation": "N/A",
            "status": "healthy",
        })
    );
    assert_eq!(
        (&found[1]["secret"], &found[1]["status"]),
        (&json!("festival-prod/nobody"), &json!("error"))
    );
    assert!(
        found[1]["error"]
            .as_str()
            .unwrap()
            .contains("festival-prod/nobody"),
        "{found:?}"
    );
    site.announce(JWT);
    assert_eq!(check(&[JWT])[0]["status"], "rotation_in_progress");
    let lines = end(function, &[]);
    let pending = lines
        .iter()
        .filter_map(|line| line["PendingRotation"].as_u64());
    assert_eq!(pending.collect::<Vec<_>>(), [0, 1]);
    let ages = lines
        .iter()
        .filter_map(|line| line["TimeSinceRotation"].as_u64());
    assert!(
        ages.clone().count() == 2 && ages.max().unwrap() < 3600,
        "{lines:?}"
    );
}

#[test]
fn what_waits_for_a_person_is_shown_and_counts_for_nothing() {
    let workspace = Workspace::new();
    workspace.configure(&format!(
        "[secret.\"{SENTRY}\"]\nplugin = \"vendor-assisted\"\nsettings = {{ profile = \"sentry\" }}\n"
    ));
    let dsn = "https://0123456789abcdef0123456789abcdef@o1.ingest.sentry.io/2";
    workspace.create(SENTRY, &json!({"sentry_dsn": dsn}).to_string());
    let site = OnLambda::new(&workspace);
    let mut function = site.configured_function();
    let token = site.announce(SENTRY);
    assert!(
        site.step(&mut function, SENTRY, "createSecret", &token)
            .response()
            .is_none()
    );
    // Without a list, all that keyturn has notes of.
    let answer = function.invoke(&json!({"action": "health_check"})).unwrap();
    let found = results(&answer.response().unwrap());
    let [found] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(
        (&found["secret"], &found["status"]),
        (&json!(SENTRY), &json!("rotation_in_progress"))
    );
    assert!(
        found["waiting_for_operator"]["what"]
            .as_str()
            .unwrap()
            .contains("Sentry"),
        "{found}"
    );
    let lines = end(function, &[dsn]);
    let pending = lines
        .iter()
        .filter_map(|line| line["PendingRotation"].as_u64());
    assert_eq!(pending.collect::<Vec<_>>(), [0]);
}

#[test]
fn the_report_goes_to_the_topic_unless_it_is_not_wanted() {
    let workspace = workspace();
    let site = OnLambda::new(&workspace);
    let sns = Sns::start().unwrap();
    let url = format!("http://{}", sns.address());
    let mut function = site.function(&[("SNS_TOPIC_ARN", TOPIC), ("AWS_ENDPOINT_URL_SNS", &url)]);
    let mut check = |more: Value| {
        let mut event = json!({"action": "health_check", "secrets": [JWT]});
        event
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        results(&function.invoke(&event).unwrap().response().unwrap())
    };
    check(json!({"report": false}));
    assert_eq!(sns.published(), []);
    let found = check(json!({}));
    let [published] = &sns.published()[..] else {
        panic!("{:?}", sns.published());
    };
    assert_eq!(published.topic, TOPIC);
    assert_eq!(
        serde_json::from_str::<Vec<Value>>(&published.message).unwrap(),
        found
    );
    end(function, &[]);
}
