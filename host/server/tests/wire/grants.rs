//! Every operation is refused to whoever may not ask for it, and to whoever may ask for it of other secrets alone.

use harness::endpoint::{Endpoint, locked};
use keyturn_store::{SecretName, SecretStore};
use serde_json::{Value, json};

use crate::support::{ask_as, done, token};

/// Each operation with members that it would carry out on this secret.
fn operations(secret: &str) -> Vec<(&'static str, Value)> {
    let id = json!({"SecretId": secret});
    let with = |more: Value| {
        let mut body = id.clone();
        let more = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(more);
        body
    };
    let value = json!({"SecretString": "new", "ClientRequestToken": token(2)});
    vec![
        ("BatchGetSecretValue", json!({"SecretIdList": [secret]})),
        ("CancelRotateSecret", id.clone()),
        (
            "CreateSecret",
            json!({"Name": format!("{secret}-2"), "SecretString": "v", "ClientRequestToken": token(3)}),
        ),
        ("DeleteResourcePolicy", id.clone()),
        ("DeleteSecret", id.clone()),
        ("DescribeSecret", id.clone()),
        ("GetRandomPassword", json!({})),
        ("GetResourcePolicy", id.clone()),
        ("GetSecretValue", id.clone()),
        ("ListSecretVersionIds", id.clone()),
        ("ListSecrets", json!({})),
        ("PutResourcePolicy", with(json!({"ResourcePolicy": "{}"}))),
        ("PutSecretValue", with(value.clone())),
        ("RestoreSecret", id.clone()),
        (
            "RotateSecret",
            with(json!({"ClientRequestToken": token(2)})),
        ),
        (
            "TagResource",
            with(json!({"Tags": [{"Key": "a", "Value": "b"}]})),
        ),
        ("UntagResource", with(json!({"TagKeys": ["a"]}))),
        ("UpdateSecret", with(value)),
        (
            "UpdateSecretVersionStage",
            with(json!({"VersionStage": "MINE", "MoveToVersionId": token(1)})),
        ),
        (
            "ValidateResourcePolicy",
            with(json!({"ResourcePolicy": "{}"})),
        ),
    ]
}

#[tokio::test]
async fn every_operation_needs_its_grant() {
    let endpoint = Endpoint::start().await.unwrap();
    let create =
        |name: &str| json!({"Name": name, "SecretString": "first", "ClientRequestToken": token(1)});
    done(&endpoint, "CreateSecret", create("prod/a")).await;
    done(&endpoint, "CreateSecret", create("staging/a")).await;
    let names = ["prod/a", "staging/a"].map(|name| SecretName::new(name).unwrap());
    let describe = async || {
        let [one, other] = &names;
        let one = endpoint.store.describe(one).await.unwrap();
        (one, endpoint.store.describe(other).await.unwrap())
    };
    let (before, changes) = (describe().await, locked(&endpoint.around.changes).len());
    let mut cases = 0;
    let reading = ["Get", "Describe", "List"];
    for (operation, body) in operations("prod/a") {
        let reads = reading.iter().any(|start| operation.starts_with(start));
        let key = match reads || operation == "TagResource" {
            true => &endpoint.writer,
            false => &endpoint.reader,
        };
        let denied = ask_as(&endpoint, key, operation, &body).await;
        assert_eq!(denied.code(), "AccessDeniedException", "{operation}");
        let right = format!("allows the secretsmanager:{operation} action");
        assert!(denied.message().ends_with(&right), "{}", denied.message());
        cases += 1;
    }
    // What is about no secret, or about those alone that may be seen, is no refusal.
    let of_none = ["GetRandomPassword", "ListSecrets"];
    for (operation, body) in operations("staging/a") {
        let answered = ask_as(&endpoint, &endpoint.neighbour, operation, &body).await;
        if of_none.contains(&operation) {
            assert_eq!(answered.status, 200, "{operation}");
            assert!(
                !answered.body.to_string().contains("staging"),
                "{operation}"
            );
            continue;
        }
        let code = match operation {
            "BatchGetSecretValue" => answered.body["Errors"][0]["ErrorCode"].as_str(),
            _ => Some(answered.code()),
        };
        assert_eq!(code, Some("AccessDeniedException"), "{operation}");
        cases += 1;
    }
    assert_eq!(describe().await, before);
    assert_eq!(locked(&endpoint.around.changes).len(), changes);
    println!("evidence: endpoint, ungranted operations: {cases} refused");
}

#[tokio::test]
async fn what_an_operation_does_beside_needs_its_own_grant() {
    let endpoint = Endpoint::start().await.unwrap();
    let tagged = json!({"Name": "prod/b", "Tags": [{"Key": "a", "Value": "b"}], "ClientRequestToken": token(1)});
    let filters = json!({"Filters": [{"Key": "name", "Values": ["prod/"]}]});
    for (operation, body, needs) in [
        ("CreateSecret", tagged, "TagResource"),
        ("BatchGetSecretValue", filters, "ListSecrets"),
    ] {
        let denied = ask_as(&endpoint, &endpoint.writer, operation, &body).await;
        assert_eq!(denied.code(), "AccessDeniedException", "{operation}");
        let right = format!("allows the secretsmanager:{needs} action");
        assert!(denied.message().ends_with(&right), "{}", denied.message());
    }
    let listed = done(&endpoint, "ListSecrets", json!({})).await;
    assert_eq!(listed["SecretList"], json!([]));
}
