use async_trait::async_trait;
use keyturn_store::memory::MemoryStore;
use keyturn_store::{
    NewSecret, Notes, Put, RunGuard, SecretDescription, StoreError, SystemClock, VersionId,
};
use secrecy::SecretString;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::*;

const NAME: &str = "festival-test/secret";

fn id(number: u32) -> VersionId {
    VersionId::new(format!("00000000-0000-0000-0000-{number:012}")).unwrap()
}

async fn store_with(value: &str) -> Arc<dyn SecretStore> {
    let store = MemoryStore::new(Arc::new(SystemClock));
    let new = NewSecret {
        id: id(1),
        value: SecretString::from(value),
        description: None,
    };
    store
        .create_secret(&SecretName::new(NAME).unwrap(), new)
        .await
        .unwrap();
    Arc::new(store)
}

async fn put(store: &Arc<dyn SecretStore>, number: u32, value: &str) {
    let name = SecretName::new(NAME).unwrap();
    store
        .put(&name, &id(number), &SecretString::from(value), &[])
        .await
        .unwrap();
}

fn probe(store: &Arc<dyn SecretStore>, kind: Kind) -> Probe {
    let name = SecretName::new(NAME).unwrap();
    Probe::new(Arc::clone(store), kind, name, Duration::ZERO)
}

fn in_seconds(seconds: i64) -> String {
    let time = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    time.format(&Rfc3339).unwrap()
}

fn jwt_value(key: &str, previous: &str, complete_at: &str) -> String {
    format!(
        r#"{{"secret":"{key}","refresh_secret":"{key}-r","previous_secret":"{previous}","previous_refresh_secret":"{previous}-r",
            "algorithm":"HS256","access_token_expiry":"15m","refresh_token_expiry":"7d","rotation_complete_at":"{complete_at}"}}"#
    )
}

fn api_key_value(key: &str, previous: &str, prefix: &str) -> String {
    use sha2::Digest as _;
    let hash = |key: &str| {
        let hex: Vec<String> = sha2::Sha256::digest(key.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{prefix}{}", hex.concat())
    };
    format!(
        r#"{{"internal_api_key":"{key}","internal_api_key_hash":"{}","previous_internal_api_key":"{previous}",
            "previous_internal_api_key_hash":"{}","key_version":2,"rotation_timestamp":"{}"}}"#,
        hash(key),
        hash(previous),
        in_seconds(0)
    )
}

fn earlier_accepted(attempt: Attempt) -> u64 {
    match attempt {
        Attempt::Accepted { earlier, .. } => earlier,
        other => panic!("not accepted: {other:?}"),
    }
}

fn reason(attempt: Attempt) -> String {
    match attempt {
        Attempt::Failed { reason } => reason,
        other => panic!("not failed: {other:?}"),
    }
}

#[tokio::test]
async fn tokens_of_the_previous_secret_are_presented_and_accepted_within_the_window() {
    let store = store_with(&jwt_value("a", "z", &in_seconds(-1))).await;
    let mut probe = probe(&store, Kind::Jwt);
    assert_eq!(earlier_accepted(probe.attempt().await), 0);
    put(&store, 2, &jwt_value("b", "a", &in_seconds(700_000))).await;
    assert_eq!(
        earlier_accepted(probe.attempt().await),
        2,
        "one access and one refresh token"
    );
}

