//! Versions: immutable, idempotent by their id, bounded in size, and removed only when old and unlabelled.
#![allow(missing_docs)]

use secrecy::ExposeSecret;

use super::{Bench, Subject, assert_exists, assert_invalid_parameter, id, value};
use crate::labels::{CURRENT, PENDING, PREVIOUS};
use crate::types::{NewSecret, Put, SecretName, Which};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

pub async fn the_same_token_and_value_is_a_no_op(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[PENDING]).await.unwrap();
    let before = bench.describe().await;
    subject.advance_ms(1_000);
    let put = bench.put(2, &[PENDING]).await.unwrap();
    let labels = vec![PENDING.to_owned()];
    assert_eq!(
        put,
        Put {
            stored: false,
            labels,
            abandoned: None
        }
    );
    bench.assert_unchanged(&before).await;
}

pub async fn a_repeated_put_moves_no_label_back(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[]).await.unwrap();
    bench.put(3, &[]).await.unwrap();
    bench.put(4, &[PENDING]).await.unwrap();
    let before = bench.describe().await;
    // A duplicate of the first request, delivered late.
    let put = bench.put(2, &[]).await.unwrap();
    assert_eq!((put.stored, put.labels), (false, vec![PREVIOUS.to_owned()]));
    bench.put(1, &[CURRENT, PENDING]).await.unwrap();
    bench.assert_unchanged(&before).await;
}

pub async fn the_same_token_with_another_value_exists_already(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[PENDING]).await.unwrap();
    let before = bench.describe().await;
    let other = value("another value");
    let store = bench.store();
    assert_exists(store.put(&bench.name, &id(2), &other, &[PENDING]).await);
    assert_exists(store.put(&bench.name, &id(2), &other, &[]).await);
    assert_exists(store.put(&bench.name, &id(1), &other, &[]).await);
    bench.assert_unchanged(&before).await;
    assert_eq!(bench.read(&Which::Id(id(2))).await.unwrap(), "value 2");
}

pub async fn a_value_has_1_to_65536_bytes(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let before = bench.describe().await;
    let (store, other) = (bench.store(), SecretName::new("other").unwrap());
    // Bytes, not characters: the second has half as many of these.
    for refused in ["".to_owned(), "x".repeat(65_537), "ö".repeat(32_769)] {
        let new = NewSecret {
            id: id(1),
            value: value(&refused),
            description: None,
        };
        assert_invalid_parameter(store.create_secret(&other, new).await);
        assert_invalid_parameter(store.put(&bench.name, &id(2), &value(&refused), &[]).await);
    }
    bench.assert_unchanged(&before).await;
    let largest = "x".repeat(65_536);
    store
        .put(&bench.name, &id(2), &value(&largest), &[])
        .await
        .unwrap();
    assert_eq!(bench.read(&Which::current()).await.unwrap(), largest);
    store
        .put(&bench.name, &id(3), &value("x"), &[])
        .await
        .unwrap();
}

pub async fn a_value_keeps_every_byte(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let odd = " {\"n\": 1.0e5,\r\n\t\"s\":\"\\u00e9é\u{0}\u{10ffff}'\"} \n";
    bench
        .store()
        .put(&bench.name, &id(2), &value(odd), &[])
        .await
        .unwrap();
    assert_eq!(bench.read(&Which::current()).await.unwrap(), odd);
}

pub async fn an_unlabelled_version_stays_readable_by_its_id(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[]).await.unwrap();
    bench.put(3, &[]).await.unwrap();
    bench.assert_labels(&[(CURRENT, 3), (PREVIOUS, 2)]).await;
    let first = bench
        .store()
        .get(&bench.name, &Which::Id(id(1)))
        .await
        .unwrap();
    assert_eq!(first.value.expose_secret(), "value 1");
    assert!(first.labels.is_empty(), "{:?}", first.labels);
}

