//! Faults hit what they are aimed at, as often as told, and do what they say.

use harness::endpoint::Endpoint;
use keyturn_server::faults::{Fault, Kind};
use serde_json::json;

use crate::support::{ask, done, token};

fn fault(operation: &str, kind: Kind, skip: u32, times: u32) -> Fault {
    Fault {
        operation: operation.to_owned(),
        kind,
        skip,
        times,
    }
}

async fn stocked() -> Endpoint {
    let endpoint = Endpoint::start().await.unwrap();
    let body = json!({"Name": "a", "SecretString": "first", "ClientRequestToken": token(1)});
    done(&endpoint, "CreateSecret", body).await;
    endpoint
}

fn put(number: u32) -> serde_json::Value {
    json!({"SecretId": "a", "SecretString": format!("{number}"), "ClientRequestToken": token(number)})
}

async fn current(endpoint: &Endpoint) -> String {
    let read = done(endpoint, "GetSecretValue", json!({"SecretId": "a"})).await;
    read["SecretString"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_fault_before_leaves_everything_as_it_was_and_one_after_does_not() {
    let endpoint = stocked().await;
    for (number, kind, status, code, done) in [
        (2, Kind::Throttle, 400, "ThrottlingException", false),
        (3, Kind::Error, 500, "InternalServiceError", false),
        (4, Kind::HangUp, 0, "", false),
        (5, Kind::ErrorAfter, 500, "InternalServiceError", true),
        (6, Kind::HangUpAfter, 0, "", true),
    ] {
        let before = current(&endpoint).await;
        endpoint.faults.aim(fault("Put*", kind, 0, 1));
        let hit = ask(&endpoint, "PutSecretValue", put(number)).await;
        assert_eq!((hit.status, hit.code()), (status, code), "{kind:?}");
        let after = if done { number.to_string() } else { before };
        assert_eq!(current(&endpoint).await, after, "{kind:?}");
        assert_eq!(endpoint.faults.hits(), [1]);
        endpoint.faults.clear();
    }
}

#[tokio::test]
async fn a_fault_spares_and_hits_as_many_as_told() {
    let endpoint = stocked().await;
    endpoint
        .faults
        .aim(fault("GetSecretValue", Kind::Throttle, 1, 2));
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(
            ask(&endpoint, "GetSecretValue", json!({"SecretId": "a"}))
                .await
                .status,
        );
    }
    assert_eq!(statuses, [200, 400, 400, 200, 200]);
    assert_eq!(
        ask(&endpoint, "DescribeSecret", json!({"SecretId": "a"}))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn stale_reads_see_values_and_labels_as_they_were() {
    let endpoint = stocked().await;
    endpoint
        .faults
        .aim(fault("PutSecretValue", Kind::Stale { reads: 4 }, 0, 1));
    done(&endpoint, "PutSecretValue", put(2)).await;
    assert_eq!(current(&endpoint).await, "first");
    let by_id = ask(
        &endpoint,
        "GetSecretValue",
        json!({"SecretId": "a", "VersionId": token(2)}),
    )
    .await;
    assert_eq!(by_id.code(), "ResourceNotFoundException");
    let described = done(&endpoint, "DescribeSecret", json!({"SecretId": "a"})).await;
    assert_eq!(
        described["VersionIdsToStages"],
        json!({token(1): ["AWSCURRENT"]})
    );
    let listed = done(&endpoint, "ListSecretVersionIds", json!({"SecretId": "a"})).await;
    assert_eq!(listed["Versions"].as_array().unwrap().len(), 1);
    assert_eq!(current(&endpoint).await, "2");
}

#[test]
fn a_file_of_faults_is_a_json_list() {
    let list = r#"[
        {"operation": "PutSecretValue", "kind": "throttle", "times": 2},
        {"operation": "*", "kind": "latency", "ms": 250, "skip": 1},
        {"operation": "Update*", "kind": "stale", "reads": 3}
    ]"#;
    let faults: Vec<Fault> = serde_json::from_str(list).unwrap();
    assert_eq!(faults[0].kind, Kind::Throttle);
    assert_eq!((faults[0].skip, faults[0].times), (0, 2));
    assert_eq!(faults[1].kind, Kind::Latency { ms: 250 });
    assert_eq!(faults[2].kind, Kind::Stale { reads: 3 });
    assert!(
        serde_json::from_str::<Vec<Fault>>(r#"[{"operation": "*", "kind": "flood"}]"#).is_err()
    );
}
