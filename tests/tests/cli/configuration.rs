//! Errors in keyturn.toml point at file, line and key, and end before anything is touched.

use crate::support::Workspace;

const JWT: &str = "[secret.\"app-prod/jwt\"]\nplugin = \"jwt\"\n";

/// The store's table takes lines 1 to 4, so `tables` begins on line 5.
#[track_caller]
fn refused(tables: &str, words: &[&str]) {
    let workspace = Workspace::with(tables);
    for command in [&["status"][..], &["rotate", "--all"]] {
        workspace.run(command).failed(3, words);
    }
    assert!(!workspace.audit().contains("intent"));
}

#[test]
fn an_unknown_key() {
    refused(
        &format!("{JWT}grace = 3\n"),
        &["keyturn.toml:7: ", "grace", "grace_seconds"],
    );
}

#[test]
fn an_unknown_table() {
    refused("[stores]\n", &["keyturn.toml:5: ", "stores"]);
}

#[test]
fn an_unknown_key_in_a_grant() {
    let tables = format!("{JWT}[secret.\"app-prod/jwt\".grant.endpoint.api]\nhost = \"x\"\n");
    refused(&tables, &["keyturn.toml:8: ", "`host`", "hosts"]);
}

#[test]
fn a_line_that_is_no_toml() {
    refused("[secret\n", &["keyturn.toml:5: "]);
}

#[test]
fn an_unknown_plugin() {
    refused(
        "[secret.\"app-prod/jwt\"]\nplugin = \"jvt\"\n",
        &[
            "keyturn.toml:6: secret.\"app-prod/jwt\".plugin: ",
            "there is no plugin jvt",
            "api-key, jwt, opaque, postgres",
            "--plugin-dir",
        ],
    );
}

#[test]
fn an_unknown_strategy() {
    refused(
        &format!("{JWT}strategy = \"single\"\n"),
        &[
            "keyturn.toml:7: secret.\"app-prod/jwt\".strategy: ",
            "plugin jwt has the strategies",
            "overlap",
        ],
    );
}

#[test]
fn a_setting_that_the_plugin_does_not_know() {
    refused(
        &format!("{JWT}settings = {{ algoritm = \"HS256\" }}\n"),
        &[
            "keyturn.toml:",
            "secret.\"app-prod/jwt\"",
            "algoritm",
            "settings",
        ],
    );
}

#[test]
fn a_setting_of_the_wrong_value() {
    refused(
        &format!("{JWT}settings = {{ algorithm = \"none\" }}\n"),
        &["secret.\"app-prod/jwt\"", "algorithm", "HS256"],
    );
}

#[test]
fn a_grant_for_an_endpoint_that_the_plugin_lacks() {
    refused(
        &format!("{JWT}grant.endpoint.primary = {{ hosts = [\"db\"] }}\n"),
        &["secret.\"app-prod/jwt\"", "primary", "endpoint"],
    );
}

#[test]
fn a_grant_for_a_companion_that_the_plugin_lacks() {
    refused(
        &format!("{JWT}grant.companion.admin = [\"a\"]\n"),
        &["secret.\"app-prod/jwt\"", "admin", "companion"],
    );
}

#[test]
fn a_missing_grant_names_the_table_to_write() {
    refused(
        "[secret.\"app-prod/database\"]\nplugin = \"postgres\"\n",
        &["keyturn.toml:6: ", "grant", "endpoint", "primary"],
    );
}

#[test]
fn a_ca_file_that_is_not_there() {
    refused(
        "[secret.\"app-prod/database\"]\nplugin = \"postgres\"\ngrant.endpoint.primary = { hosts = [\"db\"], ca = \"no.pem\" }\n",
        &["secret.\"app-prod/database\"", "ca", "no.pem"],
    );
}

#[test]
fn days_out_of_bounds() {
    refused(
        &format!("{JWT}rotate_after_days = 1001\n"),
        &[
            "keyturn.toml:7: secret.\"app-prod/jwt\".rotate_after_days: ",
            "1 to 1000",
        ],
    );
}

#[test]
fn a_grace_of_more_than_ten_years() {
    refused(
        &format!("{JWT}grace_seconds = 315360001\n"),
        &[
            "keyturn.toml:7: secret.\"app-prod/jwt\".grace_seconds: ",
            "ten years",
        ],
    );
}

/// Whoever pins a file believes that no other is used.
#[test]
fn a_pin_that_would_hold_for_nothing() {
    let pin = format!("sha256 = \"{}\"\n", "a".repeat(64));
    refused(
        &format!("{JWT}[plugin.\"jwt\"]\n{pin}"),
        &["keyturn.toml:8: plugin.\"jwt\": ", "cannot be pinned"],
    );
    for rest in [&pin, "capabilities = [\"log\"]\n"] {
        refused(
            &format!("{JWT}[plugin.\"jvt\"]\n{rest}"),
            &[
                "plugin.\"jvt\": ",
                "no plugin jvt",
                "known are api-key, jwt",
            ],
        );
    }
    refused(
        &format!("{JWT}[plugin.\"mine\"]\nsha256 = \"abc\"\n"),
        &["keyturn.toml:8: plugin.\"mine\".sha256: ", "64 lower-case"],
    );
}

#[test]
fn a_name_that_is_not_configured() {
    let workspace = Workspace::with(JWT);
    for command in [
        &["rotate", "app-prod/jvt"][..],
        &["retire", "app-prod/jvt"],
        &["verify", "app-prod/jvt"],
        &["status", "app-prod/jvt"],
    ] {
        workspace.run(command).failed(
            3,
            &[
                "app-prod/jvt is not configured",
                "configured are: app-prod/jwt",
            ],
        );
    }
}

#[test]
fn with_json_an_error_is_an_object_on_standard_error() {
    let workspace = Workspace::with(&format!("{JWT}grace = 3\n"));
    let ended = workspace.run(&["status", "--json"]).failed(3, &[]);
    let error: serde_json::Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!(error["error"]["exit_code"], 3);
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("keyturn.toml:7: "), "{message}");
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_wrong_table_does_not_keep_the_others_waiting() {
    let workspace = Workspace::with(
        "[secret.\"a-prod/keys\"]\nplugin = \"api-key\"\n[secret.\"b-prod/keys\"]\nplugin = \"nosuch\"\n",
    );
    let value = format!(
        r#"{{"internal_api_key": "festival_sk_live_{}"}}"#,
        "k".repeat(43)
    );
    workspace.create("a-prod/keys", &value);
    workspace
        .run(&["rotate", "--all"])
        .failed(3, &["there is no plugin nosuch", "rotated in"]);
    assert!(workspace.labels("a-prod/keys").contains_key("AWSPREVIOUS"));
}

#[test]
fn a_configuration_without_any_secret_is_no_success() {
    let workspace = Workspace::new();
    for command in [&["rotate", "--all"][..], &["verify"], &["status"]] {
        workspace
            .run(command)
            .failed(3, &["no secret is configured"]);
    }
}
