//! Staging labels: one holder each, moved by put and by compare-and-swap, AWSPREVIOUS and AWSPENDING following.
#![allow(missing_docs)]

use super::{Bench, Subject, assert_invalid_parameter, assert_not_found, assert_refused, id};
use crate::error::ErrorKind;
use crate::labels::{CURRENT, PENDING, PREVIOUS};
use crate::types::Which;

pub async fn the_first_version_gets_current(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.assert_labels(&[(CURRENT, 1)]).await;
    assert_eq!(bench.read(&Which::current()).await.unwrap(), "value 1");
}

pub async fn put_without_labels_moves_current(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let put = bench.put(2, &[]).await.unwrap();
    assert_eq!((put.stored, put.labels), (true, vec![CURRENT.to_owned()]));
    bench.assert_labels(&[(CURRENT, 2), (PREVIOUS, 1)]).await;
    assert_eq!(bench.read(&Which::current()).await.unwrap(), "value 2");
}

pub async fn put_of_pending_leaves_current(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let put = bench.put(2, &[PENDING]).await.unwrap();
    assert_eq!(
        (put.labels, put.abandoned),
        (vec![PENDING.to_owned()], None)
    );
    bench.assert_labels(&[(CURRENT, 1), (PENDING, 2)]).await;
    assert_eq!(bench.read(&Which::current()).await.unwrap(), "value 1");
}

pub async fn put_moves_a_label_held_elsewhere(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[PENDING, "MINE"]).await.unwrap();
    bench.put(3, &["MINE"]).await.unwrap();
    bench
        .assert_labels(&[(CURRENT, 1), (PENDING, 2), ("MINE", 3)])
        .await;
}

pub async fn put_of_current_moves_previous_to_the_loser(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[CURRENT]).await.unwrap();
    bench.put(3, &[CURRENT, "MINE"]).await.unwrap();
    bench
        .assert_labels(&[(CURRENT, 3), ("MINE", 3), (PREVIOUS, 2)])
        .await;
    bench.put(4, &[CURRENT, PREVIOUS]).await.unwrap();
    bench
        .assert_labels(&[(CURRENT, 4), ("MINE", 3), (PREVIOUS, 3)])
        .await;
}

pub async fn a_label_is_on_one_version_only(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    for number in 2..6 {
        bench.put(number, &["MINE", PENDING]).await.unwrap();
        bench
            .assert_labels(&[(CURRENT, 1), ("MINE", number), (PENDING, number)])
            .await;
    }
    bench.put(6, &["MINE", "MINE"]).await.unwrap();
    bench
        .assert_labels(&[(CURRENT, 1), ("MINE", 6), (PENDING, 5)])
        .await;
}

pub async fn at_most_20_labels_in_one_call(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let before = bench.describe().await;
    let names: Vec<String> = (0..21).map(|number| format!("L{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_invalid_parameter(bench.put(2, &names).await);
    bench.assert_unchanged(&before).await;
    bench.put(2, &names[..19]).await.unwrap();
    assert_eq!(
        bench.describe().await.version(&id(2)).unwrap().labels.len(),
        19
    );
}

pub async fn at_most_20_labels_on_one_secret(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    for number in 1..20 {
        bench
            .move_label(&format!("L{number}"), None, Some(1))
            .await
            .unwrap();
    }
    let before = bench.describe().await;
    let limit = (ErrorKind::LimitExceeded, "LimitExceededException");
    assert_refused(
        bench.move_label("L20", None, Some(1)).await,
        limit.0,
        limit.1,
    );
    assert_refused(bench.put(2, &["L20"]).await, limit.0, limit.1);
    // AWSPREVIOUS would be the twenty-first.
    assert_refused(bench.put(2, &[]).await, limit.0, limit.1);
    bench.assert_unchanged(&before).await;
    bench.put(2, &["L19"]).await.unwrap();
    bench.move_label("L1", Some(1), None).await.unwrap();
    bench.put(3, &[]).await.unwrap();
}

pub async fn a_label_has_1_to_256_characters(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let before = bench.describe().await;
    let (longest, too_long) = ("ö".repeat(256), "x".repeat(257));
    for label in ["", too_long.as_str()] {
        assert_invalid_parameter(bench.put(2, &[label]).await);
        assert_invalid_parameter(bench.move_label(label, None, Some(1)).await);
    }
    bench.assert_unchanged(&before).await;
    bench.put(2, &[&longest]).await.unwrap();
    bench.assert_labels(&[(CURRENT, 1), (&longest, 2)]).await;
}

pub async fn moving_a_label_needs_its_present_holder(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &["MINE"]).await.unwrap();
    bench.put(3, &["OTHER"]).await.unwrap();
    let before = bench.describe().await;
    assert_invalid_parameter(bench.move_label("MINE", Some(1), Some(3)).await);
    assert_invalid_parameter(bench.move_label("MINE", Some(3), Some(3)).await);
    assert_invalid_parameter(bench.move_label("MINE", Some(9), Some(3)).await);
    bench.assert_unchanged(&before).await;
    bench.move_label("MINE", Some(2), Some(3)).await.unwrap();
    bench
        .assert_labels(&[(CURRENT, 1), ("MINE", 3), ("OTHER", 3)])
        .await;
}

pub async fn moving_a_label_without_naming_its_holder_is_refused(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &["MINE"]).await.unwrap();
    let before = bench.describe().await;
    assert_invalid_parameter(bench.move_label("MINE", None, Some(1)).await);
    assert_invalid_parameter(bench.move_label(CURRENT, None, Some(2)).await);
    bench.assert_unchanged(&before).await;
}

