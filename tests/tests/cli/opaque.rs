//! Secrets that only have to be random, in guide.md §2.3's structure: the current value, the previous one for its grace,
//! and the profile of webhook signing, of which both secrets verify.

use std::time::Duration;

use harness::poll;
use harness::prober::Kind;
use serde_json::{Value, json};

use crate::endurance::{
    ATTEMPTS, CACHE, KEY_GRACE_SECONDS, LEAD_SECONDS, nobody_is_refused, rotate_in_turn, while_used,
};
use crate::support::Workspace;
use crate::tokens::retire_when_due;

const NAME: &str = "app-prod/opaque";
const OLD: &str = "current-secret-value";

/// guide.md's example among members of others, in spellings that a re-serialisation would lose.
fn guide(keys: &str) -> Workspace {
    let workspace = Workspace::with(&format!(
        "[secret.\"{NAME}\"]\nplugin = \"opaque\"\n{keys}\n"
    ));
    let value = format!(
        r#"{{"z_odd": 1.50e3, "a\u0062c": "\u00e9\/x",
        "current": {{"value": "{OLD}", "created_at": "2026-01-02T10:00:00Z"}},
        "previous": {{"value": "previous-secret-value", "created_at": "2025-12-02T10:00:00Z"}},
        "rotation_timestamp": "2026-01-02T10:00:00Z", "next_rotation": "2026-02-01T10:00:00Z", "list": [1 , 2.0]}}"#
    );
    workspace.create(NAME, &value);
    workspace
}

fn days_between(value: &Value, from: &str, to: &str) -> i64 {
    let time = |member: &str| {
        let text = value[member].as_str().unwrap();
        time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap()
    };
    (time(to) - time(from)).whole_days()
}

#[test]
fn a_rotation_keeps_the_old_value_and_everything_that_is_not_its_own() {
    let workspace = guide("grace_seconds = 604800");
    workspace.run(&["rotate", NAME]).succeeded();
    let text = workspace.text(NAME, "AWSCURRENT");
    for member in [
        r#""z_odd":1.50e3"#,
        r#""a\u0062c":"\u00e9\/x""#,
        "[1 , 2.0]",
    ] {
        assert!(text.contains(member), "{member} is not in {text}");
    }
    let value = workspace.current(NAME);
    let made = value["current"]["value"].as_str().unwrap();
    assert_eq!(made.len(), 44, "32 bytes in base64");
    assert_eq!(
        value["previous"],
        json!({"value": OLD, "created_at": "2026-01-02T10:00:00Z"})
    );
    assert_eq!(value["current"]["created_at"], value["rotation_timestamp"]);
    // As long as the old one was given.
    assert_eq!(
        days_between(&value, "rotation_timestamp", "next_rotation"),
        30
    );
    workspace
        .run(&["verify", NAME])
        .succeeded()
        .says(&["nobody was asked"]);

    let status = workspace
        .run(&["status", NAME, "--json"])
        .succeeded()
        .json();
    assert_eq!(status[0]["strategy"], "overlap");
    assert_eq!(status[0]["retirement"]["by_word"], false);
    assert!(status[0]["grace_left_seconds"].as_u64().unwrap() > 604_000);
    workspace
        .run(&["rotate", NAME])
        .failed(7, &["promised to work for another 7 days", "--now"]);
    workspace.run(&["history", NAME]).succeeded().says(&[
        "started (overlap)",
        "about to promote",
        "rotated in",
    ]);
}

#[test]
fn the_previous_value_ends_with_its_grace() {
    let workspace = guide("grace_seconds = 2\nrotate_after_days = 10");
    workspace.run(&["rotate", NAME]).succeeded();
    let rotated = workspace.current(NAME);
    assert_eq!(
        days_between(&rotated, "rotation_timestamp", "next_rotation"),
        10
    );
    retire_when_due(&workspace, NAME);
    let mut retired = rotated.clone();
    retired.as_object_mut().unwrap().remove("previous");
    assert_eq!(workspace.current(NAME), retired);
    workspace
        .run(&["retire", NAME])
        .succeeded()
        .says(&["no old value waits"]);
}

#[test]
fn without_a_grace_there_is_no_previous_value() {
    let workspace = guide("grace_seconds = 0\nsettings = { bytes = 48, encoding = \"hex\" }");
    workspace.run(&["rotate", NAME]).succeeded();
    let value = workspace.current(NAME);
    assert!(value.get("previous").is_none());
    assert_eq!(value["current"]["value"].as_str().unwrap().len(), 96);
}

#[test]
fn with_a_lead_the_next_value_is_published_before_it_is_used() {
    let workspace = guide("grace_seconds = 604800\nlead_seconds = 1");
    workspace.run(&["rotate", NAME]).succeeded();
    let announced: Value = serde_json::from_str(&workspace.text(NAME, "AWSPREVIOUS")).unwrap();
    let active = workspace.current(NAME);
    assert_eq!(announced["current"]["value"], OLD);
    assert_eq!(announced["previous"]["value"], active["current"]["value"]);
    assert!(announced["previous"]["announced_at"].is_string());
    assert_eq!(active["previous"]["value"], OLD);
    assert!(active["current"].get("announced_at").is_none());
}

