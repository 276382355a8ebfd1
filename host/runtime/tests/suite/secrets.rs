//! Nothing that a plugin writes carries a secret out.

use keyturn_runtime::{CreateRequest, ErrorKind, Input, Purpose, Severity};

use crate::support::*;

const FORMS: &str = "raw canary-current-password b64 Y2FuYXJ5LWN1cnJlbnQtcGFzc3dvcmQ= hex 63616e6172792d63757272656e742d70617373776f7264";

#[tokio::test]
async fn logs_are_scrubbed_and_escaped() {
    let (plugin, lines) = load().await;
    let script = format!("log {FORMS} {{candidate}} at 127.0.0.1 {{esc}}");
    steps(&plugin, &plain(1), &script, &current(1)).await;
    let records = lines.take();
    assert_eq!(records.len(), 1);
    let expected = "raw [secret] b64 [secret]= hex [secret] [secret] at 127.0.0.1 \\u{1b}[31m";
    assert_eq!(records[0].message, expected);
    assert_eq!(records[0].fields, [("key".to_owned(), expected.to_owned())]);
    assert_eq!(
        (records[0].function, records[0].severity),
        ("set", Severity::Info)
    );
}

#[tokio::test]
async fn errors_and_findings_are_scrubbed() {
    let (plugin, _) = load().await;
    let error = set(
        &plugin,
        grant(&plain(1), "fail {current} {candidate}"),
        &current(1),
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert_eq!(error.message, "[secret] [secret]");
    assert_eq!(error.details[1].1, "[secret] [secret]");
    assert_eq!(error.failed_companion(), Some("admin"));
    let found = steps(&plugin, &plain(1), "no-such-step;bytes 1", &current(1)).await;
    assert_eq!(found, ["no connection", "1"]);
}

#[tokio::test]
async fn generated_passwords_and_inputs_are_secrets() {
    let (plugin, lines) = load().await;
    steps(
        &plugin,
        &plain(1),
        "password;log new {generated}.",
        &current(1),
    )
    .await;
    assert_eq!(lines.take()[0].message, "new [secret].");
    let granted = plugin
        .grant(grant(
            &plain(1),
            "log an operator-typed-key;make {'host':'127.0.0.1','port':1}",
        ))
        .unwrap();
    let inputs = vec![Input {
        name: "key".into(),
        value: "operator-typed-key".to_owned().into(),
    }];
    let request = CreateRequest {
        purpose: Purpose::Replace,
        inputs,
        overlap_seconds: 0,
        next_rotation: None,
        restore: None,
    };
    granted.create(&call(&current(1)), &request).await.unwrap();
    assert_eq!(lines.take()[0].message, "an [secret]");
}

#[tokio::test]
async fn a_log_flood_is_cut_with_one_line() {
    let (plugin, lines) = load().await;
    steps(&plugin, &plain(1), "flood 5000", &current(1)).await;
    let records = lines.take();
    assert_eq!(records.len(), 201);
    assert_eq!(
        records[200].message,
        "the plugin logs more than it may; the rest of this call's lines is dropped"
    );
}

#[tokio::test]
async fn debug_output_holds_no_secret() {
    let call = call(&current(1));
    let shown = format!("{call:?} {:?}", version("v2", &current(1)));
    assert!(!shown.contains("canary"), "{shown}");
}
