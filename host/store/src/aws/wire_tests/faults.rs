//! What goes wrong on the way, and what the caller hears of it.

use std::time::{Duration, Instant};

use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Config, Credentials, Region};
use serde_json::json;

use super::{Endpoint, Reply, described, id, name, not_found, promote, put, seen, value};
use crate::aws::{ATTEMPTS_MAX, AwsStore, Invocation};
use crate::error::{Changed, ErrorKind};
use crate::labels::{CURRENT, PENDING};
use crate::store::SecretStore;
use crate::types::Which;

const THROTTLED: Reply = Reply::Error(400, "ThrottlingException");
const OUTAGE: Reply = Reply::Error(500, "InternalServiceError");

#[tokio::test]
async fn what_passes_is_repeated() {
    for fault in [THROTTLED, OUTAGE, Reply::Error(503, ""), Reply::Cut] {
        let replies = [fault.clone(), fault, value(1, "v", &[CURRENT])];
        let endpoint = Endpoint::new(replies).await;
        endpoint
            .store
            .get(&name(), &Which::current())
            .await
            .unwrap();
        assert_eq!(endpoint.operations(), ["GetSecretValue"; 3]);
    }
}

/// As long as one request may take.
#[tokio::test]
async fn a_request_without_an_answer_is_repeated_within_its_call() {
    let endpoint = Endpoint::new([Reply::Hang, value(1, "v", &[CURRENT])]).await;
    let read = endpoint.store.get(&name(), &Which::current()).await;
    assert_eq!(read.unwrap().id, id(1));
    assert_eq!(endpoint.operations(), ["GetSecretValue"; 2]);
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let deadline = Instant::now() + Duration::from_millis(300);
    for reply in [Reply::Hang, Reply::Hang] {
        let endpoint = Endpoint::new([reply]).await;
        let store = endpoint.store.within(Invocation {
            deadline: Some(deadline),
            ..Invocation::default()
        });
        let error = store.get(&name(), &Which::current()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.is_retryable());
        assert_eq!(error.changed(), Changed::No);
        assert!(Instant::now() < deadline + Duration::from_secs(2));
    }
}

#[tokio::test]
async fn a_write_without_an_answer_may_have_taken_effect() {
    let replies = [not_found(), described(&[(CURRENT, 1)]), Reply::Hang];
    let endpoint = Endpoint::new(replies).await;
    let store = endpoint.store.within(Invocation {
        deadline: Some(Instant::now() + Duration::from_secs(3)),
        ..Invocation::default()
    });
    let put = store
        .put(&name(), &id(2), &"canary-value".into(), &[PENDING])
        .await;
    let error = put.unwrap_err();
    assert_eq!(
        (error.kind(), error.changed()),
        (ErrorKind::Unavailable, Changed::Unknown)
    );
    assert!(!format!("{error:?} {error}").contains("canary"));
}

#[tokio::test]
async fn refusals_keep_their_kind() {
    for (status, code, kind) in [
        (400, "ResourceNotFoundException", ErrorKind::NotFound),
        (
            400,
            "InvalidParameterException",
            ErrorKind::InvalidParameter,
        ),
        (400, "ValidationException", ErrorKind::InvalidParameter),
        (400, "InvalidRequestException", ErrorKind::InvalidRequest),
        (400, "LimitExceededException", ErrorKind::LimitExceeded),
        (400, "DecryptionFailure", ErrorKind::Decryption),
        (400, "EncryptionFailure", ErrorKind::Encryption),
        (400, "AccessDeniedException", ErrorKind::AccessDenied),
        (
            403,
            "UnrecognizedClientException",
            ErrorKind::Unauthenticated,
        ),
        (403, "InvalidSignatureException", ErrorKind::Unauthenticated),
        (403, "ExpiredTokenException", ErrorKind::Unauthenticated),
        (400, "SomethingNewException", ErrorKind::InvalidRequest),
    ] {
        // The SDK takes this one for throttling.
        let requests = if kind == ErrorKind::LimitExceeded {
            8
        } else {
            1
        };
        let endpoint = Endpoint::new(vec![Reply::Error(status, code); requests]).await;
        let read = endpoint.store.get(&name(), &Which::current()).await;
        let error = read.unwrap_err();
        assert_eq!(
            (error.kind(), error.changed()),
            (kind, Changed::No),
            "{code}"
        );
        assert!(!error.is_retryable(), "{code}");
        assert!(
            error.to_string().contains(&format!("words of {code}")),
            "{error}"
        );
        assert_eq!(endpoint.operations().len(), requests, "{code}");
    }
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let denied = Reply::Error(400, "AccessDeniedException");
    let endpoint = Endpoint::new([described(&[(CURRENT, 1)]), denied]).await;
    let error = endpoint
        .store
        .write_notes(&name(), 0, "{}")
        .await
        .unwrap_err();
    assert_eq!(error.code(), "AccessDeniedException");
    assert!(
        error
            .to_string()
            .contains("allow secretsmanager:TagResource"),
        "{error}"
    );
}

#[derive(Debug)]
struct Nobody(fn() -> CredentialsError);

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(self.0()))
    }
}

