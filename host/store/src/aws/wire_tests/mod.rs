//! The store over real HTTP, against an endpoint that throttles, breaks off, lags and refuses where a test says so.

mod endpoint;
mod faults;
mod requests;

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use serde_json::{Value, json};

use super::AwsStore;
use super::described::Seen;
use crate::error::StoreError;
use crate::labels::CURRENT;
use crate::store::SecretStore;
use crate::types::{Put, SecretName, VersionId};
use endpoint::{Endpoint, Reply};

fn name() -> SecretName {
    SecretName::new("festival-prod/database").unwrap()
}

fn id(number: u32) -> VersionId {
    VersionId::new(format!("00000000-0000-4000-8000-{number:012}")).unwrap()
}

/// A description with these labels.
fn described(labels: &[(&str, u32)]) -> Reply {
    Reply::Json(description(labels))
}

fn description(labels: &[(&str, u32)]) -> Value {
    let mut stages = serde_json::Map::new();
    for (label, number) in labels {
        let held = stages.entry(id(*number).as_str()).or_insert(json!([]));
        held.as_array_mut().unwrap().push(json!(label));
    }
    json!({
        "ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:festival-prod/database-AbCdEf",
        "Name": "festival-prod/database",
        "CreatedDate": 1_700_000_000.123,
        "LastChangedDate": 1_700_000_001.5,
        "VersionIdsToStages": stages,
    })
}

/// A value of a version.
fn value(number: u32, text: &str, labels: &[&str]) -> Reply {
    Reply::Json(json!({
        "VersionId": id(number).as_str(),
        "SecretString": text,
        "VersionStages": labels,
        "CreatedDate": 1_700_000_000.123,
    }))
}

fn not_found() -> Reply {
    Reply::Error(400, "ResourceNotFoundException")
}

/// The same, as the store has understood it.
fn seen(labels: &[(&str, u32)]) -> Seen {
    let mut answer = DescribeSecretOutput::builder();
    for (label, number) in labels {
        answer = answer.version_ids_to_stages(id(*number).as_str(), vec![(*label).to_owned()]);
    }
    Seen::of(&name(), answer.build()).unwrap()
}

/// Puts a version under these labels.
async fn put(store: &AwsStore, number: u32, labels: &[&str]) -> Result<Put, StoreError> {
    let (name, id, value) = (name(), id(number), "canary-value".into());
    store.put(&name, &id, &value, labels).await
}

/// Moves AWSCURRENT from version 1 to version 2.
async fn promote(endpoint: &Endpoint) -> Result<(), StoreError> {
    let (from, to) = (id(1), id(2));
    let store = &endpoint.store;
    store
        .move_label(&name(), CURRENT, Some(&from), Some(&to))
        .await
}
