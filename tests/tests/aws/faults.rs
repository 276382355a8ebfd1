//! Every request of a rotation's store calls meets every fault: throttled, failed, cut off, before its effect and after
//! it, and reads that lag behind. Each call succeeds all the same, and takes effect once.

use std::collections::BTreeMap;

use harness::endpoint::Endpoint;
use keyturn_server::faults::{Fault, Kind};
use keyturn_store::{NewSecret, SecretName, SecretStore, StoreError, VersionId, Which, labels};
use secrecy::ExposeSecret;

use crate::support::on_aws;

const BASE: &str = "KEYTURN_BASE";
const DOUBT: &str = "KEYTURN_INDOUBT";

fn name() -> SecretName {
    SecretName::new("faults/secret").unwrap()
}

fn id(number: u32) -> VersionId {
    VersionId::new(format!("00000000-0000-4000-8000-{number:012}")).unwrap()
}

/// What a rotation asks of its store, in its order. Every read has to show what was written before it.
async fn rotate(store: &dyn SecretStore) -> Result<(), StoreError> {
    let (name, old, new) = (name(), id(1), id(2));
    let holder = async |label: &str| {
        let described = store.describe(&name).await?;
        Ok::<_, StoreError>(described.holder(label).map(|version| version.id.clone()))
    };
    store.move_label(&name, BASE, None, Some(&old)).await?;
    assert_eq!(holder(BASE).await?, Some(old.clone()));
    store
        .put(&name, &new, &"new".into(), &[labels::PENDING])
        .await?;
    assert_eq!(holder(labels::PENDING).await?, Some(new.clone()));
    store.move_label(&name, DOUBT, None, Some(&new)).await?;
    let revision = store.notes(&name).await?.revision;
    store.write_notes(&name, revision, r#"{"sets":1}"#).await?;
    assert_eq!(holder(DOUBT).await?, Some(new.clone()));
    assert_eq!(
        store
            .get(&name, &Which::Id(new.clone()))
            .await?
            .value
            .expose_secret(),
        "new"
    );
    store
        .move_label(&name, labels::CURRENT, Some(&old), Some(&new))
        .await?;
    assert_eq!(
        store
            .get(&name, &Which::current())
            .await?
            .value
            .expose_secret(),
        "new"
    );
    for label in [DOUBT, labels::PENDING] {
        store.move_label(&name, label, Some(&new), None).await?;
        assert_eq!(holder(label).await?, None);
    }
    store.move_label(&name, BASE, Some(&old), None).await?;
    let notes = store.notes(&name).await?;
    assert_eq!(notes.json, r#"{"sets":1}"#);
    store.write_notes(&name, notes.revision, "{}").await?;
    Ok(())
}

/// Runs the whole with one fault; false if it was aimed beyond the last request.
async fn survives(fault: Fault) -> bool {
    let subject = on_aws().await;
    let new = NewSecret {
        id: id(1),
        value: "old".into(),
        description: None,
    };
    subject
        .endpoint
        .store
        .create_secret(&name(), new)
        .await
        .unwrap();
    subject.endpoint.faults.aim(fault.clone());
    rotate(&subject.store)
        .await
        .unwrap_or_else(|error| panic!("{fault:?}: {error}"));
    let hits: u32 = subject.endpoint.faults.hits().iter().sum();
    ended_well(&subject.endpoint).await;
    hits > 0
}

async fn ended_well(endpoint: &Endpoint) {
    let described = endpoint.store.describe(&name()).await.unwrap();
    let held: BTreeMap<_, _> = described
        .versions
        .iter()
        .flat_map(|version| {
            version
                .labels
                .iter()
                .map(|label| (label.as_str(), version.id.clone()))
        })
        .collect();
    assert_eq!(
        held,
        BTreeMap::from([(labels::CURRENT, id(2)), (labels::PREVIOUS, id(1))])
    );
    assert_eq!(described.versions.len(), 2);
    assert!(described.tags["keyturn:notes"].starts_with("v1 revision=2 "));
}

/// Aims at the first request of these operations, the second, and so on to the last.
async fn sweep(operation: &str, kind: Kind) -> u32 {
    let mut skip = 0;
    let aimed = |skip| Fault {
        operation: operation.to_owned(),
        kind,
        skip,
        times: 1,
    };
    while survives(aimed(skip)).await {
        skip += 1;
    }
    println!("evidence: aws store, faults: {skip} requests hit");
    skip
}

#[tokio::test]
async fn a_request_that_is_throttled_is_repeated() {
    assert!(sweep("*", Kind::Throttle).await > 20);
}

#[tokio::test]
async fn a_request_that_fails_before_its_effect_is_repeated() {
    assert!(sweep("*", Kind::Error).await > 20);
}

#[tokio::test]
async fn a_request_that_fails_after_its_effect_takes_effect_once() {
    assert!(sweep("*", Kind::ErrorAfter).await > 20);
}

#[tokio::test]
async fn a_request_that_is_cut_off_before_its_effect_is_repeated() {
    assert!(sweep("*", Kind::HangUp).await > 20);
}

#[tokio::test]
async fn a_request_whose_answer_is_cut_off_takes_effect_once() {
    assert!(sweep("*", Kind::HangUpAfter).await > 20);
}

#[tokio::test]
async fn reads_that_lag_are_not_believed() {
    for reads in [1, 3] {
        for operation in ["UpdateSecretVersionStage", "PutSecretValue", "TagResource"] {
            assert!(sweep(operation, Kind::Stale { reads }).await > 0);
        }
    }
}