pub async fn moving_a_label_that_nobody_holds_needs_no_holder(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.move_label("MINE", None, Some(1)).await.unwrap();
    bench.assert_labels(&[(CURRENT, 1), ("MINE", 1)]).await;
}

pub async fn a_holder_named_for_an_unheld_label_is_refused(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let before = bench.describe().await;
    assert_invalid_parameter(bench.move_label("MINE", Some(1), Some(1)).await);
    assert_invalid_parameter(bench.move_label("MINE", Some(1), None).await);
    bench.assert_unchanged(&before).await;
}

pub async fn removing_a_label_needs_its_present_holder(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[PENDING]).await.unwrap();
    let before = bench.describe().await;
    assert_invalid_parameter(bench.move_label(PENDING, Some(1), None).await);
    bench.assert_unchanged(&before).await;
    bench.move_label(PENDING, Some(2), None).await.unwrap();
    bench.assert_labels(&[(CURRENT, 1)]).await;
}

pub async fn moving_from_nowhere_to_nowhere_is_refused(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let before = bench.describe().await;
    assert_invalid_parameter(bench.move_label("MINE", None, None).await);
    assert_invalid_parameter(bench.move_label(CURRENT, None, None).await);
    bench.assert_unchanged(&before).await;
}

pub async fn attaching_a_label_where_it_is_changes_nothing(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &["MINE"]).await.unwrap();
    let before = bench.describe().await;
    subject.advance_ms(1_000);
    bench.move_label("MINE", None, Some(2)).await.unwrap();
    bench.move_label("MINE", Some(2), Some(2)).await.unwrap();
    bench.move_label(CURRENT, Some(1), Some(1)).await.unwrap();
    bench.assert_unchanged(&before).await;
}

pub async fn current_is_never_removed(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let before = bench.describe().await;
    assert_invalid_parameter(bench.move_label(CURRENT, Some(1), None).await);
    bench.assert_unchanged(&before).await;
}

pub async fn a_label_moves_only_to_a_version_that_exists(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let before = bench.describe().await;
    assert_not_found(bench.move_label("MINE", None, Some(9)).await);
    assert_not_found(bench.move_label(CURRENT, Some(1), Some(9)).await);
    bench.assert_unchanged(&before).await;
}

pub async fn promotion_is_compare_and_swap(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[PENDING]).await.unwrap();
    // A value written by hand between create and finish.
    bench.put(3, &[]).await.unwrap();
    let before = bench.describe().await;
    assert_invalid_parameter(bench.move_label(CURRENT, Some(1), Some(2)).await);
    bench.assert_unchanged(&before).await;
    bench.move_label(CURRENT, Some(3), Some(2)).await.unwrap();
    assert_invalid_parameter(bench.move_label(CURRENT, Some(3), Some(2)).await);
    bench.assert_labels(&[(CURRENT, 2), (PREVIOUS, 3)]).await;
}

