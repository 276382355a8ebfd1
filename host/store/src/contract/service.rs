//! The version that a rotation service announces before its first step: an id under AWSPENDING, without a value.
#![allow(missing_docs)]

use super::{Bench, Subject, assert_exists, assert_invalid_request, assert_not_found, id};
use crate::labels::{CURRENT, PENDING, PREVIOUS};
use crate::types::Which;

pub async fn an_announced_version_has_no_value(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    subject.reserve(&bench.name, &id(2)).await.unwrap();
    bench.assert_labels(&[(CURRENT, 1), (PENDING, 2)]).await;
    let described = bench.describe().await;
    assert!(described.version(&id(1)).unwrap().has_value);
    assert!(!described.version(&id(2)).unwrap().has_value);
    assert_not_found(
        bench
            .read(&Which::IdWithLabel(id(2), PENDING.to_owned()))
            .await,
    );
    assert_not_found(
        bench
            .read(&Which::IdWithLabel(id(2), CURRENT.to_owned()))
            .await,
    );
    assert_not_found(bench.read(&Which::Id(id(2))).await);
    assert_not_found(bench.read(&Which::Label(PENDING.to_owned())).await);
}

pub async fn an_announced_version_is_filled_by_put(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    subject.reserve(&bench.name, &id(2)).await.unwrap();
    assert!(bench.put(2, &[PENDING]).await.unwrap().stored);
    bench.assert_labels(&[(CURRENT, 1), (PENDING, 2)]).await;
    let read = bench
        .read(&Which::IdWithLabel(id(2), PENDING.to_owned()))
        .await
        .unwrap();
    assert_eq!(read, "value 2");
    assert!(!bench.put(2, &[PENDING]).await.unwrap().stored);
    bench.move_label(CURRENT, Some(1), Some(2)).await.unwrap();
    bench
        .assert_labels(&[(CURRENT, 2), (PENDING, 2), (PREVIOUS, 1)])
        .await;
}

pub async fn an_announced_version_cannot_become_current(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    subject.reserve(&bench.name, &id(2)).await.unwrap();
    let before = bench.describe().await;
    assert_invalid_request(bench.move_label(CURRENT, Some(1), Some(2)).await);
    bench.assert_unchanged(&before).await;
    // Other labels, and a move away, are free.
    bench.move_label("MINE", None, Some(2)).await.unwrap();
    bench.move_label(PENDING, Some(2), None).await.unwrap();
    bench.assert_labels(&[(CURRENT, 1), ("MINE", 2)]).await;
}

pub async fn announcing_twice_is_a_no_op(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    subject.reserve(&bench.name, &id(2)).await.unwrap();
    let before = bench.describe().await;
    subject.advance_ms(1_000);
    subject.reserve(&bench.name, &id(2)).await.unwrap();
    bench.assert_unchanged(&before).await;
}

pub async fn announcing_a_stored_version_is_refused(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &["MINE"]).await.unwrap();
    let before = bench.describe().await;
    assert_exists(subject.reserve(&bench.name, &id(1)).await);
    assert_exists(subject.reserve(&bench.name, &id(2)).await);
    bench.assert_unchanged(&before).await;
}

pub async fn announcing_while_another_version_is_pending_is_refused(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[PENDING]).await.unwrap();
    let before = bench.describe().await;
    assert_invalid_request(subject.reserve(&bench.name, &id(3)).await);
    bench.assert_unchanged(&before).await;
}

pub async fn a_pending_left_on_current_moves_to_the_announced_version(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[PENDING]).await.unwrap();
    bench.move_label(CURRENT, Some(1), Some(2)).await.unwrap();
    subject.reserve(&bench.name, &id(3)).await.unwrap();
    bench
        .assert_labels(&[(CURRENT, 2), (PENDING, 3), (PREVIOUS, 1)])
        .await;
}
