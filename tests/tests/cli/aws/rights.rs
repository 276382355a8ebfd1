//! What AWS's own policy for rotation functions is enough for, and what is off without the right to write notes.

use super::OnAws;
use crate::interruption::{continues_alternating_by, finish_now, kill_at};
use crate::support::Site as _;
use crate::support::Workspace;
use crate::support::festival::SECRET;
use crate::support::served::TEMPLATE_POLICY;
use crate::tokens::jwt_value;

const JWT: &str = "app-prod/jwt";

fn jwt(more: &str) -> Workspace {
    let workspace = Workspace::with(&format!(
        "[secret.\"{JWT}\"]\nplugin = \"jwt\"\ngrace_seconds = 604800\n{more}\n"
    ));
    workspace.create(JWT, &jwt_value().to_string());
    workspace
}

fn found(workspace: &Workspace, finding: &str) -> usize {
    workspace
        .audit()
        .matches(&format!("\"id\":\"{finding}\""))
        .count()
}

#[test]
fn a_database_rotates_again_and_again_without_notes() {
    let site = OnAws::start("alternating", TEMPLATE_POLICY);
    let workspace = site.workspace();
    for rotations in 1..=3 {
        let before = workspace.current(SECRET);
        workspace.run(&["rotate", SECRET]).succeeded();
        site.current_logs_in();
        assert_ne!(workspace.current(SECRET)["username"], before["username"]);
        // Without a note of when it is due nothing may stand under KEYTURN_RETIRING.
        let labels: Vec<_> = workspace.labels(SECRET).into_keys().collect();
        assert_eq!(labels, ["AWSCURRENT", "AWSPREVIOUS"]);
        assert_eq!(found(workspace, "notes-not-kept"), rotations);
        site.login(&before)
            .expect("the superseded value is not retired");
    }
    workspace
        .run(&["retire", SECRET])
        .succeeded()
        .says(&["no old value waits for its end"]);
    assert!(workspace.describe(SECRET).tags.is_empty());
}

#[test]
fn an_interrupted_rotation_continues_without_notes() {
    let site = OnAws::start("alternating", TEMPLATE_POLICY);
    for effect in [
        "intent create",
        "intent set",
        "outcome set",
        "intent promote",
    ] {
        kill_at(&site, effect, || {
            site.current_logs_in();
            finish_now(&site);
            site.current_logs_in();
        });
    }
    let labels: Vec<_> = site.workspace().labels(SECRET).into_keys().collect();
    assert_eq!(labels, ["AWSCURRENT", "AWSPREVIOUS"]);
}

#[test]
fn a_token_rotates_without_notes_and_an_announcement_does_not() {
    let workspace = jwt("");
    let served = workspace.serve(TEMPLATE_POLICY);
    let before = workspace.current(JWT);
    workspace.run(&["rotate", JWT]).succeeded();
    assert_eq!(workspace.current(JWT)["previous_secret"], before["secret"]);
    drop(served);

    let workspace = jwt("lead_seconds = 1");
    let _served = workspace.serve(TEMPLATE_POLICY);
    let before = workspace.labels(JWT)["AWSCURRENT"].clone();
    for _ in 0..2 {
        let refused = workspace.run(&["rotate", JWT]);
        refused.failed(4, &["secretsmanager:TagResource"]);
        assert_eq!(workspace.labels(JWT)["AWSCURRENT"], before);
    }
}

#[test]
fn credentials_that_share_a_secret_need_notes() {
    let workspace = Workspace::with(&format!(
        "[secret.\"{JWT}\".credential.tokens]\nplugin = \"jwt\"\n"
    ));
    workspace.create(JWT, &jwt_value().to_string());
    let _served = workspace.serve(TEMPLATE_POLICY);
    let refused = workspace.run(&["rotate", &format!("{JWT}#tokens")]);
    refused.failed(4, &["secretsmanager:TagResource"]);
}

#[test]
fn a_missing_right_is_named_and_nothing_is_changed() {
    let workspace = jwt("");
    let _served = workspace.serve(&[
        "DescribeSecret",
        "GetSecretValue",
        "UpdateSecretVersionStage",
    ]);
    let before = workspace.labels(JWT)["AWSCURRENT"].clone();
    let refused = workspace.run(&["rotate", JWT]);
    refused.failed(
        4,
        &["allow secretsmanager:PutSecretValue", "nothing was changed"],
    );
    assert_eq!(workspace.labels(JWT)["AWSCURRENT"], before);
}

#[test]
fn a_rotation_with_notes_leaves_what_it_owes_in_tags() {
    let site = OnAws::start("alternating", &["*"]);
    let workspace = site.workspace();
    workspace.run(&["rotate", SECRET]).succeeded();
    let tags = workspace.describe(SECRET).tags;
    assert!(
        tags.contains_key("keyturn:notes") && tags.contains_key("keyturn:notes.1"),
        "{tags:?}"
    );
    let shown = workspace
        .run(&["secret", "describe", SECRET, "--json"])
        .succeeded()
        .json();
    assert_eq!(
        shown["tags"],
        serde_json::json!({}),
        "notes are not the operator's tags"
    );
    let labels: Vec<_> = workspace.labels(SECRET).into_keys().collect();
    assert_eq!(labels, ["AWSCURRENT", "AWSPREVIOUS", "KEYTURN_RETIRING"]);
    crate::tokens::retire_when_due(workspace, SECRET);
    continues_alternating_by(&site, crate::interruption::finish);
}
