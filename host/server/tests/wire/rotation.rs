//! RotateSecret and CancelRotateSecret, up to where the engine takes over.

use harness::endpoint::{Endpoint, locked};
use serde_json::{Value, json};

use crate::support::{ask, done, token};

async fn create(endpoint: &Endpoint, name: &str) {
    let body = json!({"Name": name, "SecretString": "first", "ClientRequestToken": token(1)});
    done(endpoint, "CreateSecret", body).await;
}

fn begun(endpoint: &Endpoint) -> Vec<String> {
    locked(&endpoint.around.rotations).drain(..).collect()
}

async fn described(endpoint: &Endpoint) -> Value {
    done(endpoint, "DescribeSecret", json!({"SecretId": "a"})).await
}

#[tokio::test]
async fn a_rotation_is_announced_under_the_clients_token() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "a").await;
    let rotate = json!({"SecretId": "a", "ClientRequestToken": token(2), "RotationRules": {"AutomaticallyAfterDays": 30}});
    let answer = done(&endpoint, "RotateSecret", rotate.clone()).await;
    assert_eq!(answer["VersionId"], token(2));
    assert_eq!(
        begun(&endpoint),
        [format!("admin rotates a to {}", token(2))]
    );
    let shown = described(&endpoint).await;
    assert_eq!(shown["VersionIdsToStages"][token(2)], json!(["AWSPENDING"]));
    assert_eq!(shown["RotationEnabled"], true);
    assert_eq!(
        shown["RotationRules"],
        json!({"AutomaticallyAfterDays": 30})
    );
    assert!(shown["NextRotationDate"].is_f64(), "{shown}");
    let empty = ask(
        &endpoint,
        "GetSecretValue",
        json!({"SecretId": "a", "VersionStage": "AWSPENDING"}),
    )
    .await;
    assert_eq!(empty.code(), "ResourceNotFoundException");
    // Cancelled, it would not go on. The same call again continues it, another one does so as well and is told.
    done(&endpoint, "CancelRotateSecret", json!({"SecretId": "a"})).await;
    done(&endpoint, "RotateSecret", rotate).await;
    assert_eq!(
        begun(&endpoint),
        [format!("admin rotates a to {}", token(2))]
    );
    assert_eq!(described(&endpoint).await["RotationEnabled"], true);
    done(&endpoint, "CancelRotateSecret", json!({"SecretId": "a"})).await;
    let other = ask(
        &endpoint,
        "RotateSecret",
        json!({"SecretId": "a", "ClientRequestToken": token(3)}),
    )
    .await;
    assert_eq!(other.code(), "InvalidRequestException");
    assert_eq!(
        other.message(),
        "A previous rotation isn't complete. That rotation will be reattempted."
    );
    assert_eq!(
        begun(&endpoint),
        [format!("admin rotates a to {}", token(2))]
    );
    assert_eq!(described(&endpoint).await["RotationEnabled"], true);
    // The refused one is not written down as done.
    let outcomes = locked(&endpoint.around.outcomes);
    assert_eq!(outcomes.last(), Some(&("RotateSecret", false)));
}

