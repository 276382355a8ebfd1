//! What a service keeps of a secret beside its versions: deletion, details, tags, policies.

use harness::endpoint::Endpoint;
use serde_json::{Value, json};

use crate::support::{ask, done, token};

const DAY_MS: u64 = 86_400_000;

async fn create(endpoint: &Endpoint, name: &str) -> Value {
    let body = json!({"Name": name, "SecretString": "first", "ClientRequestToken": token(1)});
    done(endpoint, "CreateSecret", body).await
}

// Long because it follows one secret through its life.
#[tokio::test]
async fn a_deleted_secret_can_be_restored_until_it_is_due() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "a").await;
    let id = json!({"SecretId": "a"});
    let deleted = done(
        &endpoint,
        "DeleteSecret",
        json!({"SecretId": "a", "RecoveryWindowInDays": 7}),
    )
    .await;
    let described = done(&endpoint, "DescribeSecret", id.clone()).await;
    let days =
        deleted["DeletionDate"].as_f64().unwrap() - described["DeletedDate"].as_f64().unwrap();
    assert_eq!(days, 7.0 * 86_400.0);
    for (operation, body) in [
        ("GetSecretValue", id.clone()),
        (
            "PutSecretValue",
            json!({"SecretId": "a", "SecretString": "x", "ClientRequestToken": token(2)}),
        ),
        ("UpdateSecret", json!({"SecretId": "a", "Description": "x"})),
        (
            "UpdateSecretVersionStage",
            json!({"SecretId": "a", "VersionStage": "X", "MoveToVersionId": token(1)}),
        ),
        (
            "RotateSecret",
            json!({"SecretId": "a", "ClientRequestToken": token(2)}),
        ),
        (
            "TagResource",
            json!({"SecretId": "a", "Tags": [{"Key": "k", "Value": "v"}]}),
        ),
        (
            "PutResourcePolicy",
            json!({"SecretId": "a", "ResourcePolicy": "{}"}),
        ),
    ] {
        let refused = ask(&endpoint, operation, body).await;
        assert_eq!(
            refused.code(),
            "InvalidRequestException",
            "{operation}: {}",
            refused.body
        );
    }
    let taken = ask(
        &endpoint,
        "CreateSecret",
        json!({"Name": "a", "SecretString": "x", "ClientRequestToken": token(3)}),
    )
    .await;
    assert_eq!(taken.code(), "InvalidRequestException");
    assert_eq!(
        taken.message(),
        "You can't create this secret because a secret with this name is already scheduled for deletion."
    );
    assert_eq!(
        done(&endpoint, "ListSecrets", json!({})).await["SecretList"],
        json!([])
    );
    let all = done(
        &endpoint,
        "ListSecrets",
        json!({"IncludePlannedDeletion": true}),
    )
    .await;
    assert_eq!(all["SecretList"][0]["Name"], "a");
    done(&endpoint, "RestoreSecret", id.clone()).await;
    assert_eq!(
        done(&endpoint, "GetSecretValue", id.clone()).await["SecretString"],
        "first"
    );
    done(
        &endpoint,
        "DeleteSecret",
        json!({"SecretId": "a", "RecoveryWindowInDays": 7}),
    )
    .await;
    endpoint.clock.advance_ms(7 * DAY_MS);
    let operations = [
        "DescribeSecret",
        "GetSecretValue",
        "ListSecretVersionIds",
        "RestoreSecret",
        "UntagResource",
    ];
    for operation in operations {
        let absent = ask(&endpoint, operation, id.clone()).await;
        assert_eq!(absent.code(), "ResourceNotFoundException", "{operation}");
    }
    let again = create(&endpoint, "a").await;
    assert_eq!(again["Name"], "a");
}

#[tokio::test]
async fn a_forced_deletion_is_final_and_may_be_repeated() {
    let endpoint = Endpoint::start().await.unwrap();
    let before = create(&endpoint, "a").await;
    let force = json!({"SecretId": "a", "ForceDeleteWithoutRecovery": true});
    done(&endpoint, "DeleteSecret", force.clone()).await;
    let gone = done(&endpoint, "DeleteSecret", force).await;
    assert_eq!(gone["Name"], "a");
    assert_eq!(
        gone["ARN"],
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a"
    );
    assert_eq!(
        ask(&endpoint, "DescribeSecret", json!({"SecretId": "a"}))
            .await
            .code(),
        "ResourceNotFoundException"
    );
    let after = create(&endpoint, "a").await;
    assert_ne!(before["ARN"], after["ARN"]);
    let stale = ask(
        &endpoint,
        "GetSecretValue",
        json!({"SecretId": before["ARN"]}),
    )
    .await;
    assert_eq!(stale.code(), "ResourceNotFoundException");
    for body in [
        json!({"SecretId": "a", "RecoveryWindowInDays": 6}),
        json!({"SecretId": "a", "RecoveryWindowInDays": 31}),
        json!({"SecretId": "a", "RecoveryWindowInDays": -1}),
        json!({"SecretId": "a", "RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": true}),
    ] {
        let refused = ask(&endpoint, "DeleteSecret", body.clone()).await;
        assert_eq!(refused.code(), "InvalidParameterException", "{body}");
    }
    let absent = ask(&endpoint, "DeleteSecret", json!({"SecretId": "b"})).await;
    assert_eq!(absent.code(), "ResourceNotFoundException");
}