pub async fn of_two_promotions_at_once_one_wins(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &["A"]).await.unwrap();
    bench.put(3, &["B"]).await.unwrap();
    let (two, three) = tokio::join!(
        bench.move_label(CURRENT, Some(1), Some(2)),
        bench.move_label(CURRENT, Some(1), Some(3)),
    );
    assert!(two.is_ok() != three.is_ok(), "{two:?} {three:?}");
    let winner = if two.is_ok() { 2 } else { 3 };
    assert_invalid_parameter(if two.is_ok() { three } else { two });
    bench
        .assert_labels(&[("A", 2), ("B", 3), (CURRENT, winner), (PREVIOUS, 1)])
        .await;
}

pub async fn promotion_moves_previous_by_itself(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[]).await.unwrap();
    bench.put(3, &["MINE"]).await.unwrap();
    bench.move_label(CURRENT, Some(2), Some(3)).await.unwrap();
    bench
        .assert_labels(&[(CURRENT, 3), ("MINE", 3), (PREVIOUS, 2)])
        .await;
}

pub async fn promotion_leaves_pending_where_it_is(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[PENDING]).await.unwrap();
    bench.move_label(CURRENT, Some(1), Some(2)).await.unwrap();
    bench
        .assert_labels(&[(CURRENT, 2), (PENDING, 2), (PREVIOUS, 1)])
        .await;
    bench.move_label(PENDING, Some(2), None).await.unwrap();
    bench.assert_labels(&[(CURRENT, 2), (PREVIOUS, 1)]).await;
}

pub async fn a_rollback_puts_previous_on_the_bad_version(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[]).await.unwrap();
    bench.put(3, &[]).await.unwrap();
    bench.move_label(CURRENT, Some(3), Some(2)).await.unwrap();
    bench.assert_labels(&[(CURRENT, 2), (PREVIOUS, 3)]).await;
}

pub async fn a_label_of_ones_own_survives_a_rollback(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.move_label("LAST_GOOD", None, Some(1)).await.unwrap();
    bench.put(2, &[]).await.unwrap();
    bench.put(3, &[]).await.unwrap();
    bench.move_label(CURRENT, Some(3), Some(1)).await.unwrap();
    bench
        .assert_labels(&[(CURRENT, 1), ("LAST_GOOD", 1), (PREVIOUS, 3)])
        .await;
}

pub async fn a_hand_written_value_abandons_the_rotation(subject: &dyn Subject) {
    for by_name in [false, true] {
        let name = if by_name { "named" } else { "unnamed" };
        let bench = Bench::named(subject, name).await;
        bench.put(2, &[PENDING]).await.unwrap();
        let labels: &[&str] = if by_name { &[CURRENT] } else { &[] };
        let put = bench.put(3, labels).await.unwrap();
        assert_eq!(put.abandoned, Some(id(2)));
        bench.assert_labels(&[(CURRENT, 3), (PREVIOUS, 1)]).await;
        assert_eq!(bench.read(&Which::Id(id(2))).await.unwrap(), "value 2");
    }
}

pub async fn a_hand_written_value_leaves_other_labels_alone(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[PENDING]).await.unwrap();
    bench
        .move_label("KEYTURN_INDOUBT", None, Some(2))
        .await
        .unwrap();
    bench.put(3, &[]).await.unwrap();
    bench
        .assert_labels(&[(CURRENT, 3), ("KEYTURN_INDOUBT", 2), (PREVIOUS, 1)])
        .await;
}

pub async fn a_put_that_names_pending_beside_current_keeps_it(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[PENDING]).await.unwrap();
    let put = bench.put(3, &[CURRENT, PENDING]).await.unwrap();
    assert_eq!(put.abandoned, None);
    bench
        .assert_labels(&[(CURRENT, 3), (PENDING, 3), (PREVIOUS, 1)])
        .await;
}

pub async fn a_put_of_another_label_keeps_pending(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[PENDING]).await.unwrap();
    let put = bench.put(3, &["KEYTURN_STAGED"]).await.unwrap();
    assert_eq!(put.abandoned, None);
    bench
        .assert_labels(&[(CURRENT, 1), ("KEYTURN_STAGED", 3), (PENDING, 2)])
        .await;
}

pub async fn refused_moves_say_what_to_do(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench.put(2, &[]).await.unwrap();
    let error = bench
        .move_label(CURRENT, Some(1), Some(1))
        .await
        .unwrap_err()
        .to_string();
    let holder = format!("version {} does", id(2));
    for part in [
        "AWSCURRENT",
        holder.as_str(),
        "nothing was changed",
        "describe the secret",
    ] {
        assert!(error.contains(part), "{part:?} is missing in: {error}");
    }
}
