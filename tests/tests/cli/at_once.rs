//! Several commands on one secret at the same time, or a great many after each other: one works, the
//! others are refused and break nothing.

use std::time::Duration;

use harness::poll;
use serde_json::json;

use crate::support::{Workspace, end};

const JWT: &str = "festival-prod/jwt";
const PATIENCE: Duration = Duration::from_secs(60);

fn with_jwt(more: &str) -> Workspace {
    let workspace = Workspace::with(&format!("[secret.\"{JWT}\"]\nplugin = \"jwt\"\n{more}\n"));
    let value =
        json!({"secret": "a".repeat(64), "refresh_secret": "b".repeat(64), "algorithm": "HS256"});
    workspace.create(JWT, &value.to_string());
    workspace
}

#[test]
fn a_second_rotation_is_refused_and_the_grace_of_the_first_stands() {
    let workspace = with_jwt("lead_seconds = 3");
    let first = workspace.start(&["rotate", JWT]);
    // It has published the next key and waits for the verifiers.
    let announced = || workspace.audit().contains("\"waiting\"").then_some(());
    poll::until(PATIENCE, announced).expect("the first never waited");
    for command in [
        &["rotate", JWT][..],
        &["rotate", JWT, "--now"],
        &["retire", JWT],
    ] {
        workspace.run(command).failed(
            7,
            &[
                "another rotation of this secret is at work",
                "The target was not changed",
                "Wait until that run has ended",
            ],
        );
    }
    end(first, &["rotate", JWT]).succeeded();
    workspace
        .run(&["rotate", JWT])
        .failed(7, &["promised to work"]);
    assert_eq!(workspace.current(JWT)["previous_secret"], "a".repeat(64));
}

#[test]
fn a_killed_run_keeps_nobody_away() {
    let workspace = with_jwt("lead_seconds = 2");
    let mut first = workspace.start(&["rotate", JWT]);
    let announced = || workspace.audit().contains("\"waiting\"").then_some(());
    poll::until(PATIENCE, announced).expect("the first never waited");
    first.kill().unwrap();
    first.wait().unwrap();
    workspace.run(&["rotate", JWT]).succeeded();
    assert_eq!(workspace.current(JWT)["previous_secret"], "a".repeat(64));
}

#[test]
fn a_value_that_is_put_again_and_again_fills_nothing_up() {
    let workspace = with_jwt("");
    workspace.run(&["rotate", JWT]).succeeded();
    let value = workspace.text(JWT, "AWSCURRENT");
    for _ in 0..40 {
        workspace
            .run_with(&["secret", "put", JWT, "--value-stdin"], &value, &[])
            .succeeded();
    }
    let name = crate::support::secret(JWT);
    let notes = workspace.on_store(|store| async move {
        keyturn_store::SecretStore::notes(&store, &name)
            .await
            .unwrap()
    });
    assert!(notes.json.len() < 2_000, "{}", notes.json);
    // What the rotation owed is still owed.
    workspace
        .run(&["rotate", JWT])
        .failed(7, &["promised to work"]);
    workspace.run(&["retire", JWT, "--now"]).succeeded();
    assert_eq!(workspace.current(JWT).get("previous_secret"), None);
}
