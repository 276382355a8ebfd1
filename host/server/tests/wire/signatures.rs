//! Who is let in, and what those are told who are not.

use harness::endpoint::{Endpoint, REGION};
use harness::signed::{Answered, Key, Request};
use keyturn_store::Clock;
use serde_json::json;

use crate::support::{ask_as, signed, signed_at, token};

const MINUTE_MS: u64 = 60_000;

async fn create(endpoint: &Endpoint, name: &str) {
    let body = json!({"Name": name, "SecretString": "the value", "ClientRequestToken": token(1)});
    let made = ask_as(endpoint, &endpoint.key, "CreateSecret", &body).await;
    assert_eq!(made.status, 200, "{}", made.body);
}

fn reading(endpoint: &Endpoint, key: &Key) -> Request {
    signed(endpoint, key, "GetSecretValue", r#"{"SecretId":"prod/a"}"#)
}

fn refused(answered: &Answered, code: &str) {
    assert_eq!(answered.code(), code, "{}", answered.body);
    assert_eq!(answered.status, 400);
    assert_eq!(answered.headers["x-amzn-errortype"], code);
}

#[tokio::test]
async fn the_same_signed_request_is_answered_as_long_as_it_is_young() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "prod/a").await;
    let request = reading(&endpoint, &endpoint.reader);
    for late_ms in [0, 0, 4 * MINUTE_MS] {
        endpoint.clock.advance_ms(late_ms);
        let answered = request.send(endpoint.address).await.unwrap();
        assert_eq!(answered.body["SecretString"], "the value");
        assert_eq!(answered.headers["x-amzn-requestid"].len(), 36);
    }
    endpoint.clock.advance_ms(2 * MINUTE_MS);
    let late = request.send(endpoint.address).await.unwrap();
    refused(&late, "InvalidSignatureException");
    let shown = |ms: u64| {
        let at = jiff::Timestamp::from_millisecond(i64::try_from(ms).unwrap()).unwrap();
        at.strftime("%Y%m%dT%H%M%SZ").to_string()
    };
    let now_ms = endpoint.clock.now_ms();
    let words = format!(
        "Signature expired: {} is now earlier than {} ({} - 5 min.)",
        request.header("x-amz-date"),
        shown(now_ms - 5 * MINUTE_MS),
        shown(now_ms),
    );
    assert_eq!(late.message(), words);
}

#[tokio::test]
async fn a_clock_that_is_ahead_by_more_than_the_skew_is_refused() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "prod/a").await;
    for (ahead, code) in [(4, ""), (6, "InvalidSignatureException")] {
        let at_ms = endpoint.clock.now_ms() + ahead * MINUTE_MS;
        let body = r#"{"SecretId":"prod/a"}"#;
        let request = signed_at(
            &endpoint,
            &endpoint.key,
            "GetSecretValue",
            body,
            at_ms,
            REGION,
        );
        assert_eq!(
            request.send(endpoint.address).await.unwrap().code(),
            code,
            "{ahead} minutes"
        );
    }
}

#[tokio::test]
async fn whatever_is_changed_after_signing_is_noticed() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "prod/a").await;
    create(&endpoint, "prod/b").await;
    let whole = reading(&endpoint, &endpoint.key);
    let mut body = whole.clone();
    body.body = body.body.replace("prod/a", "prod/b");
    let mut padded = whole.clone();
    padded.body.push(' ');
    for changed in [
        body,
        padded,
        whole
            .clone()
            .with("x-amz-target", "secretsmanager.DeleteSecret"),
        whole.clone().with("host", "other.example"),
        whole
            .clone()
            .with("content-type", "application/x-amz-json-1.1; charset=utf-8"),
    ] {
        refused(
            &changed.send(endpoint.address).await.unwrap(),
            "InvalidSignatureException",
        );
    }
    let digit = whole.header("authorization").chars().last().unwrap();
    let other = if digit == '0' { '1' } else { '0' };
    let mut forged = whole.header("authorization").to_owned();
    forged.pop();
    forged.push(other);
    let forged = whole.with("authorization", &forged);
    refused(
        &forged.send(endpoint.address).await.unwrap(),
        "InvalidSignatureException",
    );
}

#[tokio::test]
async fn what_says_what_is_asked_has_to_be_signed() {
    let endpoint = Endpoint::start().await.unwrap();
    let whole = reading(&endpoint, &endpoint.key);
    for header in ["host", "x-amz-date", "x-amz-target"] {
        let authorization = whole.header("authorization");
        let (start, rest) = authorization.split_once("SignedHeaders=").unwrap();
        let (names, rest) = rest.split_once(',').unwrap();
        let names: Vec<_> = names.split(';').filter(|name| *name != header).collect();
        let without = format!("{start}SignedHeaders={},{rest}", names.join(";"));
        let answered = whole
            .clone()
            .with("authorization", &without)
            .send(endpoint.address)
            .await
            .unwrap();
        refused(&answered, "InvalidSignatureException");
        let message = format!("'{header}' must be a 'SignedHeader' in the AWS Authorization.");
        assert_eq!(answered.message(), message);
    }
}

