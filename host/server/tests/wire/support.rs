//! Requests to the endpoint of a test, by its own clock.

use std::time::{Duration, UNIX_EPOCH};

use harness::endpoint::{Endpoint, REGION};
use harness::signed::{Answered, Key, Request};
use keyturn_store::Clock;
use serde_json::Value;

/// Signed with `key` by the endpoint's own time.
pub(crate) fn signed(endpoint: &Endpoint, key: &Key, operation: &str, body: &str) -> Request {
    signed_at(
        endpoint,
        key,
        operation,
        body,
        endpoint.clock.now_ms(),
        REGION,
    )
}

pub(crate) fn signed_at(
    endpoint: &Endpoint,
    key: &Key,
    operation: &str,
    body: &str,
    now_ms: u64,
    region: &str,
) -> Request {
    let at = UNIX_EPOCH + Duration::from_millis(now_ms);
    Request::signed(endpoint.address, region, key, at, operation, body).unwrap()
}

/// Asks as `key`.
pub(crate) async fn ask_as(
    endpoint: &Endpoint,
    key: &Key,
    operation: &str,
    body: &Value,
) -> Answered {
    let request = signed(endpoint, key, operation, &body.to_string());
    request.send(endpoint.address).await.unwrap()
}

/// Asks as one who may do everything.
pub(crate) async fn ask(endpoint: &Endpoint, operation: &str, body: Value) -> Answered {
    ask_as(endpoint, &endpoint.key, operation, &body).await
}

/// The answer to what has to succeed.
pub(crate) async fn done(endpoint: &Endpoint, operation: &str, body: Value) -> Value {
    let answered = ask(endpoint, operation, body).await;
    assert_eq!(answered.status, 200, "{operation}: {}", answered.body);
    answered.body
}

/// A token of the right form, the same for the same number.
pub(crate) fn token(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}
