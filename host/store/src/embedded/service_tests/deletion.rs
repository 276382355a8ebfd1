//! A mark for deletion, what it keeps away, how it is taken back, and what is left when it is due.

use super::{Bench, DAY_MS, START_MS, assert_refused, every, id, name, new, tags};
use crate::labels::{CURRENT, PENDING};
use crate::service::{Recovery, Update};
use crate::store::SecretStore;
use crate::types::{SecretName, Which};

const MARKED: &str =
    "You can't perform this operation on the secret because it was marked for deletion.";

#[tokio::test]
async fn a_deleted_secret_is_only_described() {
    let bench = Bench::with_secret().await;
    let (store, name) = (&bench.store, name());
    bench.put(2, &[PENDING]).await.unwrap();
    let before = bench.record().await;
    let deletion = store.delete(&name, Recovery::Days(7)).await.unwrap();
    assert_eq!(deletion.deleted_at_ms, START_MS);
    assert_eq!(deletion.due_at_ms, START_MS + 7 * DAY_MS);
    let marked = bench.record().await;
    assert_eq!(marked.deletion, Some(deletion));
    assert_eq!(marked.description.versions, before.description.versions);
    assert_eq!(store.describe(&name).await.unwrap(), marked.description);
    assert_eq!(store.notes(&name).await.unwrap().revision, 0);
    assert!(store.list().await.unwrap().is_empty());

    let update = Update {
        description: Some("other".to_owned()),
        ..Update::default()
    };
    let current = Which::current();
    for refused in [
        store.get(&name, &current).await.map(drop),
        store.access(&name, &current).await.map(drop),
        bench.put(3, &[]).await,
        bench.put(2, &[PENDING]).await,
        store
            .move_label(&name, CURRENT, Some(&id(1)), Some(&id(2)))
            .await,
        store.reserve(&name, &id(3)).await,
        store.begin_run(&name).await.map(drop),
        store.write_notes(&name, 0, "{}").await.map(drop),
        store.update(&name, update).await.map(drop),
        store.tag(&name, &tags(&[("b", "")])).await,
        store.untag(&name, &["a".to_owned()]).await,
        store.set_rotation(&name, &every(1)).await,
        store
            .begin_rotation(&name, &id(3), &every(1))
            .await
            .map(drop),
        store.withdraw(&name, &id(2)).await,
        store.resource_policy(&name).await.map(drop),
        store.set_resource_policy(&name, None, false).await,
    ] {
        assert_refused(refused, "InvalidRequestException", MARKED);
    }
    assert_refused(
        bench.create(new()).await,
        "InvalidRequestException",
        "You can't create this secret because a secret with this name is already scheduled for deletion.",
    );
    assert_refused(
        store.delete(&name, Recovery::Days(30)).await,
        "InvalidRequestException",
        "You can't perform this operation on the secret because it was already scheduled for deletion.",
    );
    assert_eq!(bench.record().await, marked);

    store.restore(&name).await.unwrap();
    assert_eq!(bench.record().await, before);
    assert!(store.get(&name, &current).await.is_ok());
    store.restore(&name).await.unwrap();
}

#[tokio::test]
async fn a_secret_is_gone_once_its_deletion_is_due() {
    let bench = Bench::with_secret().await;
    let (store, name) = (&bench.store, name());
    let kept = SecretName::new("shop/kept").unwrap();
    store.create_record(&kept, new()).await.unwrap();
    store.delete(&name, Recovery::Days(7)).await.unwrap();
    bench.clock.advance_ms(7 * DAY_MS - 1);
    assert!(store.purge_due().await.unwrap().is_empty());
    bench.clock.advance_ms(1);
    assert_eq!(
        store.restore(&name).await.unwrap_err().code(),
        "ResourceNotFoundException"
    );
    assert_eq!(
        store.purge_due().await.unwrap(),
        std::slice::from_ref(&name)
    );
    assert_eq!(
        store.record(&name).await.unwrap_err().code(),
        "ResourceNotFoundException"
    );
    assert!(store.purge_due().await.unwrap().is_empty());
    assert!(store.get(&kept, &Which::current()).await.is_ok());
}

#[tokio::test]
async fn a_name_is_free_again_and_gets_another_arn() {
    let bench = Bench::with_secret().await;
    let (store, name) = (&bench.store, name());
    let first = bench.record().await.arn_suffix;
    bench.put(2, &[PENDING]).await.unwrap();
    let deletion = store.delete(&name, Recovery::None).await.unwrap();
    assert_eq!(deletion.due_at_ms, START_MS);
    assert_eq!(
        store
            .delete(&name, Recovery::None)
            .await
            .unwrap_err()
            .code(),
        "ResourceNotFoundException"
    );
    let second = bench.create(new()).await.unwrap();
    assert_ne!(second, first);
    assert_eq!(bench.record().await.description.versions.len(), 1);
    // Marked, then removed at once.
    store.delete(&name, Recovery::Days(30)).await.unwrap();
    store.delete(&name, Recovery::None).await.unwrap();
    bench.create(new()).await.unwrap();
    // Due, and nobody has removed it yet.
    store.delete(&name, Recovery::Days(7)).await.unwrap();
    bench.clock.advance_ms(7 * DAY_MS);
    let third = bench.create(new()).await.unwrap();
    let record = bench.record().await;
    assert_eq!((record.arn_suffix, record.deletion), (third, None));
}
