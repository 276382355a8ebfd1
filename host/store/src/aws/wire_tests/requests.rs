//! What is asked of the service, word by word, and what is made of its answers.

use std::collections::BTreeSet;

use aws_sdk_secretsmanager::types::SecretVersionsListEntry;
use serde_json::json;

use super::{
    Endpoint, Reply, described, description, id, name, not_found, promote, put, seen, value,
};
use crate::aws::tags::{self, Tags};
use crate::aws::{Invocation, RotationToken};
use crate::error::{Changed, ErrorKind};
use crate::labels::{CURRENT, PENDING, PREVIOUS};
use crate::store::SecretStore;
use crate::types::{Notes, SecretName, Which};

fn done() -> Reply {
    Reply::Json(json!({}))
}

#[tokio::test]
async fn every_read_says_which_version_it_means() {
    let replies = [1, 2, 3].map(|_| value(2, "v", &[PENDING]));
    let endpoint = Endpoint::new(replies).await;
    for which in [
        Which::current(),
        Which::Id(id(2)),
        Which::IdWithLabel(id(2), PENDING.to_owned()),
    ] {
        endpoint.store.get(&name(), &which).await.unwrap();
    }
    let secret = "festival-prod/database";
    let version = id(2);
    let expected = [
        json!({"SecretId": secret, "VersionStage": CURRENT}),
        json!({"SecretId": secret, "VersionId": version.as_str()}),
        json!({"SecretId": secret, "VersionId": version.as_str(), "VersionStage": PENDING}),
    ];
    for (number, expected) in expected.into_iter().enumerate() {
        assert_eq!(endpoint.request(number), expected);
    }
}

#[tokio::test]
async fn every_put_names_its_labels_and_passes_the_rotation_token_on() {
    let token = "0123abcd-0123-0123-0123-0123456789ab";
    for (given, named) in [(&[PENDING][..], PENDING), (&[], CURRENT)] {
        let answer = Reply::Json(json!({"VersionId": id(2).as_str(), "VersionStages": [named]}));
        let replies = [not_found(), described(&[(CURRENT, 1)]), answer];
        let endpoint = Endpoint::new(replies).await;
        let store = endpoint.store.within(Invocation {
            rotation_token: Some(RotationToken::new(token.into()).unwrap()),
            ..Invocation::default()
        });
        let put = store
            .put(&name(), &id(2), &"v2".into(), given)
            .await
            .unwrap();
        assert_eq!((put.stored, put.labels), (true, vec![named.to_owned()]));
        let expected = json!({
            "SecretId": "festival-prod/database",
            "ClientRequestToken": id(2).as_str(),
            "SecretString": "v2",
            "VersionStages": [named],
            "RotationToken": token,
        });
        assert_eq!(endpoint.request(2), expected);
        endpoint.operations();
    }
}

#[tokio::test]
async fn a_value_written_by_hand_abandons_what_is_pending() {
    let answer = Reply::Json(json!({"VersionId": id(3).as_str(), "VersionStages": [CURRENT]}));
    let before = described(&[(CURRENT, 1), (PENDING, 2)]);
    let endpoint = Endpoint::new([not_found(), before, answer]).await;
    let put = endpoint
        .store
        .put(&name(), &id(3), &"v3".into(), &[])
        .await
        .unwrap();
    assert_eq!(put.abandoned, Some(id(2)));
}

#[tokio::test]
async fn a_binary_value_is_refused() {
    let binary = json!({"VersionId": id(1).as_str(), "SecretBinary": "AAECAw=="});
    let endpoint = Endpoint::new([Reply::Json(binary)]).await;
    let error = endpoint
        .store
        .get(&name(), &Which::current())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    for words in ["is binary", "SecretString", "nothing was changed"] {
        assert!(error.to_string().contains(words), "{error}");
    }
}

fn replicated(status: &str, primary: &str) -> Reply {
    let mut description = description(&[(CURRENT, 1), (PENDING, 2)]);
    description["PrimaryRegion"] = json!(primary);
    description["ReplicationStatus"] = json!([
        {"Region": "eu-central-1", "Status": "InSync"},
        {"Region": "us-east-1", "Status": status, "StatusMessage": "words of the service"},
    ]);
    Reply::Json(description)
}

