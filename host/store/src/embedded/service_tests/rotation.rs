//! Rotation settings, the version that begins a rotation, and the dates that tell when the next one is due.

use super::{Bench, DAY_MS, START_MS, assert_refused, every, id, name};
use crate::labels::PENDING;
use crate::service::RotationSettings;

fn day_ms(number: u64) -> u64 {
    (20_000 + number) * DAY_MS
}

#[tokio::test]
async fn a_rotation_is_announced_once_and_one_at_a_time() {
    let bench = Bench::with_secret().await;
    let (store, name) = (&bench.store, name());
    assert_eq!(bench.record().await.description.rotation_enabled, None);
    bench.clock.advance_ms(DAY_MS);
    let begin = |number, days| {
        let (name, store) = (name.clone(), &bench.store);
        async move { store.begin_rotation(&name, &id(number), &every(days)).await }
    };
    assert!(begin(2, 30).await.unwrap());
    let begun = bench.record().await;
    assert_eq!(begun.description.rotation_enabled, Some(true));
    assert!(!begun.description.version(&id(2)).unwrap().has_value);
    assert_eq!(bench.holder(PENDING).await, Some(id(2)));

    bench.clock.advance_ms(DAY_MS);
    assert!(!begin(2, 30).await.unwrap());
    assert_eq!(bench.record().await, begun);
    // What it says about the schedule counts all the same: it may take a cancellation back.
    assert!(!begin(2, 7).await.unwrap());
    let begun = bench.record().await;
    assert_eq!(begun.rotation.as_ref().unwrap().settings, every(7));
    assert_eq!(bench.holder(PENDING).await, Some(id(2)));
    assert_refused(
        begin(3, 30).await,
        "InvalidRequestException",
        "A previous rotation isn't complete. That rotation will be reattempted.",
    );
    assert_eq!(bench.record().await, begun);

    bench.put(2, &[PENDING]).await.unwrap();
    let taken_back = store.withdraw(&name, &id(2)).await.unwrap_err();
    assert_eq!(taken_back.code(), "InvalidRequestException");
    bench.promote(1, 2).await;
    assert!(begin(3, 30).await.unwrap());
    store.withdraw(&name, &id(3)).await.unwrap();
    let versions = bench.record().await.description.versions;
    assert_eq!(versions.len(), 2);
    assert_eq!(bench.holder(PENDING).await, None);
    let missing = store.withdraw(&name, &id(3)).await.unwrap_err();
    assert_eq!(missing.code(), "ResourceNotFoundException");
}

#[tokio::test]
async fn rotations_and_changes_by_hand_are_dated() {
    let bench = Bench::with_secret().await;
    let (store, name) = (&bench.store, name());
    store.set_rotation(&name, &every(30)).await.unwrap();
    let new = bench.record().await;
    assert_eq!(new.current_since_ms, Some(START_MS));
    let window = new.next_rotation(START_MS).unwrap();
    assert_eq!((window.start_ms, window.end_ms), (day_ms(30), day_ms(31)));

    bench.clock.advance_ms(DAY_MS);
    bench.put(2, &[PENDING]).await.unwrap();
    assert_eq!(bench.record().await.rotated_at_ms, None);
    bench.promote(1, 2).await;
    let rotated = bench.record().await;
    let now_ms = START_MS + DAY_MS;
    assert_eq!(rotated.rotated_at_ms, Some(now_ms));
    assert_eq!(rotated.current_since_ms, Some(now_ms));
    assert_eq!(rotated.next_rotation(now_ms).unwrap().start_ms, day_ms(31));

    bench.clock.advance_ms(DAY_MS);
    bench.put(4, &[]).await.unwrap();
    let by_hand = bench.record().await;
    assert_eq!(by_hand.rotated_at_ms, Some(now_ms));
    assert_eq!(by_hand.current_since_ms, Some(now_ms + DAY_MS));
}

#[tokio::test]
async fn other_settings_date_the_plan_anew() {
    let bench = Bench::with_secret().await;
    let (store, name) = (&bench.store, name());
    store.set_rotation(&name, &every(30)).await.unwrap();
    let set = bench.record().await;
    bench.clock.advance_ms(DAY_MS);
    store.set_rotation(&name, &every(30)).await.unwrap();
    assert_eq!(bench.record().await, set, "the same again is no change");
    let off = RotationSettings {
        enabled: false,
        ..every(30)
    };
    store.set_rotation(&name, &off).await.unwrap();
    let off = bench.record().await;
    assert_eq!(off.description.rotation_enabled, Some(false));
    assert_eq!(off.next_rotation(START_MS), None);
    bench.clock.advance_ms(DAY_MS);
    store.set_rotation(&name, &every(30)).await.unwrap();
    let on = bench.record().await;
    assert_eq!(on.next_rotation(START_MS).unwrap().start_ms, day_ms(32));
    let wrong = store.set_rotation(&name, &every(0)).await.unwrap_err();
    assert_eq!(wrong.code(), "InvalidParameterException");
    assert_eq!(bench.record().await, on);
}
