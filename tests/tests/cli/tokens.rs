//! JWT secrets and API keys: the members of the secret, labels, grace, lead and retirement.

use std::time::Duration;

use harness::poll;
use serde_json::{Value, json};

use crate::support::Workspace;

const JWT: &str = "app-prod/jwt";
const KEYS: &str = "app-prod/api-keys";
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn jwt_value() -> Value {
    json!({
        "secret": "a".repeat(64), "refresh_secret": "b".repeat(64), "algorithm": "HS256",
        "access_token_expiry": "1s", "refresh_token_expiry": "2s",
    })
}

fn jwt(keys: &str) -> Workspace {
    let workspace = Workspace::with(&format!("[secret.\"{JWT}\"]\nplugin = \"jwt\"\n{keys}\n"));
    workspace.create(JWT, &jwt_value().to_string());
    workspace
}

/// Members that the plugin does not own, in spellings that a re-serialisation would lose.
const FOREIGN: &str = r#""z_odd": 1.50e3, "a\u0062c": "\u00e9\/x", "big": 123456789012345678901234567890, "list": [1 , 2.0,{"b":1,"a":2}]"#;

fn api_key(keys: &str) -> Workspace {
    let workspace = Workspace::with(&format!(
        "[secret.\"{KEYS}\"]\nplugin = \"api-key\"\n{keys}\n"
    ));
    workspace.create(
        KEYS,
        &format!(
            r#"{{{FOREIGN}, "internal_api_key": "festival_sk_live_{}", "key_version": 4, "created_at": "2025-01-01T00:00:00Z", "expires_at": "2025-07-01T00:00:00Z"}}"#,
            "k".repeat(43)
        ),
    );
    workspace
}

/// Runs until what was refused for its time is through.
pub(crate) fn retire_when_due(workspace: &Workspace, name: &str) {
    let ended = poll::until(PATIENCE, || {
        let ended = workspace.run(&["retire", name]);
        (ended.code != Some(7)).then_some(ended)
    });
    ended.unwrap().succeeded();
}

