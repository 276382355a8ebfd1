//! Notes: a JSON object per secret, replaced as a whole by compare-and-swap.
#![allow(missing_docs)]

use super::{Bench, Subject, assert_invalid_parameter, assert_refused};
use crate::error::ErrorKind;
use crate::types::Notes;

pub async fn unwritten_notes_are_an_empty_object(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let notes = bench.store().notes(&bench.name).await.unwrap();
    assert_eq!(
        notes,
        Notes {
            json: "{}".to_owned(),
            revision: 0
        }
    );
}

pub async fn written_notes_are_read_back(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let json = "{ \"due\" : [1.50, \"ö\"] }\n";
    assert_eq!(
        bench
            .store()
            .write_notes(&bench.name, 0, json)
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        bench
            .store()
            .write_notes(&bench.name, 1, json)
            .await
            .unwrap(),
        2
    );
    let notes = bench.store().notes(&bench.name).await.unwrap();
    assert_eq!(
        notes,
        Notes {
            json: json.to_owned(),
            revision: 2
        }
    );
}

pub async fn notes_are_compare_and_swap(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    bench
        .store()
        .write_notes(&bench.name, 0, r#"{"by":"one"}"#)
        .await
        .unwrap();
    for stale in [0, 2, u64::MAX] {
        let written = bench
            .store()
            .write_notes(&bench.name, stale, r#"{"by":"other"}"#)
            .await;
        assert_refused(
            written,
            ErrorKind::PreconditionNotMet,
            "PreconditionNotMetException",
        );
    }
    let notes = bench.store().notes(&bench.name).await.unwrap();
    assert_eq!(
        notes,
        Notes {
            json: r#"{"by":"one"}"#.to_owned(),
            revision: 1
        }
    );
}

pub async fn of_two_writers_of_notes_one_wins(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let (one, other) = tokio::join!(
        bench.store().write_notes(&bench.name, 0, r#"{"by":"one"}"#),
        bench
            .store()
            .write_notes(&bench.name, 0, r#"{"by":"other"}"#),
    );
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    let winner = if one.is_ok() { "one" } else { "other" };
    let notes = bench.store().notes(&bench.name).await.unwrap();
    assert_eq!(
        notes,
        Notes {
            json: format!(r#"{{"by":"{winner}"}}"#),
            revision: 1
        }
    );
}

pub async fn notes_are_a_json_object(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    for json in ["", "[]", "null", "1", "\"{}\"", "{", "{}{}", "{'a':1}"] {
        assert_invalid_parameter(bench.store().write_notes(&bench.name, 0, json).await);
    }
    assert_eq!(bench.store().notes(&bench.name).await.unwrap().revision, 0);
}

pub async fn notes_have_at_most_65536_bytes(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let json = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
    let refused = bench
        .store()
        .write_notes(&bench.name, 0, &json(65_537))
        .await;
    assert_invalid_parameter(refused);
    let largest = json(subject.notes_bytes_max());
    assert_eq!(
        bench
            .store()
            .write_notes(&bench.name, 0, &largest)
            .await
            .unwrap(),
        1
    );
}

pub async fn notes_and_versions_leave_each_other_alone(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let mut before = bench.describe().await;
    subject.advance_ms(1_000);
    bench
        .store()
        .write_notes(&bench.name, 0, r#"{"a":1}"#)
        .await
        .unwrap();
    if subject.notes_count_as_change() {
        before.changed_at_ms += 1_000;
    }
    bench.assert_unchanged(&before).await;
    bench.put(2, &[]).await.unwrap();
    let notes = bench.store().notes(&bench.name).await.unwrap();
    assert_eq!(
        notes,
        Notes {
            json: r#"{"a":1}"#.to_owned(),
            revision: 1
        }
    );
}