// Long because it follows one secret through its life.
#[tokio::test]
async fn details_tags_and_values_are_changed_and_told() {
    let endpoint = Endpoint::start().await.unwrap();
    let body = json!({
        "Name": "a", "Description": "Orders", "KmsKeyId": "alias/mine",
        "Tags": [{"Key": "team", "Value": "blue"}, {"Key": "tier", "Value": "1"}],
    });
    // No value yet.
    let made = done(&endpoint, "CreateSecret", json!({"ClientRequestToken": token(1), "Name": "a", "Description": body["Description"], "KmsKeyId": body["KmsKeyId"], "Tags": body["Tags"]})).await;
    assert_eq!(made["VersionId"], Value::Null);
    let empty = ask(&endpoint, "GetSecretValue", json!({"SecretId": "a"})).await;
    assert_eq!(empty.code(), "ResourceNotFoundException");
    let updated = done(&endpoint, "UpdateSecret", json!({"SecretId": "a", "SecretString": "first", "Description": "Orders of all", "ClientRequestToken": token(2)})).await;
    assert_eq!(updated["VersionId"], token(2));
    let again = ask(
        &endpoint,
        "UpdateSecret",
        json!({"SecretId": "a", "SecretString": "first", "ClientRequestToken": token(2)}),
    )
    .await;
    assert_eq!(again.code(), "ResourceExistsException");
    done(
        &endpoint,
        "TagResource",
        json!({"SecretId": "a", "Tags": [{"Key": "team", "Value": "red"}]}),
    )
    .await;
    done(
        &endpoint,
        "UntagResource",
        json!({"SecretId": "a", "TagKeys": ["tier", "absent"]}),
    )
    .await;
    done(&endpoint, "GetSecretValue", json!({"SecretId": "a"})).await;
    let described = done(&endpoint, "DescribeSecret", json!({"SecretId": "a"})).await;
    assert_eq!(described["Description"], "Orders of all");
    assert_eq!(described["KmsKeyId"], "alias/mine");
    assert_eq!(described["Tags"], json!([{"Key": "team", "Value": "red"}]));
    assert_eq!(
        described["VersionIdsToStages"][token(2)],
        json!(["AWSCURRENT"])
    );
    // AWS tells the day alone.
    assert_eq!(
        described["LastAccessedDate"].as_f64().unwrap() % 86_400.0,
        0.0
    );
    for (operation, body) in [
        ("TagResource", json!({"SecretId": "a"})),
        (
            "TagResource",
            json!({"SecretId": "a", "Tags": [{"Value": "v"}]}),
        ),
        (
            "TagResource",
            json!({"SecretId": "a", "Tags": [{"Key": "k".repeat(129)}]}),
        ),
        ("UntagResource", json!({"SecretId": "a"})),
    ] {
        assert_eq!(
            ask(&endpoint, operation, body.clone()).await.code(),
            "ValidationException",
            "{operation} {body}"
        );
    }
    let reserved = json!({"SecretId": "a", "Tags": [{"Key": "aws:x", "Value": "v"}]});
    assert_eq!(
        ask(&endpoint, "TagResource", reserved).await.code(),
        "InvalidParameterException"
    );
    let replicated = json!({"Name": "b", "ClientRequestToken": token(1), "AddReplicaRegions": [{"Region": "us-east-1"}]});
    assert_eq!(
        ask(&endpoint, "CreateSecret", replicated).await.code(),
        "InvalidParameterException"
    );
}

#[tokio::test]
async fn policies_are_kept_and_checked() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "a").await;
    let statement = |principal: &str| {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": principal, "Action": "secretsmanager:GetSecretValue", "Resource": "*",
        }]})
        .to_string()
    };
    let none = done(&endpoint, "GetResourcePolicy", json!({"SecretId": "a"})).await;
    assert_eq!(none["ResourcePolicy"], Value::Null);
    let public = statement("*");
    let put = |policy: &str, block: bool| json!({"SecretId": "a", "ResourcePolicy": policy, "BlockPublicPolicy": block});
    assert_eq!(
        ask(&endpoint, "PutResourcePolicy", put(&public, true))
            .await
            .code(),
        "PublicPolicyException"
    );
    assert_eq!(
        ask(&endpoint, "PutResourcePolicy", put("{", false))
            .await
            .code(),
        "MalformedPolicyDocumentException"
    );
    done(&endpoint, "PutResourcePolicy", put(&public, false)).await;
    let held = done(&endpoint, "GetResourcePolicy", json!({"SecretId": "a"})).await;
    assert_eq!(held["ResourcePolicy"], public);
    let checked = done(
        &endpoint,
        "ValidateResourcePolicy",
        json!({"ResourcePolicy": public}),
    )
    .await;
    assert_eq!(checked["PolicyValidationPassed"], false);
    assert_eq!(checked["ValidationErrors"].as_array().unwrap().len(), 1);
    done(&endpoint, "DeleteResourcePolicy", json!({"SecretId": "a"})).await;
    let none = done(&endpoint, "GetResourcePolicy", json!({"SecretId": "a"})).await;
    assert_eq!(none["ResourcePolicy"], Value::Null);
}
