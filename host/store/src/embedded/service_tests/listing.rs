//! Lists: order, filters, and pages that neither repeat nor leave out what stays.

use super::{Bench, id, tags, value};
use crate::service::filter::{Filter, FilterKey};
use crate::service::{ListQuery, NewRecord, Recovery, SortBy};
use crate::store::SecretStore;
use crate::types::{SecretName, Which};

async fn create(bench: &Bench, text: &str, new: NewRecord) -> SecretName {
    bench.clock.advance_ms(1_000);
    let name = SecretName::new(text).unwrap();
    bench.store.create_record(&name, new).await.unwrap();
    name
}

fn plain() -> NewRecord {
    NewRecord {
        value: Some((id(1), value(1))),
        ..NewRecord::default()
    }
}

fn sorted(sort_by: SortBy, descending: bool) -> ListQuery {
    ListQuery {
        sort_by,
        descending,
        ..ListQuery::default()
    }
}

/// The names of one page.
async fn names(bench: &Bench, query: ListQuery) -> (Vec<String>, Option<String>) {
    let page = bench.store.records(query, |_| true).await.unwrap();
    let names = page.records.iter();
    let names = names.map(|record| record.description.name.as_str().to_owned());
    (names.collect(), page.next_token)
}

#[tokio::test]
async fn secrets_are_listed_in_four_orders() {
    let bench = Bench::new();
    let b = create(&bench, "b", plain()).await;
    let a = create(&bench, "a", plain()).await;
    create(&bench, "c", plain()).await;
    bench.clock.advance_ms(1_000);
    bench.store.put(&a, &id(2), &value(2), &[]).await.unwrap();
    bench.store.access(&b, &Which::current()).await.unwrap();
    for (sort_by, expected) in [
        (SortBy::Created, ["b", "a", "c"]),
        (SortBy::Changed, ["b", "c", "a"]),
        (SortBy::Accessed, ["a", "c", "b"]),
        (SortBy::Name, ["a", "b", "c"]),
    ] {
        let (found, next) = names(&bench, sorted(sort_by, false)).await;
        assert_eq!(
            (found.as_slice(), next),
            (&expected.map(String::from)[..], None)
        );
        let (mut found, _) = names(&bench, sorted(sort_by, true)).await;
        found.reverse();
        assert_eq!(found, expected, "{sort_by:?}, backwards");
    }
    let records = bench
        .store
        .records(ListQuery::default(), |_| true)
        .await
        .unwrap()
        .records;
    for record in records {
        let name = &record.description.name;
        assert_eq!(record, bench.store.record(name).await.unwrap());
    }
}

#[tokio::test]
async fn deleted_secrets_are_listed_when_asked_for() {
    let bench = Bench::new();
    create(&bench, "a", plain()).await;
    let b = create(&bench, "b", plain()).await;
    bench.store.delete(&b, Recovery::Days(7)).await.unwrap();
    let (found, _) = names(&bench, ListQuery::default()).await;
    assert_eq!(found, ["a"]);
    let all = ListQuery {
        with_deleted: true,
        ..ListQuery::default()
    };
    assert_eq!(names(&bench, all).await.0, ["a", "b"]);
}

#[tokio::test]
async fn a_list_shows_what_its_filters_let_through() {
    let bench = Bench::new();
    for (name, team) in [("shop/a", "Blue"), ("shop/b", "Red"), ("other", "Blue")] {
        let new = NewRecord {
            tags: tags(&[("Team", team)]),
            ..plain()
        };
        create(&bench, name, new).await;
    }
    let filter = |key, value: &str| Filter {
        key,
        values: vec![value.to_owned()],
    };
    let query = |filters| ListQuery {
        filters,
        region: "eu-central-1".to_owned(),
        ..ListQuery::default()
    };
    let (name, team) = (
        filter(FilterKey::Name, "shop/"),
        filter(FilterKey::TagValue, "Blue"),
    );
    let both = query(vec![name.clone(), team]);
    assert_eq!(names(&bench, both).await.0, ["shop/a"]);
    let red = filter(FilterKey::All, "red");
    assert_eq!(names(&bench, query(vec![red])).await.0, ["shop/b"]);
    let elsewhere = filter(FilterKey::PrimaryRegion, "us-");
    assert!(names(&bench, query(vec![elsewhere])).await.0.is_empty());
    let wrong = filter(FilterKey::Name, "*");
    let error = bench
        .store
        .records(query(vec![name, wrong]), |_| true)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "InvalidParameterException");
}

#[tokio::test]
async fn pages_neither_repeat_nor_leave_out_what_stays() {
    for (sort_by, descending) in [
        (SortBy::Created, false),
        (SortBy::Created, true),
        (SortBy::Name, false),
        (SortBy::Name, true),
        // All of them were never read: only their names part them.
        (SortBy::Accessed, false),
        (SortBy::Accessed, true),
    ] {
        let bench = Bench::new();
        for number in 0..7 {
            create(&bench, &format!("secret-{number}"), plain()).await;
        }
        let mut seen = Vec::new();
        let mut token = None;
        loop {
            let query = ListQuery {
                limit: 3,
                token,
                ..sorted(sort_by, descending)
            };
            let (found, next) = names(&bench, query).await;
            seen.extend(found);
            if seen.len() == 3 {
                // One that was told goes.
                let name = SecretName::new(seen[2].clone()).unwrap();
                bench.store.delete(&name, Recovery::None).await.unwrap();
            }
            token = match next {
                Some(next) => Some(next),
                None => break,
            };
        }
        let mut expected: Vec<_> = (0..7).map(|number| format!("secret-{number}")).collect();
        if descending {
            expected.reverse();
        }
        assert_eq!(seen, expected, "{sort_by:?} {descending}");
    }
}

#[tokio::test]
async fn a_token_belongs_to_its_list() {
    let bench = Bench::new();
    for name in ["a", "b"] {
        create(&bench, name, plain()).await;
    }
    let first = ListQuery {
        limit: 1,
        ..sorted(SortBy::Name, false)
    };
    let (_, token) = names(&bench, first).await;
    assert!(token.is_some());
    for query in [sorted(SortBy::Created, false), sorted(SortBy::Name, true)] {
        let query = ListQuery {
            token: token.clone(),
            ..query
        };
        let error = bench.store.records(query, |_| true).await.unwrap_err();
        assert_eq!(error.code(), "InvalidNextTokenException");
        assert_eq!(error.client_message(), "Invalid token.");
    }
    for limit in [0, 101] {
        let query = ListQuery {
            limit,
            ..ListQuery::default()
        };
        let error = bench.store.records(query, |_| true).await.unwrap_err();
        assert_eq!(error.code(), "InvalidParameterException");
    }
}

#[tokio::test]
async fn what_is_hidden_leaves_no_gap_and_no_trace() {
    let bench = Bench::new();
    for name in ["a", "hidden-b", "c", "hidden-d"] {
        create(&bench, name, plain()).await;
    }
    let mut seen = Vec::new();
    let mut token = None;
    loop {
        let query = ListQuery {
            limit: 1,
            token,
            ..sorted(SortBy::Name, false)
        };
        let is_visible = |name: &SecretName| !name.as_str().starts_with("hidden");
        let page = bench.store.records(query, is_visible).await.unwrap();
        seen.push(page.records[0].description.name.to_string());
        token = match page.next_token {
            Some(next) => Some(next),
            None => break,
        };
    }
    // The last one is said to be the last.
    assert_eq!(seen, ["a", "c"]);
}