#[test]
fn a_jwt_rotation_keeps_the_old_pair_and_moves_two_labels() {
    let workspace = jwt("grace_seconds = 604800");
    let before = workspace.labels(JWT);
    let shown = workspace.run(&["rotate", JWT, "--json"]).succeeded().json();
    let after = workspace.labels(JWT);

    assert_eq!(shown["outcome"], "rotated");
    assert_eq!(shown["secret"], JWT);
    assert_eq!(shown["error"], Value::Null);
    assert_eq!(
        shown["labels_before"],
        json!({"AWSCURRENT": before["AWSCURRENT"]})
    );
    assert_eq!(shown["labels_after"], json!(after));
    assert_eq!(shown["version"]["before"], before["AWSCURRENT"]);
    assert_eq!(shown["version"]["after"], after["AWSCURRENT"]);
    assert_eq!(after["AWSPREVIOUS"], before["AWSCURRENT"]);
    assert_eq!(after.len(), 2, "{after:?}");
    let steps: Vec<_> = shown["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["createSecret", "testSecret", "finishSecret"]);

    let value = workspace.current(JWT);
    assert_eq!(value["previous_secret"], "a".repeat(64));
    assert_eq!(value["previous_refresh_secret"], "b".repeat(64));
    for member in ["secret", "refresh_secret"] {
        assert!(value[member].as_str().unwrap().len() >= 64);
    }
    assert_ne!(value["secret"], value["refresh_secret"]);
    assert_ne!(value["secret"], value["previous_secret"]);
    assert_eq!(value["access_token_expiry"], "1s");
    assert_eq!(value["algorithm"], "HS256");
    for member in ["rotation_timestamp", "rotation_complete_at"] {
        assert!(value[member].is_string(), "{member}");
    }
}

#[test]
fn within_its_grace_a_second_rotation_is_refused_unless_it_must_be_now() {
    let workspace = jwt("grace_seconds = 604800");
    workspace.run(&["rotate", JWT]).succeeded();
    let first = workspace.labels(JWT);
    let text = workspace.text(JWT, "AWSCURRENT");

    let refused = workspace.run(&["rotate", JWT]).failed(
        7,
        &[
            JWT,
            "promised to work for another 7 days",
            "The target was not changed.",
            "Run it again in 7 days, at 2",
            "--now",
        ],
    );
    let (_, told) = refused.stderr.split_once("in 7 days, at ").unwrap();
    let (told, _) = told.split_once(',').unwrap();
    let rfc3339 = &time::format_description::well_known::Rfc3339;
    let told = time::OffsetDateTime::parse(told, rfc3339).unwrap();
    let status = workspace.run(&["status", JWT, "--json"]).json();
    let due_ms = status[0]["retirement"]["due_at_ms"].as_i64().unwrap();
    // It may have been told a moment late, and never early.
    let late = told.unix_timestamp() * 1000 - due_ms;
    assert!((0..90_000).contains(&late), "{refused:?} and {due_ms}");
    let shown = workspace
        .run(&["rotate", JWT, "--json"])
        .failed(7, &[])
        .json();
    assert_eq!(shown["outcome"], "refused");
    assert_eq!(shown["error"]["exit_code"], 7);
    assert_eq!(shown["error"]["applied"], "no");
    let left = shown["error"]["wait_seconds"].as_u64().unwrap();
    assert!((604_000..=604_800).contains(&left), "{left}");
    assert_eq!(workspace.labels(JWT), first);
    assert_eq!(workspace.text(JWT, "AWSCURRENT"), text);

    workspace.run(&["rotate", JWT, "--now"]).succeeded();
    let second = workspace.labels(JWT);
    assert_eq!(second["AWSPREVIOUS"], first["AWSCURRENT"]);
    assert_eq!(second.len(), 2);
}

#[test]
fn retire_waits_for_the_grace_and_then_removes_the_old_pair() {
    let workspace = jwt("grace_seconds = 3");
    workspace
        .run(&["retire", JWT])
        .succeeded()
        .says(&["no old value waits"]);
    workspace.run(&["rotate", JWT]).succeeded();
    workspace
        .run(&["retire", JWT])
        .failed(7, &["promised to work", "not changed"]);
    assert!(workspace.current(JWT).get("previous_secret").is_some());
    let rotated = workspace.current(JWT);

    retire_when_due(&workspace, JWT);
    let retired = workspace.current(JWT);
    for member in ["previous_secret", "previous_refresh_secret"] {
        assert!(retired.get(member).is_none(), "{member}");
    }
    for member in [
        "secret",
        "refresh_secret",
        "access_token_expiry",
        "rotation_timestamp",
    ] {
        assert_eq!(retired[member], rotated[member], "{member}");
    }
    let labels = workspace.labels(JWT);
    assert_eq!(labels.len(), 2, "{labels:?}");
    workspace
        .run(&["retire", JWT])
        .succeeded()
        .says(&["no old value waits"]);
}

#[test]
fn retire_now_does_not_wait() {
    let workspace = jwt("grace_seconds = 604800");
    workspace.run(&["rotate", JWT]).succeeded();
    workspace
        .run(&["retire", JWT])
        .failed(7, &["in 7 days, at 20", "Z, or with --now"]);
    workspace.run(&["retire", JWT, "--now"]).succeeded();
    assert!(workspace.current(JWT).get("previous_secret").is_none());
}

#[test]
fn a_key_with_a_lead_is_announced_before_it_signs() {
    let workspace = jwt("grace_seconds = 604800\nlead_seconds = 2");
    workspace.run(&["rotate", JWT]).succeeded();
    // Two versions were made: the announcing one, still signing with the old key, and the one that
    // signs with the announced key.
    let (announced, active): (Value, Value) = (
        serde_json::from_str(&workspace.text(JWT, "AWSPREVIOUS")).unwrap(),
        workspace.current(JWT),
    );
    assert_eq!(announced["secret"], "a".repeat(64));
    assert_eq!(announced["previous_secret"], active["secret"]);
    assert!(announced["announced_at"].is_string());
    assert_eq!(active["previous_secret"], "a".repeat(64));
    assert!(active.get("announced_at").is_none());
    assert_eq!(workspace.describe(JWT).versions.len(), 3);

    let lines: Vec<Value> = workspace
        .audit()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let at = |what: &dyn Fn(&Value) -> bool| {
        let line = lines.iter().find(|line| what(line)).unwrap();
        line["at_ms"].as_u64().unwrap()
    };
    let announced_at = at(&|line| line["event"] == "outcome" && line["effect"] == "promote");
    let finished_at = at(&|line| line["event"] == "finished");
    assert!(
        finished_at - announced_at >= 2000,
        "{announced_at} {finished_at}"
    );
}

#[test]
fn an_api_key_rotation_renews_its_members_and_leaves_the_others_byte_for_byte() {
    let workspace = api_key("grace_seconds = 604800\nrotate_after_days = 30");
    workspace.run(&["rotate", KEYS]).succeeded();
    let text = workspace.text(KEYS, "AWSCURRENT");
    for member in [
        r#"1.50e3"#,
        r#""\u00e9\/x""#,
        r#""a\u0062c""#,
        r#"123456789012345678901234567890"#,
        r#"[1 , 2.0,{"b":1,"a":2}]"#,
    ] {
        assert!(text.contains(member), "{member} is not in {text}");
    }
    let places: Vec<_> = ["z_odd", "a\\u0062c", "big", "list", "internal_api_key\""]
        .map(|member| text.find(member).unwrap())
        .into();
    assert!(places.is_sorted(), "{places:?}");

    let value: Value = workspace.current(KEYS);
    let old = format!("festival_sk_live_{}", "k".repeat(43));
    assert_eq!(value["previous_internal_api_key"], old);
    let key = value["internal_api_key"].as_str().unwrap();
    assert!(key.starts_with("festival_sk_live_") && key != old, "{key}");
    assert_eq!(value["key_version"], 5);
    assert_eq!(
        value["internal_api_key_hash"].as_str().unwrap(),
        sha256(key)
    );
    for member in ["created_at", "expires_at", "rotation_timestamp"] {
        let time = value[member].as_str().unwrap();
        assert!(!time.starts_with("2025"), "{member}: {time}");
    }
    assert!(value["created_at"].as_str() < value["expires_at"].as_str());
}

#[test]
fn an_api_key_retires_after_its_grace() {
    let workspace = api_key("grace_seconds = 2");
    workspace.run(&["rotate", KEYS]).succeeded();
    workspace
        .run(&["retire", KEYS])
        .failed(7, &["promised to work"]);
    let key = workspace.current(KEYS)["internal_api_key"].clone();
    retire_when_due(&workspace, KEYS);
    let value = workspace.current(KEYS);
    assert_eq!(value["internal_api_key"], key);
    assert_eq!(value["key_version"], 5);
    assert!(value.get("previous_internal_api_key").is_none());
    assert!(value.get("previous_internal_api_key_hash").is_none());
    assert!(workspace.text(KEYS, "AWSCURRENT").contains("1.50e3"));
}

#[test]
fn a_prefix_may_name_the_mode_of_the_environment() {
    for (environment, mode) in [("prod", "live"), ("staging", "test")] {
        let workspace = api_key(&format!(
            "environment = \"{environment}\"\nsettings = {{ prefix = \"festival_sk_{{mode}}_\" }}"
        ));
        workspace.run(&["rotate", KEYS]).succeeded();
        let value = workspace.current(KEYS);
        let key = value["internal_api_key"].as_str().unwrap();
        assert!(key.starts_with(&format!("festival_sk_{mode}_")), "{key}");
    }
}

#[test]
fn a_value_put_by_hand_forgets_no_grace() {
    let workspace = jwt("grace_seconds = 604800");
    workspace.run(&["rotate", JWT]).succeeded();
    let mut value = workspace.current(JWT);
    value["access_token_expiry"] = json!("2s");
    workspace
        .run_with(
            &["secret", "put", JWT, "--value-stdin"],
            &value.to_string(),
            &[],
        )
        .succeeded();
    workspace
        .run(&["rotate", JWT])
        .failed(7, &["is promised to work for another"]);
    workspace.run(&["retire", JWT, "--now"]).succeeded();
    assert!(workspace.current(JWT).get("previous_secret").is_none());
}

#[test]
fn a_torn_line_of_the_audit_trail_takes_no_other_with_it() {
    let workspace = jwt("grace_seconds = 604800");
    std::fs::write(workspace.path("store.audit.jsonl"), "{\"at_ms\":17").unwrap();
    workspace.run(&["rotate", JWT]).succeeded();
    let history = workspace.run(&["history", JWT]).succeeded();
    history.says(&["started", "about to create", "rotated in"]);
}

#[test]
fn a_secret_that_is_too_weak_is_refused_and_nothing_changes() {
    let workspace = Workspace::with(&format!("[secret.\"{JWT}\"]\nplugin = \"jwt\"\n"));
    let mut value = jwt_value();
    value["secret"] = json!("short");
    workspace.create(JWT, &value.to_string());
    let labels = workspace.labels(JWT);
    workspace
        .run(&["rotate", JWT])
        .failed(5, &[JWT, "64", "The target was not changed."]);
    assert_eq!(workspace.current(JWT), value);
    assert_eq!(workspace.labels(JWT)["AWSCURRENT"], labels["AWSCURRENT"]);
    assert!(!workspace.labels(JWT).contains_key("AWSPENDING"));
}

#[test]
fn a_grace_shorter_than_the_tokens_live_is_refused() {
    let workspace = jwt("grace_seconds = 1");
    workspace.run(&["rotate", JWT]).failed(
        3,
        &[
            "a grace of 1 s would end tokens that live 2 s",
            "grace_seconds",
        ],
    );
    assert_eq!(workspace.current(JWT), jwt_value());
}

#[test]
fn status_history_and_verify_tell_what_happened() {
    let workspace = jwt("grace_seconds = 604800\nrotate_after_days = 30");
    let status = workspace.run(&["status", JWT, "--json"]).succeeded().json();
    let status = &status[0];
    assert_eq!(status["kind"], "jwt");
    assert_eq!(status["strategy"], "overlap");
    assert_eq!(status["automatic"], true);
    assert_eq!(status["last_rotation_ms"], Value::Null);
    assert!(status["next_rotation_ms"].is_u64());
    workspace
        .run(&["status"])
        .succeeded()
        .says(&[JWT, "overlap", "automatic", "never"]);
    workspace.run(&["history"]).succeeded();

    workspace.run(&["rotate", JWT]).succeeded();
    let status = workspace.run(&["status", "--json"]).succeeded().json();
    let status = &status[0];
    let labels = workspace.labels(JWT);
    assert_eq!(status["current"], labels["AWSCURRENT"]);
    assert_eq!(status["retirement"]["version"], labels["AWSPREVIOUS"]);
    assert_eq!(status["retirement"]["new_version"], true);
    let (last, next) = (&status["last_rotation_ms"], &status["next_rotation_ms"]);
    assert_eq!(
        next.as_u64().unwrap() - last.as_u64().unwrap(),
        30 * 86_400_000
    );
    for unfinished in ["pending", "in_doubt", "staged", "announced_at_ms"] {
        assert_eq!(status[unfinished], Value::Null, "{unfinished}");
    }

    let history = workspace.run(&["history", JWT]).succeeded();
    history.says(&[
        "started (overlap)",
        "about to create",
        "about to promote",
        "rotated in",
    ]);
    let events: Vec<Value> = workspace
        .run(&["history", JWT, "--json"])
        .succeeded()
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // The secret was created by hand before.
    assert_eq!(events[0]["effect"], "create");
    assert_eq!(events[2]["event"], "started");
    assert_eq!(events[2]["goal"], "rotate");
    assert_eq!(events.last().unwrap()["event"], "finished");
    assert_eq!(
        workspace
            .run(&["history", "app-prod/other"])
            .succeeded()
            .stdout,
        ""
    );
    let two = workspace.run(&["history", "--most", "2"]).succeeded();
    assert_eq!(two.stdout.lines().count(), 2);

    workspace.run(&["verify", JWT]).succeeded().says(&[
        "AWSCURRENT",
        &labels["AWSCURRENT"],
        // A key that only signs has nobody who could be asked.
        "nobody was asked",
    ]);
    let verified = workspace.run(&["verify", JWT, "--json"]).succeeded().json();
    assert_eq!(verified["liveness"], "live");
    assert_eq!(verified["asked"], false);
}

#[test]
fn each_effect_stands_between_its_intent_and_its_outcome() {
    let workspace = jwt("grace_seconds = 604800");
    workspace.run(&["rotate", JWT]).succeeded();
    let mut open: Option<(Value, Value)> = None;
    let mut effects = 0;
    for line in workspace.audit().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let about = (event["effect"].clone(), event["version"].clone());
        if event["event"] == "intent" {
            assert_eq!(open, None, "{line}");
            open = Some(about);
            effects += 1;
        } else if event["event"] == "outcome" && open.is_some() {
            assert_eq!(open.take(), Some(about), "{line}");
        }
    }
    assert_eq!(open, None);
    assert!(effects >= 5, "{effects}");
}

pub(crate) fn sha256(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