#[tokio::test]
async fn a_secret_dropped_before_its_tokens_expired_is_a_failure() {
    for dropped in [
        jwt_value("b", "", &in_seconds(700_000)),
        jwt_value("b", "a", &in_seconds(-1)),
    ] {
        let store = store_with(&jwt_value("a", "z", &in_seconds(-1))).await;
        let mut probe = probe(&store, Kind::Jwt);
        probe.attempt().await;
        put(&store, 2, &dropped).await;
        let reason = reason(probe.attempt().await);
        assert!(
            reason.contains("access token: an earlier one is refused"),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn earlier_keys_are_presented_and_accepted_within_the_window() {
    for prefix in ["", "sha256:"] {
        let store = store_with(&api_key_value("key-a", "key-z", prefix)).await;
        let mut probe = probe(
            &store,
            Kind::ApiKey {
                window: Duration::from_secs(60),
            },
        );
        assert_eq!(earlier_accepted(probe.attempt().await), 0);
        put(&store, 2, &api_key_value("key-b", "key-a", prefix)).await;
        assert_eq!(earlier_accepted(probe.attempt().await), 1);
        put(&store, 3, &api_key_value("key-c", "key-c", prefix)).await;
        let reason = reason(probe.attempt().await);
        assert!(reason.contains("an earlier key is refused"), "{reason}");
    }
}

#[tokio::test]
async fn earlier_signing_secrets_are_owed_the_window() {
    let store = store_with(r#"{"current":{"value":"secret-a"}}"#).await;
    let window = Duration::from_secs(60);
    let mut probe = probe(&store, Kind::Webhook { window });
    assert_eq!(earlier_accepted(probe.attempt().await), 0);
    let both = r#"{"current":{"value":"secret-b"},"previous":{"value":"secret-a"}}"#;
    put(&store, 2, both).await;
    assert_eq!(earlier_accepted(probe.attempt().await), 1);
    put(&store, 3, r#"{"current":{"value":"secret-c"}}"#).await;
    let reason = reason(probe.attempt().await);
    assert!(reason.contains("an earlier key is refused"), "{reason}");
}

#[tokio::test]
async fn a_key_that_left_the_ring_is_missed() {
    let (one, other) = (
        "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=",
        "MjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjI=",
    );
    let store = store_with(&format!(r#"{{"current":{{"id":"a","value":"{one}"}}}}"#)).await;
    let mut probe = probe(&store, Kind::KeyRing);
    assert_eq!(earlier_accepted(probe.attempt().await), 0);
    let ring = |key: &str| {
        format!(
            r#"{{"current":{{"id":"b","value":"{other}"}},"ring":{{"a":{{"value":"{key}"}}}}}}"#
        )
    };
    put(&store, 2, &ring(one)).await;
    assert_eq!(earlier_accepted(probe.attempt().await), 1);
    put(&store, 3, &ring(other)).await;
    let wrong = reason(probe.attempt().await);
    assert!(wrong.contains("the key a does not decrypt"), "{wrong}");
    put(
        &store,
        4,
        &format!(r#"{{"current":{{"id":"b","value":"{other}"}}}}"#),
    )
    .await;
    let lost = reason(probe.attempt().await);
    assert!(lost.contains("the ring has lost the key a"), "{lost}");
}

#[tokio::test]
async fn a_wrong_hash_is_a_failure() {
    let value = api_key_value("key-a", "key-z", "").replace("key-a", "key-x");
    let store = store_with(&value).await;
    let mut probe = probe(
        &store,
        Kind::ApiKey {
            window: Duration::from_secs(60),
        },
    );
    assert!(reason(probe.attempt().await).contains("the current key is refused"));
}

#[tokio::test]
async fn a_reason_never_repeats_the_secret() {
    for kind in [
        Kind::Jwt,
        Kind::Postgres,
        Kind::KeyRing,
        Kind::Webhook {
            window: Duration::ZERO,
        },
        Kind::ApiKey {
            window: Duration::ZERO,
        },
    ] {
        let store =
            store_with(r#"{"secret":"c4nary-value","password":"c4nary-value","port":"c4nary"#)
                .await;
        let reason = reason(probe(&store, kind).attempt().await);
        assert!(!reason.contains("c4nary"), "{reason}");
    }
}

#[tokio::test]
async fn a_refusal_counts_only_if_the_same_version_was_current_before_and_after() {
    let still = store_with("{}").await;
    assert!(probe(&still, Kind::Jwt).attempt().await.is_failure());
    let moving: Arc<dyn SecretStore> = Arc::new(PromotesMeanwhile(store_with("{}").await));
    assert_eq!(
        probe(&moving, Kind::Jwt).attempt().await,
        Attempt::Overtaken
    );
}

#[tokio::test]
async fn the_report_adds_up() {
    let store = store_with(&jwt_value("a", "z", &in_seconds(-1))).await;
    let name = SecretName::new(NAME).unwrap();
    let prober = Prober::start(&store, vec![(Kind::Jwt, name)]);
    let patience = Duration::from_secs(10);
    let wait = async {
        while prober.report().logins < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(patience, wait).await.unwrap();
    assert!(prober.is_ready());
    put(&store, 2, "{}").await;
    let wait = async {
        while prober.report().failed < 7 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(patience, wait).await.unwrap();
    let report = prober.stop().await;
    let jwt = report.of(NAME).unwrap();
    assert_eq!((report.logins, report.failed), (jwt.logins, jwt.failed));
    assert_eq!(
        (jwt.versions, jwt.last_version.as_deref()),
        (1, Some(id(1).as_str()))
    );
    assert_eq!(jwt.first_failures.len(), 5);
    assert!(jwt.logins >= 3 + 7);
}

/// A store in which another version becomes AWSCURRENT between an application's read and its second look.
struct PromotesMeanwhile(Arc<dyn SecretStore>);

#[async_trait]
impl SecretStore for PromotesMeanwhile {
    async fn get(&self, name: &SecretName, which: &Which) -> Result<StoredVersion, StoreError> {
        let answer = self.0.get(name, which).await;
        put(&self.0, 2, r#"{"another":"value"}"#).await;
        answer
    }

    async fn describe(&self, name: &SecretName) -> Result<SecretDescription, StoreError> {
        self.0.describe(name).await
    }

    async fn create_secret(&self, _: &SecretName, _: NewSecret) -> Result<(), StoreError> {
        unreachable!("a prober changes nothing")
    }

    async fn name_of(&self, _: &str) -> Result<SecretName, StoreError> {
        unreachable!("a prober knows its secret by its name")
    }

    async fn list(&self) -> Result<Vec<SecretDescription>, StoreError> {
        unreachable!("a prober reads its own secret only")
    }

    async fn put(
        &self,
        _: &SecretName,
        _: &VersionId,
        _: &SecretString,
        _: &[&str],
    ) -> Result<Put, StoreError> {
        unreachable!("a prober changes nothing")
    }

    async fn move_label(
        &self,
        _: &SecretName,
        _: &str,
        _: Option<&VersionId>,
        _: Option<&VersionId>,
    ) -> Result<(), StoreError> {
        unreachable!("a prober changes nothing")
    }

    async fn begin_run(&self, _: &SecretName) -> Result<Option<RunGuard>, StoreError> {
        unreachable!("a prober makes no run")
    }

    async fn notes(&self, _: &SecretName) -> Result<Notes, StoreError> {
        unreachable!("a prober reads values only")
    }

    async fn write_notes(&self, _: &SecretName, _: u64, _: &str) -> Result<u64, StoreError> {
        unreachable!("a prober changes nothing")
    }
}