#[tokio::test]
async fn a_replica_is_told_where_its_primary_is() {
    let replica = || replicated("InSync", "us-west-2");
    let replies = [replica(), replica(), not_found(), replica()];
    let endpoint = Endpoint::new(replies).await;
    let store = &endpoint.store;
    let moved = store.move_label(&name(), "MINE", None, Some(&id(1))).await;
    let noted = store.write_notes(&name(), 0, "{}").await;
    let put = store.put(&name(), &id(3), &"v".into(), &[PENDING]).await;
    for error in [moved.unwrap_err(), noted.unwrap_err(), put.unwrap_err()] {
        assert_eq!(
            (error.kind(), error.changed()),
            (ErrorKind::InvalidRequest, Changed::No)
        );
        assert!(error.to_string().contains("us-west-2"), "{error}");
    }
    // Nothing but reads.
    let operations: BTreeSet<_> = endpoint.operations().into_iter().collect();
    let reads = ["DescribeSecret", "GetSecretValue"].map(str::to_owned);
    assert_eq!(operations, reads.into());
}

#[tokio::test]
async fn a_promotion_waits_for_the_replicas_and_no_other_move_does() {
    let lagging = || replicated("InProgress", "eu-west-1");
    let replies = [
        lagging(),
        done(),
        lagging(),
        lagging(),
        replicated("InSync", "eu-west-1"),
        done(),
    ];
    let endpoint = Endpoint::new(replies).await;
    let store = &endpoint.store;
    store
        .move_label(&name(), "MINE", None, Some(&id(1)))
        .await
        .unwrap();
    // What was just moved is not shown by these answers.
    endpoint.store.recent.forget(&name());
    promote(&endpoint).await.unwrap();
    let (look, update) = ("DescribeSecret", "UpdateSecretVersionStage");
    assert_eq!(
        endpoint.operations(),
        [look, update, look, look, look, update]
    );
}

#[tokio::test]
async fn a_failed_replica_stops_a_promotion() {
    let endpoint = Endpoint::new([replicated("Failed", "eu-west-1")]).await;
    let error = promote(&endpoint).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.changed()),
        (ErrorKind::InvalidRequest, Changed::No)
    );
    assert!(
        error
            .to_string()
            .contains("us-east-1 has failed: words of the service"),
        "{error}"
    );
}

/// A promotion would be refused as well, but by then the target has the new password.
#[tokio::test]
async fn a_failed_replica_stops_a_rotation_before_its_target_is_changed() {
    let replies = [not_found(), replicated("Failed", "eu-west-1")];
    let endpoint = Endpoint::new(replies).await;
    let error = put(&endpoint.store, 3, &[PENDING]).await.unwrap_err();
    assert_eq!(error.changed(), Changed::No);
    assert!(
        error.to_string().contains("us-east-1 has failed"),
        "{error}"
    );
    endpoint.operations();
    let done = Reply::Json(json!({"VersionId": id(3).as_str(), "VersionStages": [CURRENT]}));
    let by_hand = [not_found(), replicated("Failed", "eu-west-1"), done];
    let endpoint = Endpoint::new(by_hand).await;
    assert!(put(&endpoint.store, 3, &[]).await.unwrap().stored);
}

#[tokio::test]
async fn what_may_not_be_listed_is_described_by_its_labels() {
    let denied = Reply::Error(400, "AccessDeniedException");
    let listed = Reply::Json(json!({"Versions": []}));
    let endpoint = Endpoint::new([denied, listed]).await;
    let store = &endpoint.store;
    assert_eq!(store.versions(&name()).await.unwrap(), None);
    // Asked once.
    assert_eq!(store.versions(&name()).await.unwrap(), None);
    // The right may be one to some secrets.
    let other = SecretName::new("festival-prod/other").unwrap();
    assert_eq!(store.versions(&other).await.unwrap(), Some(Vec::new()));
    assert_eq!(endpoint.operations().len(), 2);
    let described = seen(&[(CURRENT, 3), (PREVIOUS, 9), ("MINE", 5)]).describe(None, None);
    let ids: Vec<_> = described
        .versions
        .into_iter()
        .map(|version| version.id)
        .collect();
    assert_eq!(ids, [id(9), id(5), id(3)]);
}

#[tokio::test]
async fn a_list_shows_managed_secrets_and_outlives_one_that_goes_meanwhile() {
    let secrets = ["rds!cluster-0123abcd", "gone"]
        .map(|name| json!({"Name": name, "SecretVersionsToStages": {id(1).as_str(): [CURRENT]}}));
    let listed = Reply::Json(json!({"SecretList": secrets}));
    let versions = Reply::Json(json!({"Versions": [{"VersionId": id(1).as_str()}]}));
    let endpoint = Endpoint::new([listed, versions, not_found()]).await;
    let names: Vec<_> = endpoint.store.list().await.unwrap();
    let names: Vec<_> = names.iter().map(|secret| secret.name.as_str()).collect();
    assert_eq!(names, ["gone", "rds!cluster-0123abcd"]);
    assert_eq!(endpoint.operations().len(), 3);
}