/// A lead takes two rounds: the first version is staged, then current until the second one is.
#[tokio::test]
async fn a_rotation_that_shows_nothing_ahead_is_continued_by_the_same_call() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "lead").await;
    let rotate = json!({"SecretId": "lead", "ClientRequestToken": token(2)});
    let begins = [format!("admin rotates lead to {}", token(2))];
    let again = async || {
        done(&endpoint, "RotateSecret", rotate.clone()).await;
        begun(&endpoint)
    };
    assert_eq!(again().await, begins);
    let put = |number, stage| {
        json!({"SecretId": "lead", "ClientRequestToken": token(number), "SecretString": token(number),
               "VersionStages": [stage]})
    };
    done(&endpoint, "PutSecretValue", put(2, "KEYTURN_STAGED")).await;
    assert_eq!(again().await, begins);
    let promote = json!({"SecretId": "lead", "VersionStage": "AWSCURRENT", "MoveToVersionId": token(2),
                         "RemoveFromVersionId": token(1)});
    done(&endpoint, "UpdateSecretVersionStage", promote).await;
    let shown = done(&endpoint, "DescribeSecret", json!({"SecretId": "lead"})).await;
    assert!(shown["LastRotatedDate"].is_f64(), "{shown}");
    let unstage = json!({"SecretId": "lead", "VersionStage": "KEYTURN_STAGED", "RemoveFromVersionId": token(2)});
    done(&endpoint, "UpdateSecretVersionStage", unstage).await;
    assert_eq!(again().await, begins);
    done(&endpoint, "PutSecretValue", put(3, "AWSCURRENT")).await;
    assert!(again().await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_rotated_is_refused_and_stays_as_it_is() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "a").await;
    create(&endpoint, "unconfigured").await;
    let body = json!({"SecretId": "unconfigured", "ClientRequestToken": token(2)});
    let refused = ask(&endpoint, "RotateSecret", body).await;
    assert_eq!(refused.code(), "InvalidRequestException");
    assert!(
        refused
            .message()
            .starts_with("No Lambda rotation function ARN is associated with this secret.")
    );
    for rules in [
        json!({}),
        json!({"AutomaticallyAfterDays": 30, "ScheduleExpression": "rate(30 days)"}),
        json!({"ScheduleExpression": "rate(3 hours)"}),
        json!({"ScheduleExpression": "cron(5 0 * * ? *)"}),
        json!({"ScheduleExpression": "cron(0 20 * * ? *)", "Duration": "5h"}),
    ] {
        let body = json!({"SecretId": "a", "ClientRequestToken": token(2), "RotationRules": rules});
        let refused = ask(&endpoint, "RotateSecret", body).await;
        assert_eq!(refused.code(), "InvalidParameterException", "{rules}");
    }
    let days = json!({"SecretId": "a", "ClientRequestToken": token(2), "RotationRules": {"AutomaticallyAfterDays": 1001}});
    assert_eq!(
        ask(&endpoint, "RotateSecret", days).await.code(),
        "ValidationException"
    );
    assert_eq!(described(&endpoint).await["RotationEnabled"], Value::Null);
    assert!(begun(&endpoint).is_empty());
}

#[tokio::test]
async fn without_immediately_the_configuration_is_tried_and_nothing_else() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "a").await;
    let rules = json!({"ScheduleExpression": "cron(0 8 1 * ? *)", "Duration": "2h"});
    let body = json!({"SecretId": "a", "ClientRequestToken": token(2), "RotationRules": rules, "RotateImmediately": false});
    done(&endpoint, "RotateSecret", body.clone()).await;
    assert_eq!(
        begun(&endpoint),
        [format!("admin checks a with {}", token(2))]
    );
    // As if the server had died before the trial: the same call again makes up for it.
    done(&endpoint, "RotateSecret", body).await;
    assert_eq!(
        begun(&endpoint),
        [format!("admin checks a with {}", token(2))]
    );
    let shown = described(&endpoint).await;
    assert_eq!(
        shown["RotationRules"]["ScheduleExpression"],
        rules["ScheduleExpression"]
    );
    assert_eq!(shown["RotationRules"]["Duration"], "2h");
}

#[tokio::test]
async fn a_failed_trial_is_told() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "a").await;
    *locked(&endpoint.around.refusal) = Some("the target cannot be reached".to_owned());
    let body = json!({"SecretId": "a", "ClientRequestToken": token(2), "RotateImmediately": false});
    let refused = ask(&endpoint, "RotateSecret", body).await;
    assert_eq!(refused.code(), "InvalidRequestException");
    assert_eq!(refused.message(), "the target cannot be reached");
}

#[tokio::test]
async fn cancelling_switches_the_schedule_off_and_keeps_it() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "a").await;
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:rotation";
    let rotate = json!({"SecretId": "a", "ClientRequestToken": token(2), "RotationLambdaARN": arn, "RotationRules": {"AutomaticallyAfterDays": 30}});
    done(&endpoint, "RotateSecret", rotate).await;
    let cancelled = done(&endpoint, "CancelRotateSecret", json!({"SecretId": "a"})).await;
    assert_eq!(cancelled["VersionId"], token(2));
    let shown = described(&endpoint).await;
    assert_eq!(shown["RotationEnabled"], false);
    assert_eq!(shown["RotationLambdaARN"], arn);
    assert_eq!(
        shown["RotationRules"],
        json!({"AutomaticallyAfterDays": 30})
    );
    assert_eq!(shown["NextRotationDate"], Value::Null);
}