#[tokio::test]
async fn missing_credentials_are_told_from_a_missing_network_and_from_a_busy_provider() {
    let none: fn() -> _ = || CredentialsError::not_loaded("nobody is here");
    let busy: fn() -> _ = || CredentialsError::provider_error("nobody is here yet");
    for (nobody, kind) in [
        (none, ErrorKind::Unauthenticated),
        (busy, ErrorKind::Unavailable),
    ] {
        let config = Config::builder().credentials_provider(Nobody(nobody));
        let endpoint = Endpoint::with(config, []).await;
        let error = put(&endpoint.store, 1, &[CURRENT]).await.unwrap_err();
        assert_eq!((error.kind(), error.changed()), (kind, Changed::No));
        assert!(error.to_string().contains("nobody is here"), "{error}");
    }
}

/// As where AWS_ENDPOINT_URL or a profile names it, which this store never reads.
#[tokio::test]
async fn nothing_is_sent_in_clear_text_wherever_the_endpoint_comes_from() {
    let keys = Credentials::new("AKIDEXAMPLE", "secret-access-key", None, None, "test");
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(keys)
        .region(Region::new("eu-west-1"))
        .endpoint_url("http://192.0.2.1:8465");
    let store = AwsStore::new(Client::from_conf(config.build()));
    let began = Instant::now();
    let error = put(&store, 1, &[CURRENT]).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.changed()),
        (ErrorKind::InvalidParameter, Changed::No)
    );
    assert!(error.to_string().contains("in clear text"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn an_answer_that_is_none_is_not_quoted() {
    let endpoint = Endpoint::new([Reply::Text("{\"SecretString\": \"canary")]).await;
    let error = endpoint
        .store
        .get(&name(), &Which::current())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(
        !format!("{error:?} {error}").contains("canary"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_move_whose_answer_was_lost_is_not_made_twice() {
    let (before, after) = (&[(CURRENT, 1), (PENDING, 2)], &[(CURRENT, 2), (PENDING, 2)]);
    for lost in [Reply::Cut, OUTAGE] {
        let replies = [described(before), lost, described(after)];
        let endpoint = Endpoint::new(replies).await;
        promote(&endpoint).await.unwrap();
        let operations = endpoint.operations();
        assert_eq!(
            operations,
            [
                "DescribeSecret",
                "UpdateSecretVersionStage",
                "DescribeSecret"
            ]
        );
    }
}

#[tokio::test]
async fn a_move_that_did_not_happen_is_made_again() {
    let before = &[(CURRENT, 1), (PENDING, 2)];
    let replies = [
        described(before),
        Reply::Cut,
        described(before),
        Reply::Json(json!({})),
    ];
    let endpoint = Endpoint::new(replies).await;
    promote(&endpoint).await.unwrap();
    assert_eq!(endpoint.operations().len(), 4);
}

/// The first request took effect and its answer was lost; the read behind it lagged, so it was sent again and refused.
#[tokio::test]
async fn a_refused_repetition_of_a_lost_move_is_read_back() {
    let (before, after) = (&[(CURRENT, 1), (PENDING, 2)], &[(CURRENT, 2), (PENDING, 2)]);
    let refused = Reply::Error(400, "InvalidParameterException");
    let replies = [
        described(before),
        Reply::Cut,
        described(before),
        refused,
        described(before),
        described(after),
    ];
    let endpoint = Endpoint::new(replies).await;
    promote(&endpoint).await.unwrap();
    assert_eq!(endpoint.operations().len(), 6);
}

#[tokio::test]
async fn a_lost_race_is_refused_in_the_words_of_the_rules() {
    let (before, after) = (&[(CURRENT, 1), (PENDING, 2)], &[(CURRENT, 3), (PENDING, 2)]);
    let refused = Reply::Error(400, "InvalidParameterException");
    let endpoint = Endpoint::new([described(before), refused, described(after)]).await;
    let error = promote(&endpoint).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.changed()),
        (ErrorKind::InvalidParameter, Changed::No)
    );
    assert!(
        error
            .to_string()
            .contains(&format!("version {} does", id(3))),
        "{error}"
    );
}

#[tokio::test]
async fn reads_that_lag_behind_own_writes_are_repeated() {
    let (before, after) = (&[(CURRENT, 1), (PENDING, 2)], &[(CURRENT, 1)]);
    let listed = Reply::Json(json!({"Versions": []}));
    let replies = [
        described(before),
        Reply::Json(json!({})),
        described(before),
        described(before),
        described(after),
        listed,
    ];
    let endpoint = Endpoint::new(replies).await;
    let store = &endpoint.store;
    store
        .move_label(&name(), PENDING, Some(&id(2)), None)
        .await
        .unwrap();
    // One after the other, so that the replies come in this order.
    assert_eq!(store.look(&name()).await.unwrap().held.get(PENDING), None);
    assert_eq!(store.versions(&name()).await.unwrap().unwrap(), []);
    assert_eq!(endpoint.operations().len(), 6);
}

#[tokio::test]
async fn a_value_that_was_just_stored_is_asked_for_until_it_shows() {
    let put = Reply::Json(json!({"VersionId": id(2).as_str(), "VersionStages": [PENDING]}));
    let replies = [
        not_found(),
        described(&[(CURRENT, 1)]),
        put,
        not_found(),
        value(2, "v2", &[PENDING]),
    ];
    let endpoint = Endpoint::new(replies).await;
    let store = &endpoint.store;
    store
        .put(&name(), &id(2), &"v2".into(), &[PENDING])
        .await
        .unwrap();
    store.get(&name(), &Which::Id(id(2))).await.unwrap();
    assert_eq!(endpoint.operations().len(), 5);
}

#[tokio::test]
async fn a_pending_version_is_waited_for_only_where_it_may_have_a_value() {
    let labels = &[(CURRENT, 1), (PENDING, 2)];
    for (patience_ms, replies, has_value) in [
        (0, vec![not_found()], false),
        (2_000, vec![not_found(), value(2, "v2", &[PENDING])], true),
    ] {
        let endpoint = Endpoint::new(replies).await;
        let store = endpoint.store.within(Invocation {
            pending_patience: Duration::from_millis(patience_ms),
            ..Invocation::default()
        });
        let seen = seen(labels);
        let described = store.complete(seen, Some(Vec::new())).await.unwrap();
        assert_eq!(described.version(&id(2)).unwrap().has_value, has_value);
        endpoint.operations();
    }
}

/// createSecret expects an empty version and waits for nothing; the steps behind it do, in the same process.
#[tokio::test]
async fn not_waiting_once_is_no_reason_never_to_wait() {
    let replies = [not_found(), not_found(), value(2, "v2", &[PENDING])];
    let endpoint = Endpoint::new(replies).await;
    for (patience_ms, has_value) in [(0, false), (2_000, true)] {
        let store = endpoint.store.within(Invocation {
            pending_patience: Duration::from_millis(patience_ms),
            ..Invocation::default()
        });
        let seen = seen(&[(CURRENT, 1), (PENDING, 2)]);
        let described = store.complete(seen, Some(Vec::new())).await.unwrap();
        assert_eq!(described.version(&id(2)).unwrap().has_value, has_value);
    }
    endpoint.operations();
}

/// What is waited for between requests ends with the invocation, too: the process may not outlive it.
#[tokio::test]
async fn pauses_end_at_the_deadline() {
    let filled = Reply::Json(json!({"VersionId": id(2).as_str(), "VersionStages": [PENDING]}));
    let lagging = [
        vec![not_found(), described(&[(CURRENT, 1)]), filled],
        vec![not_found(); 3],
    ];
    let (before, refused) = (
        || described(&[(CURRENT, 1), (PENDING, 2)]),
        Reply::Error(400, "InvalidParameterException"),
    );
    let mut lost = vec![before(), Reply::Cut, before(), refused];
    lost.resize_with(40, before);
    for (is_read, replies) in [(true, lagging.concat()), (false, lost)] {
        let endpoint = Endpoint::new(replies).await;
        if is_read {
            put(&endpoint.store, 2, &[PENDING]).await.unwrap();
        }
        let deadline = Instant::now() + Duration::from_millis(300);
        let store = endpoint.store.within(Invocation {
            deadline: Some(deadline),
            ..Invocation::default()
        });
        let failed = if is_read {
            let read = store.get(&name(), &Which::Id(id(2))).await;
            read.map(drop)
        } else {
            let (from, to) = (id(1), id(2));
            store
                .move_label(&name(), CURRENT, Some(&from), Some(&to))
                .await
        };
        assert!(failed.is_err());
        assert!(
            Instant::now() < deadline + Duration::from_millis(500),
            "{is_read}"
        );
    }
}

/// It took effect, its answer was lost, and somebody else has moved the label on before anybody looked.
#[tokio::test]
async fn a_lost_move_that_was_overtaken_may_have_taken_effect() {
    let (before, later) = (&[(CURRENT, 1), (PENDING, 2)], &[(CURRENT, 3), (PENDING, 2)]);
    let refused = Reply::Error(400, "InvalidParameterException");
    let replies = [
        described(before),
        Reply::Cut,
        described(before),
        refused,
        described(later),
        described(later),
    ];
    let endpoint = Endpoint::new(replies).await;
    let error = promote(&endpoint).await.unwrap_err();
    assert_eq!(error.changed(), Changed::Unknown, "{error}");
    endpoint.operations();
}

#[tokio::test]
async fn calls_that_fail_leave_later_ones_their_retries() {
    let calls: u32 = 8;
    let outages = vec![OUTAGE; (calls * ATTEMPTS_MAX) as usize];
    let endpoint = Endpoint::new(outages).await;
    let mut failing = tokio::task::JoinSet::new();
    for _ in 0..calls {
        let store = endpoint.store.clone();
        failing.spawn(async move { store.get(&name(), &Which::current()).await.map(drop) });
    }
    let ended = failing.join_all().await;
    assert!(ended.iter().all(Result::is_err));
    // Each was repeated as often as any.
    assert_eq!(endpoint.operations().len(), (calls * ATTEMPTS_MAX) as usize);
}