pub async fn the_100_newest_versions_are_kept(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    for number in 2..=101 {
        bench.put(number, &["MINE"]).await.unwrap();
    }
    subject.advance_ms(DAY_MS);
    bench.put(102, &[]).await.unwrap();
    // Of 102 versions the two oldest are beyond the 100 newest; the first of them carries AWSPREVIOUS.
    let ids: Vec<_> = bench
        .describe()
        .await
        .versions
        .into_iter()
        .map(|v| v.id)
        .collect();
    assert_eq!(ids.len(), 101);
    assert_eq!((&ids[0], &ids[1], &ids[100]), (&id(1), &id(3), &id(102)));
    bench.put(103, &[]).await.unwrap();
    let ids: Vec<_> = bench
        .describe()
        .await
        .versions
        .into_iter()
        .map(|v| v.id)
        .collect();
    assert_eq!((ids.len(), &ids[0]), (100, &id(4)));
}

pub async fn no_version_younger_than_24_hours_is_removed(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    for number in 2..=120 {
        bench.put(number, &[]).await.unwrap();
    }
    subject.advance_ms(DAY_MS - 1);
    bench.put(121, &[]).await.unwrap();
    assert_eq!(bench.describe().await.versions.len(), 121);
    subject.advance_ms(1);
    bench.put(122, &[]).await.unwrap();
    assert_eq!(bench.describe().await.versions.len(), 100);
}

pub async fn a_labelled_version_is_never_removed(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.move_label("LAST_GOOD", None, Some(1)).await.unwrap();
    bench.put(2, &["KEYTURN_INDOUBT"]).await.unwrap();
    for number in 3..=110 {
        bench.put(number, &[]).await.unwrap();
    }
    subject.advance_ms(400 * DAY_MS);
    bench.put(111, &[]).await.unwrap();
    assert_eq!(bench.describe().await.versions.len(), 102);
    for number in [1, 2] {
        let read = bench.read(&Which::Id(id(number))).await.unwrap();
        assert_eq!(read, format!("value {number}"));
    }
}

pub async fn creating_twice_alike_is_a_no_op(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[]).await.unwrap();
    let before = bench.describe().await;
    subject.advance_ms(1_000);
    let again = NewSecret {
        id: id(1),
        value: value("value 1"),
        description: None,
    };
    bench
        .store()
        .create_secret(&bench.name, again)
        .await
        .unwrap();
    bench.assert_unchanged(&before).await;
}

pub async fn creating_over_another_secret_is_refused(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let before = bench.describe().await;
    let another = |number, text, description: Option<&str>| NewSecret {
        id: id(number),
        value: value(text),
        description: description.map(str::to_owned),
    };
    let store = bench.store();
    for new in [
        another(1, "another value", None),
        another(2, "value 1", None),
        another(1, "value 1", Some("a description")),
    ] {
        assert_exists(store.create_secret(&bench.name, new).await);
    }
    bench.assert_unchanged(&before).await;
}

pub async fn a_description_has_at_most_2048_characters(subject: &dyn Subject) {
    let (store, name) = (subject.store(), SecretName::new("described").unwrap());
    let new = |chars| NewSecret {
        id: id(1),
        value: value("v"),
        description: Some("ö".repeat(chars)),
    };
    assert_invalid_parameter(store.create_secret(&name, new(2_049)).await);
    assert!(store.list().await.unwrap().is_empty());
    store.create_secret(&name, new(2_048)).await.unwrap();
    let described = store.describe(&name).await.unwrap();
    assert_eq!(described.description, Some("ö".repeat(2_048)));
}

pub async fn changes_are_dated(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let created = bench.describe().await;
    assert_eq!(created.created_at_ms, created.changed_at_ms);
    subject.advance_ms(1_000);
    bench.put(2, &[PENDING]).await.unwrap();
    let put = bench.describe().await;
    assert_eq!(put.created_at_ms, created.created_at_ms);
    assert!(put.changed_at_ms >= created.changed_at_ms + 1_000);
    assert_eq!(
        put.version(&id(2)).unwrap().created_at_ms,
        put.changed_at_ms
    );
    subject.advance_ms(1_000);
    bench.move_label(CURRENT, Some(1), Some(2)).await.unwrap();
    let moved = bench.describe().await;
    assert!(moved.changed_at_ms >= put.changed_at_ms + 1_000);
    assert_eq!(
        moved.version(&id(2)),
        put.version(&id(2))
            .map(|version| {
                let mut version = version.clone();
                version.labels = vec![CURRENT.to_owned(), PENDING.to_owned()];
                version
            })
            .as_ref()
    );
}