#[tokio::test]
async fn a_request_without_a_whole_signature_is_told_what_is_missing() {
    let endpoint = Endpoint::start().await.unwrap();
    let whole = reading(&endpoint, &endpoint.key);
    let authorization = whole.header("authorization").to_owned();
    let unsigned = whole
        .clone()
        .without("authorization")
        .send(endpoint.address)
        .await
        .unwrap();
    refused(&unsigned, "MissingAuthenticationTokenException");
    for broken in [
        "Bearer abc".to_owned(),
        "AWS4-HMAC-SHA256".to_owned(),
        authorization.replace("Credential=", "Credentials="),
        authorization.replace("SignedHeaders=", "Headers="),
        authorization.replace("Signature=", "Signature=xyz"),
        authorization.replace("/aws4_request", ""),
    ] {
        let answered = whole
            .clone()
            .with("authorization", &broken)
            .send(endpoint.address)
            .await
            .unwrap();
        refused(&answered, "IncompleteSignatureException");
        assert!(
            !answered.message().contains(&broken),
            "{}",
            answered.message()
        );
    }
    let undated = whole
        .clone()
        .without("x-amz-date")
        .send(endpoint.address)
        .await
        .unwrap();
    refused(&undated, "IncompleteSignatureException");
    let misdated = whole
        .with("x-amz-date", "yesterday")
        .send(endpoint.address)
        .await
        .unwrap();
    refused(&misdated, "IncompleteSignatureException");
}

#[tokio::test]
async fn an_unknown_key_a_foreign_token_and_a_foreign_scope_are_refused() {
    let endpoint = Endpoint::start().await.unwrap();
    let stranger = Key {
        id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret: endpoint.key.secret.clone(),
    };
    refused(
        &reading(&endpoint, &stranger)
            .send(endpoint.address)
            .await
            .unwrap(),
        "UnrecognizedClientException",
    );
    let impostor = Key {
        id: endpoint.key.id.clone(),
        secret: endpoint.reader.secret.clone(),
    };
    refused(
        &reading(&endpoint, &impostor)
            .send(endpoint.address)
            .await
            .unwrap(),
        "InvalidSignatureException",
    );
    let at_ms = endpoint.clock.now_ms();
    let body = r#"{"SecretId":"prod/a"}"#;
    let elsewhere = signed_at(
        &endpoint,
        &endpoint.key,
        "GetSecretValue",
        body,
        at_ms,
        "us-east-1",
    );
    let elsewhere = elsewhere.send(endpoint.address).await.unwrap();
    refused(&elsewhere, "InvalidSignatureException");
    assert_eq!(
        elsewhere.message(),
        "Credential should be scoped to a valid region: 'eu-west-1'."
    );
    let session = reading(&endpoint, &endpoint.key).with("x-amz-security-token", "abc");
    assert_eq!(session.send(endpoint.address).await.unwrap().status, 400);
}

#[tokio::test]
async fn a_key_does_what_it_is_granted_and_learns_nothing_else() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "prod/a").await;
    create(&endpoint, "staging/a").await;
    let ask = async |operation, body| ask_as(&endpoint, &endpoint.reader, operation, &body).await;
    let read = ask("GetSecretValue", json!({"SecretId": "prod/a"})).await;
    assert_eq!(read.body["SecretString"], "the value");
    let absent = ask("GetSecretValue", json!({"SecretId": "prod/b"})).await;
    refused(&absent, "ResourceNotFoundException");
    // Whether it is there or not.
    for name in [
        "staging/a",
        "staging/b",
        "prod",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:staging/a",
    ] {
        let denied = ask("GetSecretValue", json!({"SecretId": name})).await;
        refused(&denied, "AccessDeniedException");
    }
    // An ARN without its suffix may end like one with it.
    create(&endpoint, "staging/my-secret").await;
    for name in ["my-secret", "my-absent"] {
        let arn = format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:staging/{name}");
        let denied = ask("GetSecretValue", json!({"SecretId": arn})).await;
        refused(&denied, "AccessDeniedException");
        let on = format!(" on resource: staging/{name} because");
        assert!(denied.message().contains(&on), "{}", denied.message());
    }
    let write = json!({"SecretId": "prod/a", "SecretString": "x", "ClientRequestToken": token(2)});
    let denied = ask("PutSecretValue", write).await;
    refused(&denied, "AccessDeniedException");
    assert_eq!(
        denied.message(),
        "User: arn:aws:iam::123456789012:user/reader is not authorized to perform: secretsmanager:PutSecretValue \
         because no identity-based policy allows the secretsmanager:PutSecretValue action"
    );
    let listed = ask("ListSecrets", json!({})).await;
    let names: Vec<_> = listed.body["SecretList"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["Name"])
        .collect();
    assert_eq!(names, ["prod/a"]);
}