#[test]
fn a_profile_says_when_the_next_rotation_is_due() {
    let workspace = guide("settings = { profile = \"webhook-signing\" }");
    workspace.run(&["rotate", NAME]).succeeded();
    let value = workspace.current(NAME);
    assert_eq!(
        days_between(&value, "rotation_timestamp", "next_rotation"),
        90
    );
}

/// Whoever names the purpose and forgets the strategy is told before a key is lost.
#[test]
fn an_encryption_key_is_not_rotated_with_a_window() {
    let workspace = guide("settings = { profile = \"encryption\" }");
    let before = workspace.text(NAME, "AWSCURRENT");
    workspace
        .run(&["rotate", NAME])
        .failed(3, &["strategy = \"key-ring\"", "was not changed"]);
    assert_eq!(workspace.text(NAME, "AWSCURRENT"), before);
    workspace.configure(&format!(
        "[secret.\"{NAME}\"]\nplugin = \"opaque\"\nsettings = {{ bytes = 8 }}\n"
    ));
    workspace
        .run(&["rotate", NAME])
        .failed(3, &["/bytes", "16"]);
}

#[test]
fn it_shares_a_secret_with_other_credentials() {
    let name = "app-prod/shared";
    let configuration = |one: &str| {
        format!(
            "[secret.\"{name}\".credential.one]\nplugin = \"{one}\"\n\
             [secret.\"{name}\".credential.random]\nplugin = \"opaque\"\n"
        )
    };
    let workspace = Workspace::with(&configuration("api-key"));
    let key = format!("festival_sk_live_{}", "k".repeat(43));
    workspace.create(
        name,
        &json!({"internal_api_key": key, "current": {"value": OLD}}).to_string(),
    );
    workspace
        .run(&["rotate", &format!("{name}#random")])
        .succeeded();
    let value = workspace.current(name);
    assert_eq!(
        (&value["internal_api_key"], &value["previous"]["value"]),
        (&json!(key), &json!(OLD))
    );
    workspace
        .run(&["rotate", &format!("{name}#one")])
        .succeeded();
    assert_eq!(workspace.current(name)["current"], value["current"]);
    workspace.configure(&configuration("opaque"));
    workspace
        .run(&["rotate", &format!("{name}#random")])
        .failed(3, &["current", "is also written by the plugin of"]);
}

#[test]
fn no_value_is_written_anywhere() {
    let workspace = guide("grace_seconds = 604800");
    workspace.run(&["rotate", NAME]).succeeded();
    workspace.run(&["rotate", NAME]).failed(7, &[]);
    workspace.run(&["retire", NAME, "--now"]).succeeded();
    workspace.run(&["history", NAME, "--json"]).succeeded();
    let made = workspace.current(NAME)["current"]["value"].clone();
    let scan = workspace.scan_for(&[OLD, made.as_str().unwrap()], "");
    assert_eq!(scan.findings, []);
    println!(
        "evidence: canary scan: {} bytes searched, 0 found",
        scan.bytes
    );
}

fn webhooks(names: &[&str], lead_seconds: u64) -> Workspace {
    let tables: String = names
        .iter()
        .map(|name| {
            format!(
                "[secret.\"{name}\"]\nplugin = \"opaque\"\ngrace_seconds = {KEY_GRACE_SECONDS}\n\
                 lead_seconds = {lead_seconds}\nsettings = {{ profile = \"webhook-signing\" }}\n"
            )
        })
        .collect();
    let workspace = Workspace::with(&tables);
    for name in names {
        workspace.create(name, &json!({"current": {"value": OLD}}).to_string());
    }
    workspace
}

const WEBHOOK: Kind = Kind::Webhook {
    window: Duration::from_secs(KEY_GRACE_SECONDS),
};

#[test]
fn receivers_of_webhooks_behind_a_cache_refuse_no_signature() {
    let names = [
        "app-prod/webhook-1",
        "app-prod/webhook-2",
        "app-prod/webhook-3",
    ];
    let workspace = webhooks(&names, LEAD_SECONDS);
    let targets = names.map(|name| (WEBHOOK, name)).to_vec();
    let report = while_used(&workspace, targets, CACHE, |_| {
        rotate_in_turn(&workspace, &names, 4);
    });
    nobody_is_refused("webhooks behind a cache", 12, &report);
}

/// The new secret signs before the receiver's cache has heard of it: the check above can fail.
#[test]
fn without_a_lead_a_cached_receiver_refuses() {
    let workspace = webhooks(&[NAME], 0);
    let report = while_used(&workspace, vec![(WEBHOOK, NAME)], 2 * CACHE, |prober| {
        for _ in 0..ATTEMPTS {
            rotate_in_turn(&workspace, &[NAME], 1);
            if poll::until_true(2 * CACHE, || prober.report().failed > 0) {
                break;
            }
        }
    });
    assert!(report.failed > 0, "{report:?}");
}
