//! Tags: words about a secret that its description shows, merged by key.
#![allow(missing_docs)]

use std::collections::BTreeMap;

use super::{Bench, Subject, assert_invalid_parameter, assert_not_found};
use crate::labels::{CURRENT, PENDING};
use crate::types::SecretName;

pub async fn a_new_secret_has_no_tags(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    assert_eq!(bench.describe().await.tags, BTreeMap::new());
}

pub async fn tags_are_described_and_listed(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let other = Bench::named(subject, "contract/z-other").await;
    let given = tags(&[("keyturn:plugin", "postgres"), ("Team", "Bl\u{fc}te 1")]);
    subject.tag(&bench.name, &given).await.unwrap();
    assert_eq!(bench.describe().await.tags, given);
    assert_eq!(other.describe().await.tags, BTreeMap::new());
    let listed = subject.store().list().await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|secret| secret.tags).collect();
    assert_eq!(listed, [given, BTreeMap::new()]);
}

pub async fn a_tag_gets_another_value_and_is_removed(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let name = &bench.name;
    subject
        .tag(name, &tags(&[("a", "1"), ("b", "")]))
        .await
        .unwrap();
    subject
        .tag(name, &tags(&[("b", "2"), ("c", "3")]))
        .await
        .unwrap();
    let expected = tags(&[("a", "1"), ("b", "2"), ("c", "3")]);
    assert_eq!(bench.describe().await.tags, expected);
    let keys = ["a".to_owned(), "nobody".to_owned(), "c".to_owned()];
    subject.untag(name, &keys).await.unwrap();
    assert_eq!(bench.describe().await.tags, tags(&[("b", "2")]));
    subject.untag(name, &keys).await.unwrap();
}

pub async fn a_key_begins_with_aws_for_nobody(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let before = bench.describe().await;
    let refused = tags(&[("aws:owner", "x"), ("mine", "x")]);
    assert_invalid_parameter(subject.tag(&bench.name, &refused).await);
    bench.assert_unchanged(&before).await;
}

pub async fn there_are_50_tags_at_most(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let many: BTreeMap<String, String> = (0..50)
        .map(|number| (format!("key-{number}"), "value".to_owned()))
        .collect();
    subject.tag(&bench.name, &many).await.unwrap();
    let before = bench.describe().await;
    assert_eq!(before.tags.len(), 50);
    let one_more = tags(&[("key-50", "value")]);
    assert_invalid_parameter(subject.tag(&bench.name, &one_more).await);
    bench.assert_unchanged(&before).await;
    let known = tags(&[("key-49", "another")]);
    subject.tag(&bench.name, &known).await.unwrap();
}

pub async fn tags_and_versions_leave_each_other_alone(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let given = tags(&[("keyturn:strategy", "single")]);
    subject.tag(&bench.name, &given).await.unwrap();
    bench.put(2, &[PENDING]).await.unwrap();
    bench.move_label(CURRENT, Some(1), Some(2)).await.unwrap();
    assert_eq!(bench.describe().await.tags, given);
    let before = bench.describe().await.versions;
    let keys = ["keyturn:strategy".to_owned()];
    subject.untag(&bench.name, &keys).await.unwrap();
    assert_eq!(bench.describe().await.versions, before);
    let nobody = SecretName::new("contract/nobody").unwrap();
    assert_not_found(subject.tag(&nobody, &given).await);
    assert_not_found(subject.untag(&nobody, &keys).await);
}

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
    pairs.iter().map(owned).collect()
}