#[tokio::test]
async fn listed_versions_come_in_the_order_of_their_dates() {
    let entry = |number, seconds| {
        let time = aws_sdk_secretsmanager::primitives::DateTime::from_secs(seconds);
        SecretVersionsListEntry::builder()
            .version_id(id(number).as_str())
            .created_date(time)
            .build()
    };
    let listed = vec![entry(1, 30), entry(2, 10), entry(3, 20)];
    // Version 4 was made between the two answers.
    let described = seen(&[(CURRENT, 3), (PENDING, 4)]).describe(Some(listed), Some(&id(4)));
    let versions: Vec<_> = described
        .versions
        .iter()
        .map(|v| (v.id.clone(), v.has_value))
        .collect();
    let expected = [(2, true), (3, true), (1, true), (4, false)];
    assert_eq!(
        versions,
        expected.map(|(number, has_value)| (id(number), has_value))
    );
}

fn tagged(tags: &Tags) -> Reply {
    let mut description = description(&[(CURRENT, 1)]);
    let tags = tags
        .iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}));
    description["Tags"] = tags.collect();
    Reply::Json(description)
}

fn with_notes(tags: &Tags, json: &str, revision: u64) -> Tags {
    let notes = Notes {
        json: json.to_owned(),
        revision,
    };
    let mut tags = tags.clone();
    tags.retain(|key, _| !tags::is_note(key));
    let written = tags::write(&tags, &notes).unwrap();
    tags.into_iter().chain(written).collect()
}

#[tokio::test]
async fn notes_are_written_in_one_request_read_back_and_tidied() {
    let own = Tags::from([("team".to_owned(), "festival".to_owned())]);
    let long = with_notes(&own, &format!(r#"{{"a":"{}"}}"#, "x".repeat(400)), 6);
    let short = with_notes(&own, "{}", 7);
    let mut left_over = long.clone();
    left_over.extend(short.clone());
    let replies = [tagged(&long), done(), tagged(&left_over), done()];
    let endpoint = Endpoint::new(replies).await;
    assert_eq!(
        endpoint.store.write_notes(&name(), 6, "{}").await.unwrap(),
        7
    );
    let operations = [
        "DescribeSecret",
        "TagResource",
        "DescribeSecret",
        "UntagResource",
    ];
    assert_eq!(endpoint.operations(), operations);
    let written = endpoint.request(1)["Tags"].as_array().unwrap().len();
    assert_eq!(written, 2);
    let removed = &endpoint.request(3)["TagKeys"];
    assert_eq!(*removed, json!(["keyturn:notes.2", "keyturn:notes.3"]));
}

#[tokio::test]
async fn of_two_processes_that_write_notes_one_hears_that_it_lost() {
    let (none, theirs) = (
        Tags::new(),
        with_notes(&Tags::new(), r#"{"by":"other"}"#, 1),
    );
    let endpoint = Endpoint::new([tagged(&none), done(), tagged(&theirs)]).await;
    let error = endpoint
        .store
        .write_notes(&name(), 0, r#"{"by":"one"}"#)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PreconditionNotMet);
}

#[tokio::test]
async fn older_notes_than_those_just_written_are_not_believed() {
    let (none, new) = (Tags::new(), with_notes(&Tags::new(), r#"{"a":1}"#, 1));
    let replies = [
        tagged(&none),
        done(),
        tagged(&none),
        tagged(&new),
        tagged(&none),
        tagged(&new),
    ];
    let endpoint = Endpoint::new(replies).await;
    endpoint
        .store
        .write_notes(&name(), 0, r#"{"a":1}"#)
        .await
        .unwrap();
    assert_eq!(endpoint.store.notes(&name()).await.unwrap().revision, 1);
    assert_eq!(endpoint.operations().len(), 6);
}

#[tokio::test]
async fn a_rotation_is_kept_away_by_labels_alone() {
    let endpoint = Endpoint::new([]).await;
    let first = endpoint.store.begin_run(&name()).await.unwrap();
    let second = endpoint.store.begin_run(&name()).await.unwrap();
    assert!(first.is_some() && second.is_some());
}
