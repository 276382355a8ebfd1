//! Reading: which version a question means, what is not found, and in which order things are told.
#![allow(missing_docs)]

use super::{Bench, Subject, assert_invalid_request, assert_not_found, id, value};
use crate::labels::{CURRENT, PENDING};
use crate::types::{SecretName, Which};

pub async fn a_version_is_read_by_label_by_id_and_by_both(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[PENDING, "MINE"]).await.unwrap();
    let pending = PENDING.to_owned();
    for which in [
        Which::Label(pending.clone()),
        Which::Id(id(2)),
        Which::IdWithLabel(id(2), pending.clone()),
    ] {
        let read = bench.store().get(&bench.name, &which).await.unwrap();
        assert_eq!(
            (read.id, read.labels),
            (id(2), vec![pending.clone(), "MINE".to_owned()])
        );
        assert_eq!(bench.read(&which).await.unwrap(), "value 2");
    }
}

pub async fn an_id_without_the_label_asked_for_is_an_invalid_request(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[PENDING]).await.unwrap();
    for (number, label) in [(2, CURRENT), (1, PENDING), (1, "NOBODYS")] {
        let which = Which::IdWithLabel(id(number), label.to_owned());
        assert_invalid_request(bench.read(&which).await);
    }
}

pub async fn what_is_not_there_is_not_found(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    assert_not_found(bench.read(&Which::Label(PENDING.to_owned())).await);
    assert_not_found(bench.read(&Which::Label("awscurrent".to_owned())).await);
    assert_not_found(bench.read(&Which::Id(id(9))).await);
    assert_not_found(
        bench
            .read(&Which::IdWithLabel(id(9), CURRENT.to_owned()))
            .await,
    );
}

pub async fn a_name_means_itself(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let name = bench.store().name_of(bench.name.as_str()).await.unwrap();
    assert_eq!(name, bench.name);
    // Neither a name nor the ARN of a secret here.
    for id in [
        "",
        "with space",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:contract/nobody-AbCdEf",
        "arn:aws:s3:::contract/secret",
    ] {
        assert!(bench.store().name_of(id).await.is_err(), "{id}");
    }
}

pub async fn every_method_needs_the_secret(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let (store, nobody) = (bench.store(), SecretName::new("contract/secre").unwrap());
    assert_not_found(store.describe(&nobody).await);
    assert_not_found(store.get(&nobody, &Which::current()).await);
    assert_not_found(store.put(&nobody, &id(1), &value("v"), &[]).await);
    assert_not_found(
        store
            .move_label(&nobody, CURRENT, Some(&id(1)), Some(&id(1)))
            .await,
    );
    assert_not_found(store.notes(&nobody).await);
    assert_not_found(store.write_notes(&nobody, 0, "{}").await);
    assert_not_found(subject.reserve(&nobody, &id(1)).await);
    assert_eq!(store.list().await.unwrap().len(), 1);
}

pub async fn secrets_are_listed_by_name(subject: &dyn Subject) {
    assert!(subject.store().list().await.unwrap().is_empty());
    for name in ["b", "a/z", "a", "B", "a-b", "c"] {
        Bench::named(subject, name)
            .await
            .put(2, &[PENDING])
            .await
            .unwrap();
    }
    let listed = subject.store().list().await.unwrap();
    let names: Vec<_> = listed.iter().map(|secret| secret.name.as_str()).collect();
    assert_eq!(names, ["B", "a", "a-b", "a/z", "b", "c"]);
    for secret in listed {
        assert_eq!(
            secret,
            subject.store().describe(&secret.name).await.unwrap()
        );
    }
}

pub async fn versions_are_described_in_order(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    for number in [9, 3, 5] {
        if !subject.keeps_order_within_a_millisecond() {
            subject.advance_ms(1);
        }
        bench.put(number, &["B", "A", PENDING]).await.unwrap();
    }
    let described = bench.describe().await;
    let ids: Vec<_> = described
        .versions
        .iter()
        .map(|version| version.id.clone())
        .collect();
    assert_eq!(ids, [id(1), id(9), id(3), id(5)]);
    assert_eq!(described.versions[3].labels, ["A", PENDING, "B"]);
    assert_eq!(described.holder("A").unwrap().id, id(5));
    assert_eq!(described.holder("C"), None);
}

pub async fn secrets_do_not_share_labels_or_versions(subject: &dyn Subject) {
    let (one, other) = (
        Bench::named(subject, "one").await,
        Bench::named(subject, "other").await,
    );
    one.put(2, &[]).await.unwrap();
    one.store()
        .write_notes(&one.name, 0, r#"{"of":"one"}"#)
        .await
        .unwrap();
    other.assert_labels(&[(CURRENT, 1)]).await;
    assert_not_found(other.read(&Which::Id(id(2))).await);
    assert_eq!(other.store().notes(&other.name).await.unwrap().revision, 0);
}
